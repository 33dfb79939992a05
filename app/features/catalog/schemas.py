"""What the pages of services and stacks show. The same models are the JSON answer of the page addresses."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from app.core.web.schema import ApiModel, Maybe
from app.features.catalog.plan_schemas import BackupChoice, UpdatePlan
from app.features.jobs.schemas import JobRow


class ServiceState(StrEnum):
    """Row status (spec §11.2); `updating` while a job has the service, `unknown` before its first check."""

    UPDATABLE = "updatable"
    HINT = "hint"
    CROSS_TAG = "cross_tag"
    ARCH_MISMATCH = "arch_mismatch"
    BLOCKED = "blocked"
    UPDATING = "updating"
    UNKNOWN = "unknown"
    OK = "ok"


class Slot(StrEnum):
    """Where a version stands on the rail, by its distance from what runs."""

    NOW = "now"
    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


class PointKind(StrEnum):
    """What a point on the rail means."""

    NOW = "now"
    NEXT = "next"
    HINT = "hint"
    IGNORED = "ignored"
    ARCH = "arch"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"
    WAS = "was"


class Reach(StrEnum):
    """How far the followed tag moves by itself: a pinned one not at all, `latest` everywhere."""

    NONE = "none"
    PATCH = "patch"
    MINOR = "minor"
    ALL = "all"


class RailPoint(ApiModel):
    """One version. `version` is none when only a digest is known; `note` is one short phrase under it."""

    slot: Slot
    kind: PointKind
    version: str | None = None
    inferred: bool = False
    note: str = ""
    at: datetime | None = None
    in_reach: bool = False
    tags: list[str] = Field(default_factory=list)


class Rail(ApiModel):
    """What runs and what could: the first point is what runs now."""

    reach: Reach = Reach.NONE
    points: list[RailPoint]


class ReachBracket(ApiModel):
    """A tag on the full rail and how many versions it spans, counted from the one that runs."""

    tag: str
    length: int = Field(ge=1, le=6)
    followed: bool = False


class FullRail(ApiModel):
    """Every known version in order: earlier ones, the running one, patches, minors, majors."""

    points: list[RailPoint]
    reaches: list[ReachBracket] = Field(default_factory=list)


class ServiceRow(ApiModel):
    """One service in a list. `reason` says in a phrase why it is in its state."""

    id: str
    stack_id: str
    name: str
    stack_name: str
    image_ref: str
    image_tag: str
    state: ServiceState
    reason: str = ""
    rail: Rail
    current_digest: str | None = None
    current_version: str | None = None
    candidate_digest: str | None = None
    candidate_version: str | None = None
    checked_at: datetime | None = None
    inference_pending: bool = False
    archived: bool = False
    is_dockrev: bool = False
    job_id: str | None = None
    job_phase: str | None = None
    job_percent: float | None = None


class StateCount(ApiModel):
    """How many services are in a state; key `all`, `open` or a ServiceState."""

    key: str
    count: int


class StackGroup(ApiModel):
    """A stack with the rows that a list shows of it. `discovery` is active, missing or invalid."""

    id: str
    name: str
    discovery: str = "active"
    problem: str | None = None
    remedy: str | None = None
    config_files: list[str] = Field(default_factory=list)
    service_total: int = 0
    counts: list[StateCount] = Field(default_factory=list)
    services: list[ServiceRow] = Field(default_factory=list)
    archived: bool = False
    open: bool = True
    last_check_at: datetime | None = None


class DiscoveryProblem(ApiModel):
    """A Compose project that could not be taken in (no stack yet, or its files are gone)."""

    project: str
    status: str
    message: str
    remedy: str = ""
    config_files: list[str] = Field(default_factory=list)
    stack_id: str | None = None
    archived: bool = False
    last_seen_at: datetime | None = None


class ServiceQuery(ApiModel):
    """Search, filter and order as they stand in the address."""

    q: str = ""
    state: str = "all"
    sort: str = "state"
    archived: bool = False


class ServiceListPage(ApiModel):
    """`/services`. Totals count what is not archived."""

    service_total: int
    stack_total: int
    archived_total: int = 0
    discovered_at: datetime | None = None
    counts: list[StateCount] = Field(default_factory=list)
    query: ServiceQuery = Field(default_factory=ServiceQuery)
    groups: list[StackGroup] = Field(default_factory=list)
    problems: list[DiscoveryProblem] = Field(default_factory=list)
    closest: ServiceRow | None = None
    self_upgrade_url: str | None = None


class ContainerInfo(ApiModel):
    """The service's container as the engine tells it. `health` is none without a health check."""

    id: str
    status: str
    health: str | None = None
    started_at: datetime | None = None
    restarts: int = 0
    exit_code: int | None = None


