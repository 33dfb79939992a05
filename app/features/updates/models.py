"""Table of the updates room: what is half done right now."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Text
from sqlmodel import Field

from app.core.db.table import Table
from app.core.db.types import EnumText, JsonText, UtcDateTime
from app.features.updates.rules.recovery import Step


class UpdateJournal(Table, table=True):
    """One service that is being changed. Each row is committed before the step it names is begun and removed when the
    service is settled, so that whatever a killed process left behind can be put right.

    No foreign keys on purpose: purging a job or losing a service in discovery must not make Dockrev forget it.
    """

    __tablename__ = "update_journal"

    job_id: str = Field(sa_column=Column(Text, primary_key=True))
    service_id: str = Field(sa_column=Column(Text, primary_key=True))
    stack_id: str = Field(sa_column=Column(Text, nullable=False))
    service_name: str = Field(sa_column=Column(Text, nullable=False))
    project: dict[str, Any] = Field(sa_column=Column("project_json", JsonText, nullable=False))
    step: Step = Field(sa_column=Column(EnumText(Step), nullable=False))
    configured_ref: str = Field(sa_column=Column(Text, nullable=False))
    target_ref: str = Field(sa_column=Column(Text, nullable=False))
    target_tag: str = Field(sa_column=Column(Text, nullable=False))
    old_image_id: str = Field(sa_column=Column(Text, nullable=False))
    was_unhealthy: bool = False
    containers: int = 1
    new_image_id: str | None = Field(default=None, sa_column=Column(Text))
    override_path: str | None = Field(default=None, sa_column=Column(Text))
    config_folder: str | None = Field(default=None, sa_column=Column(Text))
    lodgers: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column("lodgers_json", JsonText, nullable=False)
    )
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    updated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
