"""The callback URL, and whether a hook on GitHub is ours (spec §9.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from app.adapters.github import EVENT, Hook
from app.core.errors import InvalidArgument

MAX_URL: Final = 2048
CALLBACK_PATH: Final = "/api/webhooks/github-packages"
_PORTS: Final = {"http": 80, "https": 443}


def callback_url(text: str) -> str:
    """The URL trimmed, or blank; raises `invalid callbackUrl` for what GitHub could not call."""
    url = text.strip()
    if not url:
        return ""
    parts = _split(url)
    if (
        parts is None
        or len(url) > MAX_URL
        or not url.isprintable()
        or any(char in url for char in ' "<>\\^`{|}')
        or "@" in parts.netloc
    ):
        raise _invalid(url)
    return url


def require_callback(text: str) -> str:
    """The stored URL when it can be used; raises `callbackUrl is required` or `invalid callbackUrl`."""
    url = callback_url(text)
    if not url:
        raise InvalidArgument(
            "callbackUrl is required",
            hint="Store the public address of this Dockrev's /api/webhooks/github-packages first.",
            details={"field": "callbackUrl"},
        )
    return url


def same_url(one: str, other: str) -> bool:
    """Scheme and host without regard to case; a default port and one slash at the end do not count, nor a fragment."""
    left, right = _split(one), _split(other)
    return left is not None and right is not None and _normal(left) == _normal(right)


def ours(hooks: Iterable[Hook], url: str) -> list[Hook]:
    """The hooks that send packages to this URL."""
    return [hook for hook in hooks if EVENT in hook.events and same_url(hook.url, url)]


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _normal(parts: SplitResult) -> tuple[str, str, str | None, int, str, str]:
    user, at, _ = parts.netloc.rpartition("@")
    port = parts.port or _PORTS[parts.scheme]
    return parts.scheme, parts.hostname or "", user if at else None, port, parts.path.removesuffix("/"), parts.query


def _invalid(url: str) -> InvalidArgument:
    return InvalidArgument(
        "invalid callbackUrl",
        hint="Give an absolute address such as https://dockrev.example/api/webhooks/github-packages.",
        details={"field": "callbackUrl", "callbackUrl": url[:200]},
    )
