"""Jobs as a page would get them: running, rolled back, settled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.core.jobs.models import JobStatus
from app.features.jobs import schemas as j
from tests.unit.web.pages.base import NOW, ago, digest, uid


def step(key: str, state: str, start: float, seconds: float | None = None, **more: Any) -> j.Step:
    begun = None if state == "todo" else NOW - timedelta(seconds=start)
    ended = begun + timedelta(seconds=seconds) if begun and seconds is not None else None
    return j.Step(key=j.StepKey(key), state=j.StepState(state), started_at=begun, finished_at=ended, **more)


def running_steps() -> list[j.Step]:
    layers = [
        j.Layer(id="a480a496ba95", state=j.LayerState.PRESENT),
        j.Layer(id="5c3b1e7f0a22", state=j.LayerState.DONE, current_bytes=29_100_000, total_bytes=29_100_000),
        j.Layer(
            id="9e11d04c77ab",
            state=j.LayerState.DOWNLOADING,
            current_bytes=133_000_000,
            total_bytes=188_000_000,
        ),
        j.Layer(id="c0ffae21b930", state=j.LayerState.EXTRACTING, total_bytes=240_000_000),
        j.Layer(id="17dd6e02fe58", state=j.LayerState.WAITING, total_bytes=44_800_000),
    ]
    return [
        step("queued", "done", 64, 1),
        step("backup", "done", 63, 41, note="data, 640 MB"),
        step("pull", "run", 22, percent=62.1, current_bytes=311_000_000, total_bytes=502_000_000, layers=layers),
        step("recreate", "todo", 0, estimate_s=15),
        step("health", "todo", 0, estimate_s=90),
        step("settled", "todo", 0),
    ]


def back_steps() -> list[j.Step]:
    return [
        step("queued", "done", 180, 1),
        step("backup", "skip", 179, 0, note="skipped"),
        step("pull", "done", 178, 9),
        step("recreate", "done", 169, 4, note="container 8f21c0 replaced 3a9be4"),
        step("health", "bad", 165, 60, note="unhealthy after 3 probes"),
        step("rolled_back", "back", 105, 21, note="to the exact previous image"),
    ]


def settled_steps() -> list[j.Step]:
    keys = ["queued", "backup", "pull", "recreate", "health", "settled"]
    return [step(key, "done", 400 - 8 * n, 8) for n, key in enumerate(keys)]


def track(number: int, state: str, steps: list[j.Step], **more: Any) -> j.ServiceTrack:
    return j.ServiceTrack(
        service_id=uid("svc", number),
        stack_id=uid("stk", 1),
        service_name=f"worker-{number}",
        stack_name="stack-1",
        from_version="2.1.1",
        to_version="2.1.4",
        from_digest=digest(1),
        to_digest=digest(2),
        state=j.TrackState(state),
        steps=steps,
        started_at=ago(seconds=200) if steps else None,
        finished_at=ago(seconds=100) if state in ("settled", "rolled_back") else None,
        **more,
    )


def evidence(**changes: Any) -> j.RollbackEvidence:
    values: dict[str, Any] = {
        "trigger": "health check, 3 consecutive failures in 60 s",
        "last_output": ["starting on :8080", "fatal: cannot reach cache:6379"],
        "health_output": "connection refused",
        "exit_code": 1,
        "restarts": 2,
        "oom_killed": False,
        "failed_digest": digest(2),
        "restored_digest": digest(1),
        "backup_at": ago(minutes=3),
    }
    return j.RollbackEvidence(**(values | changes))


def job(number: int, kind: str = "update", status: str = "success", **changes: Any) -> j.JobRow:
    values: dict[str, Any] = {
        "id": uid("job", number),
        "type": kind,
        "scope": "service",
        "status": JobStatus(status),
        "created_by": "robin",
        "reason": "ui",
        "created_at": ago(minutes=number),
        "started_at": ago(minutes=number),
        "finished_at": None if status in ("running", "queued") else ago(minutes=number, seconds=-48),
        "stack_id": uid("stk", 1),
        "service_id": uid("svc", 1),
        "target_name": "worker",
        "from_version": "2.1.1",
        "to_version": "2.1.4",
        "steps": running_steps()
        if status == "running"
        else back_steps()
        if status == "rolled_back"
        else settled_steps(),
    }
    return j.JobRow(**(values | changes))


def running_job() -> j.JobRow:
    return job(
        42,
        status="running",
        services_total=4,
        scope="all",
        service_id=None,
        stack_id=None,
        target_name=None,
        from_version=None,
        to_version=None,
        services_settled=1,
        services_rolled_back=1,
        current=track(3, "running", running_steps()),
    )


def history() -> list[j.JobRow]:
    return [
        job(
            41,
            status="rolled_back",
            result_summary="Health check failed, rolled back",
            result_detail="unhealthy after 60 s",
        ),
        job(
            40,
            "check",
            scope="all",
            target_name=None,
            from_version=None,
            to_version=None,
            new_versions=3,
            steps=[],
        ),
        job(
            39,
            "discovery",
            scope="all",
            target_name=None,
            from_version=None,
            to_version=None,
            steps=[],
            created_by="schedule",
        ),
        job(38, status="failed", result_summary="Pull failed: registry rate limited"),
        job(37, dry_run=True),
        job(36, status="cancelled", steps=[]),
        job(35, "check", target_name="web", from_version=None, to_version=None, new_versions=0, steps=[]),
    ]


def check_progress() -> j.JobProgress:
    return j.JobProgress(
        phase="scanning",
        message="checking stack-2",
        current=11,
        total=58,
        percent=19,
        planned_current=18,
        planned_total=58,
        planned_percent=31,
        current_target="stack-2/web",
        updated_at=NOW,
    )


def job_page(**changes: Any) -> j.JobPage:
    values: dict[str, Any] = {
        "job": running_job(),
        "tracks": [
            track(1, "settled", settled_steps()),
            track(2, "rolled_back", back_steps(), evidence=evidence()),
            track(3, "running", running_steps()),
            track(4, "queued", []),
        ],
        "logs": log_lines(30),
        "logs_last_id": 830,
        "logs_total": 412,
    }
    return j.JobPage(**(values | changes))


def log_lines(number: int) -> list[j.LogLine]:
    levels = ["info", "info", "warn", "error", "info"]
    return [
        j.LogLine(
            id=800 + n,
            ts=ago(seconds=number - n),
            level=levels[n % 5],
            source="worker" if n % 2 else None,
            msg=f"pull: layer {n} of 8 complete, line {n}",
        )
        for n in range(number)
    ]


def check_page() -> j.JobPage:
    row = job(
        40,
        "check",
        "running",
        scope="all",
        target_name=None,
        from_version=None,
        to_version=None,
        steps=[],
        progress=check_progress(),
    )
    return j.JobPage(
        job=row,
        logs=log_lines(3),
        logs_total=3,
        facts={"Services checked": 58, "Host platform": "linux/amd64"},
        warnings=["ghcr.io/acme/harbour-3:2 kept its last result: registry timeout"],
        new_versions=[
            j.NewVersion(
                stack_id=uid("stk", 1),
                service_id=uid("svc", 1),
                service_name="worker",
                image_ref="ghcr.io/acme/harbour:2",
                current_tag="2",
                current_version="2.1.1",
                candidate_version="2.1.4",
                current_digest=digest(1),
                candidate_digest=digest(2),
            )
        ],
        actions=[
            j.DiscoveryActionRow(project="stack-1", action="created", stack_id=uid("stk", 1)),
            j.DiscoveryActionRow(project="games", action="marked_missing", reason="no container"),
        ],
    )


def job_list(**changes: Any) -> j.JobListPage:
    values: dict[str, Any] = {
        "running": [
            running_job(),
            job(
                43,
                "check",
                "running",
                scope="all",
                target_name=None,
                from_version=None,
                to_version=None,
                steps=[],
                progress=check_progress(),
            ),
        ],
        "waiting": [job(44, status="queued", steps=[])],
        "history": history(),
        "counts": [
            j.FilterCount(key=key, count=n) for n, key in enumerate(["all", "success", "failed", "rolled_back"])
        ],
        "types": ["update", "check", "discovery"],
        "next_cursor": "abc",
    }
    return j.JobListPage(**(values | changes))
