"""What the room tells and takes over the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from app.core.web.schema import ApiInput, ApiModel, Maybe, Whole
from app.features.access import secret
from app.features.access.models import Outcome, Scope
from app.features.access.tokens import Token


class TokenOut(ApiModel):
    """A token without its secret; `hint` is the part by which it is found in a script."""

    id: str
    name: str
    scope: Scope
    hint: str
    state: Literal["active", "expired", "revoked"]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_from: str | None
    revoked_at: Maybe[datetime] = None

    @classmethod
    def of(cls, token: Token, now: datetime) -> TokenOut:
        """As it is at `now`."""
        return cls(
            id=token.id,
            name=token.name,
            scope=token.scope,
            hint=secret.hint(token.id),
            state="revoked" if token.revoked_at else "expired" if token.expired(now) else "active",
            created_at=token.created_at,
            created_by=token.created_by,
            expires_at=token.expires_at,
            last_used_at=token.last_used_at,
            last_used_from=token.last_used_from,
            revoked_at=token.revoked_at,
        )


class TokensOut(ApiModel):
    """`GET /api/tokens`."""

    tokens: list[TokenOut]


class TokenInput(ApiInput):
    """A token to make. `expiresInDays` is 30, 90 or 365; null is never."""

    name: str
    scope: Scope
    expires_in_days: Whole | None = 90


class TokenMadeOut(ApiModel):
    """The only answer that carries `value`, the token itself."""

    token: TokenOut
    value: str


class AuditEventOut(ApiModel):
    """Somebody did something, or was not let (`outcome` refused, with a `code`)."""

    id: int
    at: datetime
    principal: str
    means: str
    address: str
    action: str
    outcome: Outcome
    object_kind: Maybe[str] = None
    object_id: Maybe[str] = None
    object_label: Maybe[str] = None
    code: Maybe[str] = None
    job_id: Maybe[str] = None
    details: dict[str, Any]


class AuditOut(ApiModel):
    """`GET /api/audit`, newest first; `nextCursor` leads to older ones."""

    events: list[AuditEventOut]
    next_cursor: Maybe[str] = None
