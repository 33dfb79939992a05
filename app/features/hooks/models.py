"""Tables of GitHub packages (spec §4). Columns with names of owners and repositories compare without regard to case."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Text
from sqlmodel import Field

from app.core.db.table import Table
from app.core.db.types import EnumText, JsonText, UtcDateTime
from app.features.hooks.rules.delivery import Decision, Signed

SINGLETON = "default"


class WebhookState(StrEnum):
    """How a repository's webhook stands."""

    UNKNOWN = "unknown"
    QUEUED = "queued"
    RUNNING = "running"
    OK = "ok"
    MISSING = "missing"
    ERROR = "error"
    CONFLICT = "conflict"


class Op(StrEnum):
    """What was last done to a repository's webhook."""

    REGISTER = "register"
    UNREGISTER = "unregister"
    AUDIT = "audit"
    SYNC = "sync"


def _name() -> Text:
    return Text(collation="NOCASE")


class GithubSettingsRow(Table, table=True):
    """The singleton."""

    __tablename__ = "github_packages_settings"
    __table_args__ = (CheckConstraint("id = 'default'", name="ck_github_packages_settings_singleton"),)

    id: str = Field(default=SINGLETON, sa_column=Column(Text, primary_key=True))
    enabled: bool = False
    callback_url: str = Field(default="", sa_column=Column(Text, nullable=False))
    pat: str | None = Field(default=None, sa_column=Column(Text))
    webhook_secret: str | None = Field(default=None, sa_column=Column(Text))
    updated_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class GithubTargetRow(Table, table=True):
    """What a person typed."""

    __tablename__ = "github_packages_targets"

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    input: str = Field(sa_column=Column(Text, nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    owner: str = Field(sa_column=Column(_name(), nullable=False))
    warnings: list[str] = Field(default_factory=list, sa_column=Column("warnings_json", JsonText, nullable=False))
    updated_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class GithubRepoRow(Table, table=True):
    """A tracked repository; `last_op` while `queued` or `running` is what is being done."""

    __tablename__ = "github_packages_repos"

    owner: str = Field(sa_column=Column(_name(), primary_key=True))
    repo: str = Field(sa_column=Column(_name(), primary_key=True))
    selected: bool = False
    webhook_state: WebhookState = Field(
        default=WebhookState.UNKNOWN, sa_column=Column(EnumText(WebhookState), nullable=False)
    )
    webhook_job_id: str | None = Field(default=None, sa_column=Column(Text))
    hook_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    last_sync_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_audit_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_op: Op | None = Field(default=None, sa_column=Column(EnumText(Op)))
    last_error: str | None = Field(default=None, sa_column=Column(Text))
    updated_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class WebhookSecretRow(Table, table=True):
    """A secret that was changed; without a row it is as it was made or set first. `previous` is the old one of GitHub,
    or the SHA-256 of the trigger's; `environment_hash` is what the environment said when the current one was made."""

    __tablename__ = "webhook_secrets"

    which: str = Field(sa_column=Column(Text, primary_key=True))
    current_hash: str | None = Field(default=None, sa_column=Column(Text))
    environment_hash: str | None = Field(default=None, sa_column=Column(Text))
    rotated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    used_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    previous: str | None = Field(default=None, sa_column=Column(Text))
    previous_until: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    previous_used_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class GithubDeliveryRow(Table, table=True):
    """A signed delivery. While it is worked on, `response_status` is empty; a second one of its id is a repetition."""

    __tablename__ = "github_packages_deliveries"
    __table_args__ = (Index("ix_github_packages_deliveries_received_at", "received_at"),)

    delivery_id: str = Field(sa_column=Column(Text, primary_key=True))
    received_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    first_received_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    owner: str | None = Field(default=None, sa_column=Column(_name()))
    repo: str | None = Field(default=None, sa_column=Column(_name()))
    event: str | None = Field(default=None, sa_column=Column(Text))
    action: str | None = Field(default=None, sa_column=Column(Text))
    decision: Decision = Field(default=Decision.PROCESSED, sa_column=Column(EnumText(Decision), nullable=False))
    reason: str | None = Field(default=None, sa_column=Column(Text))
    response_status: int | None = Field(default=None, sa_column=Column(Integer))
    job_id: str | None = Field(default=None, sa_column=Column(Text))
    job_ids: list[str] = Field(default_factory=list, sa_column=Column("job_ids_json", JsonText, nullable=False))
    attempt_count: int = 1
    signed_with: Signed | None = Field(default=None, sa_column=Column(EnumText(Signed)))
