"""The page `/settings/home-assistant`: how the connection is. What is set is set by environment variables."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, get
from litestar.di import NamedDependency

from app.core.web.view import Pages, View
from app.features.homeassistant.bridge import Bridge
from app.features.homeassistant.page_schemas import FormerPlace, HomeAssistantPage
from app.features.preferences import Sections
from app.settings import Settings


@get("/settings/home-assistant", operation_id="homeAssistantPage", summary="Page of Home Assistant", tags=["pages"])
async def home_assistant_page(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    bridge: NamedDependency[Bridge],
    settings: NamedDependency[Settings],
    sections: NamedDependency[Sections],
) -> View[HomeAssistantPage]:
    """Which broker, whether it is connected and since when, what failed last."""
    status = bridge.status
    page = HomeAssistantPage(
        broker=status.broker,
        connected=status.connected,
        since=status.since,
        error=status.error,
        remedy=status.remedy,
        failed_at=status.failed_at,
        entities=status.entities,
        told_at=status.told_at,
        denied=list(status.denied),
        former=[
            FormerPlace(broker=one.broker, prefix=one.prefix, discovery_prefix=one.discovery, why=one.why)
            for one in status.former
        ],
        prefix=settings.mqtt_prefix,
        discovery_prefix=settings.mqtt_discovery_prefix,
        install=settings.mqtt_install,
        sections=sections.links(),
    )
    return await pages.show(request, page, "homeassistant/connection.html")


HANDLERS: Final = (home_assistant_page,)
