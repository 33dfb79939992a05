"""The first page."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Redirect

from app.core.web.view import Pages, View
from app.features.administration import Welcome, lead_to_deploy_check
from app.features.catalog import LIVE, checked_state
from app.features.overview.schemas import OverviewPage, OverviewQuery
from app.features.overview.service import Overview


@get("/", operation_id="overviewPage", summary="Overview", tags=["pages"], before_request=lead_to_deploy_check)
async def overview_page(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    overview: NamedDependency[Overview],
    deploy_welcome: NamedDependency[Welcome],
    shown: Annotated[str, QueryParameter(name="state")] = "open",
    q: FromQuery[str] = "",
) -> View[OverviewPage]:
    """What is new, what needs a person, what runs."""
    query = OverviewQuery(state=checked_state(shown or "open", extra=("open", "all")), q=q[:200])
    content = await overview.page(query)
    view = await pages.show(request, content, "overview/overview.html", topics=(*LIVE, "inference", "notifications"))
    await deploy_welcome.invite(request, view)
    return view


@get("/index.html", include_in_schema=False)
async def index_page() -> Redirect:
    """The front page under the name that old bookmarks have (spec §5.9)."""
    return Redirect("/", status_code=301)
