"""The worker's events: numbered from 1, the latest 2000 kept, nothing persisted (spec §6.4)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

import anyio

RING_SIZE: Final = 2000
EVENT_NAME: Final = "version_inference_event"
_POLL_SECONDS: Final = 1.0  # a stream looks at least this often whether the server is closing


class EventRing:
    """Appended by the worker, read by any number of streams, each at its own pace."""

    def __init__(self, size: int = RING_SIZE) -> None:
        self._events: deque[tuple[int, dict[str, Any]]] = deque(maxlen=size)
        self._latest = 0
        self._waiters: set[asyncio.Event] = set()

    @property
    def latest(self) -> int:
        """Id of the newest event; 0 before the first."""
        return self._latest

    @property
    def oldest(self) -> int:
        """Id of the oldest event still here; the next id while there is none."""
        return self._events[0][0] if self._events else self._latest + 1

    def append(self, document: dict[str, Any]) -> int:
        """Keep an event and wake the streams; returns its id."""
        self._latest += 1
        self._events.append((self._latest, document))
        for waiter in self._waiters:
            waiter.set()
        return self._latest

    def after(self, last: int) -> list[tuple[int, dict[str, Any]]]:
        """Events newer than `last`, in order."""
        missing = self._latest - max(last, self.oldest - 1)
        if missing <= 0:
            return []
        return [self._events[index] for index in range(len(self._events) - missing, len(self._events))]

    def gap(self, after: int) -> dict[str, Any] | None:
        """`resync_required` when not everything after that id can be told: too old, or of an earlier process."""
        if after == 0 or self.oldest - 1 <= after <= self._latest:
            return None
        return {
            "type": "resync_required",
            "requestedAfterId": after,
            "oldestAvailableId": self.oldest,
            "latestEventId": self._latest,
            "reason": "buffer_overflow",
        }

    async def follow(self, after: int, closing: anyio.Event) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        """Events after a resume point, then new ones as they come, until the server closes.

        Without a resume point (0) it begins with what the ring still holds. A reader that fell behind the ring is told
        to resync and goes on with the newest.
        """
        last = after
        awake = asyncio.Event()
        self._waiters.add(awake)
        try:
            while not closing.is_set():
                if (gap := self.gap(last)) is not None:
                    last = self._latest
                    yield last, gap
                awake.clear()
                for event_id, document in self.after(last):
                    last = event_id
                    yield event_id, document
                try:
                    async with asyncio.timeout(_POLL_SECONDS):
                        await awake.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiters.discard(awake)
