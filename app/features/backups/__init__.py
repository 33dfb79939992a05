"""Backups: archives of a service's volumes and bind mounts before it is updated, and the way back (spec §7.10)."""

from __future__ import annotations

from app.adapters.engine import Engine
from app.core.background import Background, every
from app.core.clock import Clock
from app.core.db import Database
from app.core.feature import Container, Feature
from app.core.jobs import JobEngine
from app.features.backups.controllers import HANDLERS
from app.features.backups.errors import BackupFailed
from app.features.backups.models import BackupStatus
from app.features.backups.records import BackupRecord, BackupResult
from app.features.backups.restore import Restores
from app.features.backups.rules import Choice, Target, targets_of
from app.features.backups.seen import ONE_OFF_LABEL, mounts_seen, service_containers
from app.features.backups.service import TICK_SECONDS, Backups
from app.features.backups.store import BackupStore
from app.features.preferences import Preferences
from app.features.stacks import Stacks

__all__ = [
    "FEATURE",
    "ONE_OFF_LABEL",
    "BackupFailed",
    "BackupRecord",
    "BackupResult",
    "BackupStatus",
    "Backups",
    "Choice",
    "Restores",
    "Target",
    "mounts_seen",
    "service_containers",
    "targets_of",
]


def _setup(container: Container) -> None:
    clock, engine = container.get(Clock), container.get(Engine)
    store = BackupStore(container.get(Database), clock)
    backups = Backups(store, engine, container.get(Stacks), container.get(Preferences), clock)
    container.put(Backups, backups)
    container.put(Restores, Restores(backups, engine, container.get(Stacks), container.get(JobEngine)))


async def _start(container: Container) -> None:
    backups = container.get(Backups)
    await backups.tidy_up()
    background = container.get(Background)
    background.keep("backup retention", lambda: every(TICK_SECONDS, backups.clean))
    background.keep("left-over twins", backups.remove_twins)
    background.keep("interrupted restores", container.get(Restores).resume)


FEATURE = Feature(
    name="backups",
    setup=_setup,
    handlers=HANDLERS,
    provides={"backups": Backups, "restores": Restores},
    start=_start,
)
