"""Starts jobs, runs them, ends them, and puts right what a dead process left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

import structlog
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import DockrevError, NotFound
from app.core.events import EntitiesChanged, EventBus
from app.core.ids import new_id
from app.core.jobs import stops
from app.core.jobs.context import JobContext, clean_line
from app.core.jobs.models import Job, JobLog, JobStatus, JobTarget
from app.core.jobs.stops import JobStopped, StopAnswer
from app.core.jobs.store import JobRecord, JobStore
from app.core.memory import give_back

log = structlog.get_logger(__name__)

RETENTION = timedelta(days=30)
_TIDY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a handler ended; `summary` is merged into what the job already tells."""

    status: JobStatus = JobStatus.SUCCESS
    summary: Mapping[str, Any] = field(default_factory=dict)


Handler = Callable[[JobContext], Awaitable[JobOutcome]]
Guard = Callable[[AsyncSession], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class JobKind:
    """A type of job a room can run.

    `on_interrupted` is asked at start-up, once per job that a dead process left running, after it was marked failed.
    With `workers`, at most so many of the type run at once; the others are `queued` and follow in their order.
    """

    type: str
    handler: Handler
    prefix: Literal["job", "chk", "dsc"] = "job"
    on_interrupted: Callable[[JobRecord], Awaitable[None]] | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is needed to start a job. A `stoppable` one calls `JobContext.commit` before it changes anything.

    `id` is one made beforehand, for who has to write it down in the same transaction (`guard`); else the engine makes
    one with the prefix of the kind. `summary` is what the job tells from its first moment.
    """

    type: str
    scope: str
    created_by: str
    reason: str = "ui"
    stack_id: str | None = None
    service_id: str | None = None
    allow_arch_mismatch: bool = False
    backup_mode: str = "inherit"
    payload: Mapping[str, Any] = field(default_factory=dict)
    targets: Sequence[tuple[str, str]] = ()  # (stack id, service id)
    stoppable: bool = False
    id: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)


class JobEngine:
    """The queue, the runner and the recovery in one; `store` reads."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock | None = None) -> None:
        self.db = db
        self.bus = bus
        self.store = JobStore(db)
        self._clock = clock or Clock()
        self._kinds: dict[str, JobKind] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._contexts: dict[str, JobContext] = {}
        self._lanes: dict[str, asyncio.Semaphore] = {}
        self._appended = asyncio.Condition()
        self._wakers: set[asyncio.Task[None]] = set()
        self._closing = False
        self.on_start: list[Callable[[JobRecord], None]] = []  # told of each new job, in the task that submitted it

    def register(self, kind: JobKind) -> None:
        """Make a type of job known."""
        self._kinds[kind.type] = kind
        if kind.workers is not None:
            self._lanes[kind.type] = asyncio.Semaphore(kind.workers)

    @property
    def running(self) -> frozenset[str]:
        """Ids of the jobs this process is running."""
        return frozenset(self._running)

    async def submit(self, new: NewJob, *, guard: Guard | None = None) -> str:
        """Insert the job as running (or queued, where workers are few) and start it; returns its id at once.

        `guard` runs inside the inserting transaction and raises (Conflict) to forbid it, so that two clicks can never
        both pass (spec §7.9).
        """
        kind = self._kinds[new.type]
        job_id, now = new.id or new_id(kind.prefix), self._clock.now()
        waits = kind.workers is not None
        async with self.db.transaction() as session:
            if guard is not None:
                await guard(session)
            job = Job(
                id=job_id,
                type=new.type,
                scope=new.scope,
                stack_id=new.stack_id,
                service_id=new.service_id,
                status=JobStatus.QUEUED if waits else JobStatus.RUNNING,
                allow_arch_mismatch=new.allow_arch_mismatch,
                backup_mode=new.backup_mode,
                created_by=new.created_by,
                reason=new.reason,
                created_at=now,
                started_at=None if waits else now,
                summary=dict(new.summary),
                payload={**new.payload, **({stops.CONTROL: {}} if new.stoppable else {})},
            )
            session.add(job)
            await session.flush()
            session.add_all(JobTarget(job_id=job_id, stack_id=stack, service_id=svc) for stack, svc in new.targets)
            record = JobRecord.of(job)
        for told in self.on_start:
            told(record)
        self._launch(kind, record)
        return job_id

    def _launch(self, kind: JobKind, record: JobRecord) -> None:
        ctx = self._contexts[record.id] = JobContext(self, record, self._clock)
        # In a context of its own: what is true of the request that started it, its language above all, is not of a job.
        running = self._run(kind, ctx)
        task = asyncio.get_running_loop().create_task(running, name=record.id, context=Context())
        self._running[record.id] = task
        task.add_done_callback(lambda _: self._ended(record.id))
        self._changed(record)

    def _ended(self, job_id: str) -> None:
        self._running.pop(job_id, None)
        self._contexts.pop(job_id, None)
        if not self._running:
            asyncio.get_running_loop().call_later(_TIDY_SECONDS, give_back)

    async def _run(self, kind: JobKind, ctx: JobContext) -> None:
        record = ctx.job
        ctx.event("job_enqueued", jobType=record.type, scope=record.scope)
        try:
            async with self._turn(ctx):
                ctx.log(f"{record.type} started by {record.created_by}")
                outcome = await kind.handler(ctx)
        except asyncio.CancelledError:
            if not self._closing and not ctx.job.status.final:
                await self._finish(ctx, JobOutcome(JobStatus.CANCELLED, {"error": "the job was cancelled"}))
            raise
        except JobStopped as stop:
            outcome = JobOutcome(JobStatus.CANCELLED, stop.summary)
        except DockrevError as error:
            ctx.log(f"{error.message}. {error.hint}".strip(), "error")
            outcome = JobOutcome(JobStatus.FAILED, {"error": error.message, "hint": error.hint, "cause": error.code})
        except Exception as error:
            log.exception("job failed unexpectedly", job_id=record.id, job_type=record.type)
            ctx.log(f"unexpected {type(error).__name__}", "error")
            outcome = JobOutcome(JobStatus.FAILED, {"error": f"internal error ({type(error).__name__})"})
        await self._finish(ctx, outcome)

    @asynccontextmanager
    async def _turn(self, ctx: JobContext) -> AsyncIterator[None]:
        """Wait until a worker is free, when the type has only so many; the job is running then."""
        lane = self._lanes.get(ctx.job.type)
        if lane is None:
            yield
            return
        async with lane:
            now = self._clock.now()
            async with self.db.transaction() as session:
                job = await session.get_one(Job, ctx.job.id)
                job.status, job.started_at = JobStatus.RUNNING, now
            ctx.job = replace(ctx.job, status=JobStatus.RUNNING, started_at=now)
            self._changed(ctx.job)
            yield

    async def amend(
        self, session: AsyncSession, job_id: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> None:
        """Inside the caller's transaction: add to the summary of a job that may be running. `change` is given the
        summary as it stands and returns the members to set."""
        ctx, job = self._contexts.get(job_id), await session.get_one(Job, job_id)
        patch = change(ctx.summary if ctx is not None else job.summary)
        job.summary = {**job.summary, **patch}
        if ctx is not None:  # else its next flush would put back what it knew
            ctx.merge(patch)

    async def _finish(self, ctx: JobContext, outcome: JobOutcome) -> None:
        ctx.merge(outcome.summary)
        ctx.log(f"{ctx.job.type} finished: {outcome.status.value}", "info" if outcome.status == "success" else "warn")
        for attempt in range(5):  # a full disk may be cleared while we wait; giving up leaves it to the next start
            try:
                await ctx.close()
                async with self.db.transaction() as session:
                    await self._close_row(session, ctx.job.id, outcome.status, ctx.summary)
                break
            except DockrevError as error:
                log.error("job result could not be stored", job_id=ctx.job.id, cause=error.message)
                await asyncio.sleep(2.0 * (attempt + 1))
        self._changed(ctx.job)
        self.wake()

    async def _close_row(
        self, session: AsyncSession, job_id: str, status: JobStatus, summary: Mapping[str, Any]
    ) -> None:
        job = await session.get_one(Job, job_id)
        if job.status.final:  # taken for dead meanwhile (`fail_stale`): the first word counts
            return
        job.summary = {**job.summary, **summary}
        job.status = status
        job.finished_at = self._clock.now()
        document = {"type": "job_finished", "jobId": job_id, "status": status.value, "summary": {"terminal": True}}
        session.add(_event_row(job_id, self._clock, document))

    async def request_stop(self, job_id: str, by: str) -> StopAnswer:
        """Ask a job to stop (spec §7.9); one that waits ends at once. Raises NotFound, and Conflict with a `reason`
        when it is too late or the job is of a kind that cannot be stopped."""
        async with self.db.transaction() as session:
            job = await session.get(Job, job_id)
            if job is None:
                raise NotFound("job not found", details={"jobId": job_id[:64]})
            now = self._clock.now()
            answer = stops.ask(job, by, now)
            if answer == "requested":
                session.add(JobLog(job_id=job_id, ts=now, level="warn", msg=clean_line(f"{by} asked to stop this job")))
                session.add(_event_row(job_id, self._clock, {"type": "job_stop", "jobId": job_id, "stop": answer}))
            if job.status is JobStatus.QUEUED and (stop := stops.stopped_by(job.payload)) is not None:
                await self._close_row(session, job_id, JobStatus.CANCELLED, stop.summary)
            record = JobRecord.of(job)
        if record.status.final and (task := self._running.get(job_id)):
            self._contexts[job_id].job = record
            task.cancel()
        self._changed(record)
        self.wake()
        return answer

    async def commit(self, job_id: str) -> None:
        """See `JobContext.commit`."""
        async with self.db.transaction() as session:
            job = await session.get_one(Job, job_id)
            if stops.commit(job, self._clock.now()):
                document = {"type": "job_stop", "jobId": job_id, "stop": "committed"}
                session.add(_event_row(job_id, self._clock, document))
        self.wake()

    async def fail_stale(self, session: AsyncSession, job_id: str, cause: str) -> None:
        """Inside the caller's transaction: end a job that is taken for dead as failed (spec §5.3 `stale_check`)."""
        await self._close_row(session, job_id, JobStatus.FAILED, {"error": cause, "cause": cause})
        if task := self._running.get(job_id):
            task.cancel()

    async def recover(self) -> list[JobRecord]:
        """At start-up: jobs a dead process left open become failed with reason `server_restart` (spec §7.9)."""
        return await self._close_open("server_restart", "Dockrev was restarted while this job was running")

    async def interrupted(self, jobs: Sequence[JobRecord]) -> None:
        """Let the rooms look after what those jobs left half done."""
        for record in jobs:
            kind = self._kinds.get(record.type)
            if kind and kind.on_interrupted:
                try:
                    await kind.on_interrupted(record)
                except Exception:
                    log.exception("recovery of an interrupted job failed", job_id=record.id)

    async def _close_open(self, cause: str, text: str) -> list[JobRecord]:
        async with self.db.transaction() as session:
            open_jobs = (
                await session.exec(select(Job).where(col(Job.status).in_((JobStatus.QUEUED, JobStatus.RUNNING))))
            ).all()
            records = [JobRecord.of(job) for job in open_jobs]
            for record in records:
                session.add(JobLog(job_id=record.id, ts=self._clock.now(), level="error", msg=clean_line(text)))
                if (stop := stops.stopped_by(record.payload)) is not None:  # nothing had been changed: this is its end
                    await self._close_row(session, record.id, JobStatus.CANCELLED, stop.summary)
                else:
                    await self._close_row(session, record.id, JobStatus.FAILED, {"error": text, "cause": cause})
        return records

    async def stop(self, timeout: float = 2.0) -> None:
        """Graceful end: what still runs is told to stop and marked `server_shutdown` within `timeout` seconds."""
        self._closing = True
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)
        try:
            await self._close_open("server_shutdown", "Dockrev was stopped while this job was running")
        except DockrevError as error:
            log.error("open jobs could not be marked", cause=error.message)

    def _changed(self, job: JobRecord) -> None:
        self.bus.publish(EntitiesChanged("jobs", frozenset({job.id})))

    def wake(self) -> None:
        """Tell the streams that there are new rows."""
        task = asyncio.get_running_loop().create_task(self._notify())
        self._wakers.add(task)
        task.add_done_callback(self._wakers.discard)

    async def _notify(self) -> None:
        async with self._appended:
            self._appended.notify_all()

    async def wait_for_rows(self, timeout: float) -> None:
        """Sleep until some job wrote something, at most `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout), self._appended:
                await self._appended.wait()
        except TimeoutError:
            return

    def report_flush_failure(self, job_id: str, error: Exception) -> None:
        """A log flush failed; the rows are kept and tried again."""
        log.warning("job log could not be written, will try again", job_id=job_id, cause=str(error))

    async def purge(self) -> int:
        """Delete final jobs past their retention, in small steps (spec §4)."""
        total = 0
        while (gone := await self.store.purge(self._clock.now() - RETENTION)) > 0:
            total += gone
            await asyncio.sleep(0)
        return total


def _event_row(job_id: str, clock: Clock, document: Mapping[str, Any]) -> JobLog:
    return JobLog(job_id=job_id, ts=clock.now(), level="event", msg=json.dumps(document, separators=(",", ":")))
