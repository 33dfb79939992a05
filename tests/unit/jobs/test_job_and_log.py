"""What a page of a job is made of: one moment, and where its stream goes on from."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.core.db import Database
from app.core.errors import NotFound
from app.core.events import EventBus
from app.core.jobs import JobContext, JobEngine, JobKind, JobOutcome, JobRecord, JobStatus, NewJob
from app.features.jobs.controllers import find_job_and_log


async def test_a_job_that_ends_while_it_is_read_is_still_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = Database(tmp_path / "d.sqlite3")
    await db.create_all()
    jobs = JobEngine(db, EventBus())
    release = asyncio.Event()

    async def handler(_: JobContext) -> JobOutcome:
        await release.wait()
        return JobOutcome()

    jobs.register(JobKind("check", handler, prefix="chk"))
    job_id = await jobs.submit(NewJob("check", "all", "alice"))
    read = jobs.store.get

    async def and_then_it_ends(wanted: str) -> JobRecord | None:
        found = await read(wanted)
        release.set()
        while jobs.running:
            await asyncio.sleep(0.01)
        return found

    monkeypatch.setattr(jobs.store, "get", and_then_it_ends)
    job, _, last_id = await find_job_and_log(jobs, job_id)
    assert job.status is JobStatus.RUNNING
    later = await jobs.store.rows_after(last_id, job_id=job_id)
    assert any('"job_finished"' in row.msg for row in later), "the stream tells the end"
    with pytest.raises(NotFound):
        await find_job_and_log(jobs, "job_none")
    await jobs.stop()
    await db.close()