class CandidateEvidence(ApiModel):
    """What is known of the candidate. Bytes and layers are what is still to be pulled."""

    digest: str
    current_digest: str | None = None
    arch_match: str = "unknown"
    platforms: list[str] = Field(default_factory=list)
    host_platform: str = ""
    seen_at: datetime | None = None
    checked_at: datetime | None = None
    tags: list[str] = Field(default_factory=list)
    total_bytes: int | None = None


class DigestTags(ApiModel):
    """Tags that share one digest. `role` is current, candidate or other."""

    digest: str
    role: str = "other"
    tags: list[str] = Field(default_factory=list)
    platforms: list[str] = Field(default_factory=list)


class VersionRow(ApiModel):
    """One version in the table of the service page; `state` and `distance` as `GET /api/services/{id}/versions` has it.

    `follow` is the tag to write into the Compose file, `more` counts older versions of the same distance.
    """

    version: str | None = None
    inferred: bool = False
    state: str
    distance: str
    digest: str | None = None
    platforms: list[str] = Field(default_factory=list)
    published_at: datetime | None = None
    tags: list[str] = Field(default_factory=list)
    follow: str | None = None
    in_reach: bool = False
    more: int = 0


class InferenceInfo(ApiModel):
    """How the running version is known: `status` ready, pending or unknown (see spec §5.2 for `reason`)."""

    status: str = "ready"
    reason: str | None = None
    needed: bool = True
    version: str | None = None
    versions: list[str] = Field(default_factory=list)
    checked_at: datetime | None = None
    tags_total: int | None = None


class IgnoreRow(ApiModel):
    """A rule. `kind` is exact, prefix, regex or semver; `matches` says whether it matches the tag that is
    followed, `hides` whether it hides the candidate of now, `leaves_out` the newest versions of other tags it hides."""

    id: str
    kind: str
    value: str
    note: str | None = None
    enabled: bool = True
    matches: bool = False
    hides: bool = False
    leaves_out: list[str] = Field(default_factory=list)
    created_at: datetime | None = None


class BackupTarget(ApiModel):
    """Something a backup can hold: `kind` is volume or bind. `size_bytes` as last measured."""

    kind: str
    name: str
    choice: BackupChoice = BackupChoice.INHERIT
    size_bytes: int | None = None


class ServiceSettings(ApiModel):
    """Settings of one service (spec §5.5)."""

    auto_rollback: bool = True
    repo_url: str | None = None
    backup_targets: list[BackupTarget] = Field(default_factory=list)


class ServicePage(ApiModel):
    """`/services/{stackId}/{serviceId}`."""

    service: ServiceRow
    container: ContainerInfo | None = None
    rail: FullRail
    evidence: CandidateEvidence | None = None
    plan: UpdatePlan | None = None
    digest_tags: list[DigestTags] = Field(default_factory=list)
    versions: list[VersionRow] = Field(default_factory=list)
    versions_checked_at: datetime | None = None
    versions_refreshing: bool = False
    versions_error: str | None = None
    inference: InferenceInfo = Field(default_factory=InferenceInfo)
    ignores: list[IgnoreRow] = Field(default_factory=list)
    settings: ServiceSettings = Field(default_factory=ServiceSettings)
    history: list[JobRow] = Field(default_factory=list)
    homepage_url: str | None = None
    stack_archived: bool = False
    self_upgrade_url: str | None = None


class ComposeFile(ApiModel):
    """A file of a stack. `role` is base, override or environment."""

    path: str
    role: str
    readable: bool = True
    problem: str | None = None
    changed_at: datetime | None = None


class BackupRow(ApiModel):
    """A backup of a stack: `status` running, success, failed or skipped."""

    id: str
    status: str
    created_at: datetime
    job_id: str | None = None
    targets: list[str] = Field(default_factory=list)
    skipped: list[str] = Field(default_factory=list)
    size_bytes: int | None = None
    error: str | None = None
    restore_command: str | None = None


class StackPage(ApiModel):
    """`/stacks/{stackId}`; `actionable` services would be part of an update of the stack."""

    stack: StackGroup
    actionable: int = 0
    running: int = 0
    files: list[ComposeFile] = Field(default_factory=list)
    found_by: str = ""
    last_seen_at: datetime | None = None
    backups: list[BackupRow] = Field(default_factory=list)
    backup_keep_last: int = 1
    history: list[JobRow] = Field(default_factory=list)
    self_upgrade_url: str | None = None


class RuleEffect(ApiModel):
    """What an ignore rule would do, before it is kept. `problem` says why it cannot be kept, `field` which is wrong.

    `tags` are the newest of the repository's known tags that match, `matched` of `compared`.
    """

    tag: str
    problem: Maybe[str] = None
    field: Maybe[str] = None
    matches_tag: bool = False
    holds_now: bool = False
    candidate: Maybe[str] = None
    tags: list[str] = Field(default_factory=list)
    matched: int = 0
    compared: int = 0
    complete: bool = True
