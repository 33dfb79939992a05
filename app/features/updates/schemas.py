"""Bodies of the routes of updates (spec §5.3, §5b)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from app.core.web.schema import ApiInput, ApiModel, Maybe

Text = Annotated[str, StringConstraints(max_length=512)]
MAX_TARGETS = 2_000
MAX_PULL_TAGS = 50


class Scope(StrEnum):
    """What an update is about."""

    SERVICE = "service"
    STACK = "stack"
    ALL = "all"


class Mode(StrEnum):
    """Do it, or only tell what would be done."""

    APPLY = "apply"
    DRY_RUN = "dry-run"


class BackupMode(StrEnum):
    """Whether the backup step runs: as the settings say, never, always."""

    INHERIT = "inherit"
    SKIP = "skip"
    FORCE = "force"


class Reason(StrEnum):
    """Who wants it."""

    UI = "ui"
    WEBHOOK = "webhook"
    SCHEDULE = "schedule"
    AUTO_POLICY = "auto_policy"


class TargetInput(ApiInput):
    """One service of a stack or all update, with exactly the digest that was shown."""

    service_id: Text
    target_tag: Text
    target_digest: Text
    pull_tags: list[Text] = Field(default_factory=list, max_length=MAX_PULL_TAGS)


class UpdateInput(ApiInput):
    """`POST /api/updates`. Which members are required depends on the scope (spec §5.3)."""

    scope: Scope
    stack_id: Text | None = None
    service_id: Text | None = None
    target_tag: Text | None = None
    target_digest: Text | None = None
    pull_tags: list[Text] | None = Field(default=None, max_length=MAX_PULL_TAGS)
    targets: list[TargetInput] | None = Field(default=None, max_length=MAX_TARGETS)
    mode: Mode
    allow_arch_mismatch: bool = False
    backup_mode: BackupMode = BackupMode.INHERIT
    reason: Reason = Reason.UI


class JobStarted(ApiModel):
    """The job that was started."""

    job_id: str = Field(examples=["job_01JD5T6V7W8X9Y0Z1A2B3C4D5E"])


class RollbackTarget(ApiModel):
    """`GET /api/services/{id}/rollback-target` (spec §5b)."""

    available: bool
    current_digest: str | None = None
    current_display_tag: Maybe[str] = None
    target_digest: Maybe[str] = None
    target_display_tag: Maybe[str] = None
    source_update_job_id: Maybe[str] = None
    source_finished_at: Maybe[str] = None
    unavailable_reason: Maybe[str] = None
    active_job_id: Maybe[str] = None
    active_job_status: Maybe[str] = None
