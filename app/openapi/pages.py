"""The reference for people: the document as pages, without JavaScript and without anybody else's server."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery

from app.core.errors import NotFound
from app.core.web.openapi import ErrorOut
from app.core.web.view import Pages, View
from app.openapi.document import kept
from app.openapi.reference import ReferencePage, groups_of, listed, operations_of

AnyRequest = Request[Any, Any, Any]
TEMPLATE: Final = "reference/reference.html"


def page_for(request: AnyRequest, *, slug: str = "", query: str = "") -> ReferencePage:
    """What is shown, from the completed document, of which nothing stays; for a thread."""
    return page_of(json.loads(kept(request).text(request)), slug=slug, query=query)


def page_of(document: dict[str, Any], *, slug: str = "", query: str = "") -> ReferencePage:
    """What is shown of it; raises NotFound for a group that is not there."""
    everything = listed(document)
    operations = operations_of(document, slug) if slug else []
    if slug and not operations:
        raise NotFound("there is no such group of operations")
    return ReferencePage(
        version=document["info"]["version"],
        groups=groups_of(everything),
        total=len(everything),
        query=query,
        slug=slug,
        found=[one for one in everything if one.slug == slug] if slug else listed(document, query),
        operations=operations,
    )


@get("/reference", operation_id="referencePage", summary="Reference of the API", tags=["pages"])
async def reference_page(
    request: AnyRequest, pages: NamedDependency[Pages], q: FromQuery[str] = ""
) -> View[ReferencePage]:
    """All operations, or those in which every word of `q` occurs."""
    return await pages.show(request, await asyncio.to_thread(page_for, request, query=q[:200]), TEMPLATE)


@get(
    "/reference/{group:str}",
    operation_id="referenceGroupPage",
    summary="Reference of one group of operations",
    tags=["pages"],
    responses={404: ResponseSpec(ErrorOut, description="there is no such group")},
)
async def reference_group_page(
    request: AnyRequest, pages: NamedDependency[Pages], group: FromPath[str]
) -> View[ReferencePage]:
    """Parameters, bodies, answers and a call by curl of each operation."""
    return await pages.show(request, await asyncio.to_thread(page_for, request, slug=group), TEMPLATE)


HANDLERS: Final = (reference_page, reference_group_page)
