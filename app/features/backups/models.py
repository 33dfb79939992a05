"""Table of the backups room (spec §4 `backups`)."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Text
from sqlmodel import Field

from app.core.db.table import Table
from app.core.db.types import EnumText, JsonText, UtcDateTime


class BackupStatus(StrEnum):
    """How a backup stands."""

    RUNNING = "running"
    SUCCESS = "success"
    SKIPPED = "skipped"
    FAILED = "failed"


class Backup(Table, table=True):
    """One run of the backup step. While it runs, `artifact_path` is the unfinished file; `targets` is what was found
    for each target, with what a restore needs."""

    __tablename__ = "backups"
    __table_args__ = (Index("ix_backups_stack_id", "stack_id", "created_at"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    stack_id: str = Field(sa_column=Column(Text, ForeignKey("stacks.id", ondelete="CASCADE"), nullable=False))
    job_id: str = Field(sa_column=Column(Text, nullable=False))
    status: BackupStatus = Field(sa_column=Column(EnumText(BackupStatus), nullable=False))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    finished_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    artifact_path: str | None = Field(default=None, sa_column=Column(Text))
    size_bytes: int | None = Field(default=None, sa_column=Column(BigInteger))
    sha256: str | None = Field(default=None, sa_column=Column(Text))
    error: str | None = Field(default=None, sa_column=Column(Text))
    cleanup_after: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    deleted_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    targets: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column("targets_json", JsonText, nullable=False)
    )
