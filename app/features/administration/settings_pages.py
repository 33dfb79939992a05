"""The page `/settings` and the forms of its cards (spec §11.3)."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from app.core.errors import InvalidArgument, NotFound
from app.core.web.answers import Toast, done
from app.core.web.forms import read_form
from app.core.web.languages import _, known, told
from app.core.web.view import Pages, View, shape
from app.features.administration.settings_forms import CARDS
from app.features.administration.settings_reads import SettingsReads
from app.features.administration.settings_schemas import FieldProblem, SettingsPage
from app.features.preferences import Preferences, Sections

AnyRequest = Request[Any, Any, Any]
TEMPLATE: Final = "settings/settings.html"
TOPICS: Final = ("jobs", "engine")


@get("/settings", operation_id="settingsPage", summary="Page of settings", tags=["pages"])
async def settings_page(
    request: AnyRequest, pages: NamedDependency[Pages], settings_reads: NamedDependency[SettingsReads]
) -> View[SettingsPage]:
    """Access, backups, monitoring, schedules with their next run, the instance."""
    return await pages.show(request, await settings_reads.page(request), TEMPLATE, topics=TOPICS)


@get("/settings/{section:str}", include_in_schema=False)
async def section_page(sections: NamedDependency[Sections], section: FromPath[str]) -> Redirect:
    """`/settings/schedules` leads to where schedules are."""
    for link in sections.links():
        if link.key == section:
            return Redirect(link.href, status_code=303)
    raise NotFound("there is nothing at this address")


@post("/settings/{card:str}", status_code=200, include_in_schema=False)
async def card_save(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    preferences: NamedDependency[Preferences],
    settings_reads: NamedDependency[SettingsReads],
    card: FromPath[str],
) -> Response[Any]:
    """Save one card. A browser without JavaScript gets the page back, with what was typed and what is wrong with it."""
    fields = {name: values[-1] for name, values in (await read_form(request)).items() if values}
    if card not in CARDS:
        raise NotFound("there is nothing at this address")
    try:
        await preferences.change(CARDS[card](fields, await preferences.read()))
    except InvalidArgument as error:
        if shape(request) != "page" or "field" not in error.details:
            raise
        content = await settings_reads.page(request)
        content.problem = problem_of(error, card)
        content.entered = {name: value[:2000] for name, value in fields.items()}
        view = await pages.show(request, content, TEMPLATE, topics=TOPICS)
        view.status_code = error.status
        return view
    return done(request, pages, Toast(_("Saved.")), go_to=f"/settings#{card}")


def problem_of(error: InvalidArgument, card: str) -> FieldProblem:
    """What to say at the field; a schedule's own words are better than the general ones."""
    full = str(error.details.get("error") or error.message)
    field = str(error.details["field"])
    beside = full.removeprefix(f"{field} ")
    message = known(beside) or known(full) or beside
    return FieldProblem(field=field, message=message, hint=told(error.hint), card=card)


HANDLERS: Final = (settings_page, section_page, card_save)
