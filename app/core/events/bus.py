"""Publish and subscribe inside one process.

Two kinds of listeners: *reactions* (an async function per event type, run as a task of its own) and *subscriptions*
(a bounded queue, for streams to browsers; one that is not emptied fast enough is closed, never buffered without end).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog

log = structlog.get_logger(__name__)

RECENT: Final = 50  # events kept for who comes a moment late


class Event:
    """Base of all events; subclasses are frozen dataclasses named in the past tense."""


@dataclass(frozen=True, slots=True)
class EntitiesChanged(Event):
    """Something a page may show has changed: invalidation only, never state (spec §6.6).

    `domain` is one of `services`, `stacks`, `jobs`, `inference`, `engine`, `notifications`; `ids` may be empty for "all
    of them".
    """

    domain: str
    ids: frozenset[str] = frozenset()


E = TypeVar("E", bound=Event)


class Subscription:
    """A bounded queue of events; `lost` is set when it overflowed, and then it yields nothing more."""

    def __init__(self, maxsize: int) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue(maxsize)
        self.lost = False

    def offer(self, event: Event) -> None:
        """Hand an event over without waiting."""
        if self.lost:
            return
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.lost = True

    async def next(self, timeout: float) -> Event | None:
        """The next event, or None after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self._queue.get()
        except TimeoutError:
            return None

    def drain(self) -> list[Event]:
        """Everything waiting, without waiting."""
        events: list[Event] = []
        while not self._queue.empty():
            events.append(self._queue.get_nowait())
        return events

    async def __aiter__(self) -> AsyncIterator[Event]:
        while not self.lost:
            yield await self._queue.get()


class EventBus:
    """See the module. `publish` never blocks and never raises."""

    def __init__(self) -> None:
        self._reactions: dict[type[Event], list[Callable[[Any], Awaitable[None]]]] = {}
        self._subscriptions: set[Subscription] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._recent: deque[tuple[float, Event]] = deque(maxlen=RECENT)

    @property
    def listeners(self) -> int:
        """How many streams listen, for the metrics."""
        return len(self._subscriptions)

    def on(self, kind: type[E], reaction: Callable[[E], Awaitable[None]]) -> None:
        """Run `reaction` for every event of `kind`; its failure is logged and harms nobody else."""
        self._reactions.setdefault(kind, []).append(reaction)

    def publish(self, event: Event) -> None:
        """Tell everybody."""
        self._recent.append((time.monotonic(), event))
        for subscription in self._subscriptions:
            subscription.offer(event)
        for reaction in self._reactions.get(type(event), ()):
            # in a context of its own: nobody's language, nobody's transaction
            task = asyncio.get_running_loop().create_task(self._react(reaction, event), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _react(self, reaction: Callable[[Any], Awaitable[None]], event: Event) -> None:
        try:
            await reaction(event)
        except Exception:
            log.exception("event reaction failed", event_type=type(event).__name__)

    @contextmanager
    def subscribe(self, maxsize: int = 256, since: float = 0.0) -> Iterator[Subscription]:
        """A queue of everything published while the block runs, and in the `since` seconds before: for a page that was
        read a moment before it could listen."""
        subscription = Subscription(maxsize)
        for at, event in self._recent:
            if since and time.monotonic() - at <= since:
                subscription.offer(event)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def settle(self) -> None:
        """Wait until every reaction under way has ended (for shutdown and tests)."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
