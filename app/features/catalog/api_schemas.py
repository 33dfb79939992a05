"""The JSON of stacks and services (spec §5.2)."""

from __future__ import annotations

from datetime import datetime

from app.core.web.schema import ApiModel, Maybe


class ImageOut(ApiModel):
    """What a service is declared with and really runs."""

    ref: str
    tag: str
    digest: Maybe[str] = None
    resolved_tag: Maybe[str] = None
    resolved_tags: Maybe[list[str]] = None


class CandidateOut(ApiModel):
    """What the registry serves for the same tag; `arch_match` is match, mismatch or unknown."""

    tag: str
    resolved_tag: Maybe[str] = None
    digest: str
    arch_match: str
    arch: list[str]


class IgnoreOut(ApiModel):
    """The rule that hides the candidate."""

    matched: bool = True
    rule_id: str
    reason: str


class InferenceOut(ApiModel):
    """Whether readable versions are still being found out."""

    status: str
    reason: Maybe[str] = None
    checked_at: Maybe[datetime] = None


class BackupTargetsOut(ApiModel):
    """Choices per bind path and volume: inherit, skip or force."""

    bind_paths: dict[str, str]
    volume_names: dict[str, str]


class SettingsOut(ApiModel):
    """Settings of a service."""

    auto_rollback: bool
    backup_targets: BackupTargetsOut
    repo_url: str | None


class ServiceOut(ApiModel):
    """One service of a stack."""

    id: str
    name: str
    image: ImageOut
    candidate: Maybe[CandidateOut] = None
    ignore: Maybe[IgnoreOut] = None
    version_inference: Maybe[InferenceOut] = None
    settings: SettingsOut
    archived: bool


class ComposeOut(ApiModel):
    """Where a stack is described."""

    type: str = "path"
    compose_files: list[str]
    env_file: Maybe[str] = None


class StackDetail(ApiModel):
    """A stack with its services."""

    id: str
    name: str
    archived: bool
    compose: ComposeOut
    services: list[ServiceOut]


class StackDetailOut(ApiModel):
    """`GET /api/stacks/{stack_id}`."""

    stack: StackDetail


class StackSummary(ApiModel):
    """A stack in the list; `status` is always `unknown` at this level of the contract."""

    id: str
    name: str
    status: str = "unknown"
    services: int
    updates: int
    last_check_at: datetime
    archived: bool
    archived_services: int


class StackListOut(ApiModel):
    """`GET /api/stacks`, newest created first."""

    stacks: list[StackSummary]
