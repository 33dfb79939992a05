"""The pages of services and stacks."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from app.core.errors import InvalidArgument, NotFound
from app.core.web.openapi import NOT_FOUND
from app.core.web.retelling import Retelling
from app.core.web.view import Pages, View
from app.features.catalog.pages import CatalogPages
from app.features.catalog.schemas import (
    RuleEffect,
    ServiceListPage,
    ServicePage,
    ServiceQuery,
    ServiceState,
    StackPage,
)
from app.features.versions import RulePreviews, rules

AnyRequest = Request[Any, Any, Any]
LIVE = ("services", "stacks", "jobs", "engine")
_problem = Retelling((), rules.PROBLEMS)


def checked_state(state: str, *, extra: tuple[str, ...]) -> str:
    """A filter by state, or InvalidArgument."""
    if state not in (*extra, *ServiceState):
        raise InvalidArgument(f"invalid state filter: {state[:40]}", details={"field": "state"})
    return state


@get("/services", operation_id="serviceListPage", summary="Page of services", tags=["pages"])
async def service_list_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    catalog_pages: NamedDependency[CatalogPages],
    q: FromQuery[str] = "",
    shown: Annotated[str, QueryParameter(name="state")] = "all",
    sort: FromQuery[str] = "state",
    archived: FromQuery[str] = "",
) -> View[ServiceListPage]:
    """All stacks and services; `archived=1` shows archived ones too."""
    if sort not in ("state", "name"):
        raise InvalidArgument("sort must be state or name", details={"field": "sort"})
    query = ServiceQuery(
        q=q[:200], state=checked_state(shown or "all", extra=("all",)), sort=sort, archived=archived in ("1", "true")
    )
    content = await catalog_pages.service_list(query)
    return await pages.show(request, content, "services/service_list.html", topics=LIVE)


@get(
    "/stacks/{stack_id:str}",
    operation_id="stackPage",
    summary="Page of one stack",
    tags=["pages"],
    responses=NOT_FOUND,
)
async def stack_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    catalog_pages: NamedDependency[CatalogPages],
    stack_id: FromPath[str],
) -> View[StackPage]:
    """Services, compose files, backups, history."""
    content = await catalog_pages.stack(stack_id)
    return await pages.show(
        request, content, "stacks/stack_detail.html", topics=(f"stack:{stack_id}", "jobs", "engine")
    )


@get("/services/{stack_id:str}", include_in_schema=False)
async def stack_page_of_services(stack_id: FromPath[str]) -> Redirect:
    """What remains of a service's address when its end is taken off (spec §5b)."""
    if not stack_id.startswith("stk_"):
        raise NotFound("there is nothing at this address")
    return Redirect(f"/stacks/{quote(stack_id)}", status_code=301)


@get(
    "/services/{stack_id:str}/{service_id:str}",
    operation_id="servicePage",
    summary="Page of one service",
    tags=["pages"],
    responses=NOT_FOUND,
)
async def service_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    catalog_pages: NamedDependency[CatalogPages],
    stack_id: FromPath[str],
    service_id: FromPath[str],
) -> View[ServicePage]:
    """Evidence, plan, tags, rules, settings, history."""
    content = await catalog_pages.service(stack_id, service_id)
    if content.service.stack_id != stack_id:
        raise NotFound("service not found")
    return await pages.show(
        request, content, "services/service_detail.html", topics=(f"service:{service_id}", "jobs", "engine")
    )


@get(
    "/services/{stack_id:str}/{service_id:str}/ignores/preview",
    operation_id="ignorePreviewPage",
    summary="What an ignore rule would hold back",
    tags=["pages"],
    responses=NOT_FOUND,
)
async def ignore_preview(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    rule_previews: NamedDependency[RulePreviews],
    stack_id: FromPath[str],
    service_id: FromPath[str],
    kind: FromQuery[str] = "exact",
    value: FromQuery[str] = "",
) -> View[RuleEffect]:
    """Told while the rule is typed; nothing is kept."""
    content = RuleEffect(**asdict(await rule_previews.of(service_id, kind, value)))
    if content.problem:
        content.problem = _problem(content.problem)
    return await pages.show(
        request,
        content,
        "services/rule_preview.html",
        name="rule",
        fragment_template="services/_rule_preview.html",
    )


@get(
    "/updates/new",
    operation_id="updatePlanPage",
    summary="What an update would do",
    tags=["pages"],
    responses=NOT_FOUND,
)
async def update_new(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    catalog_pages: NamedDependency[CatalogPages],
    extent: Annotated[str, QueryParameter(name="scope")] = "all",
    stack_id: Annotated[str | None, QueryParameter(name="stackId")] = None,
    service_id: Annotated[str | None, QueryParameter(name="serviceId")] = None,
    allow: Annotated[str, QueryParameter(name="allowArchMismatch")] = "",
) -> View[Any]:
    """The plan, as a dialog for HTMX, else as a page of its own."""
    if extent not in ("service", "stack", "all"):
        raise InvalidArgument("scope must be service, stack or all", details={"field": "scope"})
    plan = await catalog_pages.plan(extent, stack_id, service_id, allow_arch_mismatch=allow == "true")
    return await pages.show(
        request, plan, "services/update_new.html", fragment_template="services/_update_dialog.html", name="plan"
    )


HANDLERS = (service_list_page, stack_page, stack_page_of_services, service_page, ignore_preview, update_new)
