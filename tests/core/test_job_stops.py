"""The cooperative stop: before the commit, after it, twice, for others, and over a restart (spec §7.9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.db import Database
from app.core.errors import Conflict, NotFound
from app.core.events import EventBus
from app.core.jobs import Job, JobContext, JobEngine, JobKind, JobOutcome, JobRecord, JobStatus, NewJob


class Bench:
    """A kind of job that waits at its gates: before and after its commit."""

    def __init__(self, engine: JobEngine) -> None:
        self.engine = engine
        self.commit, self.end = asyncio.Event(), asyncio.Event()
        engine.register(JobKind("update", self._run))

    async def _run(self, ctx: JobContext) -> JobOutcome:
        await self.commit.wait()
        await ctx.stop_asked()
        await ctx.commit()
        ctx.merge({"committed": True})
        await self.end.wait()
        await ctx.stop_asked()
        return JobOutcome()

    async def start(self, stoppable: bool = True) -> str:
        return await self.engine.submit(NewJob("update", "all", "alice", payload={"mode": "x"}, stoppable=stoppable))

    async def job(self, job_id: str) -> JobRecord:
        found = await self.engine.store.get(job_id)
        assert found is not None
        return found

    async def ended(self, job_id: str) -> JobRecord:
        for gate in (self.commit, self.end):
            gate.set()
        async with asyncio.timeout(30):
            while not (job := await self.job(job_id)).status.final:
                await asyncio.sleep(0.01)
        return job

    async def refused(self, job_id: str) -> str:
        with pytest.raises(Conflict) as error:
            await self.engine.request_stop(job_id, "bob")
        return str(error.value.details["reason"])


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    database = Database(tmp_path / "jobs.sqlite3")
    await database.create_all()
    engine = JobEngine(database, EventBus())
    yield Bench(engine)
    await engine.stop()
    await database.close()


async def test_before_the_commit_it_ends_cancelled(bench: Bench) -> None:
    job_id = await bench.start()
    assert (await bench.job(job_id)).stop == "possible"
    assert await bench.engine.request_stop(job_id, "bob") == "requested"
    assert await bench.engine.request_stop(job_id, "eve") == "already_requested"
    assert (await bench.job(job_id)).stop == "requested" and not (await bench.job(job_id)).status.final
    job = await bench.ended(job_id)
    assert (job.status, job.summary, job.stop) == (
        JobStatus.CANCELLED, {"error": "stopped on request of bob", "cause": "stopped"}, None,
    )  # fmt: skip
    assert job.payload["mode"] == "x"
    assert await bench.refused(job_id) == "job_finished"
    rows = await bench.engine.store.rows_after(0, job_id=job_id)
    events = [row.event() for row in rows if row.level == "event"]
    assert [event["stop"] for event in events if event["type"] == "job_stop"] == ["requested"]
    assert events[-1]["type"] == "job_finished" and events[-1]["status"] == "cancelled"
    assert "bob asked to stop this job" in [row.msg for row in rows]


async def test_after_the_commit_it_is_too_late(bench: Bench) -> None:
    job_id = await bench.start()
    bench.commit.set()
    async with asyncio.timeout(30):
        while (await bench.job(job_id)).stop != "committed":
            await asyncio.sleep(0.01)
    assert await bench.refused(job_id) == "apply_committed"
    assert (await bench.ended(job_id)).status is JobStatus.SUCCESS


async def test_a_stop_and_a_commit_at_once_are_one_or_the_other(bench: Bench) -> None:
    for _ in range(10):
        bench.commit.clear()
        job_id = await bench.start()
        bench.commit.set()
        answer = (await asyncio.gather(bench.engine.request_stop(job_id, "bob"), return_exceptions=True))[0]
        job = await bench.ended(job_id)
        assert job.status is (JobStatus.CANCELLED if answer == "requested" else JobStatus.SUCCESS)
        assert job.summary.get("committed", False) is (answer != "requested")


async def test_other_jobs_and_unknown_ones(bench: Bench) -> None:
    job_id = await bench.start(stoppable=False)
    assert (await bench.job(job_id)).stop is None
    assert await bench.refused(job_id) == "not_eligible"
    assert (await bench.ended(job_id)).status is JobStatus.SUCCESS, "a commit without a control is nothing"
    with pytest.raises(NotFound):
        await bench.engine.request_stop("job_none", "bob")


async def test_one_that_waits_ends_at_once(bench: Bench) -> None:
    bench.engine.register(JobKind("update", bench._run, workers=1))
    first, second = await bench.start(), await bench.start()
    async with asyncio.timeout(30):
        while (await bench.job(first)).status is not JobStatus.RUNNING:
            await asyncio.sleep(0.01)
    assert await bench.engine.request_stop(second, "bob") == "requested"
    job = await bench.job(second)
    assert (job.status, job.summary["error"]) == (JobStatus.CANCELLED, "stopped on request of bob")
    assert (await bench.ended(first)).status is JobStatus.SUCCESS
    assert await bench.job(second) == job, "its turn must not come any more"


@pytest.mark.parametrize(
    ("control", "status", "cause"),
    [
        ({"requestedAt": "x", "requestedBy": "bob"}, JobStatus.CANCELLED, "stopped"),
        ({"committedAt": "x"}, JobStatus.FAILED, "server_restart"),
        ({}, JobStatus.FAILED, "server_restart"),
    ],
)
async def test_a_restart_keeps_a_stop_that_was_asked_for(
    bench: Bench, control: dict[str, str], status: JobStatus, cause: str
) -> None:
    job_id = await bench.start()
    async with bench.engine.db.transaction() as session:
        row = await session.get_one(Job, job_id)
        row.payload = {**row.payload, "stop": control}
    await bench.engine.recover()
    job = await bench.job(job_id)
    assert (job.status, job.summary["cause"]) == (status, cause)
