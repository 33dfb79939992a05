"""What the command palette leads to: names of stacks and services, and the page that asks before all is checked."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from pydantic import Field

from app.core.web.presentation import clean, path
from app.core.web.schema import ApiModel
from app.core.web.view import Pages, View
from app.features.overview.widget import Widget, WidgetOut
from app.features.stacks import Stacks

NAME = 80


class Place(ApiModel):
    """Somewhere to go. `stack` is the name of a service's stack, null for a stack."""

    name: str
    stack: str | None
    href: str


class Places(ApiModel):
    """Stacks and services that are not archived, by name; what is archived is left to the page of services."""

    places: Annotated[list[Place], Field(default_factory=list)]


@get("/palette", include_in_schema=False)
async def palette_places(stacks: NamedDependency[Stacks]) -> Response[bytes]:
    """Read when the palette is opened: names only, in two queries."""
    found: list[Place] = []
    for stack in sorted(await stacks.stacks(), key=lambda stack: stack.name):
        name = clean(stack.name, NAME)
        found.append(Place(name=name, stack=None, href=path("stacks", stack.id)))
        found += [
            Place(name=clean(service.name, NAME), stack=name, href=path("services", stack.id, service.id))
            for service in stack.services
            if not service.archived
        ]
    body = Places(places=found).model_dump_json(by_alias=True).encode()
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


@get("/checks/new", include_in_schema=False)
async def check_new(
    request: Request[Any, Any, Any], pages: NamedDependency[Pages], widget: NamedDependency[Widget]
) -> View[WidgetOut]:
    """What a check of everything asks, and the button: a dialog for HTMX, else a page of its own."""
    return await pages.show(
        request,
        await widget.counts(),
        "overview/check_new.html",
        name="house",
        topics=("jobs", "engine"),
        fragment_template="overview/_check_dialog.html",
    )
