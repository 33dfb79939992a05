"""What the overview says needs a person after updates that went wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.core.jobs import JobRecord, JobStatus
from app.features.catalog import Seen
from app.features.catalog.schemas import ServiceState
from app.features.overview.schemas import Issue
from app.features.overview.service import _gone_wrong
from app.features.stacks import ServiceRecord
from app.features.versions import VersionRecord

AT = datetime(2026, 5, 1, 10, tzinfo=UTC)
OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def seen(*, runs: str = OLD, candidate: str | None = NEW) -> dict[str, Seen]:
    service = ServiceRecord(
        id="svc_1", stack_id="stk_1", stack_name="demo", project="demo", name="web", image_ref="acme/web:1",
        image_tag="1", created_at=AT,
    )  # fmt: skip
    record = VersionRecord(
        service_id="svc_1", image_ref="acme/web:1", image_repo="acme/web", image_tag="1", current_digest=runs,
        candidate_tag="1" if candidate else None, candidate_digest=candidate, checked_at=AT,
    )  # fmt: skip
    return {"svc_1": Seen(service, record, ServiceState.UPDATABLE)}


def job(status: JobStatus, *steps: tuple[str, str], number: int = 1, mode: str = "apply", **facts: Any) -> JobRecord:
    told = [{"step": step, "status": state} for step, state in steps]
    entry = {"key": "svc_1", "steps": told, "fromVersion": "1.0", "toVersion": "1.1", "toDigest": NEW, **facts}
    return JobRecord(
        id=f"job_{number}", type="update", scope="service", status=status, created_by="alice", reason="ui",
        created_at=AT - timedelta(minutes=number), summary={"mode": mode, "timeline": [entry]},
    )  # fmt: skip


BACK = job(JobStatus.ROLLED_BACK, ("health", "bad"), ("rolled_back", "back"), number=2)
LEFT = job(JobStatus.FAILED, ("health", "bad"), ("unchanged", "bad"), evidence={"trigger": "the health check failed"})
PULL = job(JobStatus.FAILED, ("pull", "bad"), error="no such image")


def issues(known: dict[str, Seen], *jobs: JobRecord) -> list[Issue]:
    return _gone_wrong(known, jobs, AT)


def test_what_went_back_is_told_while_its_candidate_stands() -> None:
    (issue,) = issues(seen(), BACK)
    assert (issue.severity, issue.title) == ("back", "web went back to 1.0.")
    assert issue.actions[0].href == "/queue/job_2#evidence-svc_1"
    assert not issues(seen(candidate="sha256:" + "3" * 64), BACK), "a newer one is another matter"


def test_what_was_left_on_a_bad_version_is_told_while_it_runs() -> None:
    (issue,) = issues(seen(runs=NEW, candidate=None), LEFT)
    assert (issue.severity, issue.title, issue.detail) == ("bad", "web was left on 1.1.", "the health check failed")
    assert not issues(seen(runs="sha256:" + "3" * 64, candidate=None), LEFT)


def test_a_failed_pull_is_told_with_its_error() -> None:
    (issue,) = issues(seen(), PULL)
    assert (issue.title, issue.detail) == ("The update of web failed.", "no such image")
    assert issue.actions[0].href == "/queue/job_1#svc-svc_1"


def test_only_the_newest_update_of_a_service_counts() -> None:
    assert not issues(seen(), job(JobStatus.SUCCESS, ("settled", "done")), BACK)
    dry = job(JobStatus.SUCCESS, ("queued", "run"), mode="dry-run")
    assert len(issues(seen(), dry, BACK)) == 1, "a dry run settles nothing"
    old = issues(seen(), job(JobStatus.ROLLED_BACK, ("health", "bad"), ("rolled_back", "back"), number=60 * 24 * 8))
    assert not old
