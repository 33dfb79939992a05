"""Tables of the room: passkeys, the sessions they open, and the one code that lets somebody add one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Index, Integer, Text
from sqlmodel import Field

from app.core.db.table import Table
from app.core.db.types import UtcDateTime


class PasskeyRow(Table, table=True):
    """A public key; nothing in here opens anything. `credential_id`, `user_handle` and `public_key` are base64url.

    `sign_count` is the authenticator's own counter, 0 when it has none; `alarm_at` is when it last went back.
    """

    __tablename__ = "passkeys"
    __table_args__ = (Index("uq_passkeys_credential_id", "credential_id", unique=True),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    credential_id: str = Field(sa_column=Column(Text, nullable=False))
    user_handle: str = Field(sa_column=Column(Text, nullable=False))
    public_key: str = Field(sa_column=Column(Text, nullable=False))
    sign_count: int = Field(sa_column=Column(Integer, nullable=False))
    rp_id: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    last_used_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_used_from: str | None = Field(default=None, sa_column=Column(Text))
    alarm_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class PasskeySessionRow(Table, table=True):
    """A browser that is signed in. Of its token only the SHA-256 is kept; the one before counts until
    `previous_until`, for requests that were under way when it was changed."""

    __tablename__ = "passkey_sessions"
    __table_args__ = (
        Index("uq_passkey_sessions_token_hash", "token_hash", unique=True),
        Index("ix_passkey_sessions_previous_hash", "previous_hash"),
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    passkey_id: str = Field(sa_column=Column(Text, ForeignKey("passkeys.id", ondelete="CASCADE"), nullable=False))
    token_hash: str = Field(sa_column=Column(Text, nullable=False))
    previous_hash: str | None = Field(default=None, sa_column=Column(Text))
    previous_until: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    rotated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    last_seen_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    address: str = Field(sa_column=Column(Text, nullable=False))
    device: str = Field(sa_column=Column(Text, nullable=False))


class EnrolmentCodeRow(Table, table=True):
    """The code that is valid now, as its SHA-256; there is never more than one."""

    __tablename__ = "enrolment_codes"

    id: str = Field(sa_column=Column(Text, primary_key=True))
    code_hash: str = Field(sa_column=Column(Text, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    attempts_left: int = Field(sa_column=Column(Integer, nullable=False))
