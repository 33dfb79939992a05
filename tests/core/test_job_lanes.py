"""Types with few workers: the rest waits as queued, in order; a summary can be added to while its job runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.core.db import Database
from app.core.events import EventBus
from app.core.ids import new_id
from app.core.jobs import JobContext, JobEngine, JobKind, JobOutcome, JobStatus, NewJob


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[JobEngine]:
    db = Database(tmp_path / "d.sqlite3")
    await db.create_all()
    made = JobEngine(db, EventBus())
    yield made
    await made.stop()
    await db.close()


async def ended(engine: JobEngine, job_id: str) -> JobStatus:
    for _ in range(400):
        job = await engine.store.get(job_id)
        assert job is not None
        if job.status.final:
            return job.status
        await asyncio.sleep(0.01)
    raise AssertionError("it does not end")


async def test_two_workers_and_an_order(engine: JobEngine) -> None:
    gate, began = asyncio.Event(), list[str]()

    async def handler(ctx: JobContext) -> JobOutcome:
        assert ctx.job.status is JobStatus.RUNNING
        began.append(ctx.job.id)
        await gate.wait()
        return JobOutcome()

    engine.register(JobKind("slow", handler, workers=2))
    ids = [await engine.submit(NewJob("slow", "all", "alice")) for _ in range(4)]
    while len(began) < 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    jobs = [await engine.store.get(job_id) for job_id in ids]
    assert [job.status.value for job in jobs if job] == ["running", "running", "queued", "queued"]
    assert [job.started_at is None for job in jobs if job] == [False, False, True, True]
    gate.set()
    assert [await ended(engine, job_id) for job_id in ids] == [JobStatus.SUCCESS] * 4
    assert began == ids


async def test_what_waits_at_the_end_is_marked(engine: JobEngine) -> None:
    async def handler(ctx: JobContext) -> JobOutcome:
        await asyncio.sleep(60)
        return JobOutcome()

    engine.register(JobKind("slow", handler, workers=1))
    ids = [await engine.submit(NewJob("slow", "all", "alice")) for _ in range(2)]
    await engine.stop()
    for job_id in ids:
        job = await engine.store.get(job_id)
        assert job is not None and job.status is JobStatus.FAILED
        assert job.summary["cause"] == "server_shutdown"


async def test_an_id_and_a_summary_of_ones_own_that_grow(engine: JobEngine) -> None:
    gate = asyncio.Event()

    async def handler(ctx: JobContext) -> JobOutcome:
        ctx.merge({"own": 1})
        await ctx.flush()
        await gate.wait()
        return JobOutcome(summary={"end": 2})

    def more(summary: Mapping[str, Any]) -> dict[str, Any]:
        return {"audit": [*summary["audit"], "b"]}

    engine.register(JobKind("check", handler, prefix="chk"))
    job_id = await engine.submit(NewJob("check", "all", "hook", id=new_id("job"), summary={"audit": ["a"]}))
    assert job_id.startswith("job_")
    async with engine.db.transaction() as session:
        await engine.amend(session, job_id, more)
    gate.set()
    assert await ended(engine, job_id) is JobStatus.SUCCESS
    job = await engine.store.get(job_id)
    assert job is not None
    assert job.summary == {"audit": ["a", "b"], "own": 1, "end": 2}
    async with engine.db.transaction() as session:
        await engine.amend(session, job_id, more)
    job = await engine.store.get(job_id)
    assert job is not None and job.summary["audit"] == ["a", "b", "b"]
