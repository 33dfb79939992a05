"""The state of version inference as a whole: worker, clean-up, repositories (spec §5.2 overview)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from app.features.versions.evidence import Evidence
from app.features.versions.inference.fold import keys_of
from app.features.versions.inference.queue import Key, Task
from app.features.versions.inference.snapshots import SnapshotAge
from app.features.versions.inference.worker import WORKERS, Inference

STATUSES: Final = ("running", "queued", "stale", "all_failed", "ready")
_RANK: Final = {status: rank for rank, status in enumerate(STATUSES)}
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OverviewRow:
    """One repository on one platform; `services` are the ids of those that need it."""

    image_repo: str
    host_platform: str
    status: str
    services: frozenset[str] = frozenset()
    reason: str | None = None
    checked_at: datetime | None = None
    updated_at: datetime | None = None
    task: Task | None = None

    @property
    def key(self) -> str:
        """`repo@platform`."""
        return f"{self.image_repo}@{self.host_platform}"


@dataclass(frozen=True, slots=True)
class Overview:
    """`rows` is one page of `total` rows; `summary` counts digests, before any filter; `row_counts` rows by status."""

    queued: int
    running: int
    gc: Mapping[str, Any]
    summary: Mapping[str, int]
    row_counts: Mapping[str, int]
    tasks: tuple[Task, ...]
    rows: tuple[OverviewRow, ...]
    page: int
    per_page: int
    total: int
    max_concurrency: int = WORKERS


@dataclass(slots=True)
class _Group:
    keys: list[tuple[Key, str]] = field(default_factory=list)
    services: set[str] = field(default_factory=set)


async def overview(
    inference: Inference, evidence: Evidence, *, q: str = "", status: str = "all", page: int = 1, per_page: int = 50
) -> Overview:
    """Everything the page and the API show, from two queries and the queue."""
    records = await evidence.records()
    ages = await inference.ages()
    tasks = {task.key: task for task in inference.queue.tasks()}
    now = inference.now()
    wanted: dict[Key, set[str]] = defaultdict(set)
    for record in records.values():
        for key in keys_of(record, inference.host_platform):
            wanted[key].add(record.service_id)
    known = ages.keys() | tasks.keys()
    states = {key: _status(ages.get(key), tasks.get(key), now) for key in known}
    rows = _rows(states, ages, tasks, wanted)
    counts = Counter(states.values())
    needle = q.strip().lower()
    shown = [row for row in rows if needle in row.key.lower() and status in ("all", row.status)]
    queued, running = inference.queue.counts()
    return Overview(
        queued=queued,
        running=running,
        gc=inference.gc,
        summary={
            "snapshotsTotal": len(ages),
            "total": len(states),
            "missing": len(wanted.keys() - ages.keys()),
            **{name: counts[key] for name, key in _SUMMARY},
        },
        row_counts=Counter(row.status for row in rows),
        tasks=tuple(tasks.values()),
        rows=tuple(shown[(page - 1) * per_page : page * per_page]),
        page=page,
        per_page=per_page,
        total=len(shown),
    )


_SUMMARY: Final = (
    ("queued", "queued"),
    ("running", "running"),
    ("ready", "ready"),
    ("stale", "stale"),
    ("allFailed", "all_failed"),
)


def _status(age: SnapshotAge | None, task: Task | None, now: datetime) -> str:
    if task is not None:
        return task.status
    assert age is not None
    if age.all_failed:
        return "all_failed"
    return "ready" if age.fresh(now) else "stale"


def _rows(
    states: Mapping[Key, str],
    ages: Mapping[Key, SnapshotAge],
    tasks: Mapping[Key, Task],
    wanted: Mapping[Key, Iterable[str]],
) -> list[OverviewRow]:
    """One row per repository and platform, the busiest first, then the latest."""
    groups: dict[tuple[str, str], _Group] = defaultdict(_Group)
    for key, status in states.items():
        groups[key.image_repo, key.host_platform].keys.append((key, status))
    for key, services in wanted.items():
        if (group := groups.get((key.image_repo, key.host_platform))) is not None:
            group.services.update(services)
    rows = [_row(repo, platform, group, ages, tasks) for (repo, platform), group in groups.items()]
    rows.sort(key=lambda row: (row.image_repo, row.host_platform))
    rows.sort(key=lambda row: row.updated_at or _NEVER, reverse=True)
    rows.sort(key=lambda row: _RANK[row.status])
    return rows


def _row(
    repo: str, platform: str, group: _Group, ages: Mapping[Key, SnapshotAge], tasks: Mapping[Key, Task]
) -> OverviewRow:
    key, status = min(group.keys, key=lambda item: (_RANK[item[1]], str(item[0])))
    mine = [key for key, _ in group.keys]
    task = tasks.get(key)
    checked = [ages[key].checked_at for key in mine if key in ages]
    updated = [ages[key].updated_at for key in mine if key in ages] + [
        tasks[key].updated_at for key in mine if key in tasks
    ]
    reasons = {"stale": "cache_stale", "all_failed": "all_failed"}
    return OverviewRow(
        image_repo=repo,
        host_platform=platform,
        status=status,
        services=frozenset(group.services),
        reason=task.reason.value if task else reasons.get(status),
        checked_at=max(checked, default=None),
        updated_at=max(updated, default=None),
        task=task,
    )
