"""What one registry host allows: concurrency, rate limits, cool-down, quota (spec §7.3)."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

from app.adapters.registry.errors import RegistryCoolingDown, RegistryTimeout
from app.adapters.registry.store import StoredHost
from app.core.clock import Clock, rfc3339

PER_HOST = 7
# A host that swallows packets would cost every image the full timeout. After this many in a row, the images
# queued behind fail at once for a moment; too short for a person to notice, long enough to end a check.
_TIMEOUTS_IN_A_ROW = 3
_GIVE_UP_SECONDS = 5.0
# A quota is a number of its window: once that is over, the number says nothing.
_LONGEST_WINDOW = timedelta(days=1)
_QUOTA = re.compile(r"\s*(\d{1,9})(?!\d)\s*(?:;\s*w=(\d{1,9}))?")

AuthKind = Literal["unknown", "anonymous", "basic", "token"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Answers to 429: at most `max_attempts` retries, waits in milliseconds, then a cool-down in seconds."""

    max_attempts: int = 3
    base_ms: int = 250
    max_ms: int = 2000
    cooldown_seconds: int = 21600

    def delay(self, retry: int, retry_after: float | None, jitter: Callable[[], float] = random.random) -> float:
        """Seconds to wait before retry number `retry` (from 0): what the host asked for, else growing; capped."""
        cap = self.max_ms / 1000
        if retry_after is not None:
            return min(retry_after, cap)
        base = self.base_ms / 1000
        return min(base * 2.0 ** min(retry, 30) + jitter() * base / 2, cap)


@dataclass(frozen=True, slots=True)
class HostState:
    """A registry host as overview and metrics show it. `window` is in seconds; the quota is as of `quota_at`."""

    host: str
    remaining: int | None
    limit: int | None
    window: int | None
    quota_source: str | None
    cooling_until: datetime | None
    last_ok_at: datetime | None
    last_error: str | None
    latency_ms: float | None
    auth: AuthKind
    quota_at: datetime | None = None


class HostGate:
    """The state and the concurrency permits of one host. What must outlive the process is given to `remember`."""

    def __init__(
        self, host: str, policy: RetryPolicy, clock: Clock, remember: Callable[[StoredHost], None] = lambda _: None
    ) -> None:
        self.host = host
        self.policy = policy
        self.permits = asyncio.Semaphore(PER_HOST)
        self.auth: AuthKind = "unknown"
        self._clock = clock
        self._remember = remember
        self._quota: tuple[int | None, int | None, int | None] = (None, None, None)
        self._quota_source: str | None = None
        self._quota_at: datetime | None = None
        self._cooling_until: datetime | None = None
        self._cooling_since = float("-inf")
        self._timeouts = 0
        self._last_timeout = float("-inf")
        self._last_ok_at: datetime | None = None
        self._last_error: str | None = None
        self._latency_ms: float | None = None

    @property
    def cooling_until(self) -> datetime | None:
        """End of the cool-down, or None when there is none now."""
        if self._cooling_until and self._cooling_until <= self._clock.now():
            self._cooling_until = None
        return self._cooling_until

    def admit(self, *, background: bool) -> None:
        """Raise when the host should not even be asked: resting (background only), or silent a moment ago."""
        until = self.cooling_until
        if until and background:
            raise RegistryCoolingDown(
                f"{self.host} limited the rate; background checks rest until {rfc3339(until)[:16]}Z",
                hint="Log in to the registry for a higher limit, or check this service by hand.",
            )
        silent = self._clock.monotonic() - self._last_timeout < _GIVE_UP_SECONDS
        if self._timeouts >= _TIMEOUTS_IN_A_ROW and silent:
            raise RegistryTimeout(f"{self.host} does not answer", hint="Check the network and the registry.")

    def retries_after_429(self) -> int:
        """A person may ask a resting host once; only a host in good standing is asked again and again."""
        return 0 if self.cooling_until else self.policy.max_attempts

    def cool_down(self, retry_after: float | None) -> None:
        """Start (or prolong) the rest after a final 429."""
        seconds = min(max(float(self.policy.cooldown_seconds), retry_after or 0.0), 7 * 86400.0)
        self._cooling_until = self._clock.now() + timedelta(seconds=seconds)
        self._cooling_since = self._clock.monotonic()
        self._remember(self._kept())

    def restore(self, known: StoredHost) -> None:
        """Take up what an earlier process knew; what this one learnt already is newer."""
        if self._cooling_until is None:
            self._cooling_until = known.cooling_until
        if self._quota_at is None:
            self._quota = (known.limit, known.remaining, known.window)
            self._quota_source, self._quota_at = known.quota_source, known.quota_at

    @property
    def notable(self) -> bool:
        """Whether there is something to tell of a host that nobody asked yet: a rest, or a quota."""
        return self.cooling_until is not None or self._quota_now()[1] is not None

    def answered(self, headers: Mapping[str, str], started: float) -> None:
        """Note an answer of any status: the quota in its headers and how long it took."""
        self._timeouts = 0
        self._read_quota(headers)
        took = (self._clock.monotonic() - started) * 1000
        self._latency_ms = took if self._latency_ms is None else self._latency_ms * 0.7 + took * 0.3

    def succeeded(self, started: float) -> None:
        """Note a useful answer; one to a request sent after the cool-down began proves that it is over."""
        self._last_ok_at = self._clock.now()
        self._last_error = None
        if self._cooling_until and started >= self._cooling_since:
            self._cooling_until = None
            self._remember(self._kept())

    def failed(self, message: str, *, timeout: bool = False) -> None:
        """Note a failure for the page; timeouts also count towards giving up early."""
        self._last_error = message
        if timeout:
            self._timeouts += 1
            self._last_timeout = self._clock.monotonic()

    def state(self) -> HostState:
        """A snapshot."""
        limit, remaining, window = self._quota_now()
        return HostState(
            host=self.host,
            remaining=remaining,
            limit=limit,
            window=window,
            quota_source=self._quota_source,
            cooling_until=self.cooling_until,
            last_ok_at=self._last_ok_at,
            last_error=self._last_error,
            latency_ms=self._latency_ms,
            auth=self.auth,
            quota_at=self._quota_at if remaining is not None else None,
        )

    def _quota_now(self) -> tuple[int | None, int | None, int | None]:
        """Limit, remaining, window; nothing once the window it was counted in is over."""
        window = self._quota[2]
        lasts = min(timedelta(seconds=window), _LONGEST_WINDOW) if window else _LONGEST_WINDOW
        if self._quota_at is None or self._clock.now() - self._quota_at > lasts:
            return (None, None, None)
        return self._quota

    def _kept(self) -> StoredHost:
        limit, remaining, window = self._quota
        return StoredHost(self.host, self._cooling_until, remaining, limit, window, self._quota_source, self._quota_at)

    def _read_quota(self, headers: Mapping[str, str]) -> None:
        remaining = _QUOTA.match(headers.get("ratelimit-remaining", ""))
        if not remaining:
            return
        limit = _QUOTA.match(headers.get("ratelimit-limit", ""))
        window = remaining.group(2) or (limit.group(2) if limit else None)
        self._quota = (int(limit.group(1)) if limit else None, int(remaining.group(1)), int(window) if window else None)
        self._quota_source = headers.get("docker-ratelimit-source", "")[:100] or self._quota_source
        self._quota_at = self._clock.now()
        self._remember(self._kept())


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After of seconds or of an HTTP date; None when absent or nonsense, never negative."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
