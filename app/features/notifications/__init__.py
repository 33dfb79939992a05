"""Notifications: who is told what, over which channel, and whether it arrived (spec §5.5, §5.7, §8)."""

from __future__ import annotations

from typing import Final

from app.adapters.notify import PushPool
from app.adapters.registry import RegistryClient
from app.core.background import Background, every
from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EntitiesChanged, EventBus
from app.core.feature import Container, Feature
from app.core.jobs import JobEngine
from app.core.web.assets import Assets
from app.core.web.view import Pages
from app.features.notifications import controllers, page_controllers
from app.features.notifications.courier import Courier, Routes
from app.features.notifications.devices import Devices
from app.features.notifications.failing import Failing, FailingChannel
from app.features.notifications.newversions import NewVersions
from app.features.notifications.outbox import Outbox
from app.features.notifications.pages import NotificationPages, answer_for_checks
from app.features.notifications.payload import CHANNELS, RepoAnomaly
from app.features.notifications.service import Notifications
from app.features.notifications.settings import NotificationSettings, SettingsStore
from app.features.notifications.tester import Tester
from app.features.notifications.texts import Texts
from app.features.notifications.waiting import Waiting
from app.features.notifications.worker import Worker
from app.features.preferences import Preferences, ReadinessBoard, Sections
from app.features.stacks import ServiceImageChanged, ServiceRemoved, Stacks
from app.features.versions import Versions
from app.settings import Settings

__all__ = [
    "CHANNELS",
    "FEATURE",
    "Failing",
    "FailingChannel",
    "NotificationSettings",
    "Notifications",
    "RepoAnomaly",
    "SettingsStore",
    "Texts",
]

PURGE_SECONDS: Final = 86400.0


def _setup(container: Container) -> None:
    settings, db, clock = container.get(Settings), container.get(Database), container.get(Clock)
    bus, jobs, preferences = container.get(EventBus), container.get(JobEngine), container.get(Preferences)
    version = settings.effective_version
    store = container.put(SettingsStore, SettingsStore(db, clock))
    origins = settings.push_allowed_origins
    devices = container.put(Devices, Devices(db, clock, origins))
    outbox = container.put(Outbox, Outbox(db, clock))
    texts = container.put(Texts, Texts(lambda: container.get(Pages), settings.language))
    pool = container.put(PushPool, PushPool())
    stacks = container.get(Stacks)
    waiting = Waiting(container.get(Versions), stacks)
    routes = Routes(settings.telegram_api_url, origins)
    courier = container.put(Courier, Courier(devices, texts, routes, pool, waiting))
    worker = container.put(Worker, Worker(outbox, courier, store, jobs, bus, clock))
    container.put(
        Tester,
        Tester(
            settings=store,
            devices=devices,
            courier=courier,
            outbox=outbox,
            texts=texts,
            preferences=preferences,
            bus=bus,
            clock=clock,
            app_version=version,
        ),
    )
    sections = container.get(Sections)
    sections.add("notifications")
    answer_for_checks(container.get(ReadinessBoard), store)
    pages = NotificationPages(store, devices, outbox, preferences, sections, settings.language)
    container.put(NotificationPages, pages)
    notifications = Notifications(
        db=db,
        jobs=jobs,
        stacks=stacks,
        preferences=preferences,
        settings=store,
        outbox=outbox,
        texts=texts,
        versions=NewVersions(container.get(Versions), stacks, container.get(RegistryClient)),
        clock=clock,
        app_version=version,
        queued=worker.wake,
    )
    container.put(Notifications, notifications)
    failing = container.put(Failing, Failing(outbox, store, clock))
    store.changed = failing.refresh
    bus.on(EntitiesChanged, notifications.note)
    bus.on(EntitiesChanged, failing.note)
    bus.on(ServiceImageChanged, notifications.note_services)
    bus.on(ServiceRemoved, notifications.note_services)


async def _start(container: Container) -> None:
    notifications, background = container.get(Notifications), container.get(Background)
    await notifications.begin()
    await container.get(Failing).refresh()
    background.keep("notifications", notifications.follow)
    background.keep("notification outbox", container.get(Worker).run)
    background.keep("notification clean-up", lambda: every(PURGE_SECONDS, container.get(Outbox).purge))


async def _stop(container: Container) -> None:
    await container.get(Notifications).stop()
    await container.get(Worker).stop()
    container.get(PushPool).close()


FEATURE = Feature(
    name="notifications",
    setup=_setup,
    handlers=(*controllers.HANDLERS, *page_controllers.HANDLERS),
    provides={
        "notification_settings": SettingsStore,
        "notification_pages": NotificationPages,
        "devices": Devices,
        "tester": Tester,
        "assets": Assets,
    },
    start=_start,
    stop=_stop,
)
