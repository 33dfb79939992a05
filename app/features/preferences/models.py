"""Table of the settings a person changes while Dockrev runs (spec §4 `settings`): one row, id `default`."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Text
from sqlmodel import Field

from app.core.db.table import Table
from app.core.db.types import UtcDateTime

SINGLETON = "default"


class SettingsRow(Table, table=True):
    """The singleton; defaults are those of spec §4."""

    __tablename__ = "settings"
    __table_args__ = (CheckConstraint("id = 'default'", name="ck_settings_singleton"),)

    id: str = Field(default=SINGLETON, sa_column=Column(Text, primary_key=True))
    backup_enabled: bool = True
    backup_require_success: bool = True
    backup_base_dir: str = Field(default="/data/backups", sa_column=Column(Text, nullable=False))
    backup_skip_targets_over_bytes: int = 104_857_600
    resource_monitor_enabled: bool = True
    resource_sample_interval_seconds: int = 10
    schedule_update_check_enabled: bool = False
    schedule_update_check_cron: str = Field(default="*/30 * * * *", sa_column=Column(Text, nullable=False))
    schedule_ghcr_webhook_audit_enabled: bool = True
    schedule_ghcr_webhook_audit_cron: str = Field(default="0 3 * * *", sa_column=Column(Text, nullable=False))
    public_base_url: str | None = Field(default=None, sa_column=Column(Text))
    deploy_welcome_never_auto_open: bool = False
    deploy_welcome_updated_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    updated_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
