"""A scheduled check on the lab: nobody asks, the clock comes round, and what is new is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.core.clock import Clock
from app.core.jobs import JobFilter, JobStatus
from app.features.preferences import Schedule, SettingsChange
from app.features.schedules import ScheduledActions, Scheduler
from app.features.stacks import Discovery
from app.features.versions import Checks
from tests.lab.house import house
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab


async def test_a_scheduled_check_finds_what_is_new(clean_lab: Lab, tmp_path: Path) -> None:
    lab, samples = clean_lab, clean_lab.samples("clockwork")
    lab.registry.publish("schedules/web", "1", samples.no_healthcheck("1"))
    ref = lab.registry.ref("schedules/web", "1")
    lab.stack("clockwork", f"services: {{web: {{image: '{ref}', command: [sleep, '36000'], network_mode: none}}}}").up()
    newer = lab.registry.publish("schedules/web", "1", samples.no_healthcheck("2"))
    now = datetime(2026, 5, 1, 2, 59, 40, tzinfo=UTC)
    async with house(lab, tmp_path) as home:
        await home.container.get(Discovery).scan()
        actions, checks = ScheduledActions(), home.container.get(Checks)
        actions.add("updateCheck", lambda: checks.start("all", created_by="schedule", reason="schedule"))
        scheduler = Scheduler(home.preferences, actions, Clock(now=lambda: now), UTC)
        await home.preferences.change(SettingsChange(update_check=Schedule(True, "0 3 * * *")))
        assert await scheduler.step() == pytest.approx(20)
        wanted = JobFilter(types=("check",))
        assert not await home.jobs.store.search(wanted)
        now += timedelta(seconds=20)
        await scheduler.step()
        (started,) = await home.jobs.store.search(wanted)
        job = await home.finished(started.id)
        assert (job.status, job.created_by, job.reason) == (JobStatus.SUCCESS, "schedule", "schedule")
        service = await home.service("clockwork", "web")
        record = (await home.versions.records([service.id]))[service.id]
        assert record.candidate_digest == newer
