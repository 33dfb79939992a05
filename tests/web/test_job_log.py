"""`GET /api/jobs/{id}/log`: every line, as text that is safe in a terminal and as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.db import Database
from app.core.jobs import Job, JobLog, JobStatus
from tests.web.test_contract import error, running
from tests.web.test_updates_api import NOW

JOB = "job_01JT5N3V0QZ8R6W2M4K7C9D1EA"
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\r\n2026-05-01T10:00:00Z info  forged\n"


@pytest.mark.parametrize("lines", [0, 1203])
async def test_all_of_it_in_both_formats(tmp_path: Path, lines: int) -> None:
    async with running(tmp_path) as (app, client):
        async with app.state.container.get(Database).transaction() as session:
            session.add(
                Job(
                    id=JOB, type="update", scope="all", status=JobStatus.SUCCESS, created_by="a", reason="ui",
                    created_at=NOW,
                )
            )  # fmt: skip
            await session.flush()
            for number in range(lines):
                session.add(JobLog(job_id=JOB, ts=NOW, level="info", msg=f"line {number}"))
                session.add(JobLog(job_id=JOB, ts=NOW, level="event", msg="{}"))
        text = await client.get(f"/api/jobs/{JOB}/log")
        assert text.status_code == 200
        assert text.headers["content-type"] == "text/plain; charset=utf-8"
        assert text.headers["content-disposition"] == f'attachment; filename="{JOB}.log"'
        told = text.text.splitlines()
        assert told == [f"2026-05-01T10:00:00.000000Z info  line {number}" for number in range(lines)]
        document = (await client.get(f"/api/jobs/{JOB}/log?format=json")).json()
        assert document["jobId"] == JOB
        assert [line["msg"] for line in document["lines"]] == [f"line {number}" for number in range(lines)]


async def test_what_a_container_wrote_cannot_act_on_a_terminal(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        async with app.state.container.get(Database).transaction() as session:
            session.add(
                Job(
                    id=JOB, type="update", scope="all", status=JobStatus.FAILED, created_by="a", reason="ui",
                    created_at=NOW,
                )
            )  # fmt: skip
            await session.flush()
            session.add(JobLog(job_id=JOB, ts=NOW, level="error", msg=HOSTILE))
        text = (await client.get(f"/api/jobs/{JOB}/log")).text
        assert not {"\x1b", "\x07", "\r", "\u202e"} & set(text)
        first, second = text.splitlines()
        assert first.startswith("2026-05-01T10:00:00.000000Z error ")
        assert second.startswith("    2026-"), "what it wrote is indented, so it is no line of ours"
        assert (await client.get(f"/api/jobs/{JOB}/log?format=json")).json()["lines"][0]["msg"] == HOSTILE


async def test_another_format_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        answer = await client.get(f"/api/jobs/{JOB}/log?format=xml")
        assert answer.status_code == 400
        assert error(answer)["details"]["field"] == "format"
        assert (await client.get(f"/api/jobs/{JOB}/log")).status_code == 404
