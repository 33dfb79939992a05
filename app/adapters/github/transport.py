"""One request to GitHub's API: headers, timeout, size limit, redirects of renamed repositories, and what a no means."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from app.adapters.github.errors import (
    GitHubDenied,
    GitHubError,
    GitHubNotFound,
    GitHubRateLimited,
    GitHubRefused,
    GitHubTimeout,
    GitHubUnreachable,
)

if TYPE_CHECKING:
    from app.adapters._httpx import httpx

SECONDS: Final = 12.0  # spec §9.3
MAX_BODY: Final = 8_000_000
SECONDARY_SECONDS: Final = 60.0  # what GitHub asks for when it names no time
LONGEST_WAIT: Final = 7200.0
_REDIRECTS: Final = frozenset({301, 302, 307, 308})
_MAX_REDIRECTS: Final = 3
_NEXT: Final = re.compile(r'<[^>]*>\s*;[^,]*rel="?next"?')


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer below 400; `document` is its JSON, None when there was no body."""

    status: int
    document: Any
    has_next: bool | None  # None when GitHub said nothing about pages


class Transport:
    """Sends requests with one token. `open` and `aclose` belong to the client around it."""

    def __init__(self, base_url: str, token: str | None, *, now: Callable[[], datetime], seconds: float) -> None:
        self._base = base_url.rstrip("/")
        self._token = token
        self._now = now
        self._seconds = seconds
        self._client: httpx.AsyncClient | None = None
        self.has_token = bool(token)
        self.host = urlsplit(base_url).netloc.rpartition("@")[2] or "GitHub"

    async def open(self) -> None:
        """Make the connection pool."""
        from app.adapters._httpx import httpx, trust_store

        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "Dockrev",
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        secure = self._base.startswith("https:")
        context: Any = await asyncio.to_thread(trust_store) if secure else False
        self._client = httpx.AsyncClient(
            verify=context, headers=headers, timeout=self._seconds, follow_redirects=False, trust_env=secure
        )

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def send(self, method: str, path: str, *, about: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Ask for `path` (which begins with a slash); `about` says in errors what for. Raises the GitHubError tree."""
        url = self._base + path
        for _ in range(_MAX_REDIRECTS + 1):
            status, headers, content = await self._once(method, url, body)
            if status not in _REDIRECTS:
                break
            url = self._redirected(url, headers.get("location", ""), about)
        else:
            raise GitHubRefused(f"{self.host} redirects without end: {about}", answered=status)
        if status >= 300:
            raise self._refusal(status, headers, _document(content), about)
        link = headers.get("link")
        document = _document(content) if content.strip() else None
        if document is _NOT_JSON:
            raise GitHubRefused(f"{self.host} did not answer with JSON: {about}", hint=_API_HINT, answered=status)
        return Answer(status, document, None if link is None else _NEXT.search(link[:8000]) is not None)

    async def _once(
        self, method: str, url: str, body: Mapping[str, Any] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        from app.adapters._httpx import httpx

        assert self._client is not None, "used outside of `async with`"
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream(method, url, json=body if body is not None else None) as answer,
            ):
                content = bytearray()
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > MAX_BODY:
                        raise GitHubRefused(f"{self.host} sent more than {MAX_BODY // 1_000_000} MB", hint=_API_HINT)
                return answer.status_code, answer.headers, bytes(content)
        except (TimeoutError, httpx.TimeoutException):
            # Without its cause: httpx keeps the request there, and the request has the token.
            raise GitHubTimeout(f"{self.host} did not answer within {self._seconds:g} s", hint=_LATER) from None
        except httpx.TransportError as error:
            trusted = "certificate" in str(error).lower()
            hint = "Its certificate is not trusted." if trusted else "Can this machine reach it?"
            raise GitHubUnreachable(f"{self.host} cannot be reached", hint=hint) from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError):
            raise GitHubRefused(f"{self.host} cannot be asked: its answer or address cannot be read") from None

    def _redirected(self, url: str, location: str, about: str) -> str:
        """Renamed repositories are redirected, by GitHub to itself; the token goes nowhere else."""
        from app.adapters._httpx import httpx

        try:
            target = httpx.URL(url).join(location)
        except (httpx.InvalidURL, ValueError):
            raise GitHubRefused(f"{self.host} redirects to an address that cannot be read: {about}") from None
        here = httpx.URL(url)
        if not location or (target.scheme, target.host, target.port) != (here.scheme, here.host, here.port):
            raise GitHubRefused(f"{self.host} redirects to another host: {about}", hint=_API_HINT)
        return str(target)

    def _refusal(self, status: int, headers: Mapping[str, str], document: Any, about: str) -> GitHubError:
        said = _said(document)
        told = f"{self.host} answered {status}: {about}" + (f" ({said})" if said else "")
        if status in (403, 429) and (wait := self._limited(status, headers, said)) is not None:
            return GitHubRateLimited(f"{self.host} limits requests: {about}", retry_after=wait, answered=status)
        if status >= 500 or status in (408, 425):
            return GitHubUnreachable(told, hint=_LATER, answered=status)
        if status == 401:
            return GitHubDenied(told, hint="The token is wrong or has expired: store a new one.", answered=status)
        if status == 403:
            return GitHubDenied(told, hint=_PERMISSION, answered=status)
        if status in (404, 410):
            return GitHubNotFound(told, hint="It is gone or renamed, or the token may not see it.", answered=status)
        return GitHubRefused(told, hint="Look at the webhooks of the repository on GitHub.", answered=status)

    def _limited(self, status: int, headers: Mapping[str, str], said: str) -> float | None:
        """Seconds to wait when this is a rate limit; None when it is not (spec of GitHub: primary and secondary)."""
        if (after := _seconds(headers.get("retry-after"))) is not None:
            return after
        if headers.get("x-ratelimit-remaining", "").strip() == "0":
            reset = _seconds(headers.get("x-ratelimit-reset"), cap=4e9)
            wait = (reset - self._now().timestamp()) if reset is not None else SECONDARY_SECONDS
            return min(max(wait, 1.0), LONGEST_WAIT)
        return SECONDARY_SECONDS if status == 429 or "rate limit" in said.lower() else None


_LATER: Final = "Try again later; githubstatus.com tells whether GitHub has trouble."
_API_HINT: Final = "Is the address of GitHub's API right (DOCKREV_GITHUB_API_URL)?"
_PERMISSION: Final = (
    "The token lacks a permission: repository webhooks need read and write (classic: admin:repo_hook), "
    "and an organisation may have to approve the token."
)


class _NotJson:
    """Marks a body that cannot be read."""


_NOT_JSON: Final = _NotJson()


def _document(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return _NOT_JSON


def _said(document: Any) -> str:
    """GitHub's own sentence about a failure, short and on one line."""
    message = document.get("message") if isinstance(document, Mapping) else None
    if not isinstance(message, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in message[:200]).strip()


def _seconds(text: str | None, *, cap: float = LONGEST_WAIT) -> float | None:
    if not text or not text.strip().isascii() or not text.strip().isdigit() or len(text) > 12:
        return None
    return min(float(text), cap)
