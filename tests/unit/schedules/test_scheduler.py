"""When schedules fire, and when they do not; the clock is moved by hand, nothing waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import Conflict, Unavailable
from app.core.events import EventBus
from app.features.preferences import Preferences, Schedule, SettingsChange, SettingsChanged
from app.features.preferences.models import SINGLETON, SettingsRow
from app.features.schedules import ScheduledActions, Scheduler

START = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)


class House:
    """A scheduler over a database of its own, and a clock that stands still."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.now = START
        self.fired: list[datetime] = []
        self.error: Exception | None = None
        self.bus = EventBus()
        clock = Clock(now=lambda: self.now)
        self.preferences = Preferences(db, clock, bus=self.bus)
        self.actions = ScheduledActions()
        self.actions.add("updateCheck", self._act)
        self.scheduler = Scheduler(self.preferences, self.actions, clock, UTC)
        self.bus.on(SettingsChanged, self.scheduler.note_settings)

    async def _act(self) -> None:
        self.fired.append(self.now)
        if self.error:
            raise self.error

    async def write(self, cron: str = "*/30 * * * *", enabled: bool = True) -> None:
        await self.preferences.change(SettingsChange(update_check=Schedule(enabled, cron)))

    async def at(self, clock: str) -> float:
        hours, minutes, seconds = (*map(int, clock.split(":")), 0)[:3]
        self.now = START.replace(hour=hours, minute=minutes, second=seconds)
        return await self.scheduler.step()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    database = Database(tmp_path / "test.sqlite3")
    await database.create_all()
    made = House(database)
    await made.preferences.ensure()
    yield made
    await made.bus.settle()
    await database.close()


async def test_it_fires_when_it_comes_round_and_only_then(house: House) -> None:
    await house.write()
    for clock in ("10:00", "10:29:59", "10:30", "10:30:01", "10:31", "11:00"):
        await house.at(clock)
    assert [moment.strftime("%H:%M") for moment in house.fired] == ["10:30", "11:00"]


async def test_it_waits_for_the_next_time_and_looks_every_half_minute(house: House) -> None:
    await house.write()
    assert await house.at("10:00") == 30
    assert await house.at("10:29:50") == pytest.approx(10)
    assert await house.at("10:30") == 30
    await house.write(enabled=False)
    assert await house.at("10:31") == 30


async def test_off_is_off(house: House) -> None:
    for clock in ("10:00", "10:30", "11:00"):
        await house.at(clock)
    assert not house.fired


async def test_what_was_missed_is_not_made_up_for(house: House) -> None:
    await house.write()
    await house.at("10:00")
    await house.at("14:10")  # the machine slept
    assert not house.fired
    await house.at("14:30")
    assert len(house.fired) == 1


async def test_a_busy_moment_is_not_a_missed_one(house: House) -> None:
    await house.write()
    await house.at("10:00")
    await house.at("10:31")
    assert len(house.fired) == 1


async def test_a_change_arms_anew_at_once(house: House) -> None:
    await house.write("0 3 * * *")
    await house.at("10:00")
    running = asyncio.create_task(house.scheduler.run())
    try:
        await asyncio.sleep(0)
        await house.write("*/5 * * * *")
        await house.bus.settle()
        for _ in range(200):
            await asyncio.sleep(0.005)
            armed = house.scheduler._armed.get("updateCheck")
            if armed and armed.at == START + timedelta(minutes=5):
                break
        else:
            raise AssertionError("not armed anew")
    finally:
        running.cancel()


@pytest.mark.parametrize("last_second", [Schedule(False, "*/30 * * * *"), Schedule(True, "0 4 * * *")])
async def test_settings_are_read_once_more_right_before(
    house: House, monkeypatch: pytest.MonkeyPatch, last_second: Schedule
) -> None:
    await house.write()
    await house.at("10:00")
    read = house.preferences.read
    answers = iter([await read()])

    async def reads() -> object:
        for known in answers:
            return known
        await house.preferences.change(SettingsChange(update_check=last_second))
        return await read()

    monkeypatch.setattr(house.preferences, "read", reads)
    await house.at("10:30")
    assert not house.fired


async def test_a_stored_cron_that_is_none_warns_once_and_is_taken_up_when_it_is_put_right(house: House) -> None:
    async with house.db.transaction() as session:
        row = await session.get(SettingsRow, SINGLETON)
        assert row is not None
        row.schedule_update_check_enabled, row.schedule_update_check_cron = True, "not a cron"
    with structlog.testing.capture_logs() as logs:
        for clock in ("10:00", "10:00:30", "10:01"):
            assert await house.at(clock) == 30
    assert [line["log_level"] for line in logs if line.get("schedule") == "updateCheck"] == ["warning"]
    assert house.scheduler.next_run(Schedule(True, "not a cron")) is None
    await house.write()
    await house.at("10:02")
    await house.at("10:30")
    assert len(house.fired) == 1


@pytest.mark.parametrize("error", [Conflict("check already running"), Unavailable("disk"), RuntimeError("bug")])
async def test_a_run_that_cannot_start_is_skipped_and_the_next_one_comes(house: House, error: Exception) -> None:
    await house.write()
    house.error = error
    await house.at("10:00")
    await house.at("10:30")
    await house.at("11:00")
    assert len(house.fired) == 2


async def test_a_schedule_without_a_room_does_nothing(house: House) -> None:
    assert not house.scheduler.does_something("ghcrWebhookAudit")
    await house.at("02:59:59")
    await house.at("03:00")
    called: list[str] = []

    async def audit() -> None:
        called.append("audit")

    house.actions.add("ghcrWebhookAudit", audit)
    with pytest.raises(RuntimeError, match="already"):
        house.actions.add("ghcrWebhookAudit", audit)
    house.now += timedelta(days=1)
    await house.scheduler.step()
    assert house.scheduler.does_something("ghcrWebhookAudit") and called == ["audit"]


async def test_it_says_when_it_comes_round_next(house: House) -> None:
    assert house.scheduler.next_run(Schedule(True, "0 3 * * *")) == datetime(2026, 5, 2, 3, tzinfo=UTC)
    assert house.scheduler.next_run(Schedule(False, "0 3 * * *")) is None
    assert house.scheduler.zone_name == "UTC"
