"""Reads and writes the settings row."""

from __future__ import annotations

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import InvalidArgument
from app.features.preferences.models import SINGLETON, SettingsRow
from app.features.preferences.rules import BackupDefaults, check_backup, plain_folder

log = structlog.get_logger(__name__)


class Preferences:
    """What the owner chose in the settings; a missing row means the defaults."""

    def __init__(self, db: Database, clock: Clock, backup_dir: str | None = None) -> None:
        self._db = db
        self._clock = clock
        self._backup_dir = _usable(backup_dir)

    async def backup(self) -> BackupDefaults:
        """What backups do unless an update says otherwise (spec §5.5 `backup`)."""
        async with self._db.session() as session:
            row = await session.get(SettingsRow, SINGLETON)
        if row is None:
            return BackupDefaults(base_dir=self._backup_dir) if self._backup_dir else BackupDefaults()
        return BackupDefaults(
            enabled=row.backup_enabled,
            require_success=row.backup_require_success,
            base_dir=row.backup_base_dir,
            skip_targets_over_bytes=row.backup_skip_targets_over_bytes,
        )

    async def set_backup(self, wanted: BackupDefaults) -> BackupDefaults:
        """Store all four; returns them as stored. Raises InvalidArgument naming the field."""
        checked = check_backup(wanted)
        async with self._db.transaction() as session:
            row = await self._row(session)
            row.backup_enabled = checked.enabled
            row.backup_require_success = checked.require_success
            row.backup_base_dir = checked.base_dir
            row.backup_skip_targets_over_bytes = checked.skip_targets_over_bytes
            row.updated_at = self._clock.now()
        return checked

    async def public_base_url(self) -> str | None:
        """Where Dockrev is reached from outside, with a slash at its end; None when it was not said (spec §5.5)."""
        async with self._db.session() as session:
            row = await session.get(SettingsRow, SINGLETON)
        return row.public_base_url if row else None

    async def ensure(self) -> None:
        """At the first start: write the row, so that a later change of the environment does not move the backups."""
        async with self._db.transaction() as session:
            await self._row(session)

    async def _row(self, session: AsyncSession) -> SettingsRow:
        row = await session.get(SettingsRow, SINGLETON)
        if row is None:
            row = SettingsRow()
            if self._backup_dir:
                row.backup_base_dir = self._backup_dir
            session.add(row)
        return row


def _usable(backup_dir: str | None) -> str | None:
    if not backup_dir:
        return None
    try:
        return plain_folder(backup_dir)
    except InvalidArgument:
        log.warning("DOCKREV_BACKUP_DIR is not an absolute folder and is ignored")
        return None
