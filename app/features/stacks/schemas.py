"""The JSON of the stacks room (spec §5.2, §5.3, §5.5)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints, field_validator

from app.core.web.schema import ApiInput, ApiModel, Maybe
from app.features.stacks.models import ProjectStatus
from app.features.stacks.records import ProjectRecord, ServiceSettings
from app.features.stacks.settings_rules import MAX_TARGETS, BackupChoice


def _only_bool(value: Any) -> bool:
    # The framework validates leniently whatever the field says, and "yes" must not pass for true (spec §3.6).
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


Bool = Annotated[bool, BeforeValidator(_only_bool)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
VolumeName = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class ScanStarted(ApiModel):
    """The job that scans."""

    job_id: str


class ProjectOut(ApiModel):
    """A discovery project. `lastError` begins with a stable reason; `lastErrorHint` says what to do."""

    project: str
    status: ProjectStatus
    stack_id: Maybe[str] = None
    config_files: Maybe[list[str]] = None
    last_seen_at: Maybe[datetime] = None
    last_scan_at: Maybe[datetime] = None
    last_error: Maybe[str] = None
    last_error_hint: Maybe[str] = None
    archived: bool

    @classmethod
    def of(cls, record: ProjectRecord) -> ProjectOut:
        """From the record."""
        return cls(
            project=record.project,
            status=record.status,
            stack_id=record.stack_id,
            config_files=None if record.config_files is None else list(record.config_files),
            last_seen_at=record.last_seen_at,
            last_scan_at=record.last_scan_at,
            last_error=record.last_error,
            last_error_hint=record.hint,
            archived=record.archived,
        )


class ProjectListOut(ApiModel):
    """Discovery projects by name."""

    projects: list[ProjectOut]


class BackupTargetsOut(ApiModel):
    """Choices for what the service keeps, by path and by volume name."""

    bind_paths: dict[str, BackupChoice]
    volume_names: dict[str, BackupChoice]


class ServiceSettingsOut(ApiModel):
    """Settings of one service."""

    auto_rollback: bool
    backup_targets: BackupTargetsOut
    repo_url: str | None

    @classmethod
    def of(cls, settings: ServiceSettings) -> ServiceSettingsOut:
        """From the record."""
        targets = BackupTargetsOut.model_validate(
            {"bind_paths": dict(settings.bind_paths), "volume_names": dict(settings.volume_names)}
        )
        return cls(auto_rollback=settings.auto_rollback, backup_targets=targets, repo_url=settings.repo_url)


class BackupTargetsIn(ApiInput):
    """Choices to store; a target that is not named has none and counts as inherit."""

    bind_paths: dict[Path, BackupChoice] = Field(default_factory=dict)
    volume_names: dict[VolumeName, BackupChoice] = Field(default_factory=dict)

    @field_validator("bind_paths", "volume_names")
    @classmethod
    def _not_too_many(cls, choices: dict[str, BackupChoice]) -> dict[str, BackupChoice]:
        if len(choices) > MAX_TARGETS:  # not a `max_length`: the framework would document the object as an array
            raise ValueError(f"at most {MAX_TARGETS} targets")
        return choices


class ServiceSettingsIn(ApiInput):
    """`repoUrl` left out keeps it; null or blank clears it."""

    auto_rollback: Bool
    backup_targets: BackupTargetsIn
    repo_url: str | None = None


class RegistrationRefused(ApiModel):
    """The one error body that is no envelope (spec §5.2)."""

    error: str
