"""What is decided about a delivery of GitHub, in the order of spec §5.7."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from app.adapters.github import is_owner
from app.core.errors import InvalidArgument, Unauthorized
from app.features.hooks.rules.names import split_full_name

PACKAGE: Final = "package"
PUBLISHED: Final = "published"
MAX_ID: Final = 128

NOT_PACKAGE: Final = "not_package_event"
DISABLED: Final = "disabled"
INVALID_JSON: Final = "invalid_json"
NOT_PUBLISHED: Final = "not_published"
NOT_SELECTED: Final = "repo_not_selected"
DUPLICATE: Final = "duplicate_delivery"
OWNER_ONLY: Final = "owner_only_payload"
NO_MATCH: Final = "no_managed_service_match"


class Decision(StrEnum):
    """What became of a delivery."""

    PROCESSED = "processed"
    IGNORED = "ignored"
    REJECTED = "rejected"


class Signed(StrEnum):
    """With which of the two secrets somebody came while the old one still counts."""

    CURRENT = "current"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class Payload:
    """What of a delivery's body counts. `owner` alone: GitHub did not say which repository."""

    action: str | None = None
    owner: str | None = None
    repo: str | None = None

    @property
    def full_name(self) -> str | None:
        """`owner/repo`, when both are known."""
        return f"{self.owner}/{self.repo}" if self.owner and self.repo else None


def delivery_id(text: str | None) -> str:
    """Step 1: a delivery without an id cannot be told from its repetition."""
    found = (text or "").strip()
    if not found or len(found) > MAX_ID or not found.isprintable():
        raise InvalidArgument(
            "X-GitHub-Delivery is required",
            hint="GitHub sends this header; a proxy in between may have dropped it.",
            details={"field": "X-GitHub-Delivery"},
        )
    return found


def ignored_unread(event: str | None, *, enabled: bool) -> str | None:
    """Steps 2 and 3: why the body is not even read; None when it is."""
    if (event or "").strip() != PACKAGE:
        return NOT_PACKAGE
    return None if enabled else DISABLED


def sign(secret: str, body: bytes) -> str:
    """The value of `X-Hub-Signature-256` for a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def require_signature(secret: str | None, signature: str | None, body: bytes, previous: str | None = None) -> Signed:
    """Step 4: which secret signed. Raises Unauthorized (reasons of spec §3.5); takes as long whatever is wrong."""
    if not secret:
        raise Unauthorized("unauthorized", details={"reason": "webhook_secret_not_configured"})
    given = (signature or "").encode("utf-8", "surrogateescape")
    by_current = hmac.compare_digest(sign(secret, body).encode(), given)
    by_previous = hmac.compare_digest(sign(previous or secret, body).encode(), given)
    if not by_current and not by_previous:
        raise Unauthorized("unauthorized", details={"reason": "invalid_signature"})
    return Signed.CURRENT if by_current else Signed.PREVIOUS


def read_payload(body: bytes) -> Payload | None:
    """Steps 5 and 7: what the body says; None when it is no JSON in UTF-8."""
    try:
        document = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, Mapping):
        return Payload()
    action = document.get("action")
    action = action if isinstance(action, str) and len(action) <= 60 and action.isprintable() else None
    for path in (("repository", "full_name"), ("package", "repository", "full_name")):
        if (found := split_full_name(_text(document, *path))) is not None:
            return Payload(action, *found)
    for path in (("organization", "login"), ("repository", "owner", "login"), ("sender", "login")):
        if is_owner(owner := _text(document, *path)):
            return Payload(action, owner)
    return Payload(action)


def ignored_read(payload: Payload, *, selected: bool) -> str | None:
    """Steps 6 and 8: why a delivery that was read is not acted on; None when it is."""
    if payload.action != PUBLISHED:
        return NOT_PUBLISHED
    return None if selected else NOT_SELECTED


def _text(document: Any, *path: str) -> str:
    for name in path:
        document = document.get(name) if isinstance(document, Mapping) else None
    return document if isinstance(document, str) else ""


def audit_block(delivery: str, repo: str | None, service_ids: list[str], fallback: str | None) -> dict[str, Any]:
    """What a job started by a delivery tells of it (spec §9.5), under `audit` in its summary."""
    block: dict[str, Any] = {
        "source": "github_webhook",
        "repo": repo,
        "repos": [repo] if repo else [],
        "deliveryId": delivery,
        "deliveryIds": [delivery],
        "matchedServiceIds": service_ids,
        "fallbackUsed": fallback is not None,
        "reusedJobIds": [],
    }
    return block | ({"fallbackReason": fallback} if fallback else {})


def joined(summary: Mapping[str, Any], block: Mapping[str, Any], job_id: str | None = None) -> dict[str, Any]:
    """The audit block of a job that was under way, with one delivery more; in the form of `JobEngine.amend`."""
    before = summary.get("audit")
    before = before if isinstance(before, Mapping) else {**block, "repos": [], "deliveryIds": []}

    def with_more(name: str, more: list[str]) -> list[str]:
        known = before.get(name)
        return list(dict.fromkeys([*(known if isinstance(known, list) else []), *more]))[-200:]

    return {
        "audit": {
            **before,
            "repos": with_more("repos", block["repos"]),
            "deliveryIds": with_more("deliveryIds", block["deliveryIds"]),
            "matchedServiceIds": with_more("matchedServiceIds", block["matchedServiceIds"]),
            "reusedJobIds": with_more("reusedJobIds", [job_id] if job_id else []),
        }
    }
