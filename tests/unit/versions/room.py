"""A versions room wired as the application wires it, over a fake engine and a fake registry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EntitiesChanged, EventBus
from app.core.ids import new_id
from app.core.jobs import JobEngine, JobRecord, LogRow
from app.features.stacks.models import ServiceRow, StackRow
from app.features.stacks.runtime import Runtime
from app.features.stacks.service import Stacks
from app.features.versions.checking.checker import Checker
from app.features.versions.checking.checks import Checks
from app.features.versions.checking.runtime_scan import RuntimeScans
from app.features.versions.digest_tags import DigestTags
from app.features.versions.downloads import Downloads
from app.features.versions.evidence import Evidence
from app.features.versions.ignore import IgnoreRules
from app.features.versions.inference.worker import Inference
from app.features.versions.newer.asking import Asking
from app.features.versions.newer.book import TagBook
from app.features.versions.newer.known import KnownVersions
from app.features.versions.newer.listing import VersionLists
from app.features.versions.newer.rows import NewerRows
from app.features.versions.newer.sorting import Sorter
from app.features.versions.newer.worker import Newer
from app.features.versions.records import VersionRecord
from app.features.versions.service import Versions
from app.features.versions.store import DatabaseStore
from tests.fakes.engine import FakeEngine, compose_container, image
from tests.fakes.registry import FakeRegistry


@dataclass
class TurnableClock:
    """A clock that a test sets forward."""

    ahead: timedelta = timedelta()

    def clock(self) -> Clock:
        """As the rooms want it; only the wall clock is turned."""
        return Clock(now=lambda: datetime.now(UTC) + self.ahead)


@dataclass
class Room:
    """Everything a test needs."""

    db: Database
    bus: EventBus
    jobs: JobEngine
    engine: FakeEngine
    registry: FakeRegistry
    store: DatabaseStore
    stacks: Stacks
    runtime: Runtime
    evidence: Evidence
    ignore: IgnoreRules
    inference: Inference
    versions: Versions
    newer: Newer
    lists: VersionLists
    digest_tags: DigestTags
    checks: Checks
    scans: RuntimeScans
    time: TurnableClock
    slept: list[float]
    stack_ids: dict[str, str] = field(default_factory=dict)

    async def service(
        self, stack: str, name: str, ref: str, *, runs: str | None = None, image_id: str | None = None
    ) -> str:
        """A service, registered and (with `runs`, a digest) running; its id."""
        now = datetime.now(UTC)
        service_id = new_id("svc")
        tag = ref.rpartition(":")[2] if ":" in ref.rpartition("/")[2].partition("@")[0] else "latest"
        async with self.db.transaction() as session:
            if stack not in self.stack_ids:
                self.stack_ids[stack] = new_id("stk")
                session.add(
                    StackRow(id=self.stack_ids[stack], name=stack, compose_files=[], created_at=now, updated_at=now)
                )
                await session.flush()
            session.add(
                ServiceRow(
                    id=service_id,
                    stack_id=self.stack_ids[stack],
                    name=name,
                    image_ref=ref,
                    image_tag=tag,
                    created_at=now,
                    updated_at=now,
                )
            )
        if runs is not None:
            self.run(stack, name, ref, runs)
        return service_id

    def run(self, stack: str, name: str, ref: str, *digests: str) -> None:
        """Let the service's one container run an image that is known under these digests."""
        repo = ref.partition("@")[0]
        repo = repo.rpartition(":")[0] if ":" in repo.rpartition("/")[2] else repo
        present = image(repo, digests=digests)
        self.engine.stored.append(present)
        self.engine.listed = [c for c in self.engine.listed if (c.project, c.service) != (stack, name)]
        self.engine.listed.append(compose_container(stack, name, image=ref, image_id=present.id))

    async def record(self, service_id: str) -> VersionRecord:
        """The evidence of a service."""
        return (await self.versions.records([service_id]))[service_id]

    async def check(self, *, summary: Mapping[str, Any] | None = None, **of: str) -> JobRecord:
        """Check everything (or one stack or service) and wait for the end. `summary` is what its starter tells."""
        scope = "stack" if "stack_id" in of else "service" if "service_id" in of else "all"
        reason = of.pop("reason", "ui")
        job_id = await self.checks.start(
            scope,  # type: ignore[arg-type]
            stack_id=of.get("stack_id"),
            service_id=of.get("service_id"),
            created_by="alice",
            reason=reason,
            summary=summary,
        )
        return await self.finished(job_id)

    async def scan(self) -> JobRecord:
        """Scan what runs and wait for the end."""
        return await self.finished(await self.scans.start("all", created_by="alice"))

    async def finished(self, job_id: str) -> JobRecord:
        """Wait for a job's end."""
        async with asyncio.timeout(20):
            while True:
                job = await self.jobs.store.get(job_id)
                assert job is not None
                if job.status.final:
                    return job
                await self.jobs.wait_for_rows(0.05)

    async def lines(self, job_id: str) -> list[str]:
        """The log of a job, `level: text`."""
        rows, _ = await self.jobs.store.logs(job_id)
        return [f"{row.level}: {row.msg}" for row in rows]

    async def events(self, job_id: str, kind: str) -> list[dict[str, object]]:
        """Events of one type."""
        rows: list[LogRow] = await self.jobs.store.rows_after(0, job_id=job_id, events_only=True, limit=1000)
        return [event for row in rows if (event := row.event())["type"] == kind]

    async def work(self) -> None:
        """Run the inference worker until its queue is empty."""
        worker = asyncio.create_task(self.inference.run())
        try:
            async with asyncio.timeout(20):
                while any(self.inference.queue.counts()):
                    await asyncio.sleep(0.005)
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    async def look_for_newer(self) -> None:
        """Let what was noted be sorted out, and whatever is queued be asked, until nothing is left to do."""
        await self.bus.settle()
        await self.newer.everything()
        worker = asyncio.create_task(self.newer.run())
        try:
            async with asyncio.timeout(20):
                while any(self.newer.counts()):
                    await asyncio.sleep(0.005)
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)


