"""Payload v2 exactly (spec §8.2): members, caps, links; and what each channel makes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.jobs import JobRecord, JobStatus
from app.features.notifications import payload as p
from app.features.notifications.redact import HIDDEN, redact
from app.features.notifications.texts import Texts, content_of, transition
from tests.unit.notifications.rendering import Templates

AT = datetime(2026, 5, 1, 10, 0, 9, tzinfo=UTC)
STAMP = "2026-05-01T10:00:09.000000Z"
JOB = JobRecord(
    id="job_01",
    type="update",
    scope="service",
    status=JobStatus.ROLLED_BACK,
    created_by="alice",
    reason="ui",
    created_at=AT,
    started_at=AT,
    stack_id="stk_1",
    service_id="svc_1",
)
RELATIVE, ABSOLUTE = p.Origin("0.1.0", AT), p.Origin("0.1.0", AT, "https://d.example/base/")
TEMPLATES = Templates()
TEXTS = Texts(lambda: TEMPLATES)


def service(number: int = 1, **more: str) -> p.ServiceFacts:
    return p.ServiceFacts(f"stk_{number}", "demo", f"svc_{number}", f"web{number}", **more)


def versions(number: int = 1, now: str = "1.4.2", then: str = "1.5.0") -> p.ServiceFacts:
    return service(
        number, current_tag="latest", current_display_tag=now, candidate_tag="latest", candidate_display_tag=then
    )


def repo(number: int = 1, state: str = "missing", error: str | None = None) -> p.RepoAnomaly:
    return p.RepoAnomaly("acme", f"r{number}", state, error)


def test_job_finished_is_the_contract() -> None:
    human = TEXTS.job(JOB, [service()], "health check failed")
    assert p.for_channel(p.job_finished(JOB, human, [service()], ABSOLUTE), "webhook") == {
        "schema": "dockrev.notification.job.v2",
        "kind": "job_finished",
        "sentAt": STAMP,
        "channel": "webhook",
        "human": {"title": "Update rolled back", "summary": "demo/web1", "detail": "health check failed"},
        "job": {
            "id": "job_01",
            "type": "update",
            "scope": "service",
            "status": "rolled_back",
            "reason": "ui",
            "createdBy": "alice",
            "createdAt": STAMP,
            "startedAt": STAMP,
            "finishedAt": None,
            "stackId": "stk_1",
            "serviceId": "svc_1",
        },
        "links": {
            "primaryUrl": "https://d.example/base/services/stk_1/svc_1",
            "jobUrl": "https://d.example/base/queue/job_01",
            "serviceUrls": [
                {
                    "stackId": "stk_1",
                    "stackName": "demo",
                    "serviceId": "svc_1",
                    "serviceName": "web1",
                    "url": "https://d.example/base/services/stk_1/svc_1",
                }
            ],
            "truncated": {"serviceUrlsOmitted": 0},
        },
        "debug": {"appVersion": "0.1.0", "source": "dockrev-api"},
    }


def test_new_versions_are_the_contract() -> None:
    many = [versions(number) for number in range(1, 14)]
    document = p.for_channel(p.new_versions(JOB, TEXTS.new_versions(many), many, 58, RELATIVE), "webhook")
    assert document["schema"] == "dockrev.notification.new_version_discovered.v2"
    assert document["check"] == {
        "jobId": "job_01",
        "status": "rolled_back",
        "scope": "service",
        "servicesChecked": 58,
        "newVersions": 13,
    }
    links = document["links"]
    assert links["primaryUrl"] == links["jobUrl"] == "/queue/job_01"
    assert len(links["serviceUrls"]) == 10 and links["truncated"] == {"serviceUrlsOmitted": 3}
    assert links["serviceUrls"][0] == {
        "stackId": "stk_1",
        "stackName": "demo",
        "serviceId": "svc_1",
        "serviceName": "web1",
        "url": "/services/stk_1/svc_1",
        "currentTag": "latest",
        "currentDisplayTag": "1.4.2",
        "candidateTag": "latest",
        "candidateDisplayTag": "1.5.0",
    }
    assert document["human"]["title"] == "New versions of 13 services"
    assert document["human"]["summary"] == "demo/web1, demo/web2, demo/web3 and 10 more"
    assert document["human"]["detail"].split("\n")[0] == "demo/web1 1.4.2 → 1.5.0"
    one = TEXTS.new_versions([versions()])
    assert one == p.Human("New version of demo/web1", "1.4.2 → 1.5.0")


def test_anomalies_are_the_contract() -> None:
    repos = [repo(n) for n in range(10)] + [repo(10, "conflict"), repo(11, "error", "x" * 300)]
    document = p.for_channel(p.ghcr_anomaly(JOB, TEXTS.ghcr_anomaly(repos), repos, RELATIVE), "webhook")
    assert document["schema"] == "dockrev.notification.ghcr_webhook_anomaly.v2"
    assert document["job"] == {
        "id": "job_01",
        "status": "rolled_back",
        "missing": 10,
        "conflict": 1,
        "error": 1,
        "totalAnomalies": 12,
    }
    links = document["links"]
    assert (links["settingsUrl"], links["primaryUrl"], links["jobUrl"]) == (
        "/settings",
        "/queue/job_01",
        "/queue/job_01",
    )
    assert links["repos"][0] == {"owner": "acme", "repo": "r0", "fullName": "acme/r0", "state": "missing"}
    assert links["truncated"] == {"reposOmitted": 2}
    failing = p.ghcr_anomaly(JOB, TEXTS.ghcr_anomaly(repos[11:]), repos[11:], RELATIVE)["links"]["repos"][0]
    assert len(failing["lastError"]) == 256 and failing["lastError"].endswith("... [truncated]")


@pytest.mark.parametrize(
    ("kind", "status", "title"),
    [
        ("update", JobStatus.SUCCESS, "Update finished"),
        ("update", JobStatus.FAILED, "Update failed"),
        ("update", JobStatus.ROLLED_BACK, "Update rolled back"),
        ("rollback", JobStatus.SUCCESS, "Roll back finished"),
        ("rollback", JobStatus.FAILED, "Roll back failed"),
        ("rollback", JobStatus.ROLLED_BACK, "Roll back taken back"),
    ],
)
def test_titles(kind: str, status: JobStatus, title: str) -> None:
    job = JobRecord(
        **{**{name: getattr(JOB, name) for name in JOB.__dataclass_fields__}, "type": kind, "status": status}
    )
    assert TEXTS.job(job, [versions(), versions(2)], "").title == title
    assert TEXTS.job(job, [versions(), versions(2)], "").summary == "2 services"
    assert TEXTS.job(job, [versions()], "").summary == "demo/web1, 1.4.2 → 1.5.0"
    assert TEXTS.job(job, [], "").summary == "service"


@pytest.mark.parametrize(
    ("now", "then", "tag", "told"),
    [
        ("1.4.2", "1.5.0", "latest", "1.4.2 → 1.5.0"),
        ("latest", "1.5.0", "latest", "latest → 1.5.0"),
        ("latest", "latest", "latest", ""),
        ("", "latest", "latest", ""),
        ("1.4", "", "1.4", ""),
    ],
)
def test_a_transition_that_says_nothing_is_left_out(now: str, then: str, tag: str, told: str) -> None:
    assert transition(now, then, tag) == told
    summary = TEXTS.new_versions([versions(1, now, then)]).summary
    assert summary == (told or "A newer image is behind the same tag")


def test_the_test_message_is_the_contract() -> None:
    document = p.test_message("m" * 5000, None, TEXTS.test("m" * 5000), ABSOLUTE)
    assert document["url"] == "https://d.example/base/settings"
    assert len(document["human"]["summary"]) == 512 and document["human"]["summary"].endswith("... [truncated]")
    assert len(document["debug"]["rawMessage"]) == 1024 and document["debug"]["requestedChannel"] is None
    push = p.for_channel(p.test_message("hi", None, TEXTS.test("hi"), RELATIVE), "webPush")
    assert push["title"] == "Dockrev test" and push["url"] == "/settings"
    assert push["body"].split("\n")[2:] == ["Requested channel: all", "Dockrev 0.1.0"]


TEXT = st.text(max_size=3000)


@settings(deadline=None, max_examples=60)
@given(TEXT, st.integers(20, 2000))
def test_cut_never_exceeds_its_cap(text: str, cap: int) -> None:
    done = p.cut(text, cap)
    assert len(done) <= cap
    assert done == text or (done.endswith("... [truncated]") and text.startswith(done.removesuffix("... [truncated]")))


@settings(deadline=None, max_examples=60)
@given(TEXT, st.lists(st.text(min_size=1, max_size=120), max_size=14))
def test_a_push_always_fits_and_stays_whole(error: str, names: list[str]) -> None:
    services = [p.ServiceFacts("stk_" + "X" * 26, name, "svc_" + "Y" * 26, name) for name in names]
    document = p.job_finished(JOB, TEXTS.job(JOB, services, error), services, ABSOLUTE)
    push = p.for_channel(document, "webPush", "job:job_01")
    assert p.size(push) <= p.PUSH_BYTES
    assert {"schema", "kind", "sentAt", "channel", "human", "debug", "title", "body", "url", "links"} <= set(push)
    assert len(push["links"]["serviceUrls"]) + push["links"]["truncated"]["serviceUrlsOmitted"] == len(services)
    assert not {"type", "ts", "message"} & set(push)
    for channel in ("email", "webhook", "telegram"):
        whole = p.for_channel(document, channel)
        assert len(whole["human"]["detail"]) <= 1024 and not {"title", "body", "url"} & set(whole)
        json.dumps(whole)


def test_each_channel_gets_what_it_can_show() -> None:
    services = [versions(), versions(2, "latest", "latest")]
    hostile = TEXTS.job(JOB, services, "<script>alert(1)</script> & more\x1b[31m red")
    document = p.job_finished(JOB, hostile, services, RELATIVE)
    message = TEXTS.message("d1", "telegram", p.for_channel(document, "telegram"))
    assert "<pre>&lt;script&gt;alert(1)&lt;/script&gt; &amp; more red</pre>" in message.html
    assert "<code>/queue/job_01</code>" in message.html and "Set the public address" in message.html
    assert "<a " not in message.html and "&lt;" not in message.text and "<script>" in message.text
    linked = p.new_versions(JOB, TEXTS.new_versions(services), services, 2, ABSOLUTE)
    message = TEXTS.message("d1", "telegram", p.for_channel(linked, "telegram"))
    assert (
        '<a href="https://d.example/base/services/stk_1/svc_1">demo/web1</a> <code>1.4.2 → 1.5.0</code>' in message.html
    )
    assert "latest → latest" not in message.html + message.text
    assert '<a href="https://d.example/base/queue/job_01">Open in Dockrev</a>' in message.html
    mail = TEXTS.message("d1", "email", p.for_channel(document, "email"))
    assert "<pre" in mail.html and "&lt;script&gt;" in mail.html and "<script>" not in mail.html
    assert mail.title == "Update rolled back" and "Job job_01" in mail.text
    for channel in ("webhook", "webPush"):
        raw = TEXTS.message("d1", channel, p.for_channel(document, channel))
        assert raw.document["channel"] == channel and raw.html == ""


def test_content_of_one_service_repeats_nothing() -> None:
    one = content_of(p.new_versions(JOB, TEXTS.new_versions([versions()]), [versions()], 1, ABSOLUTE))
    assert one.lines == [] and one.summary == "1.4.2 → 1.5.0" and not one.relative


@pytest.mark.parametrize(
    ("text", "secrets", "told"),
    [
        ("cannot reach smtp://u:p4ss@h/", ["smtp://u:p4ss@h/"], f"cannot reach {HIDDEN}"),
        ("login p%40ss failed, p@ss too", ["smtp://u:p%40ss@h/"], f"login {HIDDEN} failed, {HIDDEN} too"),
        ("GET /bot123456789:" + "A" * 35 + "/x", [], f"GET /{HIDDEN}/x"),
        ("https://me:word@host/x", [], f"https://{HIDDEN}@host/x"),
        ("posted to /hooks/abcdef", ["https://h.example/hooks/abcdef"], f"posted to {HIDDEN}"),
        ("nothing here", ["", None], "nothing here"),
        ("a word", ["a"], "a word"),
    ],
)
def test_redaction(text: str, secrets: list[Any], told: str) -> None:
    assert redact(text, secrets) == told


@settings(deadline=None, max_examples=80)
@given(
    st.text(max_size=200), st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=40)
)
def test_a_secret_never_survives(text: str, secret: str) -> None:
    if HIDDEN in secret or set(secret) <= {"*"}:
        return
    assert secret not in redact(f"{text}{secret}{text}", [secret])
