"""Reading and writing jobs and their logs; the database is the only source of what a stream tells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import rfc3339
from app.core.db import Database
from app.core.jobs.models import Job, JobLog, JobStatus, JobTarget
from app.core.jobs.stops import StopState, stop_state

LOG_ROWS_SHOWN = 500


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as read from the database."""

    id: str
    type: str
    scope: str
    status: JobStatus
    created_by: str
    reason: str
    created_at: datetime
    stack_id: str | None = None
    service_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    allow_arch_mismatch: bool = False
    backup_mode: str = "inherit"
    summary: dict[str, Any] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)

    @property
    def stop(self) -> StopState | None:
        """Whether the job could be stopped now; None when it has ended or has no such control."""
        return None if self.status.final else stop_state(self.payload)

    @classmethod
    def of(cls, job: Job) -> JobRecord:
        """A detached copy of the row."""
        return cls(**{name: getattr(job, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of a job's log; `level` is info, warn, error or event."""

    id: int
    job_id: str
    ts: datetime
    level: str
    msg: str

    def event(self) -> dict[str, Any]:
        """The event this row holds, always with `jobId` and `ts` (spec §6.2); a row that is not JSON is kept raw."""
        base = {"jobId": self.job_id, "ts": rfc3339(self.ts)}
        try:
            data = json.loads(self.msg)
        except ValueError:
            data = None
        if not isinstance(data, dict):
            return {"type": "job_event", **base, "raw": self.msg}
        return {**data, **base}


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What `search` shows; empty members do not filter."""

    types: tuple[str, ...] = ()
    statuses: tuple[JobStatus, ...] = ()
    stack_id: str | None = None
    service_id: str | None = None
    before: tuple[datetime, str] | None = None
    limit: int = 100


class JobStore:
    """Queries over jobs, targets and logs."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def get(self, job_id: str) -> JobRecord | None:
        """One job, or None."""
        async with self.db.session() as session:
            job = await session.get(Job, job_id)
            return None if job is None else JobRecord.of(job)

    async def search(self, wanted: JobFilter) -> list[JobRecord]:
        """Newest first; one more than `limit` tells the caller that there is a next page."""
        query = select(Job).order_by(col(Job.created_at).desc(), col(Job.id).desc()).limit(wanted.limit + 1)
        if wanted.types:
            query = query.where(col(Job.type).in_(wanted.types))
        if wanted.statuses:
            query = query.where(col(Job.status).in_(wanted.statuses))
        if wanted.stack_id:
            query = query.where(
                (col(Job.stack_id) == wanted.stack_id)
                | col(Job.id).in_(select(JobTarget.job_id).where(JobTarget.stack_id == wanted.stack_id))
            )
        if wanted.service_id:
            query = query.where(
                (col(Job.service_id) == wanted.service_id)
                | col(Job.id).in_(select(JobTarget.job_id).where(JobTarget.service_id == wanted.service_id))
            )
        if wanted.before:
            moment, job_id = wanted.before
            same_moment = (col(Job.created_at) == moment) & (col(Job.id) < job_id)
            query = query.where((col(Job.created_at) < moment) | same_moment)
        async with self.db.session() as session:
            return [JobRecord.of(job) for job in await session.exec(query)]

    async def active(self, session: AsyncSession, types: Sequence[str]) -> list[JobRecord]:
        """Queued and running jobs of these types, oldest first, inside the caller's transaction."""
        query = (
            select(Job)
            .where(col(Job.type).in_(types), col(Job.status).in_((JobStatus.QUEUED, JobStatus.RUNNING)))
            .order_by(col(Job.created_at))
        )
        return [JobRecord.of(job) for job in await session.exec(query)]

    async def targets(self, session: AsyncSession, job_ids: Sequence[str]) -> dict[str, set[tuple[str, str]]]:
        """Per job the (stack id, service id) pairs it touches."""
        rows = await session.exec(select(JobTarget).where(col(JobTarget.job_id).in_(job_ids)))
        found: dict[str, set[tuple[str, str]]] = {job_id: set() for job_id in job_ids}
        for row in rows:
            found[row.job_id].add((row.stack_id, row.service_id))
        return found

    async def counts(self) -> dict[tuple[str, JobStatus], int]:
        """Jobs by type and status."""
        query = select(Job.type, Job.status, func.count()).group_by(col(Job.type), col(Job.status))
        async with self.db.session() as session:
            return {(kind, JobStatus(status)): number for kind, status, number in await session.exec(query)}

    async def logs(self, job_id: str, *, limit: int = LOG_ROWS_SHOWN) -> tuple[list[LogRow], int]:
        """The newest `limit` lines (events left out) in order of time, and the highest row id of the job or 0."""
        async with self.db.session() as session:
            found = await session.exec(select(func.max(JobLog.id)).where(JobLog.job_id == job_id))
            last = found.one() or 0
            rows = await session.exec(  # up to that one: what is written in between comes with the stream
                select(JobLog)
                .where(JobLog.job_id == job_id, JobLog.level != "event", col(JobLog.id) <= last)
                .order_by(col(JobLog.id).desc())
                .limit(limit)
            )
            return [_row(row) for row in rows][::-1], last

    async def rows_after(
        self, after: int, *, job_id: str | None = None, events_only: bool = False, limit: int = 200
    ) -> list[LogRow]:
        """Rows with a higher id, in order: what a stream sends next."""
        query = select(JobLog).where(col(JobLog.id) > after).order_by(col(JobLog.id)).limit(limit)
        if job_id is not None:
            query = query.where(JobLog.job_id == job_id)
        if events_only:
            query = query.where(JobLog.level == "event")
        async with self.db.session() as session:
            return [_row(row) for row in await session.exec(query)]

    async def last_row_id(self) -> int:
        """The newest row of all logs: where a first-time listener begins."""
        async with self.db.session() as session:
            return (await session.exec(select(func.max(JobLog.id)))).one() or 0

    async def purge(self, before: datetime, *, batch: int = 200) -> int:
        """Delete final jobs created before a moment, at most `batch` at once; returns how many went."""
        final = [status for status in JobStatus if status.final]
        async with self.db.transaction() as session:
            doomed = (
                await session.exec(
                    select(Job.id)
                    .where(col(Job.created_at) < before, col(Job.status).in_(final))
                    .order_by(col(Job.created_at))
                    .limit(batch)
                )
            ).all()
            if doomed:
                await session.exec(delete(Job).where(col(Job.id).in_(doomed)))
            return len(doomed)


def _row(row: JobLog) -> LogRow:
    return LogRow(id=row.id or 0, job_id=row.job_id, ts=row.ts, level=row.level, msg=row.msg)
