"""`/events`: what moves on pages. Fragments, and `…-changed` for what is better read again (§6.6).

All tabs of a browser share one stream of `all` topics (`static/js/stream.js`): its `…-changed` carry `ids`, unless they
are many or all, from which each page tells whether it is meant. The page of a job has a line of its own beside it.

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
from litestar.di import NamedDependency
from litestar.params import FromQuery
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.core.events import EntitiesChanged, EventBus, Subscription
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
PROGRESS_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 15.0
LATE_SECONDS: Final = 3.0  # from the reading of a page until its browser listens
TOPICS: Final = frozenset({"services", "stacks", "jobs", "inference", "engine", "notifications", "hooks"})
NAMED: Final = 100  # more ids than these are told as "all of them"


@dataclass(frozen=True, slots=True)
class Topics:
    """What a page wants to hear of. `job` is a job's id and the last log row the page already shows."""

    domains: frozenset[str] = frozenset()
    service: str | None = None
    stack: str | None = None
    job: tuple[str, int] | None = None

    @classmethod
    def parse(cls, text: str) -> Topics:
        """`services,service:<id>,stack:<id>,job:<id>@<row>` or `all` domains; what is not known is left out."""
        found: dict[str, str] = {}
        domains: set[str] = set()
        for part in text[:500].split(","):
            kind, _, rest = part.partition(":")
            if rest:
                found[kind] = rest[:100]
            elif kind in TOPICS:
                domains.add(kind)
            elif kind == "all":
                domains |= TOPICS
        job = None
        if "job" in found:
            job_id, _, row = found["job"].partition("@")
            job = (job_id, int(row) if row.isascii() and row.isdigit() and len(row) < 19 else 0)
        return cls(frozenset(domains), found.get("service"), found.get("stack"), job)

    def names(self, changed: EntitiesChanged) -> set[str]:
        """The events this change is told as."""
        names = {f"{changed.domain}-changed"} if changed.domain in self.domains else set()
        everything = not changed.ids
        if changed.domain == "services":
            if self.service and (everything or self.service in changed.ids):
                names.add("service-changed")
            if self.stack:
                names.add("stack-changed")
        if changed.domain == "stacks" and self.stack and (everything or self.stack in changed.ids):
            names.add("stack-changed")
        return names


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
        self, topics: Topics, tail: JobTail | None, closing: anyio.Event, *, again: bool = False
    ) -> AsyncIterator[ServerSentEvent]:
        """Tell what changes until the page leaves, falls behind (it reads itself again) or the server stops.

        `again` is a browser that has lost its line: it may also have missed what the banners say.
        """
        pill: str | None = None if again else ""
        beat, progress = time.monotonic(), 0.0
        with self._bus.subscribe(since=LATE_SECONDS) as inbox:
            if again:
                yield self._banners()
            while not closing.is_set() and not inbox.lost:
                changes, rows_came = await self._wait(inbox)
                names = {name for change in changes for name in topics.names(change)}
                if rows_came and time.monotonic() - progress >= PROGRESS_SECONDS and "jobs" in topics.domains:
                    progress = time.monotonic()
                    names.add("jobs-changed")
                for name in sorted(names):
                    yield json_event(name, {"type": name, **_ids(name, changes)})
                if any(change.domain == "engine" for change in changes):
                    yield self._banners()
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

    async def _wait(self, inbox: Subscription) -> tuple[list[EntitiesChanged], bool]:
        """What changed next, with all that follows at once; while a job runs its new rows end the wait too."""
        first = asyncio.ensure_future(inbox.next(IDLE_SECONDS))
        rows = asyncio.ensure_future(self._jobs.wait_for_rows(IDLE_SECONDS)) if self._jobs.running else None
        try:
            await asyncio.wait({task for task in (first, rows) if task}, return_when=asyncio.FIRST_COMPLETED)
            rows_came = rows is not None and rows.done()
            await asyncio.sleep(GATHER_SECONDS)
            events = [first.result()] if first.done() else []
        finally:
            for task in (first, rows):
                if task is not None and not task.done():
                    task.cancel()
        events += inbox.drain()
        return [event for event in events if isinstance(event, EntitiesChanged)], rows_came

    def _banners(self) -> ServerSentEvent:
        return html_event("banner", self._pages.render("ui/_banners.html", frame=self._frames.banners()))

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
        told = [row.event() for row in rows if row.level == "event"]
        moved = {str(event["track"]) for event in told if event.get("track")}
        # A step has begun or ended: heading, counts, and services that were not part of the job before. Or it can no
        # longer be stopped, or somebody has asked it to.
        if moved or any(event["type"] == "job_stop" for event in told):
            yield json_event("job-changed", {"jobId": job.id}, tail.last)
        for event in self._moving_parts(job, tail.names, moved):
            yield event

    def _moving_parts(self, job: JobRecord, names: Names, moved: set[str]) -> list[ServerSentEvent]:
        row = job_row(job, names)
        events = [html_event("job_now", self._pages.render("jobs/_now.html", job=row, now=row.current))]
        for item in tracks_of(job, names):
            if item.service_id in moved or item == row.current:
                html = self._pages.render("jobs/_track.html", item=item, job=row, oob=True)
                events.append(html_event("job_track", html))
        return events


def _ids(name: str, changes: Sequence[EntitiesChanged]) -> dict[str, list[str]]:
    """Whom a `<domain>-changed` is about; nothing where it may be all."""
    about = [change.ids for change in changes if name == f"{change.domain}-changed"]
    ids = frozenset[str]().union(*about)
    return {"ids": sorted(ids)} if about and all(about) and len(ids) <= NAMED else {}


def _line(row: LogRow) -> LogLine:
    return LogLine(id=row.id, ts=row.ts, level=row.level, msg=row.msg)


@get("/events", include_in_schema=False)
async def page_events(
    request: Request[Any, Any, Any],
    page_stream: NamedDependency[PageStream],
    job_reads: NamedDependency[JobReads],
    topics: FromQuery[str] = "",
    again: FromQuery[str] = "",
) -> EventSourceResponse:
    """The stream of a page or a browser; see the module. `again` is set by one that comes back."""
    wanted = Topics.parse(topics)
    tail = None
    if wanted.job is not None:
        job_id, row = wanted.job
        tail = JobTail(job_id, max(row, resume_point(request)), await job_reads.names())
    return event_stream(request, "page", lambda closing: page_stream.run(wanted, tail, closing, again=bool(again)))