async def build(folder: Path) -> Room:
    """A fresh room on a fresh database."""
    time, slept = TurnableClock(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    clock, db, bus = time.clock(), Database(folder / "dockrev.sqlite3"), EventBus()
    await db.create_all()
    jobs, engine = JobEngine(db, bus, clock), FakeEngine()
    stacks = Stacks(db, bus, clock)
    runtime = Runtime(engine, stacks, bus, clock)
    store = DatabaseStore(db, clock)
    registry = FakeRegistry(store=store)
    evidence, ignore = Evidence(db), IgnoreRules(db, bus, clock)
    book, rows, known = TagBook(db, clock, registry), NewerRows(db, clock), KnownVersions(db, clock)
    inference = Inference(db, bus, clock, registry, evidence, book)

    async def active() -> set[str]:
        return {service.id for service in await stacks.select("all")}

    newer = Newer(
        bus=bus,
        clock=clock,
        jobs=jobs,
        evidence=evidence,
        book=book,
        known=known,
        rows=rows,
        sorter=Sorter(ignore, jobs.store, registry.host_platform),
        asking=Asking(registry, inference.recent, known, book),
        active=active,
        busy=inference.queue.asks_about,
    )
    bus.on(EntitiesChanged, newer.note)
    checker = _checker(registry, store, runtime, evidence, ignore, inference, bus, clock, sleep)
    return Room(
        db=db,
        bus=bus,
        jobs=jobs,
        engine=engine,
        registry=registry,
        store=store,
        stacks=stacks,
        runtime=runtime,
        evidence=evidence,
        ignore=ignore,
        inference=inference,
        versions=Versions(evidence, inference, rows, Downloads(registry, store, bus), "ghcr.io/ivanli-cn/dockrev"),
        newer=newer,
        lists=VersionLists(stacks, evidence, book, known, rows, newer, jobs.store, clock),
        digest_tags=DigestTags(stacks, evidence, inference, registry, clock),
        checks=Checks(jobs, stacks, checker, clock, registry.host_platform),
        scans=RuntimeScans(
            db=db,
            jobs=jobs,
            stacks=stacks,
            runtime=runtime,
            evidence=evidence,
            checker=checker,
            host_platform=registry.host_platform,
            sleep=sleep,
        ),
        time=time,
        slept=slept,
    )


def _checker(
    registry: FakeRegistry,
    store: DatabaseStore,
    runtime: Runtime,
    evidence: Evidence,
    ignore: IgnoreRules,
    inference: Inference,
    bus: EventBus,
    clock: Clock,
    sleep: Callable[[float], Awaitable[None]],
) -> Checker:
    return Checker(
        client=registry,
        store=store,
        runtime=runtime,
        evidence=evidence,
        ignore=ignore,
        inference=inference,
        bus=bus,
        clock=clock,
        sleep=sleep,
    )


async def close(room: Room) -> None:
    """End what still runs and give the file back."""
    await room.jobs.stop()
    await room.bus.settle()
    await room.db.close()
