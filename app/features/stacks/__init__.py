"""Stacks: what is registered, how it is found, and what of it runs (spec §5.2, §5.3, §7.1, §7.4)."""

from __future__ import annotations

from app.adapters.compose import Compose
from app.adapters.engine import Engine
from app.core.background import Background
from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.core.feature import Container, Feature
from app.core.jobs import JobEngine
from app.features.stacks.controllers import HANDLERS
from app.features.stacks.discovery import Discovery
from app.features.stacks.effective import ModelReader
from app.features.stacks.events import (
    EngineConnected,
    EngineLost,
    RuntimeChanged,
    ServiceAdded,
    ServiceImageChanged,
    ServiceRemoved,
    StackDiscovered,
)
from app.features.stacks.hints import hint_text
from app.features.stacks.models import ProjectStatus
from app.features.stacks.order import dependencies_first
from app.features.stacks.problem_words import problem_text
from app.features.stacks.queries import Archived, parse_archived
from app.features.stacks.records import ProjectRecord, ServiceRecord, ServiceSettings, StackRecord
from app.features.stacks.runtime import EngineStatus, Runtime
from app.features.stacks.runtime_rules import RuntimeDigest, ServiceRuntime
from app.features.stacks.scan import Action, ScanAction, ScanResult
from app.features.stacks.service import KEEP_URL, KeepUrl, Scope, Stacks
from app.features.stacks.settings_rules import BackupChoice
from app.settings import Settings

__all__ = [
    "FEATURE",
    "KEEP_URL",
    "Action",
    "Archived",
    "BackupChoice",
    "Discovery",
    "EngineConnected",
    "EngineLost",
    "EngineStatus",
    "KeepUrl",
    "ProjectRecord",
    "ProjectStatus",
    "Runtime",
    "RuntimeChanged",
    "RuntimeDigest",
    "ScanAction",
    "ScanResult",
    "Scope",
    "ServiceAdded",
    "ServiceImageChanged",
    "ServiceRecord",
    "ServiceRemoved",
    "ServiceRuntime",
    "ServiceSettings",
    "StackDiscovered",
    "StackRecord",
    "Stacks",
    "dependencies_first",
    "hint_text",
    "parse_archived",
    "problem_text",
]


def _setup(container: Container) -> None:
    settings, db = container.get(Settings), container.get(Database)
    bus, clock = container.get(EventBus), container.get(Clock)
    stacks = container.put(Stacks, Stacks(db, bus, clock))
    runtime = container.put(Runtime, Runtime(container.get(Engine), stacks, bus, clock))
    discovery = Discovery(
        db=db,
        bus=bus,
        clock=clock,
        jobs=container.get(JobEngine),
        runtime=runtime,
        models=ModelReader(container.get(Compose), clock),
        interval_seconds=settings.discovery_interval_seconds,
        max_actions=settings.discovery_max_actions,
    )
    container.put(Discovery, discovery)
    background = container.get(Background)
    background.keep("engine events", runtime.watch)
    background.keep("runtime view", runtime.follow)
    background.keep("discovery", discovery.run)
    background.keep("discovery after events", discovery.react)


async def _start(container: Container) -> None:
    await container.get(Stacks).archive_missing_projects()


FEATURE = Feature(
    name="stacks",
    setup=_setup,
    handlers=HANDLERS,
    provides={"stacks": Stacks, "discovery": Discovery, "runtime": Runtime},
    start=_start,
)
