"""The outbox: what is to be told, in the database, until it was told or given up.

A delivery is claimed in one transaction and settled in another; what a dead process had claimed is queued again at the
next start. So every message is sent at least once. It can arrive twice only when the process died, or the line broke,
between sending and noting it; each channel then carries the same id, so that a receiver can drop the repetition.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.core.jobs import Job, JobLog
from app.core.jobs.context import clean_line
from app.features.notifications import announcements
from app.features.notifications.models import DeliveryRow, DeliveryState, WebPushSubscriptionRow
from app.features.notifications.payload import for_channel

FIRST_WAIT: Final = 30.0
LONGEST_WAIT: Final = 3600.0
GIVE_UP: Final = timedelta(days=1)
KEPT: Final = timedelta(days=30)
ANNOUNCEMENTS_KEPT: Final = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way; `target` is a device's endpoint on web push."""

    id: int
    event: str
    channel: str
    target: str = field(repr=False)
    payload: Mapping[str, Any] = field(repr=False)
    attempts: int
    created_at: datetime
    job_id: str | None = None

    @property
    def message_id(self) -> str:
        """What stays the same when it is sent again."""
        return f"d{self.id}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `remark` is worth knowing of a success; `gone` means that the device is no more."""

    ok: bool
    error: str = ""
    remark: str = ""
    permanent: bool = False
    gone: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class LastDelivery:
    """The newest message of a channel: when it was tried last, how that ended, and how many of its devices got it.

    `since` is when it was queued.
    """

    at: datetime
    since: datetime
    state: DeliveryState
    title: str
    error: str = ""
    delivered: int = 0
    of: int = 1
    attempts: int = 1
    next_try_at: datetime | None = None


def wait_before(attempts: int, retry_after: float | None = None) -> float:
    """Seconds until the next attempt after so many: 30, 60, 120 … up to an hour, or as long as the receiver asks."""
    own: float = min(FIRST_WAIT * 2 ** min(attempts - 1, 10), LONGEST_WAIT)
    return max(own, retry_after or 0.0)


class Outbox:
    """Rows in, rows out; sends nothing."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def enqueue(
        self,
        session: AsyncSession,
        event: str,
        payload: Mapping[str, Any],
        channels: Sequence[str],
        job_id: str | None = None,
    ) -> None:
        """Inside the caller's transaction. An event that is queued already is left as it is."""
        devices = (await session.exec(select(WebPushSubscriptionRow.endpoint))).all() if "webPush" in channels else ()
        now = self._clock.now()
        rows = [
            {
                "event": event,
                "channel": channel,
                "target": target,
                "kind": payload["kind"],
                "job_id": job_id,
                "payload": for_channel(payload, channel, event),
                "state": DeliveryState.QUEUED,
                "attempts": 0,
                "next_try_at": now,
                "created_at": now,
            }
            for channel in channels
            for target in ((devices or ("",)) if channel == "webPush" else ("",))
        ]
        for row in rows:
            await session.exec(insert(DeliveryRow).values(**row).on_conflict_do_nothing())

    async def reclaim(self) -> int:
        """At start: what a dead process was sending is due again; how many."""
        async with self._db.transaction() as session:
            done = await session.exec(
                update(DeliveryRow)
                .where(col(DeliveryRow.state) == DeliveryState.SENDING)
                .values(state=DeliveryState.QUEUED, next_try_at=self._clock.now())
            )
            return done.rowcount

    async def claim(self, limit: int) -> list[Delivery]:
        """Due deliveries, oldest first, now being sent: nobody else gets them."""
        now = self._clock.now()
        query = (
            select(DeliveryRow)
            .where(col(DeliveryRow.state) == DeliveryState.QUEUED, col(DeliveryRow.next_try_at) <= now)
            .order_by(col(DeliveryRow.id))
            .limit(limit)
        )
        async with self._db.session() as session:
            if (await session.exec(query.limit(1))).first() is None:
                return []
        async with self._db.transaction() as session:
            rows = (await session.exec(query)).all()
            for row in rows:
                row.state, row.tried_at, row.attempts = DeliveryState.SENDING, now, row.attempts + 1
            return [_delivery(row) for row in rows]

    async def next_due(self) -> datetime | None:
        """When something is to be tried next."""
        query = select(func.min(DeliveryRow.next_try_at)).where(col(DeliveryRow.state) == DeliveryState.QUEUED)
        async with self._db.session() as session:
            return (await session.exec(query)).one()

    async def finish(self, delivery: Delivery, outcome: Outcome) -> bool:
        """Keep how an attempt ended, for the channel, the device and the job's log; whether it is settled."""
        now = self._clock.now()
        wait = wait_before(delivery.attempts, outcome.retry_after)
        late = now + timedelta(seconds=wait) > delivery.created_at + GIVE_UP
        final = outcome.ok or outcome.permanent or late
        error = outcome.error
        if not outcome.ok and not outcome.permanent and late:
            error = f"given up after {delivery.attempts} tries in a day: {error}"
        async with self._db.transaction() as session:
            row = await session.get_one(DeliveryRow, delivery.id)
            row.state = (
                DeliveryState.DELIVERED if outcome.ok else DeliveryState.FAILED if final else DeliveryState.QUEUED
            )
            row.last_error = (outcome.remark if outcome.ok else error) or None
            row.delivered_at = now if outcome.ok else None
            row.next_try_at = now + timedelta(seconds=wait)
            if delivery.target:
                await _note_device(session, delivery.target, outcome, now)
            await session.flush()
            if delivery.job_id and await session.get(Job, delivery.job_id) is not None:  # it may be past its retention
                line = await _log_line(session, row, None if final else wait)
                if line:
                    session.add(JobLog(job_id=delivery.job_id, ts=now, level=line[0], msg=clean_line(line[1])))
            await announcements.settle(session, delivery.event, now)
        return final

    async def record(self, event: str, payload: Mapping[str, Any], channel: str, target: str, outcome: Outcome) -> None:
        """Keep a message that was sent at once, a test, as one that went through the outbox."""
        now = self._clock.now()
        async with self._db.transaction() as session:
            session.add(
                DeliveryRow(
                    event=event,
                    channel=channel,
                    target=target,
                    kind=payload["kind"],
                    payload=for_channel(payload, channel, event),
                    state=DeliveryState.DELIVERED if outcome.ok else DeliveryState.FAILED,
                    attempts=1,
                    next_try_at=now,
                    last_error=(outcome.remark if outcome.ok else outcome.error) or None,
                    created_at=now,
                    tried_at=now,
                    delivered_at=now if outcome.ok else None,
                )
            )
            if target:
                await _note_device(session, target, outcome, now)

    async def last(self, channels: Collection[str]) -> dict[str, LastDelivery]:
        """The newest message of each channel that was tried."""
        found: dict[str, LastDelivery] = {}
        async with self._db.session() as session:
            for channel in channels:
                tried = select(DeliveryRow).where(
                    DeliveryRow.channel == channel, col(DeliveryRow.tried_at).is_not(None)
                )
                newest = (
                    await session.exec(
                        tried.order_by(col(DeliveryRow.tried_at).desc(), col(DeliveryRow.id).desc()).limit(1)
                    )
                ).first()
                if newest is not None:
                    rows = (await session.exec(_of_event(newest.event, channel))).all()
                    found[channel] = _last(rows)
        return found

    async def purge(self) -> int:
        """Forget settled deliveries after 30 days, and closed announcements after half a year."""
        final = (DeliveryState.DELIVERED, DeliveryState.FAILED)
        async with self._db.transaction() as session:
            await announcements.purge(session, self._clock.now() - ANNOUNCEMENTS_KEPT)
            gone = await session.exec(
                delete(DeliveryRow).where(
                    col(DeliveryRow.state).in_(final), col(DeliveryRow.created_at) < self._clock.now() - KEPT
                )
            )
            return gone.rowcount


