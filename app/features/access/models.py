"""Tables of the room: API tokens and the audit trail."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Index, Text, text
from sqlmodel import Field

from app.core.db.table import Table
from app.core.db.types import EnumText, JsonText, UtcDateTime


class Scope(StrEnum):
    """What a token may do; each includes those before it."""

    READ = "read"
    CHECK = "check"
    UPDATE = "update"
    ADMIN = "admin"

    def covers(self, needed: Scope) -> bool:
        """Whether a token with this scope may do what `needed` is needed for."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


class Outcome(StrEnum):
    """How an act ended: done, refused (with a code), or failed on Dockrev's side."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


class ApiTokenRow(Table, table=True):
    """A token. Of its secret only the SHA-256 is kept; revoked ones stay for a while, to be told from unknown ones."""

    __tablename__ = "api_tokens"
    __table_args__ = (Index("uq_api_tokens_name", "name", unique=True, sqlite_where=text("revoked_at IS NULL")),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=Column(Text(collation="NOCASE"), nullable=False))
    scope: Scope = Field(sa_column=Column(EnumText(Scope), nullable=False))
    secret_hash: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    created_by: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_used_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_used_from: str | None = Field(default=None, sa_column=Column(Text))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class AuditEventRow(Table, table=True):
    """Somebody did something, or was not let."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_at", "at"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    principal: str = Field(sa_column=Column(Text, nullable=False))
    means: str = Field(sa_column=Column(Text, nullable=False))
    address: str = Field(sa_column=Column(Text, nullable=False))
    action: str = Field(sa_column=Column(Text, nullable=False))
    object_kind: str | None = Field(default=None, sa_column=Column(Text))
    object_id: str | None = Field(default=None, sa_column=Column(Text))
    object_label: str | None = Field(default=None, sa_column=Column(Text))
    outcome: Outcome = Field(sa_column=Column(EnumText(Outcome), nullable=False))
    code: str | None = Field(default=None, sa_column=Column(Text))
    job_id: str | None = Field(default=None, sa_column=Column(Text))
    details: dict[str, Any] = Field(sa_column=Column("details_json", JsonText, nullable=False))
