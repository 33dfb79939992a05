"""Preferences: the settings a person changes while Dockrev runs (spec §4 `settings`, §5.5)."""

from __future__ import annotations

from app.core.clock import Clock
from app.core.db import Database
from app.core.feature import Container, Feature
from app.features.preferences.rules import BackupDefaults
from app.features.preferences.service import Preferences
from app.settings import Settings

__all__ = ["FEATURE", "BackupDefaults", "Preferences"]


def _setup(container: Container) -> None:
    settings = container.get(Settings)
    service = Preferences(container.get(Database), container.get(Clock), settings.backup_dir)
    container.put(Preferences, service)


async def _start(container: Container) -> None:
    await container.get(Preferences).ensure()


FEATURE = Feature(name="preferences", setup=_setup, provides={"preferences": Preferences}, start=_start)
