"""The one place that asks what time it is, so that tests can answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, timezone-aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall clock and monotonic clock together; replaced as a whole in tests."""

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic


def rfc3339(moment: datetime) -> str:
    """`2026-05-01T10:00:00.123456Z`: fixed width, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
