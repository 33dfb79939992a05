"""What every page needs: a frame, errors, ids, and text nobody should trust."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.core.errors import AuthRequired, Conflict, DockrevError
from app.core.web.frame import Frame, NavLink, Pill, Toast

NOW = datetime(2026, 11, 22, 14, 39, 1, tzinfo=UTC)


EVIL = "<script>alert('x')</script>\x1b[31mred\x1b[0m\"'&{{7*7}}\u202e" + "long" * 120


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def uid(prefix: str, number: int) -> str:
    return f"{prefix}_01JD9K4W7MZ0000000{number:08d}"


def digest(number: int) -> str:
    return "sha256:" + f"{number * 2654435761 % 2**64:016x}" * 4


def frame(**changes: Any) -> Frame:
    values: dict[str, Any] = {
        "nav": [
            NavLink("/", "Overview", "n-over", True),
            NavLink("/services", "Services", "n-serv"),
            NavLink("/version-inference", "Inference", "hint", wide=True),
            NavLink("/queue", "Jobs", "n-jobs"),
        ],
        "user": "robin",
        "pill": Pill(uid("job", 42), "pull", 62.4),
        "topics": ["services", "jobs"],
        "version": "0.1.0",
    }
    return Frame(**(values | changes))


def context(**more: Any) -> dict[str, Any]:
    return {"frame": frame(), "csrf_token": "t0ken-t0ken-t0ken-t0ken", **more}


def toast() -> Toast:
    return Toast("Update of worker started", href="/queue/" + uid("job", 42), link="Job #000042")


def refusal(**changes: Any) -> AuthRequired:
    details: dict[str, Any] = {
        "reason": "identity_missing",
        "message": "forward auth identity is missing",
        "forwardHeaderName": "X-Forwarded-User",
        "groupHeaderName": "Remote-Groups",
        "allowedUserMasked": "ro***in",
        "allowedGroupMasked": None,
        "currentUser": None,
        "currentGroups": [],
        "avatarUrl": None,
        "authorizationMode": "user_or_group",
    }
    return AuthRequired("auth required", hint="Reach Dockrev through your proxy.", details=details | changes)


def error(message: str = "target digest no longer matches latest scan (rescan required)") -> DockrevError:
    return Conflict(
        message,
        hint="Check the service again and look at the new evidence.",
        details={"existingJobId": uid("job", 42), "field": "targetDigest"},
    )
