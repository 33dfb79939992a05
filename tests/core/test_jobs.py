"""The job engine: atomic start, conflict, summary merge, restart, streams' source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.db import Database
from app.core.errors import Conflict, Unavailable
from app.core.events import EntitiesChanged, EventBus
from app.core.jobs import JobContext, JobEngine, JobFilter, JobKind, JobOutcome, JobStatus, NewJob, Progress


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[JobEngine]:
    database = Database(tmp_path / "jobs.sqlite3")
    await database.create_all()
    made = JobEngine(database, EventBus())
    yield made
    await made.stop()
    await database.close()


async def ended(engine: JobEngine, job_id: str) -> JobStatus:
    """Wait for the end of a job."""
    for _ in range(200):
        job = await engine.store.get(job_id)
        assert job is not None
        if job.status.final:
            return job.status
        await asyncio.sleep(0.02)
    raise AssertionError("the job did not end")


async def test_a_job_runs_and_its_summary_is_merged(engine: JobEngine) -> None:
    async def handler(ctx: JobContext) -> JobOutcome:
        ctx.merge({"kept": 1, "changed": "before"})
        await ctx.flush()
        return JobOutcome(summary={"changed": "after"})

    engine.register(JobKind("check", handler, prefix="chk"))
    job_id = await engine.submit(NewJob("check", "all", "alice"))
    assert job_id.startswith("chk_")
    assert await ended(engine, job_id) is JobStatus.SUCCESS
    job = await engine.store.get(job_id)
    assert job is not None
    assert job.summary == {"kept": 1, "changed": "after"}
    assert job.finished_at is not None
    assert job.created_by == "alice"


async def test_what_is_true_of_the_request_is_not_of_its_job(engine: JobEngine) -> None:
    """The language of who started it, above all."""
    asked: ContextVar[str] = ContextVar("asked", default="nobody")
    seen: list[str] = []

    async def handler(_: JobContext) -> JobOutcome:
        seen.append(asked.get())
        return JobOutcome()

    async def react(_: EntitiesChanged) -> None:
        seen.append(asked.get())

    engine.bus.on(EntitiesChanged, react)
    engine.register(JobKind("check", handler, prefix="chk"))
    asked.set("alice")
    await ended(engine, await engine.submit(NewJob("check", "all", "alice")))
    assert len(seen) > 1
    assert set(seen) == {"nobody"}


async def test_guard_and_insert_are_one_transaction(engine: JobEngine) -> None:
    release = asyncio.Event()

    async def handler(_: JobContext) -> JobOutcome:
        await release.wait()
        return JobOutcome()

    async def only_one(session: AsyncSession) -> None:
        running = await engine.store.active(session, ("update",))
        await asyncio.sleep(0.01)  # a gap in which another click could slip through
        if running:
            raise Conflict("busy", details={"existingJobId": running[0].id})

    engine.register(JobKind("update", handler))
    results = await asyncio.gather(
        *(engine.submit(NewJob("update", "all", "a"), guard=only_one) for _ in range(8)), return_exceptions=True
    )
    started = [result for result in results if isinstance(result, str)]
    refused = [result for result in results if isinstance(result, Conflict)]
    assert len(started) == 1
    assert len(refused) == 7
    assert {error.details["existingJobId"] for error in refused} == set(started)
    release.set()
    await ended(engine, started[0])


async def test_expected_and_unexpected_failures_end_the_job_without_a_traceback(engine: JobEngine) -> None:
    async def known(_: JobContext) -> JobOutcome:
        raise Unavailable("the engine is away", hint="Start it.")

    async def unknown(_: JobContext) -> JobOutcome:
        raise RuntimeError("secret=hunter2")

    engine.register(JobKind("known", known))
    engine.register(JobKind("unknown", unknown))
    first = await engine.submit(NewJob("known", "all", "a"))
    second = await engine.submit(NewJob("unknown", "all", "a"))
    assert await ended(engine, first) is JobStatus.FAILED
    assert await ended(engine, second) is JobStatus.FAILED
    job = await engine.store.get(first)
    assert job is not None
    assert job.summary["error"] == "the engine is away"
    lines, _ = await engine.store.logs(second)
    assert "hunter2" not in " ".join(row.msg for row in lines)


async def test_restart_fails_open_jobs_and_keeps_what_they_told(tmp_path: Path) -> None:
    database = Database(tmp_path / "jobs.sqlite3")
    await database.create_all()
    dead = JobEngine(database, EventBus())
    told = asyncio.Event()

    async def handler(ctx: JobContext) -> JobOutcome:
        ctx.merge({"before": "the crash"})
        ctx.log("half way")
        await ctx.flush()
        told.set()
        await asyncio.sleep(60)
        return JobOutcome()

    dead.register(JobKind("update", handler))
    job_id = await dead.submit(NewJob("update", "all", "a"))
    await told.wait()
    for task in list(dead._running.values()):  # the process is gone, nothing is said any more
        dead._closing = True
        task.cancel()
    await asyncio.sleep(0)

    seen: list[str] = []

    async def on_interrupted(job: object) -> None:
        seen.append(getattr(job, "id", ""))

    alive = JobEngine(database, EventBus())
    alive.register(JobKind("update", handler, on_interrupted=on_interrupted))
    records = await alive.recover()
    await alive.interrupted(records)
    job = await alive.store.get(job_id)
    assert job is not None
    assert job.status is JobStatus.FAILED
    assert job.summary["cause"] == "server_restart"
    assert job.summary["before"] == "the crash"
    assert seen == [job_id]
    lines, _ = await alive.store.logs(job_id)
    assert "half way" in [row.msg for row in lines]
    assert await alive.recover() == []
    await database.close()


async def test_graceful_stop_marks_server_shutdown(engine: JobEngine) -> None:
    started = asyncio.Event()

    async def handler(_: JobContext) -> JobOutcome:
        started.set()
        await asyncio.sleep(60)
        return JobOutcome()

    engine.register(JobKind("update", handler))
    job_id = await engine.submit(NewJob("update", "all", "a"))
    await started.wait()
    await engine.stop()
    job = await engine.store.get(job_id)
    assert job is not None
    assert job.status is JobStatus.FAILED
    assert job.summary["cause"] == "server_shutdown"


async def test_progress_is_throttled_but_phases_are_not(engine: JobEngine) -> None:
    async def handler(ctx: JobContext) -> JobOutcome:
        for number in range(100):
            ctx.progress(Progress("scanning", "x", number, 100, number))
        ctx.progress(Progress("done", "y", 100, 100, 100))
        return JobOutcome()

    engine.register(JobKind("check", handler))
    job_id = await engine.submit(NewJob("check", "all", "a"))
    await ended(engine, job_id)
    rows = await engine.store.rows_after(0, job_id=job_id, events_only=True)
    events = [row.event() for row in rows if row.event()["type"] == "job_progress"]
    assert [event["phase"] for event in events] == ["scanning", "done"]
    assert all(event["jobId"] == job_id and event["ts"] for event in events)
    job = await engine.store.get(job_id)
    assert job is not None
    assert job.summary["progress"]["percent"] == 100


async def test_timeline_keeps_steps_in_order(engine: JobEngine) -> None:
    async def handler(ctx: JobContext) -> JobOutcome:
        ctx.step("svc_a", "pull", "run", label="demo/web", fromVersion="1.0")
        ctx.step("svc_a", "pull", "done", note="3 layers")
        ctx.step("svc_a", "health", "bad", note="\x1b[31munhealthy\x1b[0m")
        return JobOutcome(JobStatus.ROLLED_BACK)

    engine.register(JobKind("update", handler))
    job_id = await engine.submit(NewJob("update", "all", "a"))
    assert await ended(engine, job_id) is JobStatus.ROLLED_BACK
    job = await engine.store.get(job_id)
    assert job is not None
    (entry,) = job.summary["timeline"]
    assert (entry["key"], entry["label"], entry["fromVersion"]) == ("svc_a", "demo/web", "1.0")
    assert [(step["step"], step["status"], step.get("note")) for step in entry["steps"]] == [
        ("pull", "done", "3 layers"),
        ("health", "bad", "unhealthy"),
    ]


async def test_log_lines_are_cleaned_and_bounded(engine: JobEngine) -> None:
    async def handler(ctx: JobContext) -> JobOutcome:
        ctx.log("\x1b[2J\x1b]0;title\x07hello\x00" + "x" * 2_000_000)
        return JobOutcome()

    engine.register(JobKind("check", handler))
    job_id = await engine.submit(NewJob("check", "all", "a"))
    await ended(engine, job_id)
    lines, _ = await engine.store.logs(job_id)
    line = next(row.msg for row in lines if "hello" in row.msg)
    assert line.startswith("hello")
    assert len(line) < 5000


async def test_search_pages_filters_and_purge(engine: JobEngine) -> None:
    async def handler(_: JobContext) -> JobOutcome:
        return JobOutcome()

    engine.register(JobKind("check", handler))
    engine.register(JobKind("update", handler))
    ids = [
        await engine.submit(NewJob("update" if n % 2 else "check", "all", "a", targets=[("stk_1", f"svc_{n}")]))
        for n in range(6)
    ]
    for job_id in ids:
        await ended(engine, job_id)
    first = await engine.store.search(JobFilter(limit=4))
    assert [job.id for job in first[:4]] == ids[:1:-1]
    rest = await engine.store.search(JobFilter(limit=4, before=(first[3].created_at, first[3].id)))
    assert [job.id for job in rest] == ids[1::-1]
    assert len(await engine.store.search(JobFilter(types=("update",)))) == 3
    assert [job.id for job in await engine.store.search(JobFilter(service_id="svc_2"))] == [ids[2]]
    assert (await engine.store.counts())["check", JobStatus.SUCCESS] == 3
    newest = first[0].created_at
    assert await engine.store.purge(newest) == 5
    assert await engine.store.rows_after(0, job_id=ids[0]) == []
