"""Bodies and answers of the API (spec §5.5, §5.7)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from app.core.web.schema import ApiInput, ApiModel, Flag, Maybe, Whole
from app.features.preferences.rules import KEEP, BackupDefaults, ResourceMonitor, Schedule, SettingsChange


class BackupOut(ApiModel):
    """What backups do unless an update says otherwise; the limit is in bytes for each target."""

    enabled: bool
    require_success: bool
    base_dir: str
    skip_targets_over_bytes: int


class MonitorOut(ApiModel):
    """`retentionDays` is fixed."""

    enabled: bool
    sample_interval_seconds: int
    retention_days: int


class ScheduleOut(ApiModel):
    """Five fields, in the server's local time."""

    enabled: bool
    cron: str


class SchedulesOut(ApiModel):
    """What is done by itself."""

    update_check: ScheduleOut
    ghcr_webhook_audit: ScheduleOut


class InstanceOut(ApiModel):
    """Where browsers reach Dockrev; with a slash at its end."""

    public_base_url: str | None


class AuthOut(ApiModel):
    """How this request was let in; set by the environment, never over the API."""

    forward_header_name: str
    group_header_name: str
    allow_anonymous_in_dev: bool
    authorization_mode: Literal["user_or_group"] = "user_or_group"
    allowed_user_masked: Maybe[str] = None
    allowed_group_masked: Maybe[str] = None
    current_user: Maybe[str] = None
    current_groups: list[str]
    matched_by: Literal["user", "group", "anonymous_dev", "token", "passkey"]


class SettingsOut(ApiModel):
    """`GET /api/settings`."""

    backup: BackupOut
    resource_monitor: MonitorOut
    schedules: SchedulesOut
    instance: InstanceOut
    auth: AuthOut


class BackupInput(ApiInput):
    """All four."""

    enabled: Flag
    require_success: Flag
    base_dir: str
    skip_targets_over_bytes: Whole

    def value(self) -> BackupDefaults:
        """As the room knows it."""
        return BackupDefaults(self.enabled, self.require_success, self.base_dir, self.skip_targets_over_bytes)


class MonitorInput(ApiInput):
    """`sampleIntervalSeconds` is one of 10, 30, 60, 300."""

    enabled: Flag
    sample_interval_seconds: Whole

    def value(self) -> ResourceMonitor:
        """As the room knows it."""
        return ResourceMonitor(self.enabled, self.sample_interval_seconds)


class ScheduleInput(ApiInput):
    """`cron` is checked only when it is switched on."""

    enabled: Flag
    cron: str

    def value(self) -> Schedule:
        """As the room knows it."""
        return Schedule(self.enabled, self.cron)


class SchedulesInput(ApiInput):
    """One that is left out stays as it is."""

    update_check: ScheduleInput | None = None
    ghcr_webhook_audit: ScheduleInput | None = None


class InstanceInput(ApiInput):
    """`publicBaseUrl` left out stays, null or blank clears it."""

    public_base_url: str | None = None


class SettingsInput(ApiInput):
    """`PUT /api/settings`: sections that are left out stay as they are."""

    backup: BackupInput
    resource_monitor: MonitorInput | None = None
    schedules: SchedulesInput | None = None
    instance: InstanceInput | None = None

    def change(self) -> SettingsChange:
        """What is to be changed."""
        schedules, instance = self.schedules or SchedulesInput(), self.instance
        said = instance is not None and "public_base_url" in instance.model_fields_set
        return SettingsChange(
            backup=self.backup.value(),
            monitor=self.resource_monitor.value() if self.resource_monitor else None,
            update_check=schedules.update_check.value() if schedules.update_check else None,
            ghcr_audit=schedules.ghcr_webhook_audit.value() if schedules.ghcr_webhook_audit else None,
            public_base_url=instance.public_base_url if instance is not None and said else KEEP,
        )


class WelcomeOut(ApiModel):
    """`GET /api/deploy-welcome`; `updatedAt` is left out until somebody decided."""

    never_auto_open: bool
    updated_at: Maybe[datetime] = None


class WelcomeInput(ApiInput):
    """`PUT /api/deploy-welcome`."""

    never_auto_open: Flag


class WelcomeStored(ApiModel):
    """The decision as it is stored."""

    ok: bool = True
    never_auto_open: bool
    updated_at: datetime
