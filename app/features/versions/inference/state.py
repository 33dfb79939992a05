"""Where the versions of a service stand: known, or still being found out (spec §5.2 `versionInference`). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from app.features.versions.inference.queue import Key, Reason, Task
from app.features.versions.inference.snapshots import SnapshotAge
from app.features.versions.records import VersionInference

# What a task's reason is called on a service; the others are ways of not having a snapshot.
_TOLD: Final = {
    Reason.FORCE: "force",
    Reason.NEW_VERSION: "new_version",
    Reason.UPDATE_DIGEST_CHANGED: "new_version",
    Reason.RUNTIME_SCAN_DIGEST_CHANGED: "new_version",
}


def key_state(age: SnapshotAge | None, task: Task | None, now: datetime) -> VersionInference:
    """The state of one digest.

    A usable answer stays `ready` while somebody has it refreshed by force; a stale or failed one is `pending`,
    because its refresh is queued whenever it is read.
    """
    if age is None:
        reason = "cache_miss" if task is None else "running" if task.status == "running" else _TOLD.get(task.reason)
        return VersionInference("pending", reason or "cache_miss")
    if age.all_failed:
        return VersionInference("pending", "all_failed", age.checked_at)
    if not age.fresh(now):
        return VersionInference("pending", "cache_stale", age.checked_at)
    if task is not None and task.reason is Reason.FORCE:
        return VersionInference("ready", "force", age.checked_at)
    return VersionInference("ready", None, age.checked_at)


def service_state(
    keys: Sequence[Key], ages: Mapping[Key, SnapshotAge], task_of: Callable[[Key], Task | None], now: datetime
) -> VersionInference:
    """The state of a service: pending as long as one of its digests is; without keys nothing is required."""
    if not keys:
        return VersionInference("ready", "not_required")
    states = [key_state(ages.get(key), task_of(key), now) for key in keys]
    return next((state for state in states if state.status == "pending"), states[0])
