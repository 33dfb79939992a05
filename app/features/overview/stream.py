"""`/events`: the one stream of a page. Fragments for what moves, and `…-changed` for what is better read again (§6.6).

Events: `pill` and `banner` (HTML), `services-changed`, `stacks-changed`, `jobs-changed`, `inference-changed`,
`engine-changed` (the page fetches itself again), and for a page of one job `job_log`, `job_now`, `job_track` (HTML) and
`job-changed`. `heartbeat` every 15 s. A job's rows carry their id, so that a reconnecting page misses no line.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import anyio
from litestar import Request, get
from litestar.params import FromQuery
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.core.events import EntitiesChanged, EventBus
from app.core.jobs import JobEngine, JobRecord, LogRow
from app.core.web.frame import Frame
from app.core.web.sse import event_stream, html_event, json_event, resume_point
from app.core.web.view import Pages
from app.features.jobs import JobReads, Names, job_row
from app.features.jobs.pages import tracks_of
from app.features.jobs.schemas import LogLine
from app.features.overview.frames import Frames

GATHER_SECONDS: Final = 0.2
IDLE_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 15.0
TOPICS: Final = frozenset({"services", "stacks", "jobs", "inference", "engine"})


@dataclass(slots=True)
class JobTail:
    """How far a page has read one job."""

    job_id: str
    last: int
    names: Names


class PageStream:
    """Makes the streams of pages."""

    def __init__(self, bus: EventBus, jobs: JobEngine, reads: JobReads, frames: Frames, pages: Pages) -> None:
        self._bus = bus
        self._jobs = jobs
        self._reads = reads
        self._frames = frames
        self._pages = pages

    async def run(
        self, topics: frozenset[str], tail: JobTail | None, closing: anyio.Event
    ) -> AsyncIterator[ServerSentEvent]:
        """Tell what changes until the page leaves, falls behind (it reconnects and reads again) or the server stops."""
        pill, beat = "", time.monotonic()
        with self._bus.subscribe() as inbox:
            while not closing.is_set() and not inbox.lost:
                domains = await self._changed(inbox.next(IDLE_SECONDS), bool(self._jobs.running))
                domains |= {event.domain for event in inbox.drain() if isinstance(event, EntitiesChanged)}
                for domain in sorted(domains & topics):
                    yield json_event(f"{domain}-changed", {"domain": domain})
                if "engine" in domains:
                    yield html_event("banner", self._pages.render("ui/_banners.html", frame=self._frames.banners()))
                if tail is not None:
                    async for event in self._tail(tail):
                        yield event
                drawn = await self._pill()
                if drawn != pill:
                    pill = drawn
                    yield html_event("pill", drawn)
                if time.monotonic() - beat >= HEARTBEAT_SECONDS:
                    beat = time.monotonic()
                    yield json_event("heartbeat", {"type": "heartbeat"})
            if inbox.lost:
                yield json_event("resync_required", {"type": "resync_required"})

    async def _changed(self, waiting: Any, busy: bool) -> set[str]:
        """Domains of the next event and of those that follow at once; with a running job also its rows end the wait."""
        first = asyncio.ensure_future(waiting)
        rows = asyncio.ensure_future(self._jobs.wait_for_rows(IDLE_SECONDS)) if busy else None
        try:
            await asyncio.wait({task for task in (first, rows) if task}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(GATHER_SECONDS)
            event = first.result() if first.done() else None
            return {event.domain} if isinstance(event, EntitiesChanged) else set()
        finally:
            for task in (first, rows):
                if task is not None and not task.done():
                    task.cancel()

    async def _pill(self) -> str:
        return self._pages.render("ui/_pill.html", frame=Frame(pill=await self._frames.pill())).strip()

    async def _tail(self, tail: JobTail) -> AsyncIterator[ServerSentEvent]:
        rows = await self._jobs.store.rows_after(tail.last, job_id=tail.job_id)
        if not rows:
            return
        tail.last = rows[-1].id
        lines = [_line(row) for row in rows if row.level != "event"]
        if lines:
            yield html_event("job_log", self._pages.render("jobs/_log_lines.html", lines=lines), tail.last)
        job = await self._jobs.store.get(tail.job_id)
        if job is None:
            return
        if job.status.final:
            yield json_event("job-changed", {"jobId": job.id}, tail.last)
            return
        for event in self._moving_parts(job, tail.names, rows):
            yield event

    def _moving_parts(self, job: JobRecord, names: Names, rows: Sequence[LogRow]) -> list[ServerSentEvent]:
        row = job_row(job, names)
        events = [html_event("job_now", self._pages.render("jobs/_now.html", job=row, now=row.current))]
        moved = {row.event().get("track") for row in rows if row.level == "event"}
        for item in tracks_of(job, names):
            if item.service_id in moved or item == row.current:
                html = self._pages.render("jobs/_track.html", item=item, job=row, oob=True)
                events.append(html_event("job_track", html))
        return events


def _line(row: LogRow) -> LogLine:
    return LogLine(id=row.id, ts=row.ts, level=row.level, msg=row.msg)


def parse_topics(text: str) -> tuple[frozenset[str], tuple[str, int] | None]:
    """`services,job:<id>@<row>` → known topics, and the job with the row its page already shows."""
    topics: set[str] = set()
    job: tuple[str, int] | None = None
    for part in text[:500].split(","):
        kind, _, rest = part.partition(":")
        if kind == "job" and rest:
            job_id, _, row = rest.partition("@")
            job = (job_id[:64], int(row) if row.isascii() and row.isdigit() and len(row) < 19 else 0)
        elif kind in TOPICS:
            topics.add(kind)
    return frozenset(topics), job


@get("/events", include_in_schema=False)
async def page_events(
    request: Request[Any, Any, Any], page_stream: PageStream, job_reads: JobReads, topics: FromQuery[str] = ""
) -> EventSourceResponse:
    """The stream of a page; see the module."""
    wanted, job = parse_topics(topics)
    tail = None
    if job is not None:
        tail = JobTail(job[0], max(job[1], resume_point(request)), await job_reads.names())
    return event_stream("page", lambda closing: page_stream.run(wanted, tail, closing))
