"""What a job's summary is told as: the reason of its end, its row, its timeline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.jobs import JobRecord, JobStatus
from app.features.jobs import Names, job_page, job_row
from app.features.jobs.pages import tracks_of
from app.features.jobs.rules import result_reason
from app.features.jobs.schemas import StepKey, StepState, TrackState

AT = datetime(2026, 5, 1, 10, tzinfo=UTC)
NAMES = Names(services={"svc_a": ("stk_1", "demo", "web")}, stacks={"stk_1": "demo"})


def job(status: JobStatus, summary: dict[str, Any], kind: str = "update") -> JobRecord:
    return JobRecord(
        id="job_1", type=kind, scope="service", status=status, created_by="alice", reason="ui", created_at=AT,
        stack_id="stk_1", service_id="svc_a", summary=summary,
    )  # fmt: skip


def update(step: str, error: str = "boom") -> dict[str, Any]:
    return {"stacks": [{"stackId": "stk_1", "update": {"failureStep": step, "lastError": error}}]}


@pytest.mark.parametrize(
    ("status", "summary", "words", "detail"),
    [
        (JobStatus.ROLLED_BACK, update("health"), "did not get healthy", "brought back"),
        (JobStatus.FAILED, update("health"), "did not get healthy", "could not be confirmed"),
        (
            JobStatus.FAILED,
            update("health", "The new container was left as it is: …"),
            "did not get healthy",
            "does not roll back by itself",
        ),
        (JobStatus.FAILED, update("pull", "toomanyrequests: slow down"), "limits pulls", "credentials"),
        (JobStatus.FAILED, update("pull", "no such image"), "could not be pulled", "kept running"),
        (JobStatus.FAILED, {"cause": "server_restart", "error": "x"}, "restarted", "read again"),
        (JobStatus.FAILED, {"cause": "stale_check", "error": "x"}, "two hours", "new one"),
        (JobStatus.FAILED, {"error": "the engine is away", "hint": "Start it."}, "the engine is away", "Start it."),
        (JobStatus.CANCELLED, {}, "without saying why", ""),
    ],
)
def test_every_end_but_success_has_a_reason(
    status: JobStatus, summary: dict[str, Any], words: str, detail: str
) -> None:
    reason = result_reason(status, summary)
    assert reason is not None
    assert words in reason.summary
    assert detail in reason.detail


@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.QUEUED, JobStatus.SUCCESS])
def test_no_reason_for_what_went_well_or_runs(status: JobStatus) -> None:
    assert result_reason(status, update("health")) is None


def timeline(*steps: tuple[str, str], **facts: Any) -> dict[str, Any]:
    made = [{"step": step, "status": state, "startedAt": "2026-05-01T10:00:00Z"} for step, state in steps]
    return {"timeline": [{"key": "svc_a", "label": "demo/web", "steps": made, **facts}]}


@pytest.mark.parametrize(
    ("status", "steps", "state", "last"),
    [
        (JobStatus.RUNNING, [("queued", "run")], TrackState.QUEUED, StepKey.SETTLED),
        (JobStatus.RUNNING, [("queued", "done"), ("pull", "run")], TrackState.RUNNING, StepKey.SETTLED),
        (JobStatus.SUCCESS, [("pull", "done"), ("settled", "done")], TrackState.SETTLED, StepKey.SETTLED),
        (JobStatus.ROLLED_BACK, [("health", "bad"), ("rolled_back", "back")], TrackState.ROLLED_BACK,
         StepKey.ROLLED_BACK),
        (JobStatus.FAILED, [("pull", "bad")], TrackState.FAILED, StepKey.UNCHANGED),
    ],
)  # fmt: skip
def test_tracks(status: JobStatus, steps: list[tuple[str, str]], state: TrackState, last: StepKey) -> None:
    (track,) = tracks_of(job(status, timeline(*steps, fromVersion="1.0", toVersion="1.1")), NAMES)
    assert track.state is state
    assert track.steps[-1].key is last
    assert (track.service_name, track.stack_name, track.from_version) == ("web", "demo", "1.0")
    assert [step.key for step in track.steps][:5] == [
        StepKey.QUEUED, StepKey.BACKUP, StepKey.PULL, StepKey.RECREATE, StepKey.HEALTH,
    ]  # fmt: skip


def test_layers_and_bytes_of_a_running_pull() -> None:
    layers = [{"id": "aa", "state": "downloading", "currentBytes": 5, "totalBytes": 10}, {"id": "bb", "state": "odd"}]
    summary = timeline(("pull", "run"), layers=layers, download={"currentBytes": 5, "totalBytes": 20}, pullPercent=25.0)
    (track,) = tracks_of(job(JobStatus.RUNNING, summary), NAMES)
    pull = next(step for step in track.steps if step.key is StepKey.PULL)
    assert (pull.state, pull.percent, pull.current_bytes, pull.total_bytes) == (StepState.RUN, 25.0, 5, 20)
    assert [layer.id for layer in pull.layers] == ["aa", "bb"]


def test_a_row_counts_what_settled_and_what_went_back() -> None:
    row = job_row(job(JobStatus.ROLLED_BACK, timeline(("rolled_back", "back"))), NAMES)
    assert (row.services_total, row.services_rolled_back, row.services_settled) == (1, 1, 0)
    assert row.target_name == "web"
    assert row.result_summary


def test_reasons_for_a_backup_left_out_are_words() -> None:
    step = {"step": "backup", "status": "skip", "note": "no_targets"}
    summary = {"timeline": [{"key": "svc_a", "steps": [step]}]}
    (track,) = tracks_of(job(JobStatus.RUNNING, summary), NAMES)
    assert next(step for step in track.steps if step.key is StepKey.BACKUP).note == "nothing to back up"
    step["note"] = "/data/backups/stk_1/20261124-094004Z.tar.gz"
    (track,) = tracks_of(job(JobStatus.RUNNING, summary), NAMES)
    note = next(step for step in track.steps if step.key is StepKey.BACKUP).note
    assert note == "kept as 20261124-094004Z.tar.gz", "the folder is nobody's business"


def test_a_dry_run_plans_and_has_no_steps() -> None:
    summary = {"mode": "dry-run", **timeline(("queued", "run"))}
    (track,) = tracks_of(job(JobStatus.SUCCESS, summary), NAMES)
    assert (track.state, track.steps) == (TrackState.PLANNED, [])
    left = {"mode": "dry-run", **timeline(("queued", "skip"))}
    assert tracks_of(job(JobStatus.SUCCESS, left), NAMES)[0].state is TrackState.SKIPPED


@given(steps=st.lists(st.dictionaries(st.sampled_from(["step", "status", "note", "startedAt"]), st.text(max_size=8))))
def test_odd_timelines_break_no_page(steps: list[dict[str, str]]) -> None:
    summary = {"timeline": [{"key": "svc_x", "steps": steps}, "not a track"]}
    page = job_page(job(JobStatus.FAILED, summary), NAMES, [], 0)
    assert page.job.id == "job_1"
    assert len(page.tracks) == 1


def test_a_discovery_counts_what_it_changed_and_could_not_take_in() -> None:
    counts = {"stacksCreated": 1, "stacksUpdated": 1, "stacksMarkedMissing": 1, "stacksFailed": 2, "stacksSkipped": 9}
    actions = [{"project": "shop", "action": "failed", "reason": "compose_file_invalid: /srv/a.yml"}]
    found = job(JobStatus.SUCCESS, {"scan": {"summary": counts, "actions": actions}}, "discovery")
    row = job_row(found, NAMES)
    assert (row.changes, row.problems) == (3, 2)
    assert job_page(found, NAMES, [], 0).actions[0].reason == "A Compose file is not valid: /srv/a.yml"
    other = job_row(job(JobStatus.SUCCESS, {}, "check"), NAMES)
    assert (other.changes, other.problems) == (None, None)


def test_webhooks_that_need_somebody_are_counted() -> None:
    counters = {"total": 4, "ok": 1, "missing": 1, "conflict": 2, "error": 0, "repos": "odd"}
    for kind, summary, problems in (
        ("github_packages_webhook", counters, 3),
        ("github_packages_webhook_sync_repo", {}, 0),
        ("check", counters, None),
    ):
        assert job_row(job(JobStatus.SUCCESS, summary, kind), NAMES).problems == problems
