"""From stored jobs to what is shown of them."""

from __future__ import annotations

import re

import pytest
from jinja2 import Environment

from app.features.jobs import pages
from app.features.jobs.schemas import DiscoveryActionRow, JobPage, NewVersion, Step, StepKey, StepState
from tests.unit.web.pages import base, jobs
from tests.unit.web.pages.base import NOW, digest
from tests.unit.web.pages.cases import environment


@pytest.fixture(scope="module")
def made() -> Environment:
    return environment()


def text_of(made: Environment, page: JobPage) -> str:
    """The page's words without markup."""
    html = made.get_template("jobs/job_detail.html").render(**base.context(page=page))
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_what_is_backed_up_waits_no_more() -> None:
    steps = [
        Step(key=StepKey.QUEUED, state=StepState.RUN, started_at=NOW),
        Step(key=StepKey.BACKUP, state=StepState.RUN, started_at=NOW),
    ]
    pages._leave_queue(steps)
    assert [step.state for step in steps] == [StepState.DONE, StepState.RUN]
    assert steps[0].finished_at == NOW
    waiting = [Step(key=StepKey.QUEUED, state=StepState.RUN, started_at=NOW)]
    pages._leave_queue(waiting)
    assert waiting[0].state is StepState.RUN and waiting[0].finished_at is None


def test_a_discovery_tells_what_happened_and_counts_the_rest(made: Environment) -> None:
    row = jobs.job(39, "discovery", scope="all", target_name=None, steps=[], changes=1, problems=1)
    actions = [
        DiscoveryActionRow(project="attic", action="marked_missing"),
        DiscoveryActionRow(project="games", action="failed", reason="A Compose file is not valid"),
        *(DiscoveryActionRow(project=f"stack-{n}", action="skipped") for n in range(11)),
    ]
    text = text_of(made, JobPage(job=row, actions=actions))
    assert "1 change, 1 problem" in text and "Does not run any more" in text and "11 projects unchanged." in text
    assert "stack-3" not in text and "marked missing" not in text


def test_a_webhook_in_conflict_is_not_all_well(made: Environment) -> None:
    for problems, words in ((0, "Done"), (1, "1 webhook not right"), (2, "2 webhooks not right")):
        row = jobs.job(39, "github_packages_webhook", scope="all", target_name=None, steps=[], problems=problems)
        assert words in text_of(made, JobPage(job=row))


def test_a_tag_is_not_told_as_a_version(made: Environment) -> None:
    found = {"stack_id": "stk_1", "service_id": "svc_1", "service_name": "web", "candidate_digest": digest(2)}
    news = [
        NewVersion(**found, image_ref="a:7", current_tag="7", current_version="7", candidate_version="7"),
        NewVersion(**found, image_ref="b:7", current_tag="7", current_version="7.4.1", candidate_version="7.4.2"),
    ]
    text = text_of(made, JobPage(job=jobs.job(40, "check", steps=[]), new_versions=news))
    assert "tag 7" in text and "7.4.1 → 7.4.2" in text


def test_evidence_of_what_was_still_running_names_no_exit_code(made: Environment) -> None:
    back = jobs.back_steps()
    back[-2].note = "the health check failed"
    proof = jobs.evidence(exit_code=None, restarts=0)
    track = jobs.track(2, "rolled_back", back, evidence=proof)
    job = jobs.job(41, status="rolled_back", result_summary="The new container did not get healthy")
    text = text_of(made, JobPage(job=job, tracks=[track]))
    assert "was still running, never restarted, no out-of-memory kill" in text
    assert "Health failed the health check failed" not in text
    assert text.count("Try again") == 1, "one way on is enough"


def test_what_was_left_as_it_is_is_no_failed_way_back(made: Environment) -> None:
    steps = [*jobs.back_steps()[:-1], jobs.step("unchanged", "bad", 100, 0, note="Automatic rollback is switched off.")]
    proof = jobs.evidence(restored_ok=False, restored_digest=None)
    page = JobPage(job=jobs.job(38, status="failed"), tracks=[jobs.track(2, "failed", steps, evidence=proof)])
    text = text_of(made, page)
    assert "Not taken back Automatic rollback is switched off." in text
    assert "The way back failed too" not in text and "Wanted image" not in text
    tried = [*jobs.back_steps()[:-1], jobs.step("rolled_back", "bad", 100, 9)]
    page.tracks = [jobs.track(2, "failed", tried, evidence=proof)]
    assert "The way back failed too" in text_of(made, page)


def test_only_who_is_worked_on_is_open(made: Environment) -> None:
    waits = [*jobs.running_steps()[:2], jobs.step("pull", "done", 60, 3)]
    tracks = [jobs.track(1, "running", jobs.running_steps()), jobs.track(2, "running", waits)]
    html = made.get_template("jobs/job_detail.html").render(
        **base.context(page=JobPage(job=jobs.running_job(), tracks=tracks))
    )
    assert [" open" in tag for tag in re.findall(r"<details class=\"run-svc\"[^>]*>", html)] == [True, False]
    assert "<span>Waits</span>" in html
