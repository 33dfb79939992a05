"""Home Assistant: an update entity for each service, and how Dockrev is, over MQTT discovery.

Nothing of it is there unless `DOCKREV_MQTT_URL` is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from litestar.types import ControllerRouterHandler

from app.adapters.mqtt import Broker, Published
from app.core.background import Background
from app.core.clock import Clock
from app.core.events import EntitiesChanged, EventBus
from app.core.feature import Container, Feature
from app.core.metrics import Metrics
from app.features.access import Ledger
from app.features.catalog import Catalog
from app.features.homeassistant import page_controllers
from app.features.homeassistant.bridge import Bridge
from app.features.homeassistant.commands import Installer
from app.features.homeassistant.facts import Facts
from app.features.homeassistant.layout import Layout
from app.features.preferences import Preferences, Sections
from app.features.stacks import Runtime
from app.features.updates import Updates
from app.features.versions import Versions
from app.settings import Settings

__all__ = ["FEATURE"]

log = structlog.get_logger(__name__)
CLEAR: Final = "`dockrev homeassistant clear` takes it back, with the broker in DOCKREV_MQTT_URL."


def _setup(container: Container) -> None:
    settings, clock = container.get(Settings), container.get(Clock)
    if settings.mqtt_url is None:
        return
    facts = Facts(
        container.get(Catalog),
        container.get(Versions),
        container.get(Runtime),
        container.get(Preferences),
        settings.effective_version,
    )
    installer = Installer(container.get(Updates), container.get(Ledger), clock) if settings.mqtt_install else None
    broker = Broker.of(settings.mqtt_url, settings.mqtt_password_file)
    layout = Layout(settings.mqtt_prefix, settings.mqtt_discovery_prefix)
    published = Published.beside(settings.db_path)
    bridge = container.put(Bridge, Bridge(broker, layout, facts, installer, clock, published))
    container.get(EventBus).on(EntitiesChanged, bridge.note)
    container.get(Sections).add("home-assistant")
    metrics = container.get(Metrics)

    async def measure() -> None:
        metrics.mqtt_connected.labels(broker.name).set(bridge.status.connected)

    metrics.measures.append(measure)


def _handlers(container: Container) -> Sequence[ControllerRouterHandler]:
    return page_controllers.HANDLERS if container.get(Settings).mqtt_url else ()


async def _start(container: Container) -> None:
    settings = container.get(Settings)
    if settings.mqtt_url:
        container.get(Background).keep("home assistant", container.get(Bridge).run)
        return
    for place in await asyncio.to_thread(Published.beside(settings.db_path).places):
        log.warning("MQTT is off, and a broker still keeps what it was told", broker=place.broker, hint=CLEAR)


FEATURE = Feature(name="homeassistant", setup=_setup, placed=_handlers, provides={"bridge": Bridge}, start=_start)
