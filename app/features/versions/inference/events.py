"""What the worker tells: the ring of spec §6.4, and one hint to the pages that something changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from app.core.clock import Clock, rfc3339
from app.core.events import EntitiesChanged, EventBus
from app.features.versions.inference.queue import Key, ScanProgress, Task
from app.features.versions.inference.ring import EventRing
from app.features.versions.records import Snapshot

PROGRESS_INTERVAL: Final = 0.2  # seconds between two progress events of one task (spec §7.6)


def progress_document(progress: ScanProgress) -> dict[str, Any]:
    """The JSON of spec §5.2."""
    result, assigned = _percent(progress.finished, progress.total), _percent(progress.assigned, progress.total)
    return {
        "phase": progress.phase,
        "message": progress.message,
        "current": progress.finished,
        "total": progress.total,
        "percent": result,
        "assignedCurrent": progress.assigned,
        "assignedTotal": progress.total,
        "assignedPercent": assigned,
        "resultCurrent": progress.finished,
        "resultTotal": progress.total,
        "resultPercent": result,
        "updatedAt": rfc3339(progress.updated_at) if progress.updated_at else None,
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


class Reporter:
    """Writes the worker's events, progress at most every 200 ms per task."""

    def __init__(self, ring: EventRing, bus: EventBus, clock: Clock) -> None:
        self._ring = ring
        self._bus = bus
        self._clock = clock
        self._told: dict[Key, tuple[float, str]] = {}

    def enqueued(self, task: Task) -> None:
        """A task waits."""
        self._tell("task_enqueued", task)

    def upgraded(self, task: Task, before: str) -> None:
        """A task became more urgent."""
        self._tell("task_reason_upgraded", task, fromReason=before)

    def started(self, task: Task) -> None:
        """A worker took it."""
        self._tell("task_started", task)

    def progress(self, task: Task) -> None:
        """How far it is; a change of phase is always told."""
        assert task.progress is not None
        now = self._clock.monotonic()
        at, phase = self._told.get(task.key, (0.0, ""))
        if phase == task.progress.phase and now - at < PROGRESS_INTERVAL:
            return
        self._told[task.key] = (now, task.progress.phase)
        self._tell("task_progress", task, **progress_document(task.progress))

    def finished(self, task: Task, snapshot: Snapshot, error: str) -> None:
        """The answer is kept; `error` says why it could not be found out."""
        facts: dict[str, Any] = {"error": error} if error else {"scan": snapshot.scan.document()}
        self._told.pop(task.key, None)
        self._tell(
            "task_finished",
            task,
            status="error" if error else "success",
            checkedAt=rfc3339(snapshot.checked_at),
            allFailed=snapshot.all_failed,
            **facts,
        )

    def broken(self, task: Task, error: str) -> None:
        """Dockrev itself could not do it; nothing was kept."""
        self._told.pop(task.key, None)
        now = rfc3339(self._clock.now())
        self._tell("task_finished", task, status="error", checkedAt=now, allFailed=True, error=error)

    def gc_ran(self, document: dict[str, Any]) -> None:
        """Old snapshots were cleared away."""
        self._ring.append({"type": "gc_ran", "ts": rfc3339(self._clock.now()), **document})
        self._bus.publish(EntitiesChanged("inference"))

    def _tell(self, kind: str, task: Task, **members: Any) -> None:
        key = task.key
        base = {"type": kind, "ts": rfc3339(self._clock.now()), "key": str(key), **_key_members(task)}
        self._ring.append({**base, **members})
        self._bus.publish(EntitiesChanged("inference", frozenset({f"{key.image_repo}@{key.host_platform}"})))


def _key_members(task: Task) -> dict[str, Any]:
    repo, digest, platform = task.key
    return {"imageRepo": repo, "digest": digest, "hostPlatform": platform, "reason": task.reason.value}


def iso(moment: datetime | None) -> str | None:
    """RFC 3339 or nothing."""
    return None if moment is None else rfc3339(moment)
