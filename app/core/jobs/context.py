"""What a running job has in its hands: its log, its events, its progress, its summary, its timeline."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from app.core.clock import Clock, rfc3339
from app.core.jobs.models import Job, JobLog
from app.core.jobs.stops import stop_state, stopped_by
from app.core.jobs.store import JobRecord

if TYPE_CHECKING:
    from app.core.jobs.engine import JobEngine

PROGRESS_INTERVAL: Final = 0.5  # seconds between progress events (spec §7.5.9)
FLUSH_AFTER: Final = 0.1  # seconds a log line may wait for company
LINE_LIMIT: Final = 4000

_UNPRINTABLE: Final = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]"
)


def clean_line(text: str) -> str:
    """Text from outside made safe for a log: no terminal control, no endless line."""
    plain = _UNPRINTABLE.sub("", text).rstrip()
    return plain if len(plain) <= LINE_LIMIT else plain[:LINE_LIMIT] + "… [truncated]"


@dataclass(slots=True)
class Progress:
    """Work done (`current` of `total`, 0 = unknown) and work handed out (`planned_*`); percent is 0 to 100."""

    phase: str
    message: str
    current: int = 0
    total: int = 0
    percent: float = 0
    planned_current: int | None = None
    planned_total: int | None = None
    planned_percent: float | None = None
    current_target: str | None = None
    download: dict[str, Any] | None = None

    def document(self, now: datetime) -> dict[str, Any]:
        """The JSON of spec §5.4; members that are not known are left out."""
        names = {
            "planned_current": "plannedCurrent",
            "planned_total": "plannedTotal",
            "planned_percent": "plannedPercent",
            "current_target": "currentTarget",
        }
        found = {names.get(key, key): value for key, value in asdict(self).items() if value is not None}
        found["percent"] = round(self.percent, 1)
        found["updatedAt"] = rfc3339(now)
        return found


@dataclass(slots=True)
class _Pending:
    rows: list[JobLog] = field(default_factory=list)
    summary_dirty: bool = False


class JobContext:
    """Handed to a job's handler. Everything written here survives the process from the next flush on."""

    def __init__(self, engine: JobEngine, job: JobRecord, clock: Clock) -> None:
        self.job = job
        self._engine = engine
        self._clock = clock
        self._summary: dict[str, Any] = dict(job.summary)
        self._pending = _Pending()
        self._flush_lock = asyncio.Lock()
        self._flush_task: asyncio.Task[None] | None = None
        self._progress_at = 0.0
        self._progress_phase = ""

    @property
    def summary(self) -> Mapping[str, Any]:
        """The summary as it stands, including what is not flushed yet."""
        return self._summary

    def log(self, message: str, level: str = "info") -> None:
        """Add a line (info, warn or error); it is on disk within a tenth of a second."""
        self._pending.rows.append(self._row(level, clean_line(message)))
        self._flush_soon()

    def event(self, kind: str, **members: Any) -> None:
        """Add an event for the streams (spec §6.3)."""
        document = {"type": kind, "jobId": self.job.id, "ts": rfc3339(self._clock.now()), **members}
        self._pending.rows.append(self._row("event", json.dumps(document, separators=(",", ":"), ensure_ascii=False)))
        self._flush_soon()

    def merge(self, patch: Mapping[str, Any]) -> None:
        """Set top-level members of the summary; members not named stay as they are."""
        self._summary.update(patch)
        self._pending.summary_dirty = True
        self._flush_soon()

    def progress(self, progress: Progress, *, force: bool = False) -> None:
        """Tell how far it is. At most two a second are kept, unless the phase changes or `force` is set."""
        now = self._clock.monotonic()
        if not force and progress.phase == self._progress_phase and now - self._progress_at < PROGRESS_INTERVAL:
            return
        self._progress_at, self._progress_phase = now, progress.phase
        document = progress.document(self._clock.now())
        self.merge({"progress": document})
        self.event("job_progress", **document)

    def step(self, track: str, step: str, status: str, *, label: str = "", note: str = "", **facts: Any) -> None:
        """Move one track of the job's timeline (a service, a build step) to a step.

        Kept in `summary.timeline` as `[{key,label,facts…,steps:[{step,status,note,startedAt,finishedAt}]}]` and sent as
        `job_step`. `status` is one of done, run, bad, back, skip.
        """
        now = rfc3339(self._clock.now())
        timeline: list[dict[str, Any]] = [dict(entry) for entry in self._summary.get("timeline", [])]
        entry = next((entry for entry in timeline if entry["key"] == track), None)
        if entry is None:
            entry = {"key": track, "label": label or track, "steps": []}
            timeline.append(entry)
        entry.update(facts)
        steps: list[dict[str, Any]] = [dict(item) for item in entry["steps"]]
        current = next((item for item in steps if item["step"] == step), None)
        if current is None:
            current = {"step": step, "startedAt": now}
            steps.append(current)
        current["status"] = status
        if note:
            current["note"] = clean_line(note)
        if status != "run":
            current["finishedAt"] = now
        entry["steps"] = steps
        self.merge({"timeline": timeline})
        self.event(
            "job_step", track=track, label=entry["label"], step=step, status=status, note=current.get("note", "")
        )

    async def stop_asked(self) -> None:
        """Between two steps that change nothing: raise JobStopped when somebody asked to stop."""
        job = await self._engine.store.get(self.job.id)
        if job is not None and (stop := stopped_by(job.payload)) is not None:
            raise stop

    async def commit(self) -> None:
        """Before the first step that changes something: from here on the job cannot be stopped. Raises JobStopped."""
        if stop_state(self.job.payload) is not None:
            await self.flush()
            await self._engine.commit(self.job.id)

    async def flush(self) -> None:
        """Write everything now; called before each step that changes the host, so a killed process loses nothing."""
        async with self._flush_lock:
            rows, self._pending.rows = self._pending.rows, []
            dirty, self._pending.summary_dirty = self._pending.summary_dirty, False
            if not rows and not dirty:
                return
            try:
                async with self._engine.db.transaction() as session:
                    session.add_all(rows)
                    if dirty:
                        job = await session.get_one(Job, self.job.id)
                        job.summary = {**job.summary, **self._summary}
            except BaseException:
                self._pending.rows = [_copy(row) for row in rows] + self._pending.rows
                self._pending.summary_dirty = self._pending.summary_dirty or dirty
                raise
        self._engine.wake()

    async def close(self) -> None:
        """The last flush."""
        if self._flush_task is not None:
            self._flush_task.cancel()
        await self.flush()

    def _row(self, level: str, message: str) -> JobLog:
        return JobLog(job_id=self.job.id, ts=self._clock.now(), level=level, msg=message)

    def _flush_soon(self) -> None:
        if self._flush_task is None or self._flush_task.done():
            self._flush_task = asyncio.get_running_loop().create_task(self._flush_later())

    async def _flush_later(self) -> None:
        await asyncio.sleep(FLUSH_AFTER)
        try:
            await self.flush()
        except Exception as error:  # the rows stay pending; the next flush or the end of the job tries again
            self._engine.report_flush_failure(self.job.id, error)


def _copy(row: JobLog) -> JobLog:
    return JobLog(job_id=row.job_id, ts=row.ts, level=row.level, msg=row.msg)
