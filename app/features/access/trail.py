"""Reading the audit trail: filters, pages of it, and the whole of it as CSV."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlmodel import col, select

from app.core.clock import LOCAL_TIME, rfc3339
from app.core.db import Database
from app.core.errors import InvalidArgument
from app.core.web.paging import InvalidCursor
from app.features.access.ledger import Ledger
from app.features.access.models import AuditEventRow, Outcome
from app.features.access.recorder import MEANS
from app.features.access.schemas import AuditEventOut, AuditOut

CHUNK: Final = 500
COLUMNS: Final = (
    "id", "at", "principal", "means", "address", "action", "object_kind", "object_id", "object_label", "outcome",
    "code", "job_id", "details",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """Which events; empty members do not filter. `principal` is a part of the name, `action` a name or its beginning
    up to a point (`token` finds `token.create`)."""

    principal: str = ""
    action: str = ""
    means: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None


def parse_filter(
    principal: str = "", action: str = "", means: str = "", outcome: str = "", since: str = "", until: str = ""
) -> TrailFilter:
    """From a query. `until` is exclusive; as a day alone it includes that day. Raises InvalidArgument."""
    if means and means not in MEANS:
        raise InvalidArgument(f"means must be one of {', '.join(MEANS)}", details={"field": "means"})
    if outcome and outcome not in list(Outcome):
        raise InvalidArgument("outcome must be ok, refused or failed", details={"field": "outcome"})
    return TrailFilter(
        principal.strip()[:200],
        action.strip()[:60],
        means,
        outcome,
        _moment("since", since, timedelta()),
        _moment("until", until, timedelta(days=1)),
    )


def _moment(field: str, text: str, day: timedelta) -> datetime | None:
    text = text.strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if len(text) <= 10:
            moment += day
        return (moment if moment.tzinfo else moment.replace(tzinfo=LOCAL_TIME)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(
            f"{field} must be a day like 2026-05-01 or a time like 2026-05-01T10:00:00Z", details={"field": field}
        ) from error


class Trail:
    """Reads; what waits to be written is written first."""

    def __init__(self, db: Database, ledger: Ledger) -> None:
        self._db = db
        self._ledger = ledger

    async def page(self, wanted: TrailFilter, cursor: str, limit: int) -> AuditOut:
        """Newest first, from `cursor` on. Raises InvalidCursor."""
        if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
            raise InvalidCursor("the cursor is not valid", details={"field": "cursor"})
        await self._ledger.settle()
        rows = await self._rows(wanted, int(cursor) if cursor else None, limit + 1)
        events = [event_out(row) for row in rows[:limit]]
        return AuditOut(events=events, next_cursor=str(events[-1].id) if len(rows) > limit else None)

    async def csv(self, wanted: TrailFilter) -> AsyncIterator[str]:
        """All of it, a piece at a time."""
        await self._ledger.settle()
        yield _lines([COLUMNS])
        before: int | None = None
        while rows := await self._rows(wanted, before, CHUNK):
            yield _lines([_cells(row) for row in rows])
            before = rows[-1].id

    async def _rows(self, wanted: TrailFilter, before: int | None, limit: int) -> Sequence[AuditEventRow]:
        query = select(AuditEventRow).order_by(col(AuditEventRow.id).desc()).limit(limit)
        if before is not None:
            query = query.where(col(AuditEventRow.id) < before)
        if wanted.principal:
            query = query.where(col(AuditEventRow.principal).contains(wanted.principal, autoescape=True))
        if wanted.action:
            begins = col(AuditEventRow.action).startswith(f"{wanted.action}.", autoescape=True)
            query = query.where((col(AuditEventRow.action) == wanted.action) | begins)
        if wanted.means:
            query = query.where(col(AuditEventRow.means) == wanted.means)
        if wanted.outcome:
            query = query.where(col(AuditEventRow.outcome) == wanted.outcome)
        if wanted.since:
            query = query.where(col(AuditEventRow.at) >= wanted.since)
        if wanted.until:
            query = query.where(col(AuditEventRow.at) < wanted.until)
        async with self._db.session() as session:
            return (await session.exec(query)).all()


def event_out(row: AuditEventRow) -> AuditEventOut:
    """As it is told."""
    return AuditEventOut(**{name: getattr(row, name) for name in AuditEventOut.model_fields})


def _cells(row: AuditEventRow) -> list[str]:
    return [plain(getattr(row, name)) for name in COLUMNS]


def plain(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP on CSV injection): what begins like one gets an
    apostrophe."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Sequence[Sequence[str]]) -> str:
    import csv  # rare
    import io

    made = io.StringIO()
    csv.writer(made).writerows(rows)
    return made.getvalue()
