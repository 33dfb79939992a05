"""Preferences: the settings a person changes while Dockrev runs (spec §4 `settings`, §5.5)."""

from __future__ import annotations

from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.core.feature import Container, Feature
from app.features.preferences import cron
from app.features.preferences.controllers import HANDLERS, RETENTION_DAYS, auth_out
from app.features.preferences.readiness import Readiness, ReadinessBoard
from app.features.preferences.rules import (
    GHCR_AUDIT,
    SAMPLE_INTERVALS,
    UPDATE_CHECK,
    BackupDefaults,
    HouseSettings,
    ResourceMonitor,
    Schedule,
    ScheduleName,
    SettingsChange,
)
from app.features.preferences.schemas import AuthOut
from app.features.preferences.sections import SectionLink, Sections
from app.features.preferences.service import DeployWelcome, Preferences, SettingsChanged
from app.settings import Settings

__all__ = [
    "FEATURE",
    "GHCR_AUDIT",
    "RETENTION_DAYS",
    "SAMPLE_INTERVALS",
    "UPDATE_CHECK",
    "AuthOut",
    "BackupDefaults",
    "DeployWelcome",
    "HouseSettings",
    "Preferences",
    "Readiness",
    "ReadinessBoard",
    "ResourceMonitor",
    "Schedule",
    "ScheduleName",
    "SectionLink",
    "Sections",
    "SettingsChange",
    "SettingsChanged",
    "auth_out",
    "cron",
]


def _setup(container: Container) -> None:
    settings = container.get(Settings)
    container.put(
        Preferences,
        Preferences(container.get(Database), container.get(Clock), settings.backup_dir, bus=container.get(EventBus)),
    )
    container.put(Sections, Sections())
    container.put(ReadinessBoard, ReadinessBoard())


async def _start(container: Container) -> None:
    await container.get(Preferences).ensure()


FEATURE = Feature(
    name="preferences",
    setup=_setup,
    handlers=HANDLERS,
    provides={"preferences": Preferences, "sections": Sections},
    start=_start,
)
