"""Job events as they are stored: resumable, the same order for everybody (spec §6.2, §6.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import anyio
from sse_starlette import ServerSentEvent

from app.core.clock import rfc3339
from app.core.errors import DockrevError
from app.core.jobs import JobEngine, LogRow
from app.core.web.sse import json_event

WAIT_SECONDS: Final = 0.25
EMPTY_ROUNDS_AT_END: Final = 20
BATCH: Final = 200


async def all_job_events(jobs: JobEngine, after: int, closing: anyio.Event) -> AsyncIterator[ServerSentEvent]:
    """Events of all jobs after row `after`; 0 starts at the present end."""
    last = after or await jobs.store.last_row_id()
    while not closing.is_set():
        try:
            rows = await jobs.store.rows_after(last, events_only=True, limit=BATCH)
        except DockrevError as error:
            yield json_event("job_events_error", {"type": "job_events_error", "error": error.message})
            return
        for row in rows:
            last = row.id
            yield json_event("job_event", row.event(), row.id)
        if len(rows) < BATCH:
            await jobs.wait_for_rows(WAIT_SECONDS * 4)


async def one_job_events(
    jobs: JobEngine, job_id: str, after: int, closing: anyio.Event
) -> AsyncIterator[ServerSentEvent]:
    """Lines and events of one job after row `after`; ends about 5 s after the job has ended and said everything."""
    last, empty = after, 0
    while not closing.is_set() and empty < EMPTY_ROUNDS_AT_END:
        try:
            rows = await jobs.store.rows_after(last, job_id=job_id, limit=BATCH)
            job = await jobs.store.get(job_id)
        except DockrevError as error:
            yield json_event("job_events_error", {"type": "job_events_error", "jobId": job_id, "error": error.message})
            return
        for row in rows:
            last = row.id
            yield _row_event(row)
        finished = job is None or job.finished_at is not None
        empty = empty + 1 if finished and not rows else 0
        if len(rows) < BATCH:
            await jobs.wait_for_rows(WAIT_SECONDS)


def _row_event(row: LogRow) -> ServerSentEvent:
    if row.level == "event":
        event = row.event()
        name = "event" if "raw" in event else str(event.get("type") or "event")
        return json_event(name, event, row.id)
    line = {"type": "job_log", "jobId": row.job_id, "ts": rfc3339(row.ts), "level": row.level, "msg": row.msg}
    return json_event("job_log", line, row.id)
