"""A stacks room with a real database and job engine, and a fake engine and Compose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.core.events.bus import Event, Subscription
from app.core.jobs import JobEngine, JobFilter, JobRecord
from app.features.stacks.discovery import Discovery
from app.features.stacks.effective import ModelReader
from app.features.stacks.records import ProjectRecord, StackRecord
from app.features.stacks.runtime import Runtime
from app.features.stacks.service import Stacks
from tests.fakes.compose import FakeCompose
from tests.fakes.engine import FakeEngine, compose_container


@dataclass
class Room:
    """Everything a test of the room needs, wired as the application wires it."""

    folder: Path
    db: Database
    bus: EventBus
    jobs: JobEngine
    engine: FakeEngine
    compose: FakeCompose
    stacks: Stacks
    runtime: Runtime
    discovery: Discovery
    heard: Subscription
    clock: Clock = field(default_factory=Clock)

    def write(self, project: str, text: str, file: str = "compose.yml") -> str:
        """Write a file of a project; its path."""
        path = self.folder / project / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    def run(self, project: str, service: str = "web", image: str = "nginx:1.27") -> str:
        """A project with one service, its file written and its container running; the file's path."""
        path = self.write(project, f"services:\n  {service}:\n    image: {image}\n")
        self.engine.listed.append(compose_container(project, service, files=path, image=image))
        return path

    async def project(self, name: str) -> ProjectRecord:
        """A discovery project, archived or not."""
        return next(row for row in await self.stacks.projects("include") if row.project == name)

    async def stack(self, name: str) -> StackRecord:
        """A stack by name, archived or not."""
        return next(row for row in await self.stacks.stacks("include") if row.name == name)

    async def discovery_jobs(self) -> list[JobRecord]:
        """Discovery jobs, newest first."""
        return await self.jobs.store.search(JobFilter(types=("discovery",)))

    async def finished(self, job_id: str) -> JobRecord:
        """Wait for a job's end."""
        while True:
            job = await self.jobs.store.get(job_id)
            assert job is not None
            if job.status.final:
                return job
            await self.jobs.wait_for_rows(0.1)

    def events(self, kind: type[Event]) -> list[Event]:
        """Events of one kind published since the last call (all others are dropped)."""
        return [event for event in self.heard.drain() if isinstance(event, kind)]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    db, bus, clock = Database(tmp_path / "dockrev.sqlite3"), EventBus(), Clock()
    await db.create_all()
    jobs = JobEngine(db, bus, clock)
    engine, compose = FakeEngine(), FakeCompose()
    stacks = Stacks(db, bus, clock)
    runtime = Runtime(engine, stacks, bus, clock)
    discovery = Discovery(
        db=db,
        bus=bus,
        clock=clock,
        jobs=jobs,
        runtime=runtime,
        models=ModelReader(compose, clock),
        interval_seconds=60,
        max_actions=200,
    )
    with bus.subscribe(5000) as heard:
        yield Room(tmp_path, db, bus, jobs, engine, compose, stacks, runtime, discovery, heard, clock)
    await jobs.stop(0.5)
    await bus.settle()
    await db.close()
