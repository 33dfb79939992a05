"""The audit trail on its way into the database: noted at once, written a moment later, never in the way of a request.

A full disk or a locked file keeps events in memory until they can be written; when they are too many, the oldest are
dropped and their number is recorded. Refusals that repeat are counted, so that whoever knocks all night leaves a few
rows and not a full disk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import delete, func
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col, select

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import DockrevError
from app.features.access.addresses import network_of
from app.features.access.models import AuditEventRow, Outcome
from app.features.stacks import Stacks

log = structlog.get_logger(__name__)

WAITING: Final = 2000
BATCH: Final = 200
TRY_AGAIN_SECONDS: Final = 5.0
SWEEP_SECONDS: Final = 60.0
KNOCKERS: Final = 256
AGAIN_KNOWN, AGAIN_STRANGER = 60.0, 3600.0  # seconds in which the same refusal is counted instead of written
VARIOUS: Final = "various"
LENGTH: Final = 400
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what, with which means, from where, to what, and how it ended. Never a secret."""

    at: datetime
    action: str
    outcome: Outcome
    principal: str = ""
    means: str = "none"
    address: str = ""
    object_kind: str | None = None
    object_id: str | None = None
    object_label: str | None = None
    code: str | None = None
    job_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What makes two refusals the same."""
        parts = (self.principal, self.means, network_of(self.address), self.action, self.code, self.object_id)
        return tuple(part or "" for part in parts)


class Repeats:
    """Counts refusals that repeat: the first passes, the others as one with their number when their time is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counting: dict[Key, tuple[float, int, AuditEvent]] = {}

    def passes(self, event: AuditEvent) -> AuditEvent | None:
        """The event to write now; None when it was counted."""
        now = self._clock.monotonic()
        if event.key not in self._counting and len(self._counting) >= KNOCKERS:
            event = replace(event, address=VARIOUS, object_id=None)
        until, count, _ = self._counting.get(event.key, (0.0, 0, event))
        if event.key in self._counting:
            self._counting[event.key] = (until, count + 1, event)
            return None
        wait = AGAIN_KNOWN if event.principal else AGAIN_STRANGER
        self._counting[event.key] = (now + wait, 0, event)
        return event

    def over(self, *, all_of_them: bool = False) -> list[AuditEvent]:
        """What was counted and whose time is over."""
        now, found = self._clock.monotonic(), []
        for key, (until, count, last) in list(self._counting.items()):
            if all_of_them or until <= now:
                del self._counting[key]
                if count:
                    found.append(replace(last, details={**last.details, "repeated": count}))
        return found


class Ledger:
    """Takes events; `run` writes them."""

    def __init__(self, db: Database, clock: Clock, stacks: Stacks, keep: timedelta, max_rows: int) -> None:
        self._db = db
        self._clock = clock
        self._stacks = stacks
        self._keep = keep
        self._max_rows = max_rows
        self._waiting: deque[AuditEvent] = deque()
        self._lost = 0
        self._repeats = Repeats(clock)
        self._there = asyncio.Event()
        self._writing = asyncio.Lock()
        self._last: asyncio.Task[None] | None = None

    def note(self, event: AuditEvent) -> None:
        """Take an event; returns at once and never fails."""
        passed = self._repeats.passes(event) if event.outcome is Outcome.REFUSED else event
        if passed is not None:
            self._append(passed)

    def _append(self, event: AuditEvent) -> None:
        if len(self._waiting) >= WAITING:
            self._drop()
        self._waiting.append(event)
        self._there.set()

    def _drop(self) -> None:
        if self._waiting:
            self._waiting.popleft()
            self._lost += 1

    async def run(self) -> None:
        """Write what is noted, for ever."""
        while True:
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._there.wait()
            except TimeoutError:
                pass  # nothing new: what is counted may be over all the same
            self._there.clear()
            for event in self._repeats.over():
                self._append(event)
            while self._waiting:
                try:
                    self._last = asyncio.ensure_future(self._write())
                    await asyncio.shield(self._last)  # the end of the process does not cut a write in two
                except DockrevError as error:
                    log.error("the audit trail cannot be written, trying again", cause=error.message)
                    await asyncio.sleep(TRY_AGAIN_SECONDS)
                except Exception:
                    log.exception("an event cannot be written and is dropped")
                    self._drop()

    async def settle(self) -> None:
        """Write what waits now, so that who reads sees what was just done; a full disk keeps nobody from reading."""
        try:
            while self._waiting:
                await self._write()
        except Exception as error:  # `run` tries again, or drops what can never be written
            log.error("the audit trail cannot be written", cause=str(error)[:200])
            self._there.set()

    async def stop(self) -> None:
        """At the end: also what was only counted."""
        for event in self._repeats.over(all_of_them=True):
            self._append(event)
        if self._last is not None:
            await asyncio.wait({self._last})
        await self.settle()

    async def _write(self) -> None:
        async with self._writing:
            batch = [self._waiting[place] for place in range(min(BATCH, len(self._waiting)))]
            if not batch:
                return
            lost, rows = self._lost, [self._row(event) for event in await self._labelled(batch)]
            if lost:
                told = {"count": lost}
                rows.append(self._row(AuditEvent(self._clock.now(), "audit.lost", Outcome.FAILED, details=told)))
            async with self._db.transaction() as session:
                await session.exec(insert(AuditEventRow).values(rows))
            self._lost -= lost
            for event in batch:
                if self._waiting and self._waiting[0] is event:  # else it was dropped meanwhile
                    self._waiting.popleft()

    def _row(self, event: AuditEvent) -> dict[str, Any]:
        row = {name: _plain(getattr(event, name)) for name in AuditEvent.__dataclass_fields__}
        return {**row, "details": {key: _plain(value) for key, value in event.details.items()}}

    async def _labelled(self, events: list[AuditEvent]) -> list[AuditEvent]:
        """With the names that services and stacks have now: they may be gone when somebody reads it."""
        wanted = {event.object_id for event in events if event.object_kind == "service" and event.object_id}
        services = {service.id: service for service in await self._stacks.services(sorted(wanted))} if wanted else {}
        names = {key: f"{service.stack_name}/{service.name}" for key, service in services.items()}
        for stack_id in {event.object_id for event in events if event.object_kind == "stack" and event.object_id}:
            try:
                names[stack_id] = (await self._stacks.stack(stack_id)).name
            except DockrevError:
                continue
        return [
            event
            if event.object_label or event.object_id not in names
            else replace(event, object_label=names[event.object_id])
            for event in events
        ]

    async def purge(self) -> None:
        """Drop what is older than the retention; of too many rows the refusals of strangers first, then the oldest."""
        async with self._db.transaction() as session:
            await session.exec(delete(AuditEventRow).where(col(AuditEventRow.at) < self._clock.now() - self._keep))
            count = (await session.exec(select(func.count()).select_from(AuditEventRow))).one()
            for what in (col(AuditEventRow.principal) == "", col(AuditEventRow.id) > 0):
                if (surplus := count - self._max_rows) <= 0:
                    return
                oldest = select(AuditEventRow.id).where(what).order_by(col(AuditEventRow.id)).limit(surplus)
                gone = await session.exec(delete(AuditEventRow).where(col(AuditEventRow.id).in_(oldest)))
                count -= gone.rowcount


def _plain(value: Any) -> Any:
    """A text that is bounded, and that the database can hold."""
    return value[:LENGTH].encode(errors="replace").decode() if type(value) is str else value
