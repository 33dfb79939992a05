"""Where a running job stands with one of its services."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.core.jobs import JobRecord, JobStatus
from app.features.catalog.reads import busy_of


@pytest.mark.parametrize(
    ("steps", "phase"),
    [
        ([], "Queued"),
        ([("queued", "run")], "Queued"),
        ([("queued", "done"), ("pull", "run")], "Pull"),
        ([("queued", "done"), ("pull", "done")], "Waits"),
        ([("health", "done"), ("settled", "done")], "Settled"),
        ([("health", "bad"), ("rolled_back", "back")], "Rolled back"),
    ],
)
def test_the_phase_of_a_service_between_steps(steps: list[tuple[str, str]], phase: str) -> None:
    entry = {"key": "svc_1", "steps": [{"step": step, "status": status} for step, status in steps], "pullPercent": 41}
    job = JobRecord(
        id="job_1", type="update", scope="all", status=JobStatus.RUNNING, created_by="alice", reason="ui",
        created_at=datetime(2026, 5, 1, tzinfo=UTC), summary={"timeline": [entry]},
    )  # fmt: skip
    busy = busy_of(job, "svc_1")
    assert (busy.phase, busy.percent) == (phase, 41 if phase == "Pull" else None)
