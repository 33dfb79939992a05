"""What other rooms get to see of backups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.features.backups.models import Backup, BackupStatus


@dataclass(frozen=True, slots=True)
class BackupRecord:
    """One run of the backup step; `artifact_path` is a complete archive while `restorable`."""

    id: str
    stack_id: str
    job_id: str
    status: BackupStatus
    created_at: datetime
    finished_at: datetime | None = None
    artifact_path: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    error: str | None = None
    cleanup_after: datetime | None = None
    deleted_at: datetime | None = None
    targets: Sequence[Mapping[str, Any]] = ()

    @property
    def restorable(self) -> bool:
        """Whether the archive is complete and not deleted."""
        return self.status is BackupStatus.SUCCESS and self.deleted_at is None and self.artifact_path is not None

    @classmethod
    def of(cls, row: Backup) -> BackupRecord:
        """A detached copy of the row."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class BackupResult:
    """How a backup step ended; `summary` is the `backup` of a stack's summary (spec §7.10)."""

    summary: Mapping[str, Any] = field(default_factory=dict)
    backup_id: str | None = None
    artifact_path: str | None = None
    created_at: datetime | None = None
