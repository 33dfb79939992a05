"""The log of deliveries (spec §4, §5.7 steps 5 to 11): each id once, with what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, Text, cast, delete, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import InvalidArgument
from app.features.hooks.models import GithubDeliveryRow
from app.features.hooks.records import DeliveryPage, DeliveryRecord
from app.features.hooks.rules.delivery import PACKAGE, Decision, Payload, Signed

RETENTION: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The n-th time a delivery came; with `repeated` the earlier one stands."""

    count: int
    repeated: bool


class Deliveries:
    """Reads and writes the log."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def record(
        self, delivery_id: str, payload: Payload, decision: Decision, reason: str, status: int, signed: Signed
    ) -> int:
        """Keep one that was not acted on; which attempt it was. What was acted on earlier keeps its jobs."""
        async with self._db.transaction() as session:
            row, before = await self._came(session, delivery_id, signed)
            if before is None or row.decision is not Decision.PROCESSED:
                self._describe(row, payload)
                row.decision, row.reason, row.response_status = decision, reason, status
            return row.attempt_count

    async def claim(self, delivery_id: str, payload: Payload, signed: Signed) -> Attempt:
        """Step 9: from here on every other delivery of this id is a repetition."""
        async with self._db.transaction() as session:
            row, before = await self._came(session, delivery_id, signed)
            if before is None:
                self._describe(row, payload)
            return Attempt(row.attempt_count, before is not None)

    async def settle(self, delivery_id: str, job_ids: Sequence[str], reason: str | None, status: int) -> None:
        """It was acted on."""
        async with self._db.transaction() as session:
            row = await session.get_one(GithubDeliveryRow, delivery_id)
            row.job_ids, row.job_id = list(job_ids), job_ids[0] if job_ids else None
            row.reason, row.response_status = reason, status

    async def release(self, delivery_id: str) -> None:
        """Step 11: nothing came of it, so GitHub's next attempt is a first one."""
        async with self._db.transaction() as session:
            await session.exec(delete(GithubDeliveryRow).where(col(GithubDeliveryRow.delivery_id) == delivery_id))

    async def release_unfinished(self) -> int:
        """At start: the same for what a dead process had in its hands."""
        open_ones = (col(GithubDeliveryRow.decision) == Decision.PROCESSED) & (
            col(GithubDeliveryRow.response_status).is_(None)
        )
        async with self._db.transaction() as session:
            return (await session.exec(delete(GithubDeliveryRow).where(open_ones))).rowcount

    async def purge(self) -> int:
        """Forget deliveries that are too old to be repeated."""
        old = col(GithubDeliveryRow.received_at) < self._clock.now() - RETENTION
        async with self._db.transaction() as session:
            return (await session.exec(delete(GithubDeliveryRow).where(old))).rowcount

    async def get(self, delivery_id: str) -> DeliveryRecord | None:
        """One delivery, or None."""
        async with self._db.session() as session:
            row = await session.get(GithubDeliveryRow, delivery_id)
        return None if row is None else DeliveryRecord.of(row)

    async def page(
        self, *, decision: Decision | None = None, q: str = "", page: int = 1, per_page: int = 50
    ) -> DeliveryPage:
        """Newest first. `q` is part of the id, the repository, the reason or a job's id."""
        wanted = _conditions(decision, q)
        query = (
            select(GithubDeliveryRow)
            .where(*wanted)
            .order_by(col(GithubDeliveryRow.received_at).desc(), col(GithubDeliveryRow.delivery_id))
            .offset((page - 1) * per_page)
            .limit(per_page)
        )
        by_decision = select(GithubDeliveryRow.decision, func.count()).group_by(col(GithubDeliveryRow.decision))
        async with self._db.session() as session:
            counts = {Decision(kind).value: number for kind, number in await session.exec(by_decision)}
            filtered = (await session.exec(select(func.count()).select_from(GithubDeliveryRow).where(*wanted))).one()
            rows = (await session.exec(query)).all()
        records = tuple(DeliveryRecord.of(row) for row in rows)
        return DeliveryPage(page, per_page, sum(counts.values()), filtered, counts, records)

    async def _came(
        self, session: AsyncSession, delivery_id: str, signed: Signed
    ) -> tuple[GithubDeliveryRow, GithubDeliveryRow | None]:
        """The row of an id, counted; and the same row when it was there before."""
        now, row = self._clock.now(), await session.get(GithubDeliveryRow, delivery_id)
        if row is not None:
            row.attempt_count, row.received_at, row.signed_with = row.attempt_count + 1, now, signed
            return row, row
        row = GithubDeliveryRow(
            delivery_id=delivery_id, received_at=now, first_received_at=now, event=PACKAGE, signed_with=signed
        )
        session.add(row)
        return row, None

    @staticmethod
    def _describe(row: GithubDeliveryRow, payload: Payload) -> None:
        row.owner, row.repo, row.action = payload.owner, payload.repo, payload.action


def parse_decision(text: str | None) -> Decision | None:
    """The `decision` filter of the list; raises InvalidArgument."""
    if not text or text == "all":
        return None
    if text not in list(Decision):
        raise InvalidArgument(
            f"invalid decision filter: {text[:40]}",
            hint="Use all, processed, ignored or rejected.",
            details={"field": "decision"},
        )
    return Decision(text)


def _conditions(decision: Decision | None, q: str) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if decision is not None:
        wanted.append(col(GithubDeliveryRow.decision) == decision)
    if text := q.strip().lower()[:200]:
        row = GithubDeliveryRow
        name = func.coalesce(col(row.owner), "") + "/" + func.coalesce(col(row.repo), "")
        told = (col(row.delivery_id), name, col(row.reason), cast(col(row.job_ids), Text))
        wanted.append(or_(*(func.instr(func.lower(part), text) > 0 for part in told)))
    return wanted
