"""Rows of backups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, select

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import NotFound
from app.core.ids import new_id
from app.features.backups.models import Backup, BackupStatus
from app.features.backups.records import BackupRecord

SHOWN = 200


class BackupStore:
    """Reads and writes; knows nothing of files or engines."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def begin(self, stack_id: str, job_id: str) -> str:
        """A running row; returns its id."""
        backup_id = new_id("bkp")
        async with self._db.transaction() as session:
            session.add(
                Backup(
                    id=backup_id,
                    stack_id=stack_id,
                    job_id=job_id,
                    status=BackupStatus.RUNNING,
                    created_at=self._clock.now(),
                )
            )
        return backup_id

    async def set_unfinished(self, backup_id: str, path: str) -> None:
        """Where the unfinished file is written, before it is; so that a restart can remove it."""
        async with self._db.transaction() as session:
            (await session.get_one(Backup, backup_id)).artifact_path = path

    async def end(
        self,
        backup_id: str,
        status: BackupStatus,
        *,
        targets: Sequence[dict[str, Any]] = (),
        path: str | None = None,
        size: int | None = None,
        sha256: str | None = None,
        error: str | None = None,
        keep_seconds: int = 3600,
    ) -> datetime:
        """The end of a run; returns when it was begun."""
        async with self._db.transaction() as session:
            row = await session.get_one(Backup, backup_id)
            row.status, row.finished_at = status, self._clock.now()
            row.artifact_path, row.size_bytes, row.sha256, row.error = path, size, sha256, error
            row.targets = list(targets)
            if status is BackupStatus.SUCCESS:
                row.cleanup_after = row.finished_at + timedelta(seconds=keep_seconds)
            return row.created_at

    async def get(self, backup_id: str) -> BackupRecord:
        """One backup. Raises NotFound."""
        async with self._db.session() as session:
            row = await session.get(Backup, backup_id)
            if row is None:
                raise NotFound("backup not found", details={"backupId": backup_id[:64]})
            return BackupRecord.of(row)

    async def recent(self, stack_id: str | None = None, limit: int = SHOWN) -> list[BackupRecord]:
        """Newest first."""
        query = select(Backup).order_by(col(Backup.created_at).desc(), col(Backup.id).desc()).limit(limit)
        if stack_id is not None:
            query = query.where(Backup.stack_id == stack_id)
        async with self._db.session() as session:
            return [BackupRecord.of(row) for row in await session.exec(query)]

    async def having(self, status: BackupStatus) -> list[BackupRecord]:
        """All with this status whose archive was not deleted."""
        query = select(Backup).where(col(Backup.status) == status, col(Backup.deleted_at).is_(None))
        async with self._db.session() as session:
            return [BackupRecord.of(row) for row in await session.exec(query)]

    async def keep_until(self, backup_id: str, moment: datetime) -> None:
        """Not to be deleted before `moment`."""
        async with self._db.transaction() as session:
            (await session.get_one(Backup, backup_id)).cleanup_after = moment

    async def deleted(self, backup_id: str) -> None:
        """The archive is gone."""
        async with self._db.transaction() as session:
            (await session.get_one(Backup, backup_id)).deleted_at = self._clock.now()
