"""The JSON of jobs (spec §5.4)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.core.jobs import JobRecord, LogRow, StopAnswer
from app.core.web.schema import ApiModel, Maybe
from app.features.jobs.rules import ResultReason, result_reason


class JobOut(ApiModel):
    """One job without its log."""

    id: str
    type: str
    scope: str
    stack_id: Maybe[str] = None
    service_id: Maybe[str] = None
    status: str
    created_by: str
    reason: str
    created_at: datetime
    started_at: Maybe[datetime] = None
    finished_at: Maybe[datetime] = None
    allow_arch_mismatch: bool
    backup_mode: str
    summary: dict[str, Any]
    progress: Maybe[dict[str, Any]] = None
    result_reason: Maybe[ResultReason] = None

    @classmethod
    def of(cls, job: JobRecord, **more: Any) -> JobOut:
        """From the record; `progress` is the copy the contract wants."""
        return cls(
            id=job.id,
            type=job.type,
            scope=job.scope,
            stack_id=job.stack_id,
            service_id=job.service_id,
            status=job.status.value,
            created_by=job.created_by,
            reason=job.reason,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            allow_arch_mismatch=job.allow_arch_mismatch,
            backup_mode=job.backup_mode,
            summary=job.summary,
            progress=job.summary.get("progress"),
            result_reason=result_reason(job.status, job.summary),
            **more,
        )


class LogLine(ApiModel):
    """A line of the log; `level` is info, warn or error."""

    ts: datetime
    level: str
    msg: str

    @classmethod
    def of(cls, row: LogRow) -> LogLine:
        """From the stored row."""
        return cls(ts=row.ts, level=row.level, msg=row.msg)


class JobWithLog(JobOut):
    """One job with the newest 500 lines; `logs_last_id` is where its stream goes on."""

    logs: list[LogLine]
    logs_last_id: int


class JobDetailOut(ApiModel):
    """`GET /api/jobs/{job_id}`."""

    job: JobWithLog


class JobStopOut(ApiModel):
    """`POST /api/jobs/{job_id}/stop`: somebody asked now, or had asked before."""

    job_id: str
    outcome: StopAnswer


class JobListOut(ApiModel):
    """`GET /api/jobs`, newest first."""

    jobs: list[JobOut]
    next_cursor: Maybe[str] = None
