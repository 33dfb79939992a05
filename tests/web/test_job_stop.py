"""Stopping a job over the API, and by the form of its page (spec §7.9)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.core.feature import Container
from app.core.jobs import Job, JobEngine, JobStatus
from tests.web.test_contract import error, running

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Container]]:
    async with running(tmp_path) as (app, client):
        yield client, app.state.container


async def job(container: Container, payload: dict[str, Any], status: JobStatus = JobStatus.RUNNING) -> str:
    """A job of another time."""
    row = Job(
        id=f"job_{len(payload)}{status}", type="update", scope="all", status=status, created_by="bob", reason="ui",
        created_at=NOW, started_at=NOW, payload=payload,
    )  # fmt: skip
    async with container.get(Database).transaction() as session:
        session.add(row)
    return row.id


async def test_the_api_tells_the_four_outcomes(site: tuple[httpx.AsyncClient, Container]) -> None:
    client, container = site
    assert error(await client.post("/api/jobs/job_none/stop"))["code"] == "not_found"
    job_id = await job(container, {"mode": "apply", "stop": {}})
    for outcome in ("requested", "already_requested"):
        answer = await client.post(f"/api/jobs/{job_id}/stop")
        assert (answer.status_code, answer.json()) == (200, {"jobId": job_id, "outcome": outcome})
    done = await job(container, {"mode": "apply", "stop": {}}, JobStatus.SUCCESS)
    late = await job(container, {"mode": "apply", "stop": {"committedAt": "x"}, "more": 1})
    other = await job(container, {})
    for wanted, reason in ((late, "apply_committed"), (done, "job_finished"), (other, "not_eligible")):
        answer = await client.post(f"/api/jobs/{wanted}/stop")
        found = error(answer)
        assert (answer.status_code, found["code"], found["details"]["reason"]) == (409, "conflict", reason)


async def test_the_page_has_a_form_while_it_can_be_stopped(site: tuple[httpx.AsyncClient, Container]) -> None:
    client, container = site
    html = {"accept": "text/html"}
    job_id = await job(container, {"mode": "apply", "stop": {}})
    page = (await client.get(f"/queue/{job_id}", headers=html)).text
    form = re.search(rf'<form method="post" action="/queue/{job_id}/stop".*?</form>', page, re.DOTALL)
    assert form is not None
    token = re.search(r'name="csrf" value="([^"]+)"', form[0])
    assert token is not None
    refused = await client.post(f"/queue/{job_id}/stop", data={"csrf": "wrong"}, headers=html)
    assert refused.status_code == 403
    answer = await client.post(f"/queue/{job_id}/stop", data={"csrf": token[1]}, headers=html)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/queue/{job_id}")
    page = (await client.get(f"/queue/{job_id}", headers=html)).text
    assert f'action="/queue/{job_id}/stop"' not in page and "Stopping" in page
    stored = await container.get(JobEngine).store.get(job_id)
    assert stored is not None and stored.stop == "requested"
    for payload in ({"stop": {"committedAt": "x"}}, {}):
        late = await job(container, payload)
        assert "/stop" not in (await client.get(f"/queue/{late}", headers=html)).text


async def test_a_cancelled_job_is_told_as_such(site: tuple[httpx.AsyncClient, Container]) -> None:
    client, container = site
    job_id = await job(container, {"mode": "apply", "stop": {"requestedAt": "x"}}, JobStatus.CANCELLED)
    async with container.get(Database).transaction() as session:
        row = await session.get_one(Job, job_id)
        row.summary = {
            "error": "stopped on request of bob", "cause": "stopped",
            "timeline": [{"key": "svc_1", "label": "a/b", "steps": [{"step": "pull", "status": "done"}]}],
        }  # fmt: skip
    answer = (await client.get(f"/api/jobs/{job_id}")).json()["job"]
    assert answer["status"] == "cancelled" and answer["resultReason"]["summary"] == "Stopped on request"
    page = (await client.get(f"/queue/{job_id}", headers={"accept": "text/html"})).text
    assert "Cancelled" in page and "Stopped on request" in page and "Failed" not in page
    listed = (await client.get("/queue?status=cancelled", headers={"accept": "text/html"})).text
    assert job_id in listed
    assert (await client.get("/api/jobs?status=cancelled")).json()["jobs"][0]["id"] == job_id
