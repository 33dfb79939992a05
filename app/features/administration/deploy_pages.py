"""The deploy check over the API and as a page (spec §5.7, §11.3)."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from app.core.web.answers import Toast, done
from app.core.web.auth import identity_of
from app.core.web.forms import read_form
from app.core.web.languages import _
from app.core.web.openapi import UNAUTHORISED
from app.core.web.view import Pages, View, shape
from app.features.administration.deploy_check import DeployCheck
from app.features.administration.deploy_schemas import DeployPage, ReportOut
from app.features.administration.settings_schemas import ignored_sender
from app.features.administration.welcome import SEEN
from app.features.preferences import Preferences, Sections

AnyRequest = Request[Any, Any, Any]
HERE: Final = "/deploy-check"


@get(
    "/api/deploy-check/report",
    operation_id="getDeployCheckReport",
    summary="Whether everything is there that Dockrev needs",
    tags=["settings"],
    responses=UNAUTHORISED,
)
async def report_get(request: AnyRequest, deploy_check: NamedDependency[DeployCheck]) -> ReportOut:
    """Twelve checks in a fixed order, made now; asks neither the network nor old jobs."""
    return await deploy_check.report(identity_of(request))


@get(HERE, operation_id="deployCheckPage", summary="Page of the deploy check", tags=["pages"])
async def deploy_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    deploy_check: NamedDependency[DeployCheck],
    preferences: NamedDependency[Preferences],
    sections: NamedDependency[Sections],
) -> View[DeployPage]:
    """What fails, what passes, what does not apply; checked when the page is opened."""
    welcome = await preferences.deploy_welcome()
    content = DeployPage(
        report=await deploy_check.report(identity_of(request)),
        never_auto_open=welcome.never_auto_open,
        passes=await deploy_check.passes(),
        ignored=ignored_sender(request.app.state.auth_policy),
        sections=sections.links(),
    )
    view = await pages.show(request, content, "deploy/deploy_check.html", topics=("jobs", "engine"))
    if shape(request) == "page":
        view.set_cookie(SEEN)
    return view


@post("/deploy-welcome", status_code=200, include_in_schema=False)
async def welcome_save(
    request: AnyRequest, pages: NamedDependency[Pages], preferences: NamedDependency[Preferences]
) -> Response[Any]:
    """Whether the page opens by itself."""
    fields = await read_form(request)
    never = (fields.get("neverAutoOpen") or [""])[-1] == "true"
    await preferences.set_deploy_welcome(never)
    text = _("It will not open by itself again.") if never else _("It opens by itself while something fails.")
    return done(request, pages, Toast(text), go_to=HERE)


HANDLERS: Final = (report_get, deploy_page, welcome_save)
