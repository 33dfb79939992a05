"""What an update would do, shown before it is done (spec §11.4)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from app.core.web.schema import ApiModel


class BackupChoice(StrEnum):
    """Backup mode of an update, or choice for one target."""

    INHERIT = "inherit"
    SKIP = "skip"
    FORCE = "force"


class PlanBackup(ApiModel):
    """A target of the backup step. `included` is what `inherit` comes to; `reason` says why it is left out."""

    kind: str
    name: str
    size_bytes: int | None = None
    included: bool = True
    reason: str | None = None


class PlanTarget(ApiModel):
    """One service of the plan, with exactly the target that will be sent; `caution` is what to know before."""

    service_id: str
    service_name: str
    stack_id: str
    stack_name: str
    target_tag: str
    target_digest: str
    pull_tags: list[str] = Field(default_factory=list)
    from_version: str | None = None
    to_version: str | None = None
    caution: str = ""
    from_digest: str | None = None
    arch_match: str = "unknown"
    arch: list[str] = Field(default_factory=list)
    backups: list[PlanBackup] = Field(default_factory=list)
    pull_bytes: int | None = None
    offline_s: float | None = None
    offline_updates: int = 0
    health_s: float | None = None
    has_health_check: bool = False
    auto_rollback: bool = True
    stays_up: list[str] = Field(default_factory=list)
    recreated_with: list[str] = Field(default_factory=list)
    restarted_after: list[str] = Field(default_factory=list)


class LeftOut(ApiModel):
    """Services the plan leaves out: `reason` blocked, arch_mismatch, archived, dockrev, not_running or downgrade."""

    reason: str
    count: int
    names: list[str] = Field(default_factory=list)


class UpdatePlan(ApiModel):
    """The plan for a scope. Empty `targets` means that there is nothing to do."""

    scope: str
    stack_id: str | None = None
    service_id: str | None = None
    scope_name: str = ""
    targets: list[PlanTarget] = Field(default_factory=list)
    left_out: list[LeftOut] = Field(default_factory=list)
    arch_mismatches: int = 0
    allow_arch_mismatch: bool = False
    backup_enabled: bool = True
    backup_required: bool = True
    expected_s: float | None = None
    checked_at: datetime | None = None
    busy_job_id: str | None = None
