"""What is written of what was noted, what is counted instead, and what is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.features.access.ledger import KNOCKERS, WAITING, AuditEvent, Ledger, Repeats
from app.features.access.models import AuditEventRow, Outcome
from app.features.stacks import Stacks

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DONE = AuditEvent(NOW, "check.start", Outcome.OK, "alice", "proxy", "192.168.1.20")
STRANGER = AuditEvent(NOW, "login.refused", Outcome.REFUSED, address="203.0.113.9", code="auth_required")


class Time:
    """Moved by hand."""

    def __init__(self) -> None:
        self.ticks = 0.0

    def clock(self) -> Clock:
        return Clock(now=lambda: NOW + timedelta(seconds=self.ticks), monotonic=lambda: self.ticks)


async def opened(tmp_path: Path, time: Time, **kept: Any) -> tuple[Ledger, Database]:
    db = Database(tmp_path / "d.sqlite3")
    await db.create_all()
    stacks = Stacks(db, EventBus(), time.clock())
    return Ledger(db, time.clock(), stacks, kept.get("keep", timedelta(days=365)), kept.get("rows", 1000)), db


async def rows(db: Database) -> list[AuditEventRow]:
    async with db.session() as session:
        return list((await session.exec(select(AuditEventRow).order_by(col(AuditEventRow.id)))).all())


def test_the_first_refusal_passes_and_the_others_are_counted() -> None:
    time = Time()
    repeats = Repeats(time.clock())
    assert repeats.passes(STRANGER) is STRANGER
    assert [repeats.passes(STRANGER) for _ in range(5)] == [None] * 5
    assert repeats.passes(replace(STRANGER, address="203.0.113.10")) is not None
    assert not repeats.over()
    time.ticks = 3601
    [told] = repeats.over()
    assert told.details["repeated"] == 5 and told.address == "203.0.113.9"
    assert repeats.passes(STRANGER) is STRANGER, "and it begins anew"


def test_who_is_known_is_counted_for_a_minute_only() -> None:
    time = Time()
    repeats = Repeats(time.clock())
    known = replace(STRANGER, principal="alice", action="update.start", code="conflict")
    assert repeats.passes(known) and not repeats.passes(known)
    time.ticks = 61
    assert repeats.over()[0].details["repeated"] == 1


def test_a_thousand_addresses_become_various() -> None:
    repeats = Repeats(Time().clock())
    passed = [repeats.passes(replace(STRANGER, address=f"198.51.{n // 250}.{n % 250}")) for n in range(2000)]
    told = [event for event in passed if event is not None]
    assert len(told) == KNOCKERS + 1 and told[-1].address == "various"
    assert sum(event.details["repeated"] for event in repeats.over(all_of_them=True)) == 2000 - len(told)


async def test_what_is_noted_is_written_in_its_order(tmp_path: Path) -> None:
    ledger, db = await opened(tmp_path, Time())
    for number in range(450):
        ledger.note(replace(DONE, object_id=str(number), details={"text": "x" * 1000}))
    await ledger.settle()
    written = await rows(db)
    assert [row.object_id for row in written] == [str(number) for number in range(450)]
    assert len(written[0].details["text"]) == 400
    await db.close()


async def test_too_many_are_dropped_and_their_number_is_recorded(tmp_path: Path) -> None:
    ledger, db = await opened(tmp_path, Time(), rows=10_000)
    for number in range(WAITING + 7):
        ledger.note(replace(DONE, object_id=str(number)))
    await ledger.settle()
    written = await rows(db)
    [lost] = [row for row in written if row.action == "audit.lost"]
    assert lost.details == {"count": 7} and lost.outcome is Outcome.FAILED
    assert written[0].object_id == "7" and len(written) == WAITING + 1
    await db.close()


async def test_what_can_never_be_written_stops_nothing(tmp_path: Path) -> None:
    ledger, db = await opened(tmp_path, Time())
    ledger.note(replace(DONE, object_label="\ud800", details={"text": "a\udfff"}))
    ledger.note(replace(DONE, details={"bad": {1, 2}}))
    ledger.note(replace(DONE, action="update.start"))
    running = asyncio.ensure_future(ledger.run())
    async with asyncio.timeout(10):
        while not (written := [row for row in await rows(db) if row.action == "update.start"]):
            await asyncio.sleep(0.02)
    running.cancel()
    assert len(written) == 1
    assert [row.action for row in await rows(db) if row.action != "check.start"] == ["update.start", "audit.lost"]
    await ledger.stop()
    await db.close()


async def test_the_end_writes_what_was_only_counted(tmp_path: Path) -> None:
    ledger, db = await opened(tmp_path, Time())
    for _ in range(4):
        ledger.note(STRANGER)
    await ledger.stop()
    assert [row.details.get("repeated") for row in await rows(db)] == [None, 3]
    await db.close()


async def test_what_is_old_goes_and_of_too_many_the_strangers_first(tmp_path: Path) -> None:
    time = Time()
    ledger, db = await opened(tmp_path, time, keep=timedelta(days=30), rows=10)
    ledger.note(replace(DONE, action="old.one", at=NOW - timedelta(days=31)))
    for number in range(8):
        ledger.note(replace(DONE, object_id=str(number)))
    for number in range(6):
        ledger.note(replace(STRANGER, address=f"203.0.113.{number}"))
    await ledger.settle()
    await ledger.purge()
    kept = await rows(db)
    assert [row.principal for row in kept] == ["alice"] * 8 + [""] * 2
    assert [row.address for row in kept[8:]] == ["203.0.113.4", "203.0.113.5"], "the newest of them"
    for number in range(8, 20):
        ledger.note(replace(DONE, object_id=str(number)))
    await ledger.settle()
    await ledger.purge()
    assert [row.object_id for row in await rows(db)] == [str(number) for number in range(10, 20)]
    await db.close()
