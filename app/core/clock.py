"""The one place that asks what time it is, so that tests can answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final


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


class LocalTime(tzinfo):
    """The time zone of the process as the system knows it, with its summer time: what "03:00" means to its owner."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        """How far this wall-clock time is from UTC."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, dt: datetime | None) -> timedelta | None:
        """Not told apart from the offset."""
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        """Its short name, like CEST."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, dt: datetime) -> datetime:
        """The wall-clock time; `fold` tells the second of two equal ones apart."""
        there = dt.replace(tzinfo=UTC).astimezone()
        second = there.replace(tzinfo=None).astimezone().utcoffset() != there.utcoffset()
        return there.replace(tzinfo=self, fold=int(second))


LOCAL_TIME: Final = LocalTime()
