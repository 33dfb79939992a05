"""Hand-over between a thread and the event loop, bounded in both directions, ended from either side."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

from app.adapters.engine.connection import Wire

T = TypeVar("T")


class Inflow(Generic[T]):
    """From a thread to the loop. The thread waits while `size` items lie unread."""

    def __init__(self, size: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._size = size
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._ready = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None
        self._abandoned = False

    def pour(self, produce: Callable[[], Iterable[T]]) -> None:
        """In the thread: hand over all that is produced, then end; an error on the way reaches the reader."""
        error: BaseException | None = None
        try:
            for item in produce():
                if not self._put(item):
                    return
        except BaseException as exc:
            error = exc
        finally:
            with self._changed:
                self._ended, self._error = True, error
            self._wake()

    def _put(self, item: T) -> bool:
        with self._changed:
            while len(self._items) >= self._size and not self._abandoned:
                self._changed.wait()
            if self._abandoned:
                return False
            self._items.append(item)
        return self._wake()

    def _wake(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:  # the loop is gone, and the reader with it
            return False
        return True

    async def take(self) -> list[T]:
        """On the loop: all items that lie ready, at least one; an empty list after the last. Raises the
        thread's error."""
        while True:
            with self._changed:
                if self._items:
                    items = list(self._items)
                    self._items.clear()
                    self._changed.notify_all()
                    return items
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    return []
                self._ready.clear()
            await self._ready.wait()

    def abandon(self) -> None:
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify_all()


class Aborted(Exception):
    """The side that writes gave up; the thread must not take what it has for the whole."""


class Outflow(Generic[T]):
    """From the loop to a thread, which iterates over it. The loop waits while `size` items lie unread."""

    def __init__(self, size: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._size = size
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._room = asyncio.Event()
        self._ended = False
        self._aborted = False
        self._unread = False

    async def put(self, item: T) -> bool:
        """On the loop: hand over one item; False when the thread no longer reads."""
        while True:
            with self._changed:
                if self._unread:
                    return False
                if len(self._items) < self._size:
                    self._items.append(item)
                    self._changed.notify_all()
                    return True
                self._room.clear()
            await self._room.wait()

    def end(self, *, aborted: bool = False) -> None:
        """On the loop: nothing more will come; `aborted` makes the reader fail instead of finish."""
        with self._changed:
            self._ended, self._aborted = True, self._aborted or aborted
            self._changed.notify_all()

    def stop_reading(self) -> None:
        """In the thread: no further item is wanted."""
        with self._changed:
            self._unread = True
        self._wake()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                while not self._items and not self._ended:
                    self._changed.wait()
                if self._aborted:
                    raise Aborted
                if not self._items:
                    return
                item = self._items.popleft()
            self._wake()
            yield item

    def _wake(self) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._room.set)


class Streams:
    """The streams under way, each a daemon thread with a wire that ends it."""

    def __init__(self) -> None:
        self._running: dict[threading.Thread, Wire] = {}
        self._lock = threading.Lock()

    def start(self, name: str, work: Callable[[], None], wire: Wire) -> threading.Thread:
        """Run `work` in a thread of its own until it returns; `wire.cut()` must make it return."""

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._running.pop(thread, None)

        thread = threading.Thread(target=run, name=f"engine-{name}", daemon=True)
        with self._lock:
            self._running[thread] = wire
        thread.start()
        return thread

    async def read(self, name: str, produce: Callable[[Wire], Iterable[T]], size: int) -> AsyncGenerator[list[T], None]:
        """Batches of what `produce` yields in a thread. Ending the iteration ends the thread."""
        wire = Wire()
        inflow: Inflow[T] = Inflow(size)
        self.start(name, lambda: inflow.pour(lambda: produce(wire)), wire)
        try:
            while batch := await inflow.take():
                yield batch
        finally:
            wire.cut()
            inflow.abandon()

    def cut(self) -> list[threading.Thread]:
        """End all streams; the threads that are about to finish."""
        with self._lock:
            running = dict(self._running)
        for wire in running.values():
            wire.cut()
        return list(running)
