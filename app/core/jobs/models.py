"""Tables of the job engine."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, Text
from sqlmodel import Field

from app.core.db.table import Table
from app.core.db.types import EnumText, JsonText, UtcDateTime


class JobStatus(StrEnum):
    """States of a job; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


class Job(Table, table=True):
    """One run of something (spec §4 `jobs`); `payload` is what its handler needs to run."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_created_at", "created_at"),
        Index("ix_jobs_stack_id", "stack_id"),
        Index("ix_jobs_type_status", "type", "status", "created_at", "id"),
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    type: str = Field(sa_column=Column(Text, nullable=False))
    scope: str = Field(sa_column=Column(Text, nullable=False))
    stack_id: str | None = Field(default=None, sa_column=Column(Text))
    service_id: str | None = Field(default=None, sa_column=Column(Text))
    status: JobStatus = Field(sa_column=Column(EnumText(JobStatus), nullable=False))
    allow_arch_mismatch: bool = False
    backup_mode: str = Field(default="inherit", sa_column=Column(Text, nullable=False))
    created_by: str = Field(sa_column=Column(Text, nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    started_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    finished_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    summary: dict[str, Any] = Field(default_factory=dict, sa_column=Column("summary_json", JsonText, nullable=False))
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column("payload_json", JsonText, nullable=False))


class JobLog(Table, table=True):
    """A line of a job's log, or with level `event` an event; the id is the SSE id (spec §4 `job_logs`)."""

    __tablename__ = "job_logs"
    __table_args__ = (Index("ix_job_logs_job_id", "job_id", "id"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    job_id: str = Field(sa_column=Column(Text, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False))
    ts: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    level: str = Field(sa_column=Column(Text, nullable=False))
    msg: str = Field(sa_column=Column(Text, nullable=False))


class JobTarget(Table, table=True):
    """Which services a job touches: for conflict rules and for a service's history."""

    __tablename__ = "job_targets"
    __table_args__ = (Index("ix_job_targets_service_id", "service_id"),)

    job_id: str = Field(sa_column=Column(Text, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True))
    service_id: str = Field(sa_column=Column(Text, primary_key=True))
    stack_id: str = Field(sa_column=Column(Text, nullable=False))
