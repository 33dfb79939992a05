"""What can go wrong with the engine.

AdapterError
└── EngineError
    ├── EngineUnreachable   nobody answers; another try can help. details: endpoint, reason
    ├── NoSuchContainer
    ├── NoSuchImage
    ├── PullFailed          reason: rate_limited | auth | not_found | no_space | timeout | other
    └── EngineRefused       any other 4xx/5xx or an answer nobody can read. details: status
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from app.core.errors import AdapterError

PullReason = Literal["rate_limited", "auth", "not_found", "no_space", "timeout", "other"]

MAX_TOLD_CHARS = 500


class EngineError(AdapterError):
    """Base of this adapter's errors."""

    code: ClassVar[str] = "engine"


class EngineUnreachable(EngineError):
    """The engine does not answer. `details.reason` is stable, the message names the endpoint and the cause."""

    code = "engine_unreachable"
    status = 503


class NoSuchContainer(EngineError):
    code = "not_found"
    status = 404


class NoSuchImage(EngineError):
    code = "not_found"
    status = 404


class EngineRefused(EngineError):
    """The engine answered, and said no. `http_status` is 0 when the answer could not be read."""

    code = "engine_refused"

    def __init__(self, message: str, *, http_status: int = 0, permanent: bool = True, hint: str = "") -> None:
        super().__init__(message, permanent=permanent, hint=hint, details={"status": http_status})
        self.http_status = http_status


class PullFailed(EngineError):
    """A pull did not bring the image. Only `timeout` and `other` are worth another try (spec §7.8)."""

    code = "pull_failed"

    def __init__(self, ref: str, reason: PullReason, told: str) -> None:
        headline = "registry rate limited" if reason == "rate_limited" else told or "no reason given"
        super().__init__(
            f"Pulling {ref} failed: {headline}",
            permanent=reason not in ("timeout", "other"),
            hint=_PULL_HINTS[reason],
            details={"ref": ref, "reason": reason},
        )
        self.ref = ref
        self.reason: PullReason = reason


_PULL_HINTS: dict[PullReason, str] = {
    "rate_limited": "Wait until the registry's limit is over, or log in to it to get a higher one.",
    "auth": "Check that the image exists and that DOCKREV_DOCKER_CONFIG holds a login for its registry.",
    "not_found": "The tag or digest is not in the registry (any more), or not for this host's platform.",
    "no_space": "Make room on the engine's disk, for example with `docker image prune`.",
    "timeout": "The registry was too slow; try again, or look at the network of the host.",
    "other": "Look at the job's log and at the engine's log.",
}

_PULL_REASONS: tuple[tuple[PullReason, tuple[str, ...]], ...] = (
    ("rate_limited", ("toomanyrequests", "too many requests", "rate limit", "rate-limit", "pull limit")),
    ("no_space", ("no space left", "disk quota exceeded", "not enough space")),
    ("not_found", ("manifest unknown", "not found", "name unknown", "no matching manifest", "manifest_unknown")),
    ("auth", ("unauthorized", "access denied", "authentication required", "no basic auth", "denied", "forbidden")),
    ("timeout", ("timeout", "timed out", "deadline exceeded")),
)


def classify_pull(told: str) -> PullReason:
    """The reason behind an engine's words about a failed pull."""
    lowered = told.lower()
    return next((reason for reason, words in _PULL_REASONS if any(w in lowered for w in words)), "other")


def clean_told(text: object) -> str:
    """What the other side said, on one bounded line: no tags of a proxy's error page, no control characters."""
    told = str(text or "")[: 10 * MAX_TOLD_CHARS]
    if "<html" in told.lower() or "<body" in told.lower():
        told = re.sub(r"<[^>]{0,200}>", " ", told)
    told = re.sub(r"(?<=://)[^/\s@]*@", "", told)
    return " ".join("".join(c if c.isprintable() else " " for c in told).split())[:MAX_TOLD_CHARS]


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """The exception and everything it wraps: causes, contexts, arguments (urllib3) and `reason` attributes."""
    pending, seen = [exc], set[int]()
    while pending:
        current = pending.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        pending.extend(e for e in inner if isinstance(e, BaseException))


def _why_unreachable(exc: BaseException) -> tuple[str, str]:
    """(stable reason, words) for a failed connection."""
    for inner in _chain(exc):
        name = type(inner).__name__
        if isinstance(inner, socket.gaierror) or name == "NameResolutionError":
            return "unknown_host", "its host name cannot be resolved"
        if isinstance(inner, TimeoutError) or name in ("ReadTimeout", "ReadTimeoutError", "ConnectTimeout"):
            return "timeout", "no answer in time"
        if "SSL" in name or "TLS" in name:
            return "tls", "the TLS handshake failed"
        if isinstance(inner, OSError) and inner.errno in _OS_REASONS:
            return _OS_REASONS[inner.errno]
    return "lost", "the connection was lost"


