"""Discovery: scans of the engine's containers that register Compose projects, and never delete one (spec §7.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from app.adapters.engine import EngineError
from app.core.background import every
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Conflict
from app.core.events import EventBus
from app.core.jobs import JobContext, JobEngine, JobKind, JobOutcome, NewJob, Progress
from app.features.stacks.effective import ModelReader
from app.features.stacks.events import EngineConnected, ProjectsRelabelled
from app.features.stacks.models import ProjectStatus
from app.features.stacks.reconcile import Failure, Known, Model, Reconciler
from app.features.stacks.runtime import Runtime
from app.features.stacks.scan import ScanAction, ScanResult
from app.features.stacks.sightings import Sighting, sightings

log = structlog.get_logger(__name__)

JOB_TYPE: Final = "discovery"
DEBOUNCE_SECONDS: Final = 0.4
# While one of these has a stack, its containers may be between two lives.
_OPERATIONS: Final = ("update", "rollback")


class Discovery:
    """Scans, one at a time. A scan that finds nothing new costs one call to the engine and one write."""

    def __init__(
        self,
        *,
        db: Database,
        bus: EventBus,
        clock: Clock,
        jobs: JobEngine,
        runtime: Runtime,
        models: ModelReader,
        interval_seconds: float,
        max_actions: int,
    ) -> None:
        self._db = db
        self._clock = clock
        self._jobs = jobs
        self._runtime = runtime
        self._models = models
        self._reconciler = Reconciler(db, bus, clock)
        self._interval = interval_seconds
        self._max_actions = max_actions
        self._lock = asyncio.Lock()
        self._poked = asyncio.Event()
        self.last: ScanResult | None = None
        jobs.register(JobKind(JOB_TYPE, self._run_job, prefix="dsc"))
        bus.on(ProjectsRelabelled, self._look_soon)
        bus.on(EngineConnected, self._look_soon)

    async def _look_soon(self, _: ProjectsRelabelled | EngineConnected) -> None:
        self._poked.set()

    # ---- on demand

    async def request(self, created_by: str, reason: str = "ui") -> str:
        """Start a scan as a job and return its id (spec §5.3); it waits for one that is under way."""
        return await self._jobs.submit(NewJob(JOB_TYPE, "all", created_by, reason))

    async def request_or_join(
        self,
        *,
        created_by: str,
        reason: str,
        summary: Mapping[str, Any],
        join: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ) -> tuple[str, bool]:
        """Like `request`, but a scan that is under way is enough; returns its id and whether it was there already.

        `summary` is what a new job tells from its start; `join` is given that of the other one and returns the members
        to set.
        """
        new = NewJob(JOB_TYPE, "all", created_by, reason, summary=summary)
        while True:
            async with self._db.transaction() as session:
                if (existing := await self._under_way(session)) is not None:
                    await self._jobs.amend(session, existing, join)
                    return existing, True
            try:
                return await self._jobs.submit(new, guard=self._only_one), False
            except Conflict:  # somebody was faster: join that one
                continue

    async def _only_one(self, session: AsyncSession) -> None:
        if (existing := await self._under_way(session)) is not None:
            raise Conflict("discovery already running", details={"existingJobId": existing})

    async def _under_way(self, session: AsyncSession) -> str | None:
        """A scan that still looks; a sweep's job only tells what was seen before."""
        active = await self._jobs.store.active(session, (JOB_TYPE,))
        return next((job.id for job in active if "scan" not in job.payload), None)

    async def _run_job(self, ctx: JobContext) -> JobOutcome:
        document = ctx.job.payload.get("scan")
        if document is not None:  # a sweep that found something; only its story is left to tell
            for line, level in ctx.job.payload.get("lines", ()):
                ctx.log(line, level)
            return JobOutcome(summary={"scan": document})
        ctx.progress(Progress("scan", "reading containers"))
        result = await self.scan(progress=ctx)
        for action in result.actions[: self._max_actions]:
            ctx.log(*action.line)
        ctx.progress(Progress("store", "done", len(result.actions), len(result.actions), 100), force=True)
        return JobOutcome(summary={"scan": result.document(self._max_actions)})

    # ---- in the background

    async def sweep(self, *, mark_missing: bool = True) -> ScanResult | None:
        """A scan nobody asked for: a job is written only when something happened. None while the engine is away."""
        try:
            result = await self.scan(fresh=False, mark_missing=mark_missing)
        except EngineError as error:  # the runtime view tells about it on every page
            log.debug("discovery waits for the engine", cause=error.message)
            return None
        if result.newsworthy:
            payload = {
                "scan": result.document(self._max_actions),
                "lines": [list(action.line) for action in result.actions if action.news][: self._max_actions],
            }
            await self._jobs.submit(NewJob(JOB_TYPE, "all", "system", "schedule", payload=payload))
        return result

    async def run(self) -> None:
        """Sweep now and every interval, for ever."""
        await every(self._interval, self.sweep)

    async def react(self) -> None:
        """Sweep soon after containers of another configuration appeared, for ever.

        What disappeared is left to the regular sweep: a project being recreated is gone for a moment only.
        """
        while True:
            await self._poked.wait()
            await asyncio.sleep(DEBOUNCE_SECONDS)
            self._poked.clear()
            try:
                await self.sweep(mark_missing=False)
            except Exception:
                log.exception("discovery after an event failed")

    # ---- the scan

    async def scan(
        self, *, fresh: bool = True, mark_missing: bool = True, progress: JobContext | None = None
    ) -> ScanResult:
        """Look at all projects. `fresh` reads every file anew instead of trusting what did not change.

        Raises EngineError with nothing touched when the engine does not answer; StorageError.
        """
        async with self._lock:
            started, began = self._clock.now(), self._clock.monotonic()
            seen = sightings(await self._runtime.refresh())
            known = await self._reconciler.known()
            actions: list[ScanAction] = []
            async for sighting, found in self._read(seen, fresh=fresh):
                actions.append(await self._reconciler.apply(sighting.key, found, known))
                if progress is not None:
                    done = len(actions)
                    percent = 100 * done / len(seen)
                    progress.progress(Progress("scan", sighting.key, done, len(seen), percent))
            keys = {sighting.key for sighting in seen}
            if mark_missing:
                for project in await self._gone(keys, known):
                    actions.append(await self._reconciler.mark_missing(project, known))
            self._models.forget_all_but(keys)
            if known.projects or seen:
                await self._reconciler.touch(keys, started)
            took = round((self._clock.monotonic() - began) * 1000)
            self.last = ScanResult(started, took, tuple(sorted(actions, key=lambda a: a.project)), len(seen))
            return self.last

    async def _read(self, seen: Sequence[Sighting], *, fresh: bool) -> AsyncIterator[tuple[Sighting, Model | Failure]]:
        """Each project with its model, in the order the models are ready."""

        async def read(sighting: Sighting) -> tuple[Sighting, Model | Failure]:
            return sighting, await self._models.read(sighting, fresh=fresh)

        tasks = [asyncio.ensure_future(read(sighting)) for sighting in seen]
        try:
            for ready in asyncio.as_completed(tasks):
                yield await ready
        finally:
            for task in tasks:
                task.cancel()

    async def _gone(self, seen: set[str], known: Known) -> list[str]:
        """Known projects without a running container, but for those an operation is working on."""
        gone = [
            row for name, row in known.projects.items() if name not in seen and row.status is not ProjectStatus.MISSING
        ]
        if not gone:
            return []
        async with self._db.session() as session:
            active = await self._jobs.store.active(session, _OPERATIONS)
            targets = await self._jobs.store.targets(session, [job.id for job in active])
        busy = {stack for pairs in targets.values() for stack, _ in pairs} | {job.stack_id for job in active}
        return [row.project for row in gone if row.stack_id is None or row.stack_id not in busy]
