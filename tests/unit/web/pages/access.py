"""Models of the pages of tokens and of the audit trail: usual, empty, hostile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.features.access.models import Outcome, Scope
from app.features.access.page_schemas import (
    AuditPage,
    AuditQuery,
    TokenMadePage,
    TokenProblem,
    TokenRevokePage,
    TokensPage,
)
from app.features.access.recorder import MEANS
from app.features.access.schemas import AuditEventOut, TokenOut
from app.features.preferences import SectionLink
from tests.unit.web.pages.base import EVIL, NOW

SECTIONS = [SectionLink(key="tokens", label="API tokens", href="/settings/tokens")]
TOKEN = "tok_01JT5N3V0QZ8R6W2M4K7C9D1EH"


def token(**changes: Any) -> TokenOut:
    """One that is used."""
    values: dict[str, Any] = {
        "id": TOKEN,
        "name": "night shift",
        "scope": Scope.CHECK,
        "hint": "dkr_…C9D1EH_…",
        "state": "active",
        "created_at": NOW - timedelta(days=3),
        "created_by": "robin",
        "expires_at": NOW + timedelta(days=87),
        "last_used_at": NOW - timedelta(minutes=2),
        "last_used_from": "192.168.1.20",
    }
    return TokenOut(**{**values, **changes})


def tokens() -> TokensPage:
    """In every state, with every scope."""
    there = [
        token(id=f"{TOKEN[:-1]}{number}", scope=scope, state=state, name=f"{scope} {state}")
        for number, (scope, state) in enumerate(zip(Scope, ("active", "expired", "revoked", "active"), strict=True))
    ]
    there[3] = token(last_used_at=None, last_used_from=None, expires_at=None)
    return TokensPage(tokens=there, sections=SECTIONS)


def tokens_hostile() -> TokensPage:
    """Names and addresses from outside."""
    return TokensPage(
        tokens=[token(name=EVIL, created_by=EVIL, last_used_from=EVIL)],
        sections=SECTIONS,
        problem=TokenProblem(field="name", message=EVIL, hint=EVIL),
        entered={"name": EVIL, "scope": EVIL, "expiresInDays": EVIL},
    )


def made() -> TokenMadePage:
    """The answer that shows it."""
    return TokenMadePage(token=token(), value=f"dkr_{TOKEN[4:]}_{'0' * 49}", sections=SECTIONS)


def revoke(**changes: Any) -> TokenRevokePage:
    """The question."""
    return TokenRevokePage(token=token(**changes), sections=SECTIONS)


def event(number: int, **changes: Any) -> AuditEventOut:
    """An update by a token."""
    values: dict[str, Any] = {
        "id": number,
        "at": NOW - timedelta(minutes=number),
        "principal": "token:night shift",
        "means": "token",
        "address": "192.168.1.20",
        "action": "update.start",
        "outcome": Outcome.OK,
        "object_kind": "service",
        "object_id": "svc_01JT5N3V0QZ8R6W2M4K7C9D1EA",
        "object_label": "news/web",
        "job_id": "job_01JT5N3V0QZ8R6W2M4K7C9D1EA",
        "details": {"job": "update", "mode": "apply"},
    }
    return AuditEventOut(**{**values, **changes})


def audit(**changes: Any) -> AuditPage:
    """By every means, with every outcome."""
    stranger = {"principal": "", "job_id": None, "object_kind": None, "object_id": None, "object_label": None}
    values: dict[str, Any] = {
        "events": [
            *(event(number, means=means, principal="robin") for number, means in enumerate(MEANS)),
            event(21, outcome=Outcome.FAILED, code="internal"),
            event(
                22,
                **stranger,
                action="token.refused",
                outcome=Outcome.REFUSED,
                code="auth_required",
                details={"method": "GET", "path": "/api/stacks", "reason": "token_invalid", "repeated": 41},
            ),
        ],
        "query": AuditQuery(),
        "actions": ["token.refused", "update.start"],
        "means": list(MEANS),
        "retention_days": 365,
        "max_rows": 100_000,
        "sections": SECTIONS,
        "next_cursor": "22",
    }
    return AuditPage(**{**values, **changes})


def audit_hostile() -> AuditPage:
    """Whatever somebody may write into it."""
    bad = dict.fromkeys(("principal", "means", "address", "action", "object_id", "object_label", "code"), EVIL)
    details = {"method": EVIL, "path": EVIL, "repeated": 2}
    return audit(
        events=[event(1, **bad, outcome=Outcome.REFUSED, job_id=EVIL, details=details)],
        query=AuditQuery(principal=EVIL, action=EVIL, since=EVIL, until=EVIL),
        next_cursor=EVIL,
        cursor=EVIL,
    )
