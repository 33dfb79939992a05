"""The scheduled check as a job of the whole house, with no engine near and a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.core.clock import Clock
from app.core.db import Database
from app.core.feature import Container
from app.core.jobs import JobEngine, JobFilter, JobRecord, JobStatus
from app.core.jobs.models import Job
from app.features.preferences import Preferences, Schedule, SettingsChange
from app.features.schedules import Scheduler
from app.main import build_container
from app.settings import Settings


@dataclass
class Built:
    """A container and its time."""

    container: Container
    now: datetime

    async def comes_round(self) -> list[JobRecord]:
        """The scheduled time, and what jobs there are once they have ended."""
        scheduler, jobs = self.container.get(Scheduler), self.container.get(JobEngine)
        await scheduler.step()
        due = scheduler.next_run(Schedule(True, "*/30 * * * *"))
        assert due is not None
        self.now = due
        await scheduler.step()
        async with asyncio.timeout(20):
            while jobs.running:
                await asyncio.sleep(0.01)
        return await jobs.store.search(JobFilter(limit=10))

    async def runs_since(self, age: timedelta) -> None:
        """A check of everything that somebody started."""
        async with self.container.get(Database).transaction() as session:
            session.add(
                Job(
                    id="chk_before",
                    type="check",
                    scope="all",
                    status=JobStatus.RUNNING,
                    created_by="alice",
                    reason="ui",
                    created_at=self.now - age,
                )
            )


@pytest.fixture
async def built(tmp_path: Path) -> AsyncIterator[Built]:
    made = Built(Container(), datetime(2026, 5, 1, 10, 0, tzinfo=UTC))
    settings = Settings(db_path=tmp_path / "d.sqlite3", docker_host=f"unix://{tmp_path}/none.sock")
    made.container = build_container(settings, clock=Clock(now=lambda: made.now))
    await made.container.get(Database).create_all()
    await made.container.get(Preferences).change(SettingsChange(update_check=Schedule(True, "*/30 * * * *")))
    yield made
    await made.container.get(JobEngine).stop()
    await made.container.get(Database).close()


async def test_a_check_of_everything(built: Built) -> None:
    (job,) = await built.comes_round()
    assert (job.type, job.scope, job.created_by, job.reason) == ("check", "all", "schedule", "schedule")
    assert job.status is JobStatus.SUCCESS and job.created_at == built.now
    assert len(await built.comes_round()) == 2


async def test_it_is_skipped_while_one_runs(built: Built) -> None:
    await built.runs_since(timedelta(minutes=20))
    assert [job.id for job in await built.comes_round()] == ["chk_before"]


async def test_one_that_hangs_for_more_than_two_hours_is_replaced(built: Built) -> None:
    await built.runs_since(timedelta(hours=2))
    jobs = {job.id: job for job in await built.comes_round()}
    assert len(jobs) == 2
    assert jobs["chk_before"].status is JobStatus.FAILED
    assert "stale_check" in str(jobs["chk_before"].summary)
