"""The inference worker's queue: one task per key, the most urgent first, one repository at a time (spec §7.6)."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NamedTuple


class Reason(StrEnum):
    """Why a digest is looked up, most urgent first."""

    FORCE = "force"
    NEW_VERSION = "new_version"
    UPDATE_DIGEST_CHANGED = "update_digest_changed"
    RUNTIME_SCAN_DIGEST_CHANGED = "runtime_scan_digest_changed"
    API_SNAPSHOT_READ_MISS = "api_snapshot_read_miss"
    CACHE_MISS = "cache_miss"
    ALL_FAILED = "all_failed"
    CACHE_STALE = "cache_stale"
    WARM_UP = "warm_up"


_URGENCY: Final = {reason: rank for rank, reason in enumerate(Reason)}


class Key(NamedTuple):
    """What a snapshot is about. A tuple: pages look up one for each service."""

    image_repo: str
    digest: str
    host_platform: str

    def __str__(self) -> str:
        return f"{self.image_repo}@{self.digest}@{self.host_platform}"


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """*assigned*: tags handed to workers; *result*: tags finished. `percent` follows the results."""

    phase: str
    message: str
    total: int = 0
    assigned: int = 0
    finished: int = 0
    updated_at: datetime | None = None


@dataclass(slots=True)
class Task:
    """A queued or running look-up."""

    key: Key
    reason: Reason
    enqueued_at: datetime
    updated_at: datetime
    status: Literal["queued", "running"] = "queued"
    started_at: datetime | None = None
    progress: ScanProgress | None = None

    def copy(self) -> Task:
        """A value for readers; the worker goes on changing its own."""
        return replace(self)


class TaskQueue:
    """Keys waiting and keys in work. Everything but `take` returns at once."""

    def __init__(self) -> None:
        self._tasks: dict[Key, Task] = {}
        self._heap: list[tuple[int, int, Key]] = []
        self._order = itertools.count()
        self._busy: set[str] = set()
        self._changed = asyncio.Condition()

    def get(self, key: Key) -> Task | None:
        """The queued or running task of a key."""
        return self._tasks.get(key)

    def tasks(self) -> list[Task]:
        """All of them: running first, then by urgency and age."""
        ordered = sorted(
            self._tasks.values(), key=lambda t: (t.status != "running", _URGENCY[t.reason], t.enqueued_at, str(t.key))
        )
        return [task.copy() for task in ordered]

    def asks_about(self, image_repo: str) -> bool:
        """Whether a look-up in a repository waits or runs."""
        return any(key.image_repo == image_repo for key in self._tasks)

    def counts(self) -> tuple[int, int]:
        """How many are queued and how many are running."""
        running = sum(task.status == "running" for task in self._tasks.values())
        return len(self._tasks) - running, running

    async def put(self, key: Key, reason: Reason, now: datetime) -> tuple[Literal["queued", "upgraded", "known"], Task]:
        """Add a task, or make the one that is there more urgent; a running one is only ever upgraded to `force`."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = Task(key, reason, now, now)
            await self._push(task)
            return "queued", task
        more_urgent = _URGENCY[reason] < _URGENCY[task.reason]
        if not more_urgent or (task.status == "running" and reason is not Reason.FORCE):
            return "known", task
        task.reason, task.updated_at = reason, now
        if task.status == "queued":
            await self._push(task)
        return "upgraded", task

    async def _push(self, task: Task) -> None:
        heapq.heappush(self._heap, (_URGENCY[task.reason], next(self._order), task.key))
        async with self._changed:
            self._changed.notify()

    async def take(self) -> Task:
        """Wait for the most urgent task whose repository nobody works on, and mark it running."""
        async with self._changed:
            while True:
                if (task := self._next()) is not None:
                    task.status = "running"
                    self._busy.add(task.key.image_repo)
                    return task
                await self._changed.wait()

    def _next(self) -> Task | None:
        """Pop the first usable entry. Entries of upgraded tasks stay in the heap twice; the second is dropped here."""
        waiting: list[tuple[int, int, Key]] = []
        found: Task | None = None
        while self._heap:
            entry = heapq.heappop(self._heap)
            task = self._tasks.get(entry[2])
            if task is None or task.status != "queued" or entry[0] != _URGENCY[task.reason]:
                continue
            if task.key.image_repo in self._busy:
                waiting.append(entry)
                continue
            found = task
            break
        for entry in waiting:
            heapq.heappush(self._heap, entry)
        return found

    async def done(self, task: Task) -> None:
        """Forget a task that ended; others of its repository may go on."""
        self._tasks.pop(task.key, None)
        self._busy.discard(task.key.image_repo)
        async with self._changed:
            self._changed.notify_all()
