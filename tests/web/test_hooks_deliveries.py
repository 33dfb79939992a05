"""Deliveries of GitHub, decision by decision, and the trigger (spec §3.4, §3.5, §5.7, §9.5, §13 24 and 25, §14.6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from app.core.clock import utc_now
from app.core.db import Database
from app.core.jobs import Job, JobContext, JobEngine, JobKind, JobOutcome, JobStatus
from app.features.hooks.deliveries import Deliveries
from app.features.hooks.intake import Intake
from app.features.hooks.models import GithubDeliveryRow, GithubSettingsRow
from app.features.hooks.rules.delivery import Payload, Signed, sign
from app.features.hooks.settings import HookSettings
from app.features.stacks import Discovery
from app.features.versions import Checks
from app.features.versions.models import ServiceVersion
from tests.fakes.github import TOKEN
from tests.web.hooks_house import API, DELIVER, GONE, LONE, SECRET, STACK, WEB, House, house, published
from tests.web.test_contract import error, running

DIGEST = "sha256:" + "b" * 64


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        await made.settings(
            repos=[{"fullName": "Acme/Web", "selected": True}, {"fullName": "acme/tools", "selected": True},
                   {"fullName": "acme/api", "selected": False}]
        )  # fmt: skip
        yield made


async def log(at: House, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await at.get(f"/webhook/deliveries{query}"))["deliveries"]
    return found


@pytest.mark.parametrize("delivery", [None, "", "   ", "x" * 129])
async def test_1_without_an_id(at: House, delivery: str | None) -> None:
    assert (await at.deliver(published(), delivery=delivery, status=400))["code"] == "invalid_argument"
    assert await log(at) == []


@pytest.mark.parametrize("event", ["ping", "push", None, "registry_package"])
async def test_2_another_event_before_the_signature(at: House, event: str | None) -> None:
    told = await at.deliver({"zen": "x"}, event=event, signature="sha256=wrong")
    assert told == {"ok": True, "ignored": True, "reason": "not_package_event"}
    assert await log(at) == []


async def test_3_disabled(at: House) -> None:
    await at.settings(enabled=False)
    told = await at.deliver(published(), signature="sha256=wrong")
    assert told == {"ok": True, "ignored": True, "reason": "disabled"}
    assert await log(at) == []


@pytest.mark.parametrize("signature", ["", "sha256=", "sha256=" + "0" * 64, "sha1=abc"])
async def test_4_a_wrong_signature(at: House, signature: str) -> None:
    found = await at.deliver(published(), signature=signature, status=401)
    assert (found["code"], found["details"]) == ("unauthorized", {"reason": "invalid_signature"})
    assert await log(at) == []


async def test_4_an_upper_case_signature_and_a_changed_body(at: House) -> None:
    stored = (await at.container.get(HookSettings).read()).secret
    assert stored is not None
    right = sign(stored, b"{}")
    await at.deliver(b"{}", signature="sha256=" + right[7:].upper(), status=401)
    await at.deliver(b"{ }", signature=right, status=401)


async def test_4_a_signature_that_is_no_text(at: House) -> None:
    headers = [(b"X-GitHub-Delivery", b"d"), (b"X-GitHub-Event", b"package"), (b"X-Hub-Signature-256", b"\xff\xfe")]
    assert (await at.client.post(DELIVER, content=b"{}", headers=headers)).status_code == 401


async def test_4_no_secret_stored(tmp_path: Path) -> None:
    async with house(tmp_path) as made:
        async with made.container.get(Database).transaction() as session:
            session.add(GithubSettingsRow(enabled=True))
        found = await made.deliver(published(), status=401)
        assert found["details"] == {"reason": "webhook_secret_not_configured"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"payload=%7B%7D", b"\xff\xfe{}", '{"a":1}'.encode("utf-16"), b"[" * 200_000]
)
async def test_5_no_json(at: House, body: bytes) -> None:
    found = await at.deliver(body, status=400)
    assert (found["code"], found["details"]["field"]) == ("invalid_argument", "body")
    row = (await log(at))[0]
    assert (row["decision"], row["reason"], row["responseStatus"]) == ("rejected", "invalid_json", 400)


async def test_5_a_body_that_is_too_large(at: House) -> None:
    found = await at.deliver(b'"' + b"x" * 2_000_000 + b'"', status=400)
    assert found["message"] == "the request body is too large"
    assert await log(at) == []


@pytest.mark.parametrize(
    "body", [[], 7, {}, {"action": None}, published(action="updated"), published(action=["published"])]
)
async def test_6_nothing_was_published(at: House, body: Any) -> None:
    told = await at.deliver(body)
    assert told == {"ok": True, "ignored": True, "reason": "not_published", "attemptCount": 1}
    row = (await log(at))[0]
    assert (row["decision"], row["reason"], row["responseStatus"], row["jobIds"]) == (
        "ignored",
        "not_published",
        200,
        [],
    )


@pytest.mark.parametrize("name", ["acme/api", "other/web", "acme/unknown"])
async def test_8_not_selected(at: House, name: str) -> None:
    told = await at.deliver(published(name))
    assert (told["ignored"], told["reason"]) == (True, "repo_not_selected")
    row = (await log(at))[0]
    assert (row["fullName"], row["owner"], row["action"], row["event"]) == (
        name,
        name.split("/")[0],
        "published",
        "package",
    )


async def test_8_an_owner_without_selected_repositories(at: House) -> None:
    body = {"action": "published", "organization": {"login": "other"}}
    assert (await at.deliver(body))["reason"] == "repo_not_selected"
    assert (await at.deliver({"action": "published"}, delivery="d-2"))["reason"] == "repo_not_selected"


async def test_10_a_check_for_exactly_the_services_that_use_the_image(at: House) -> None:
    told = await at.deliver(published("ACME/web"))
    assert told["jobId"] == told["jobIds"][0]
    assert {**told, "jobIds": 0, "jobId": 0} == {
        "ok": True, "attemptCount": 1, "jobIds": 0, "jobId": 0, "matchedServiceIds": [API, WEB], "reusedJobIds": [],
        "fallbackUsed": False,
    }  # fmt: skip
    assert not {LONE, GONE} & set(told["matchedServiceIds"])
    jobs = [await at.finished(job_id) for job_id in told["jobIds"]]
    assert [job.id[:4] for job in jobs] == ["chk_", "chk_"]
    assert [(job.type, job.scope, job.service_id, job.created_by, job.reason) for job in jobs] == [
        ("check", "service", API, "github", "webhook"), ("check", "service", WEB, "github", "webhook"),
    ]  # fmt: skip
    assert jobs[0].summary["audit"] == {
        "source": "github_webhook", "repo": "ACME/web", "repos": ["ACME/web"], "deliveryId": "d-1",
        "deliveryIds": ["d-1"], "matchedServiceIds": [API, WEB], "fallbackUsed": False, "reusedJobIds": [],
    }  # fmt: skip
    assert jobs[0].summary["servicesChecked"] == 1
    row = (await log(at))[0]
    assert (row["decision"], row["jobIds"], row["jobId"]) == ("processed", told["jobIds"], told["jobId"])
    assert (row["responseStatus"], row["attemptCount"], "reason" in row) == (200, 1, False)


async def test_10_a_check_under_way_is_joined(at: House) -> None:
    at.gate.clear()
    running_check = (await at.call("POST", "/api/checks", {"scope": "service", "serviceId": WEB}))["checkId"]
    told = await at.deliver(published())
    assert running_check in told["jobIds"] and told["reusedJobIds"] == [running_check]
    again = await at.deliver(published(), delivery="d-2")
    assert again["jobIds"] == told["jobIds"] and again["reusedJobIds"] == told["jobIds"]
    at.gate.set()
    for job_id in told["jobIds"]:
        summary = (await at.finished(job_id)).summary
        assert summary["audit"]["deliveryIds"] == ["d-1", "d-2"] and summary["audit"]["repos"] == ["acme/web"]
        assert summary["servicesChecked"] == 1


async def test_10_a_check_of_two_hours_is_replaced(at: House) -> None:
    long_ago = utc_now() - timedelta(hours=3)
    old = Job(
        id="chk_old", type="check", scope="service", service_id=WEB, status=JobStatus.RUNNING, created_by="bob",
        reason="ui", created_at=long_ago,
    )  # fmt: skip
    async with at.container.get(Database).transaction() as session:
        session.add(old)
    told = await at.deliver(published())
    assert "chk_old" not in told["jobIds"] and told["reusedJobIds"] == []
    dead = await at.job("chk_old")
    assert (dead.status, dead.summary["cause"]) == (JobStatus.FAILED, "stale_check")


async def test_10_no_service_leads_to_one_discovery(at: House) -> None:
    at.gate.clear()
    told = await at.deliver(published("acme/tools"))
    assert {**told, "jobId": 0, "jobIds": 0} == {
        "ok": True, "attemptCount": 1, "jobIds": 0, "jobId": 0, "matchedServiceIds": [], "reusedJobIds": [],
        "fallbackUsed": True, "fallbackReason": "no_managed_service_match",
    }  # fmt: skip
    assert len(told["jobIds"]) == 1 and told["jobId"].startswith("dsc_")
    job = await at.job(told["jobId"])
    assert (job.type, job.created_by, job.reason) == ("discovery", "github", "github_webhook")
    assert job.summary["audit"]["fallbackReason"] == "no_managed_service_match"
    again = await at.deliver({"action": "published", "organization": {"login": "ACME"}}, delivery="d-2")
    assert (again["jobIds"], again["reusedJobIds"]) == (told["jobIds"], told["jobIds"])
    assert again["fallbackReason"] == "owner_only_payload"
    at.gate.set()
    assert (await at.finished(told["jobId"])).summary["audit"]["deliveryIds"] == ["d-1", "d-2"]
    assert [row["reason"] for row in await log(at)] == ["owner_only_payload", "no_managed_service_match"]


async def test_9_a_repetition(at: House) -> None:
    first = await at.deliver(published())
    again = await at.deliver(published())
    assert again == {"ok": True, "ignored": True, "reason": "duplicate_delivery", "attemptCount": 2}
    assert (await at.deliver(published()))["attemptCount"] == 3
    row = (await log(at))[0]
    assert (row["decision"], row["jobIds"], row["attemptCount"]) == ("processed", first["jobIds"], 3)
    assert row["receivedAt"] > row["firstReceivedAt"]


async def test_9_ten_at_once_are_one(at: House) -> None:
    told = await asyncio.gather(*(at.deliver(published()) for _ in range(10)))
    assert sum("jobIds" in each for each in told) == 1
    assert sorted(each["attemptCount"] for each in told) == list(range(1, 11))


async def test_9_what_was_ignored_stays_so_when_it_comes_again(at: House) -> None:
    await at.deliver(published("acme/api"))
    await at.call("POST", "/api/github-packages/repos/bulk-selected", {"q": "acme/api", "selected": True})
    assert (await at.deliver(published("acme/api")))["reason"] == "duplicate_delivery"


async def test_9_what_was_done_is_remembered_although_it_is_ignored_now(at: House) -> None:
    first = await at.deliver(published())
    await at.call("POST", "/api/github-packages/repos/bulk-selected", {"selected": False})
    told = await at.deliver(published())
    assert (told["reason"], told["attemptCount"]) == ("repo_not_selected", 2)
    assert (await log(at))[0]["jobIds"] == first["jobIds"]


async def test_11_without_a_job_the_next_attempt_is_a_first_one(at: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:

        async def fail(*_: Any, **__: Any) -> Any:
            raise RuntimeError("no")

        broken.setattr(Checks, "start_or_join", fail)
        broken.setattr(Discovery, "request_or_join", fail)
        found = await at.deliver(published(), status=500)
        assert (found["code"], found["message"], found["details"]["cause"]) == (
            "internal",
            "internal error",
            "RuntimeError",
        )
        await at.deliver(published("acme/tools"), delivery="d-2", status=500)
    assert await log(at) == []
    told = await at.deliver(published())
    assert told["attemptCount"] == 1 and len(told["jobIds"]) == 2


async def test_11_with_a_job_it_counts(at: House, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Checks.start_or_join

    async def second_fails(self: Checks, service_id: str, **rest: Any) -> Any:
        if service_id == WEB:
            raise RuntimeError("no")
        return await right(self, service_id, **rest)

    monkeypatch.setattr(Checks, "start_or_join", second_fails)
    assert len((await at.deliver(published()))["jobIds"]) == 1
    row = (await log(at))[0]
    assert row["decision"] == "processed" and row["reason"] == "not every service could be checked"
    assert (await at.deliver(published()))["reason"] == "duplicate_delivery"


async def test_11_a_process_that_died_in_between(at: House) -> None:
    deliveries = at.container.get(Deliveries)
    await deliveries.claim("d-1", Payload("published", "acme", "web"), Signed.CURRENT)
    assert await deliveries.release_unfinished() == 1
    assert (await at.deliver(published()))["attemptCount"] == 1
    assert await deliveries.release_unfinished() == 0


async def test_the_log_has_pages_filters_and_search(at: House) -> None:
    for number in range(5):
        await at.deliver(published("acme/api"), delivery=f"i-{number}")
    told = await at.deliver(published(), delivery="p-1")
    await at.deliver(b"x", delivery="r-1", status=400)
    found = await at.get("/webhook/deliveries?perPage=3&page=2")
    assert (found["page"], found["perPage"], found["total"], found["filteredTotal"]) == (2, 3, 7, 7)
    assert found["summary"] == {"processed": 1, "ignored": 5, "rejected": 1}
    assert [row["deliveryId"] for row in found["deliveries"]] == ["i-3", "i-2", "i-1"]
    assert [row["deliveryId"] for row in await log(at, "?decision=rejected")] == ["r-1"]
    assert [row["deliveryId"] for row in await log(at, "?q=ACME/WEB")] == ["p-1"]
    assert [row["deliveryId"] for row in await log(at, f"?q={told['jobIds'][1]}")] == ["p-1"]
    assert len(await log(at, "?q=repo_not&decision=ignored")) == 5
    for bad in ("decision=foo", "perPage=0", "page=0"):
        await at.get(f"/webhook/deliveries?{bad}", status=400)


async def test_deliveries_are_forgotten(at: House) -> None:
    await at.deliver(published())
    async with at.container.get(Database).transaction() as session:
        row = await session.get_one(GithubDeliveryRow, "d-1")
        row.received_at = utc_now() - timedelta(days=91)
    assert await at.container.get(Deliveries).purge() == 1


async def test_github_is_nobody_who_signs_in(tmp_path: Path) -> None:
    """Both webhooks are outside of forward auth and of the same-site rule; everything else is inside."""
    async with house(tmp_path, auth_allowed_user="alice", auth_allow_anonymous_in_dev="off") as made:
        assert (await made.deliver({}, event="ping"))["reason"] == "not_package_event"
        answer = await made.client.post(DELIVER, headers={"X-GitHub-Delivery": "d", "Origin": "https://github.com"})
        assert answer.json() == {"ok": True, "ignored": True, "reason": "not_package_event"}
        await made.get("/settings", status=401)


async def test_deliveries_are_streamed(at: House) -> None:
    """An endless answer does not come through this client: what the route hands on is read where it comes from."""
    ring = at.container.get(Intake).ring
    await at.deliver(published("acme/api"))
    told = await at.deliver(published(), delivery="d-2")
    found = [document async for _, document in take(ring.follow(1, anyio.Event()), 1)]
    assert found[0]["type"] == "github_packages_delivery_event"
    assert found[0]["delivery"] == next(row for row in await log(at) if row["deliveryId"] == "d-2")
    assert found[0]["delivery"]["jobIds"] == told["jobIds"]
    assert [number for number, _ in ring.after(0)] == [1, 2]
    found = [document async for _, document in take(ring.follow(99, anyio.Event()), 1)]
    assert found[0]["type"] == "resync_required", "ids of an earlier process"


async def take(source: AsyncIterator[Any], count: int) -> AsyncIterator[Any]:
    """The first ones."""
    async for each in source:
        yield each
        count -= 1
        if count == 0:
            return


# ---- trigger


async def trigger(at: House, body: Any, *, status: int = 200, secret: str | None = SECRET) -> Any:
    headers = {} if secret is None else {"X-Dockrev-Webhook-Secret": secret}
    answer = await at.client.post("/api/webhooks/trigger", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json() if status == 200 else error(answer)


async def test_a_trigger_without_the_secret_learns_nothing(at: House, tmp_path: Path) -> None:
    bodies: list[Any] = [{"action": "check", "scope": "all"}, {"nonsense": True}, []]
    for secret in (None, "", "wrong", SECRET.upper(), SECRET + " x"):
        for body in bodies:
            found = await trigger(at, body, status=401, secret=secret)
            assert (found["code"], found["details"]) == ("unauthorized", {})
    (tmp_path / "n").mkdir()
    async with running(tmp_path / "n") as (_, client):
        answer = await client.post("/api/webhooks/trigger", json={"action": "check", "scope": "all"})
        assert answer.status_code == 401
        assert error(answer)["details"] == {"reason": "webhook_secret_not_configured"}


async def test_a_triggered_check(at: House) -> None:
    at.gate.clear()
    ids = [(await trigger(at, {"action": "check", "scope": "all"}))["jobId"] for _ in range(2)]
    ids.append((await trigger(at, {"action": "check", "scope": "stack", "stackId": STACK}))["jobId"])
    assert len(set(ids)) == 3 and all(job_id.startswith("job_") for job_id in ids)
    job = await at.job(ids[0])
    assert (job.type, job.created_by, job.reason, job.scope) == ("check", "webhook", "webhook", "all")
    found = await trigger(at, {"action": "check", "scope": "stack"}, status=400)
    assert found["message"] == "stackId is required for scope=stack"
    await trigger(at, {"action": "check", "scope": "service", "serviceId": "svc_none"}, status=404)


def target(service_id: str = WEB, **changed: Any) -> dict[str, Any]:
    return {"serviceId": service_id, "targetTag": "1", "targetDigest": DIGEST, "pullTags": [], **changed}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"action": "update", "scope": "all"}, 400, "targets is required for webhook update"),
        ({"action": "update", "scope": "all", "targets": []}, 400, "targets is required for webhook update"),
        ({"action": "update", "scope": "service", "serviceId": WEB}, 400, "targets is required for webhook update"),
        (
            {"action": "update", "scope": "service", "targets": [target()]},
            400,
            "serviceId is required for scope=service",
        ),
        (
            {"action": "update", "scope": "service", "serviceId": WEB, "targets": [target(API)]},
            400,
            "targets must contain exactly one entry for serviceId",
        ),
        (
            {"action": "update", "scope": "service", "serviceId": WEB, "targets": [target(), target(API)]},
            400,
            "targets must contain exactly one entry for serviceId",
        ),
        ({"action": "update", "scope": "stack", "targets": [target()]}, 400, "stackId is required for scope=stack"),
        (
            {"action": "update", "scope": "service", "serviceId": "svc_no", "targets": [target("svc_no")]},
            404,
            "service not found",
        ),
        (
            {"action": "update", "scope": "service", "serviceId": WEB, "targets": [target()]},
            409,
            "target digest no longer matches latest scan (rescan required)",
        ),
        (
            {"action": "update", "scope": "all", "targets": [target(), target()]},
            400,
            "targets contains duplicate serviceId",
        ),
    ],
)
async def test_a_triggered_update_is_checked_as_any_other(
    at: House, body: dict[str, Any], status: int, message: str
) -> None:
    assert (await trigger(at, body, status=status))["message"] == message


async def test_odd_triggers_are_400(at: House) -> None:
    bodies: list[Any] = [
        {}, {"action": "check"}, {"action": "delete", "scope": "all"}, {"action": "check", "scope": "x"},
    ]  # fmt: skip
    for body in bodies:
        assert (await trigger(at, body, status=400))["code"] == "invalid_argument"
    answer = await at.client.post(
        "/api/webhooks/trigger", content=b"\xff{", headers={"X-Dockrev-Webhook-Secret": SECRET}
    )
    assert answer.status_code == 400


async def test_a_triggered_update_starts(at: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(ctx: JobContext) -> JobOutcome:
        return JobOutcome()

    at.container.get(JobEngine).register(JobKind("update", nothing))
    async with at.container.get(Database).transaction() as session:
        session.add(
            ServiceVersion(
                service_id=WEB, image_ref="ghcr.io/acme/web:1", image_repo="ghcr.io/acme/web", image_tag="1",
                current_digest="sha256:" + "a" * 64, candidate_tag="1", candidate_digest=DIGEST,
                candidate_arch_match="match", candidate_arch=["linux/amd64"],
            )
        )  # fmt: skip
    one = {"action": "update", "scope": "service", "serviceId": WEB, "targets": [target()], "backupMode": "skip"}
    job = await at.finished((await trigger(at, one))["jobId"])
    assert (job.type, job.created_by, job.reason, job.payload["mode"]) == ("update", "webhook", "webhook", "apply")
    assert (job.service_id, job.backup_mode, job.allow_arch_mismatch) == (WEB, "skip", False)
    job = await at.finished((await trigger(at, {"action": "update", "scope": "all", "targets": [target()]}))["jobId"])
    assert (job.scope, job.backup_mode) == ("all", "inherit")
    assert TOKEN not in str(job.summary)
