"""Bodies and answers of the API (spec §5.6, §5.7, §5b)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from app.core.web.schema import ApiInput, ApiModel, Flag, Maybe, Whole
from app.features.hooks.models import Op, WebhookState
from app.features.hooks.records import DeliveryRecord, RepoRecord
from app.features.hooks.rules.delivery import Signed
from app.features.updates import BackupMode, Scope, TargetInput

Text = Annotated[str, StringConstraints(max_length=2100)]
MAX_REPOS = 20_000
MAX_TARGETS = 1_000


# ---- settings


class TargetOut(ApiModel):
    """What was typed."""

    input: str
    kind: str
    owner: str
    warnings: list[str]


class GithubSettingsOut(ApiModel):
    """`GET /api/github-packages/settings`; secrets are masked, and left out when there are none."""

    enabled: bool
    callback_url: str
    targets: list[TargetOut]
    repos_total: int
    repos_selected_total: int
    pat_masked: Maybe[str] = None
    secret_masked: Maybe[str] = None


class TargetTyped(ApiInput):
    """An owner or a repository, as somebody writes it."""

    input: Text


class RepoChosen(ApiInput):
    """A repository with its flag; other members are ignored."""

    full_name: Text
    selected: Flag


class GithubSettingsInput(ApiInput):
    """Lists that are left out stay; `pat` follows the keep rule of all secrets."""

    enabled: Flag
    callback_url: Text
    targets: list[TargetTyped] | None = Field(default=None, max_length=MAX_TARGETS)
    repos: list[RepoChosen] | None = Field(default=None, max_length=MAX_REPOS)
    pat: Text | None = None


# ---- repositories


class RepoOut(ApiModel):
    """A tracked repository."""

    full_name: str
    selected: bool
    webhook_state: WebhookState
    webhook_job_id: Maybe[str] = None
    hook_id: Maybe[int] = None
    last_sync_at: Maybe[datetime] = None
    last_audit_at: Maybe[datetime] = None
    last_op: Maybe[Op] = None
    last_error: Maybe[str] = None

    @classmethod
    def of(cls, record: RepoRecord) -> RepoOut:
        """From the record."""
        return cls(**{name: getattr(record, name) for name in cls.model_fields})


class RepoListOut(ApiModel):
    """A page of tracked repositories by owner and name."""

    page: int
    per_page: int
    total: int
    filtered_total: int
    selected_total: int
    repos: list[RepoOut]


class RepoSelectedOut(ApiModel):
    """`jobId` when a webhook is being registered."""

    ok: bool = True
    job_id: Maybe[str] = None


class RepoNamed(ApiInput):
    """A repository."""

    full_name: Text


class RepoDeletedOut(ApiModel):
    """The job that removes the webhook and then the repository from the list."""

    ok: bool = True
    job_id: str


class BulkInput(ApiInput):
    """Which rows, and what becomes of their flag."""

    q: Text | None = None
    selected_filter: Text | None = None
    selected: Flag


class BulkOut(ApiModel):
    """How many rows match."""

    ok: bool = True
    affected: int


# ---- targets


class TargetAddedOut(ApiModel):
    """How many repositories were not tracked before."""

    ok: bool = True
    kind: str
    owner: str
    repos_added: int


class ResolvedRepoOut(ApiModel):
    """A repository an input stands for; `deployed` when a service here runs its image."""

    full_name: str
    selected: bool
    visibility: str
    last_activity_at: datetime | None
    deployed: bool


class ResolvedOut(ApiModel):
    """What an input stands for."""

    kind: str
    owner: str
    repos: list[ResolvedRepoOut]
    warnings: list[str]


# ---- jobs


class ConflictChoice(ApiInput):
    """Which of several webhooks stays, and which of the others go."""

    repo: Text
    keep_hook_id: Whole
    delete_hook_ids: list[Whole] = Field(max_length=100)


class SyncInput(ApiInput):
    """Without `repos`: all that are selected."""

    dry_run: Flag = False
    resolve_conflicts: list[ConflictChoice] = Field(default_factory=list, max_length=200)
    repos: list[Text] | None = Field(default=None, max_length=MAX_REPOS)


class SyncAction(StrEnum):
    """What becomes of a repository."""

    QUEUED = "queued"
    ERROR = "error"


class SyncResult(ApiModel):
    """One repository; `message` names the job, or says why there is none."""

    repo: str
    action: SyncAction
    hook_id: Maybe[int] = None
    message: Maybe[str] = None


class SyncOut(ApiModel):
    """`ok` when no repository is an error."""

    ok: bool
    results: list[SyncResult]


class EnqueuedOut(ApiModel):
    """The job; `reused` when it was waiting or running already."""

    ok: bool = True
    job_id: str
    reused: bool


class StateCounts(ApiModel):
    """Selected repositories by the state of their webhook."""

    tracked: int
    ok: int
    missing: int
    error: int
    conflict: int
    queued: int
    running: int
    unknown: int


class OverviewOut(ApiModel):
    """How the webhooks stand, and what is being done about them."""

    summary: StateCounts
    jobs_queued: int
    jobs_running: int
    running_job_id: Maybe[str] = None
    last_audit_at: Maybe[datetime] = None


# ---- deliveries


class DeliveryOut(ApiModel):
    """A delivery whose signature was right."""

    delivery_id: str
    received_at: datetime
    first_received_at: datetime
    owner: Maybe[str] = None
    repo: Maybe[str] = None
    full_name: Maybe[str] = None
    event: Maybe[str] = None
    action: Maybe[str] = None
    decision: str
    reason: Maybe[str] = None
    response_status: Maybe[int] = None
    job_id: Maybe[str] = None
    job_ids: list[str]
    attempt_count: int
    signed_with: Maybe[Signed] = None

    @classmethod
    def of(cls, record: DeliveryRecord) -> DeliveryOut:
        """From the record."""
        return cls(**{name: getattr(record, name) for name in cls.model_fields})


class DecisionCounts(ApiModel):
    """All deliveries by decision."""

    processed: int = 0
    ignored: int = 0
    rejected: int = 0


class DeliveryListOut(ApiModel):
    """A page of deliveries, newest first."""

    page: int
    per_page: int
    total: int
    filtered_total: int
    summary: DecisionCounts
    deliveries: list[DeliveryOut]


class DeliveryTaken(ApiModel):
    """The answer to GitHub (spec §14.6): what was ignored and why, or the jobs it led to."""

    ok: bool = True
    ignored: Maybe[bool] = None
    reason: Maybe[str] = None
    attempt_count: Maybe[int] = None
    job_ids: Maybe[list[str]] = None
    matched_service_ids: Maybe[list[str]] = None
    reused_job_ids: Maybe[list[str]] = None
    fallback_used: Maybe[bool] = None
    job_id: Maybe[str] = None
    fallback_reason: Maybe[str] = None


# ---- trigger


class TriggerAction(StrEnum):
    """What a webhook can ask for."""

    CHECK = "check"
    UPDATE = "update"


class TriggerInput(ApiInput):
    """`targets` is required for an update, whatever its scope."""

    action: TriggerAction
    scope: Scope
    stack_id: Text | None = None
    service_id: Text | None = None
    targets: list[TargetInput] | None = Field(default=None, max_length=2_000)
    allow_arch_mismatch: Flag = False
    backup_mode: BackupMode = BackupMode.INHERIT


class TriggerStarted(ApiModel):
    """The job that was started."""

    job_id: str


def taken(document: dict[str, Any]) -> DeliveryTaken:
    """The answer to a delivery as a model."""
    return DeliveryTaken.model_validate(document)
