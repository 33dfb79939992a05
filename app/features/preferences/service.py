"""Reads and writes the settings row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core import changes
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import InvalidArgument
from app.core.events import Event, EventBus
from app.features.preferences.models import SINGLETON, SettingsRow
from app.features.preferences.rules import (
    GHCR_AUDIT,
    UPDATE_CHECK,
    BackupDefaults,
    HouseSettings,
    Keep,
    ResourceMonitor,
    Schedule,
    SettingsChange,
    check_change,
    nearest_interval,
    plain_folder,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SettingsChanged(Event):
    """Somebody changed settings; what they are now is read anew."""


@dataclass(frozen=True, slots=True)
class DeployWelcome:
    """Whether the deploy check shows itself; `updated_at` is None until somebody decided."""

    never_auto_open: bool = False
    updated_at: datetime | None = None


class Preferences:
    """What the owner chose in the settings; a missing row means the defaults."""

    def __init__(self, db: Database, clock: Clock, backup_dir: str | None = None, bus: EventBus | None = None) -> None:
        self._db = db
        self._clock = clock
        self._backup_dir = _usable(backup_dir)
        self._bus = bus

    async def read(self) -> HouseSettings:
        """Everything that is set (spec §5.5)."""
        async with self._db.session() as session:
            row = await session.get(SettingsRow, SINGLETON)
        return _settings(row or self._new_row())

    async def change(self, wanted: SettingsChange) -> HouseSettings:
        """Store what is to be changed, all of it or nothing; returns what is set then. Raises InvalidArgument naming
        the field."""
        checked = check_change(wanted)
        async with self._db.transaction() as session:
            row = await self._row(session)
            before = _settings(row)
            _write(row, checked)
            row.updated_at = self._clock.now()
            now = _settings(row)
        changes.tell(facts(before), facts(now), harmless=facts(now).keys() - {"instance.publicBaseUrl"})
        if self._bus is not None:
            self._bus.publish(SettingsChanged())
        return now

    async def backup(self) -> BackupDefaults:
        """What backups do unless an update says otherwise (spec §5.5 `backup`)."""
        return (await self.read()).backup

    async def set_backup(self, wanted: BackupDefaults) -> BackupDefaults:
        """Store all four; returns them as stored. Raises InvalidArgument naming the field."""
        return (await self.change(SettingsChange(backup=wanted))).backup

    async def public_base_url(self) -> str | None:
        """Where Dockrev is reached from outside, with a slash at its end; None when it was not said (spec §5.5)."""
        return (await self.read()).public_base_url

    async def deploy_welcome(self) -> DeployWelcome:
        """Whether the deploy check opens by itself (spec §5.7)."""
        async with self._db.session() as session:
            row = await session.get(SettingsRow, SINGLETON)
        if row is None:
            return DeployWelcome()
        return DeployWelcome(row.deploy_welcome_never_auto_open, row.deploy_welcome_updated_at)

    async def set_deploy_welcome(self, never_auto_open: bool) -> DeployWelcome:
        """Store the decision; returns it with its time."""
        now = self._clock.now()
        async with self._db.transaction() as session:
            row = await self._row(session)
            before = row.deploy_welcome_never_auto_open
            row.deploy_welcome_never_auto_open = never_auto_open
            row.deploy_welcome_updated_at = now
        name = "neverAutoOpen"
        changes.tell({name: before}, {name: never_auto_open}, harmless=(name,))
        return DeployWelcome(never_auto_open, now)

    async def ensure(self) -> None:
        """At the first start: write the row, so that a later change of the environment does not move the backups."""
        async with self._db.transaction() as session:
            await self._row(session)

    async def _row(self, session: AsyncSession) -> SettingsRow:
        row = await session.get(SettingsRow, SINGLETON)
        if row is None:
            row = self._new_row()
            session.add(row)
        return row

    def _new_row(self) -> SettingsRow:
        row = SettingsRow()
        if self._backup_dir:
            row.backup_base_dir = self._backup_dir
        return row


def _settings(row: SettingsRow) -> HouseSettings:
    return HouseSettings(
        backup=BackupDefaults(
            enabled=row.backup_enabled,
            require_success=row.backup_require_success,
            base_dir=row.backup_base_dir,
            skip_targets_over_bytes=row.backup_skip_targets_over_bytes,
        ),
        monitor=ResourceMonitor(row.resource_monitor_enabled, nearest_interval(row.resource_sample_interval_seconds)),
        update_check=Schedule(row.schedule_update_check_enabled, row.schedule_update_check_cron),
        ghcr_audit=Schedule(row.schedule_ghcr_webhook_audit_enabled, row.schedule_ghcr_webhook_audit_cron),
        public_base_url=row.public_base_url,
    )


def facts(settings: HouseSettings) -> dict[str, Any]:
    """Each setting by its name in the API."""
    backup, monitor = settings.backup, settings.monitor
    found: dict[str, Any] = {
        "backup.enabled": backup.enabled,
        "backup.requireSuccess": backup.require_success,
        "backup.baseDir": backup.base_dir,
        "backup.skipTargetsOverBytes": backup.skip_targets_over_bytes,
        "resourceMonitor.enabled": monitor.enabled,
        "resourceMonitor.sampleIntervalSeconds": monitor.sample_interval_seconds,
        "instance.publicBaseUrl": settings.public_base_url,
    }
    for name in (UPDATE_CHECK, GHCR_AUDIT):
        schedule = settings.schedule(name)
        found |= {f"schedules.{name}.enabled": schedule.enabled, f"schedules.{name}.cron": schedule.cron}
    return found


def _write(row: SettingsRow, wanted: SettingsChange) -> None:
    if (backup := wanted.backup) is not None:
        row.backup_enabled = backup.enabled
        row.backup_require_success = backup.require_success
        row.backup_base_dir = backup.base_dir
        row.backup_skip_targets_over_bytes = backup.skip_targets_over_bytes
    if (monitor := wanted.monitor) is not None:
        row.resource_monitor_enabled = monitor.enabled
        row.resource_sample_interval_seconds = monitor.sample_interval_seconds
    if (check := wanted.update_check) is not None:
        row.schedule_update_check_enabled, row.schedule_update_check_cron = check.enabled, check.cron
    if (audit := wanted.ghcr_audit) is not None:
        row.schedule_ghcr_webhook_audit_enabled, row.schedule_ghcr_webhook_audit_cron = audit.enabled, audit.cron
    if not isinstance(wanted.public_base_url, Keep):
        row.public_base_url = wanted.public_base_url


def _usable(backup_dir: str | None) -> str | None:
    if not backup_dir:
        return None
    try:
        return plain_folder(backup_dir)
    except InvalidArgument:
        log.warning("DOCKREV_BACKUP_DIR is not an absolute folder and is ignored")
        return None
