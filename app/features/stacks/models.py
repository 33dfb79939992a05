"""Tables of the stacks room (spec §4): what is registered, not what runs."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Column, ForeignKey, Index, Text, UniqueConstraint
from sqlmodel import Field

from app.core.db.table import Table
from app.core.db.types import EnumText, JsonText, UtcDateTime

RESTART: Final = ":restart"  # no name of a service has a colon


class ProjectStatus(StrEnum):
    """How discovery stands with a Compose project."""

    ACTIVE = "active"
    MISSING = "missing"
    INVALID = "invalid"


class StackRow(Table, table=True):
    """One registered Compose project; `name` is the project's name, verbatim."""

    __tablename__ = "stacks"
    __table_args__ = (UniqueConstraint("name", name="uq_stacks_name"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    compose_type: str = Field(default="path", sa_column=Column(Text, nullable=False))
    compose_files: list[str] = Field(sa_column=Column("compose_files_json", JsonText, nullable=False))
    env_file: str | None = Field(default=None, sa_column=Column(Text))
    working_dir: str | None = Field(default=None, sa_column=Column(Text))
    backup_retention_keep_last: int = 1
    backup_retention_delete_after_stable_seconds: int = 3600
    archived: bool = False
    archived_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    archived_reason: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    updated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


def told_dependency(name: str, restart: bool) -> str:
    """An entry of `depends_on`: the name, and whether the service is started anew after it was replaced."""
    return f"{name}{RESTART}" if restart else name


class ServiceRow(Table, table=True):
    """Identity and settings of a service; what runs and what is new belongs to other rooms."""

    __tablename__ = "services"
    __table_args__ = (
        UniqueConstraint("stack_id", "name", name="uq_services_stack_id_name"),
        Index("ix_services_stack_id", "stack_id"),
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    stack_id: str = Field(sa_column=Column(Text, ForeignKey("stacks.id", ondelete="CASCADE"), nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    image_ref: str = Field(sa_column=Column(Text, nullable=False))
    image_tag: str = Field(sa_column=Column(Text, nullable=False))
    network_mode: str | None = Field(default=None, sa_column=Column(Text))
    depends_on: list[str] = Field(default_factory=list, sa_column=Column("depends_on_json", JsonText, nullable=False))
    auto_rollback: bool = True
    backup_targets_bind_paths: dict[str, str] = Field(
        default_factory=dict, sa_column=Column("backup_targets_bind_paths_json", JsonText, nullable=False)
    )
    backup_targets_volume_names: dict[str, str] = Field(
        default_factory=dict, sa_column=Column("backup_targets_volume_names_json", JsonText, nullable=False)
    )
    repo_url: str | None = Field(default=None, sa_column=Column(Text))
    repo_url_auto_disabled: bool = False
    archived: bool = False
    archived_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    archived_reason: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    updated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class ProjectRow(Table, table=True):
    """What discovery last found under a project name; never deleted, at most archived."""

    __tablename__ = "discovered_compose_projects"

    project: str = Field(sa_column=Column(Text, primary_key=True))
    stack_id: str | None = Field(
        default=None, sa_column=Column(Text, ForeignKey("stacks.id", ondelete="SET NULL"), index=True)
    )
    status: ProjectStatus = Field(sa_column=Column(EnumText(ProjectStatus), nullable=False))
    last_seen_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_scan_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_error: str | None = Field(default=None, sa_column=Column(Text))
    last_error_hint: str | None = Field(default=None, sa_column=Column(Text))
    last_config_files: list[str] | None = Field(default=None, sa_column=Column("last_config_files_json", JsonText))
    archived: bool = False
    archived_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    archived_reason: str | None = Field(default=None, sa_column=Column(Text))
