"""Updates: applying a confirmed digest, seeing that it works, and the way back when it does not (spec §5.3, §7.8)."""

from __future__ import annotations

from typing import Final

from app.adapters.compose import Compose
from app.adapters.engine import Engine
from app.core.background import Background, every
from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.core.feature import Container, Feature
from app.core.jobs import JobContext, JobEngine, JobKind, JobOutcome
from app.features.backups import Backups
from app.features.preferences import Preferences
from app.features.stacks import Stacks
from app.features.updates.controllers import HANDLERS, fresh_for
from app.features.updates.journal import Journal
from app.features.updates.plan import LeftOutGroup, PlannedBackup, PlannedService, UpdatePlan
from app.features.updates.recover import RECOVERY, Recovery
from app.features.updates.rollback import ROLLBACK, Rollbacks
from app.features.updates.schemas import (
    BackupMode,
    JobStarted,
    Mode,
    Reason,
    RollbackTarget,
    Scope,
    TargetInput,
    UpdateInput,
)
from app.features.updates.service import Updates
from app.features.updates.tools import Tools
from app.features.versions import Checks, Versions
from app.settings import Settings

__all__ = [
    "FEATURE",
    "BackupMode",
    "JobStarted",
    "Journal",
    "LeftOutGroup",
    "Mode",
    "PlannedBackup",
    "PlannedService",
    "Reason",
    "Recovery",
    "RollbackTarget",
    "Rollbacks",
    "Scope",
    "TargetInput",
    "UpdateInput",
    "UpdatePlan",
    "Updates",
    "fresh_for",
]

RECOVERY_SECONDS: Final = 30.0


def _setup(container: Container) -> None:
    jobs, bus = container.get(JobEngine), container.get(EventBus)
    clock, checks = container.get(Clock), container.get(Checks)
    journal = container.put(Journal, Journal(container.get(Database), clock))
    tools = container.put(
        Tools,
        Tools(
            engine=container.get(Engine),
            compose=container.get(Compose),
            stacks=container.get(Stacks),
            journal=journal,
            settings=container.get(Settings),
            clock=clock,
        ),
    )
    recovery = container.put(Recovery, Recovery(tools, jobs, checks, bus))
    versions = container.get(Versions)
    updates = Updates(tools, jobs, versions, checks, container.get(Backups), container.get(Preferences), bus)
    container.put(Updates, updates)
    rollbacks = container.put(Rollbacks, Rollbacks(updates, jobs, container.get(Stacks), versions))

    async def roll_back(ctx: JobContext) -> JobOutcome:
        """Both ways back are jobs of one type: the one after an interruption and the one on request."""
        return await (recovery.run(ctx) if ctx.job.payload.get("kind") == RECOVERY else rollbacks.run(ctx))

    jobs.register(JobKind(ROLLBACK, roll_back))


async def _start(container: Container) -> None:
    """Before the first request: what is half done is owned by a job again."""
    recovery = container.get(Recovery)
    await recovery.begin()
    container.get(Background).keep(
        "interrupted updates", lambda: every(RECOVERY_SECONDS, recovery.begin, at_once=False)
    )


FEATURE = Feature(
    name="updates",
    setup=_setup,
    handlers=HANDLERS,
    provides={"updates": Updates, "recovery": Recovery, "rollbacks": Rollbacks},
    start=_start,
)
