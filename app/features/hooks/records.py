"""What the room hands around: settings, targets, repositories and deliveries as read from the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.features.hooks.models import GithubDeliveryRow, GithubRepoRow, Op, WebhookState
from app.features.hooks.rules.delivery import Decision, Signed

BUSY = frozenset({WebhookState.QUEUED, WebhookState.RUNNING})


@dataclass(frozen=True, slots=True)
class GithubSettings:
    """The settings, secrets included: never for an answer or a log."""

    enabled: bool = False
    callback_url: str = ""
    pat: str | None = None
    secret: str | None = None

    def __repr__(self) -> str:
        return f"GithubSettings(enabled={self.enabled}, callback_url={self.callback_url!r})"


@dataclass(frozen=True, slots=True)
class TargetRecord:
    """What a person typed, and what GitHub said about it then."""

    input: str
    kind: str
    owner: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RepoRecord:
    """A tracked repository."""

    owner: str
    repo: str
    selected: bool
    webhook_state: WebhookState
    webhook_job_id: str | None = None
    hook_id: int | None = None
    last_sync_at: datetime | None = None
    last_audit_at: datetime | None = None
    last_op: Op | None = None
    last_error: str | None = None

    @property
    def full_name(self) -> str:
        """`owner/repo` in the spelling first seen."""
        return f"{self.owner}/{self.repo}"

    @property
    def key(self) -> str:
        """The one spelling for comparisons."""
        return self.full_name.lower()

    @property
    def leaving(self) -> bool:
        """Whether its webhook is being removed."""
        return self.last_op is Op.UNREGISTER and self.webhook_state in BUSY

    @classmethod
    def of(cls, row: GithubRepoRow) -> RepoRecord:
        """A detached copy of the row."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class RepoPage:
    """A page of tracked repositories, and how many there are in all."""

    page: int
    per_page: int
    total: int
    filtered_total: int
    selected_total: int
    repos: tuple[RepoRecord, ...]


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery."""

    delivery_id: str
    received_at: datetime
    first_received_at: datetime
    owner: str | None
    repo: str | None
    event: str | None
    action: str | None
    decision: Decision
    reason: str | None
    response_status: int | None
    job_id: str | None
    job_ids: list[str]
    attempt_count: int
    signed_with: Signed | None

    @property
    def full_name(self) -> str | None:
        """`owner/repo`, when GitHub named both."""
        return f"{self.owner}/{self.repo}" if self.owner and self.repo else None

    @classmethod
    def of(cls, row: GithubDeliveryRow) -> DeliveryRecord:
        """A detached copy of the row."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A page of deliveries, newest first; `decisions` counts all of them."""

    page: int
    per_page: int
    total: int
    filtered_total: int
    decisions: dict[str, int]
    deliveries: tuple[DeliveryRecord, ...]