def _of_event(event: str, channel: str) -> Any:
    return select(DeliveryRow).where(DeliveryRow.event == event, DeliveryRow.channel == channel)


def _delivery(row: DeliveryRow) -> Delivery:
    assert row.id is not None
    return Delivery(
        id=row.id,
        event=row.event,
        channel=row.channel,
        target=row.target,
        payload=row.payload,
        attempts=row.attempts,
        created_at=row.created_at,
        job_id=row.job_id,
    )


def _last(rows: Sequence[DeliveryRow]) -> LastDelivery:
    """Of several devices: delivered when one got it, under way while one is tried."""
    delivered = [row for row in rows if row.state is DeliveryState.DELIVERED]
    waiting = [row for row in rows if row.state in (DeliveryState.QUEUED, DeliveryState.SENDING)]
    failed = [row for row in rows if row.state is DeliveryState.FAILED]
    lead = (waiting or delivered or failed)[0]
    errors = [row.last_error for row in (*waiting, *failed, *delivered) if row.last_error]
    return LastDelivery(
        at=max(row.tried_at or row.created_at for row in rows),
        since=min(row.created_at for row in rows),
        state=lead.state,
        title=lead.payload["human"]["title"],
        error=errors[0] if errors else "",
        delivered=len(delivered),
        of=len(rows),
        attempts=max(row.attempts for row in rows),
        next_try_at=min((row.next_try_at for row in waiting), default=None),
    )


async def _note_device(session: AsyncSession, endpoint: str, outcome: Outcome, now: datetime) -> None:
    """A device that is gone is forgotten; of the others the last word is kept."""
    mine = col(WebPushSubscriptionRow.endpoint) == endpoint
    if outcome.gone:
        await session.exec(delete(WebPushSubscriptionRow).where(mine))
    elif outcome.ok:
        await session.exec(update(WebPushSubscriptionRow).where(mine).values(last_delivery_at=now, last_error=None))
    else:
        await session.exec(update(WebPushSubscriptionRow).where(mine).values(last_error=outcome.error))


async def _log_line(session: AsyncSession, row: DeliveryRow, wait: float | None) -> tuple[str, str] | None:
    """`notify: <channel>=ok|failed …` (spec §8.1). Of many devices one line, when each was tried."""
    count = ""
    error = row.last_error or ""
    if row.target:
        rows: Sequence[DeliveryRow] = (await session.exec(_of_event(row.event, row.channel))).all()
        if any(each.attempts == 0 or each.state is DeliveryState.SENDING for each in rows):
            return None
        delivered = sum(each.state is DeliveryState.DELIVERED for each in rows)
        count = f" ({delivered} of {len(rows)} devices)"
        error = next((each.last_error for each in rows if each.last_error), "") or ""
        if delivered:
            return ("info", f"notify: {row.channel}=ok{count}{f' {error}' if error else ''}")
    if row.state is DeliveryState.DELIVERED:
        return ("info", f"notify: {row.channel}=ok{f' ({error})' if error else ''}")
    if wait is not None and row.attempts > 1:
        return None  # said once; the end of it is said again
    again = f"; next try in {wait:.0f} s" if wait is not None else ""
    return ("warn", f"notify: {row.channel}=failed{count} {error}{again}")