_OS_REASONS: dict[int | None, tuple[str, str]] = {
    errno.EACCES: ("permission_denied", "permission denied"),
    errno.EPERM: ("permission_denied", "permission denied"),
    errno.ENOENT: ("no_such_file", "no such file or directory"),
    errno.ENOTDIR: ("no_such_file", "no such file or directory"),
    errno.ENOTSOCK: ("not_a_socket", "it is not a socket"),
    errno.ECONNREFUSED: ("refused", "connection refused"),
    errno.EHOSTUNREACH: ("no_route", "no route to the host"),
    errno.ENETUNREACH: ("no_route", "no route to the network"),
}


def _remedy(endpoint: str, reason: str) -> str:
    unix = endpoint.startswith("unix://")
    if reason == "permission_denied":
        group = _socket_group(endpoint)
        return f"Let Dockrev's user use the socket: run the container with --group-add {group}, or as root."
    if reason == "no_such_file":
        return (
            "Start the engine, and when Dockrev runs in a container mount the socket into it "
            "(/var/run/docker.sock), or set DOCKER_HOST to where the engine listens."
        )
    if reason == "refused":
        return "Start the engine (systemctl start docker)." if unix else "Start the engine or the socket proxy there."
    if reason in ("unknown_host", "no_route"):
        return "Check DOCKER_HOST, and that Dockrev shares a network with that host."
    if reason == "tls":
        return "Check DOCKER_TLS_VERIFY and the certificates in DOCKER_CERT_PATH."
    return "Check that the engine is running and not overloaded; Dockrev tries again by itself."


def _socket_group(endpoint: str) -> str:
    try:
        return str(Path(endpoint.removeprefix("unix://")).stat().st_gid)
    except OSError:
        return "<group id of the socket>"


def unreachable(exc: BaseException, endpoint: str) -> EngineUnreachable:
    reason, words = _why_unreachable(exc)
    return EngineUnreachable(
        f"The Docker engine at {endpoint} cannot be reached: {words}",
        permanent=False,
        hint=_remedy(endpoint, reason),
        details={"endpoint": endpoint, "reason": reason},
    )


def version_refused(error: EngineError) -> bool:
    """Whether the engine turned down the API version spoken to it, which a new negotiation mends."""
    return isinstance(error, EngineRefused) and error.http_status == 400 and "client version" in error.message


def refused(status: int, told: str, about: str) -> EngineError:
    """The error for an answer with an HTTP status of 4xx or 5xx; `about` names the object asked for."""
    lowered = told.lower()
    if status == 404 and "no such container" in lowered:
        return NoSuchContainer(f"The engine has no container {about}".rstrip(), details={"container": about})
    if status == 404 and ("no such image" in lowered or "image not known" in lowered):
        return NoSuchImage(f"The engine has no image {about}".rstrip(), details={"image": about})
    hint = ""
    if status in (401, 403):
        hint = (
            "A socket proxy stands in front of the engine and forbids this call: allow CONTAINERS, IMAGES, NETWORKS, "
            "VOLUMES, PING, VERSION and POST, and for comfort EVENTS and INFO (docs/deploy says what each is for)."
        )
    elif "no space left" in lowered:
        hint = _PULL_HINTS["no_space"]
    message = f"The Docker engine refused ({status}): {told or 'no reason given'}"
    return EngineRefused(message, http_status=status, permanent=status < 500, hint=hint)


def translate(exc: BaseException, *, endpoint: str, about: str = "") -> EngineError:
    """Any exception of the SDK and what lies below it as one of ours."""
    import requests.exceptions as http
    from docker import errors as sdk

    if isinstance(exc, EngineError):
        return exc
    if isinstance(exc, sdk.APIError) and exc.response is not None:
        return refused(int(exc.response.status_code), clean_told(exc.explanation), about)
    if isinstance(exc, sdk.TLSParameterError):
        return unreachable(exc, endpoint)
    if isinstance(exc, sdk.DockerException) and isinstance(exc.__cause__, sdk.APIError):
        return translate(exc.__cause__, endpoint=endpoint, about=about)
    if isinstance(exc, sdk.InvalidVersion):
        hint = "Update the engine: Dockrev needs API 1.41 (Docker 20.10) or newer."
        return EngineRefused(clean_told(exc), http_status=0, hint=hint)
    # Every error of requests is an OSError, also the one about a body that is no JSON.
    garbled = isinstance(exc, http.InvalidJSONError | http.ContentDecodingError)
    if not garbled and any(isinstance(e, OSError) for e in _chain(exc)):
        return unreachable(exc, endpoint)
    return EngineRefused(f"The answer of the Docker engine at {endpoint} makes no sense: {clean_told(exc)}")
