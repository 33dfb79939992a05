"""GitHub packages over the API: settings, repositories, targets, webhooks as jobs (spec §3.7, §5.6, §9.4, §5b)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from app.core.db import Database
from app.core.jobs import JobStatus
from app.features.hooks import WebhookJobs
from app.features.hooks.models import Op, WebhookState
from app.features.hooks.settings import HookSettings
from app.features.hooks.tracked import TrackedRepos
from app.features.notifications import Notifications
from app.features.notifications.models import DeliveryRow
from tests.fakes.github import TOKEN, Fault
from tests.web.hooks_house import CALLBACK, House, house

MASK, BULLETS = "******", "•" * 16


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        yield made


# ---- settings


async def test_defaults_and_what_is_stored(at: House) -> None:
    empty = {"enabled": False, "callbackUrl": "", "targets": [], "reposTotal": 0, "reposSelectedTotal": 0}
    assert await at.get("/settings") == empty
    assert await at.settings(targets=[{"input": " acme/web "}, {"input": "jane"}]) == {"ok": True}
    told = await at.get("/settings")
    assert told == {
        "enabled": True,
        "callbackUrl": CALLBACK,
        "targets": [
            {"input": "acme/web", "kind": "repo", "owner": "acme", "warnings": []},
            {"input": "jane", "kind": "owner", "owner": "jane", "warnings": []},
        ],
        "reposTotal": 0,
        "reposSelectedTotal": 0,
        "patMasked": MASK,
        "secretMasked": MASK,
    }
    assert TOKEN not in str(told)


async def test_the_secret_is_made_once(at: House) -> None:
    await at.settings()
    first = (await at.container.get(HookSettings).read()).secret
    await at.settings(enabled=False)
    assert first is not None and re.fullmatch(r"[A-Za-z0-9+/]{43}", first)
    assert (await at.container.get(HookSettings).read()).secret == first
    assert first not in repr(await at.container.get(HookSettings).read())


@pytest.mark.parametrize("pat", [..., None, "", "  ", MASK, BULLETS])
async def test_masks_keep_the_token(at: House, pat: Any) -> None:
    await at.settings()
    body = {"enabled": True, "callbackUrl": ""} | ({} if pat is ... else {"pat": pat})
    await at.call("PUT", "/api/github-packages/settings", body)
    assert (await at.container.get(HookSettings).read()).pat == TOKEN
    await at.settings(pat="another")
    assert (await at.container.get(HookSettings).read()).pat == "another"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"callbackUrl": "dockrev.example"}, "invalid callbackUrl"),
        ({"callbackUrl": "ftp://dockrev.example/"}, "invalid callbackUrl"),
        ({"callbackUrl": "https://"}, "invalid callbackUrl"),
        ({"callbackUrl": "https://u:p@dockrev.example/"}, "invalid callbackUrl"),
        ({"pat": None}, "pat is required when enabled=true"),
        ({"pat": MASK}, "pat is required when enabled=true"),
        ({"pat": "two words"}, "pat is no token of GitHub"),
        ({"targets": [{"input": "https://gitlab.com/acme"}]}, "invalid target input"),
        ({"repos": [{"fullName": "acme", "selected": True}]}, "invalid repos"),
        ({"repos": [{"fullName": "acme/web/x", "selected": True}]}, "invalid repos"),
    ],
)
async def test_bad_settings_change_nothing(at: House, changed: dict[str, Any], message: str) -> None:
    found = await at.settings(status=400, **changed)
    assert (found["code"], found["message"]) == ("invalid_argument", message)
    assert (await at.get("/settings"))["enabled"] is False
    assert (await at.get("/repos"))["total"] == 0
    if message == "invalid target input":
        assert found["details"]["input"] == "https://gitlab.com/acme" and found["details"]["error"]


async def test_odd_shapes_are_400(at: House) -> None:
    bodies: list[Any] = [
        {}, [], {"enabled": "yes", "callbackUrl": ""}, {"enabled": True}, {"enabled": False, "callbackUrl": 1},
    ]  # fmt: skip
    for body in bodies:
        await at.call("PUT", "/api/github-packages/settings", body, status=400)


async def test_lists_replace_what_is_stored(at: House) -> None:
    repos = [{"fullName": name, "selected": selected} for name, selected in
             (("Acme/Web", False), ("acme/web", True), ("  ", True), ("acme/api", False))]  # fmt: skip
    await at.settings(repos=repos, targets=[{"input": "acme"}])
    found = await at.get("/repos")
    assert [(each["fullName"], each["selected"]) for each in found["repos"]] == [
        ("acme/api", False),
        ("Acme/Web", True),
    ]
    assert (found["total"], found["selectedTotal"]) == (2, 1)
    await at.settings()
    assert (await at.get("/repos"))["total"] == 2
    assert len((await at.get("/settings"))["targets"]) == 1
    repo = await at.container.get(TrackedRepos).get(("acme", "web"))
    await at.container.get(TrackedRepos).write(repo, webhook_state=WebhookState.OK, hook_id=7)
    await at.settings(repos=[{"fullName": "ACME/WEB", "selected": True}], targets=[])
    found = await at.get("/repos")
    assert [(each["fullName"], each["webhookState"], each["hookId"]) for each in found["repos"]] == [
        ("Acme/Web", "ok", 7)
    ]
    assert (await at.get("/settings"))["targets"] == []


# ---- repositories


async def test_pages_filters_and_search(at: House) -> None:
    names = [f"acme/r{number:02}" for number in range(30)] + ["Zed/web", "beta/R01"]
    await at.settings(repos=[{"fullName": name, "selected": name.startswith("acme/r0")} for name in names])
    page = await at.get("/repos?page=2&perPage=20")
    assert (page["page"], page["perPage"], page["total"], page["filteredTotal"]) == (2, 20, 32, 32)
    assert [each["fullName"] for each in page["repos"]][-3:] == ["acme/r29", "beta/R01", "Zed/web"]
    assert page["repos"][0] == {"fullName": "acme/r20", "selected": False, "webhookState": "unknown"}
    found = await at.get("/repos?q=R01")
    assert [each["fullName"] for each in found["repos"]] == ["acme/r01", "beta/R01"]
    assert (found["filteredTotal"], found["total"], found["selectedTotal"]) == (2, 32, 10)
    assert (await at.get("/repos?q=e/r0&selectedFilter=selected"))["filteredTotal"] == 10
    assert (await at.get("/repos?selectedFilter=unselected"))["filteredTotal"] == 22
    assert (await at.get("/repos?q=%25"))["filteredTotal"] == 0
    for bad in ("selectedFilter=foo", "perPage=0", "perPage=201", "page=0", "page=x"):
        assert (await at.get(f"/repos?{bad}", status=400))["code"] == "invalid_argument"


async def test_bulk_selection_is_about_all_pages(at: House) -> None:
    await at.settings(repos=[{"fullName": f"acme/r{number:03}", "selected": False} for number in range(120)])
    done = await at.post("/repos/bulk-selected", {"q": "r0", "selected": True})
    assert done == {"ok": True, "affected": 100}
    assert (await at.get("/repos"))["selectedTotal"] == 100
    done = await at.post("/repos/bulk-selected", {"selectedFilter": "unselected", "selected": True})
    assert done == {"ok": True, "affected": 20}
    await at.post("/repos/bulk-selected", {"selectedFilter": "some", "selected": True}, status=400)
    await at.post("/repos/bulk-selected", {}, status=400)


async def test_selecting_registers_a_webhook(at: House) -> None:
    assert await at.post("/repos/selected", {"fullName": "acme/web", "selected": True}) == {"ok": True}
    await at.settings()
    done = await at.post("/repos/selected", {"fullName": "ACME/web", "selected": True})
    job = await at.finished(done["jobId"])
    assert job.status is JobStatus.SUCCESS and job.id.startswith("job_")
    assert (job.type, job.scope, job.service_id) == ("github_packages_webhook", "service", "acme/web")
    counters = {"op": "register", "total": 1, "ok": 1, "missing": 0, "conflict": 0, "error": 0, "deleted": 0}
    assert {key: job.summary[key] for key in counters} == counters
    assert job.summary["hardFailures"] == 0 and job.summary["progress"]["percent"] == 100
    hook = at.github.hooks["acme/web"][0]
    repo = await at.repo("acme/web")
    assert repo is not None
    assert (repo["fullName"], repo["webhookState"], repo["hookId"]) == ("acme/web", "ok", hook["id"])
    assert repo["lastOp"] == "register" and repo["lastSyncAt"] and repo["webhookJobId"] == job.id
    secret = (await at.container.get(HookSettings).read()).secret
    assert hook["config"] == {"url": CALLBACK, "content_type": "json", "secret": secret, "insecure_ssl": "0"}
    assert await at.post("/repos/selected", {"fullName": "acme/web", "selected": False}) == {"ok": True}
    for bad in ("acme", "acme/", "/web", "a/b/c", ""):
        found = await at.post("/repos/selected", {"fullName": bad, "selected": True}, status=400)
        assert found["message"] == "invalid fullName"


async def test_events_of_a_job_never_tell_secrets(at: House) -> None:
    await at.settings()
    done = await at.post("/repos/selected", {"fullName": "acme/web", "selected": True})
    await at.finished(done["jobId"])
    async with at.client.stream("GET", f"/api/jobs/{done['jobId']}/events") as stream:
        text = ""
        async for chunk in stream.aiter_text():
            text += chunk
            if "ghcr_webhook_job_finished" in text:
                break
    assert "event: ghcr_webhook_job_started" in text and '"repo":"acme/web"' in text
    secret = (await at.container.get(HookSettings).read()).secret
    assert secret is not None and secret not in text and TOKEN not in text


async def test_deleting_removes_the_hook_and_then_the_row(at: House) -> None:
    await at.settings(repos=[{"fullName": "acme/web", "selected": True}])
    at.github.add_hook("acme/web", CALLBACK + "/")
    other = at.github.add_hook("acme/web", "https://ci.example/hook")
    done = await at.post("/repos/delete", {"fullName": "Acme/Web"})
    job = await at.finished(done["jobId"])
    assert job.status is JobStatus.SUCCESS and job.summary["deleted"] == 1
    assert [hook["id"] for hook in at.github.hooks["acme/web"]] == [other]
    assert await at.repo("acme/web") is None
    assert (await at.post("/repos/delete", {"fullName": "acme/web"}, status=404))["message"] == "repo is not tracked"
    assert (await at.post("/repos/delete", {"fullName": "web"}, status=400))["message"] == "invalid fullName"


async def test_a_failed_deletion_keeps_the_row(at: House) -> None:
    await at.settings(repos=[{"fullName": "acme/web", "selected": True}])
    at.github.add_hook("acme/web", CALLBACK)
    at.github.faults.append(Fault(403, where="DELETE", times=9))
    job = await at.finished((await at.post("/repos/delete", {"fullName": "acme/web"}))["jobId"])
    assert job.status is JobStatus.FAILED and job.summary["hardFailures"] == 1
    repo = await at.repo("acme/web")
    assert repo is not None and repo["webhookState"] == "error" and "permission" in repo["lastError"]
    assert len(at.github.calls("DELETE")) == 1, "a no is not asked twice"


async def test_a_repository_that_is_gone_can_be_deleted(at: House) -> None:
    await at.settings(repos=[{"fullName": "acme/gone", "selected": True}])
    job = await at.finished((await at.post("/repos/delete", {"fullName": "acme/gone"}))["jobId"])
    assert job.status is JobStatus.SUCCESS and await at.repo("acme/gone") is None


# ---- targets


async def test_adding_targets(at: House) -> None:
    assert (await at.post("/targets/add", {"input": "acme"}, status=400))["message"] == "pat is required"
    await at.settings(repos=[{"fullName": "ACME/Web", "selected": False}])
    done = await at.post("/targets/add", {"input": "https://github.com/acme"})
    assert done == {"ok": True, "kind": "owner", "owner": "acme", "reposAdded": 2}
    found = await at.get("/repos")
    assert [(each["fullName"], each["selected"]) for each in found["repos"]] == [
        ("acme/api", True), ("acme/tools", True), ("ACME/Web", False),
    ]  # fmt: skip
    done = await at.post("/targets/add", {"input": "other/thing.git"})
    assert done == {"ok": True, "kind": "repo", "owner": "other", "reposAdded": 1}
    await at.post("/targets/add", {"input": "acme"})
    assert [each["input"] for each in (await at.get("/settings"))["targets"]] == ["other/thing.git", "acme"]
    assert (await at.post("/targets/add", {"input": "a b"}, status=400))["message"] == "invalid target input"
    for _ in range(2):
        assert await at.post("/targets/remove", {"input": "https://github.com/ACME/"}) == {"ok": True}
    assert [each["input"] for each in (await at.get("/settings"))["targets"]] == ["other/thing.git"]
    assert (await at.get("/repos"))["total"] == 4


async def test_resolving_a_repository_asks_nobody(at: House) -> None:
    found = await at.post("/resolve", {"input": "git@github.com:Acme/Web.git"})
    entry = {"fullName": "Acme/Web", "selected": True, "visibility": "unknown", "lastActivityAt": None}
    assert found == {"kind": "repo", "owner": "Acme", "repos": [{**entry, "deployed": True}], "warnings": []}
    assert not at.github.asked
    await at.settings(repos=[{"fullName": "acme/web", "selected": False}])
    found = await at.post("/resolve", {"input": "ACME/WEB"})
    assert (found["repos"][0]["fullName"], found["repos"][0]["selected"]) == ("acme/web", False)


async def test_resolving_an_owner(at: House) -> None:
    at.github.archived.add("acme/tools")
    await at.settings(repos=[{"fullName": "acme/api", "selected": True}])
    found = await at.post("/resolve", {"input": "ACME"})
    assert (found["kind"], found["owner"]) == ("owner", "acme")
    assert [(each["fullName"], each["selected"], each["visibility"], each["deployed"]) for each in found["repos"]] == [
        ("acme/api", True, "public", False), ("acme/tools", False, "public", False),
        ("acme/web", False, "public", True),
    ]  # fmt: skip
    assert found["repos"][0]["lastActivityAt"] == "2026-04-28T07:12:00Z"
    assert len(found["warnings"]) == 1 and "1 of 3" in found["warnings"][0]


async def test_resolve_says_what_is_wrong(at: House) -> None:
    missing = await at.post("/resolve", {"input": "acme"}, status=422)
    assert (missing["code"], missing["details"]["reason"]) == ("invalid_argument", "ghcr_pat_missing")
    await at.settings(pat="wrong")
    denied = await at.post("/resolve", {"input": "acme"}, status=422)
    assert denied["code"] == "invalid_argument"
    assert denied["details"]["reason"] == "ghcr_pat_invalid_or_scope_insufficient"
    assert (denied["details"]["owner"], denied["details"]["status"]) == ("acme", 401)
    assert "Bad credentials" in denied["details"]["cause"] and "wrong" not in denied["details"]["cause"]
    await at.settings()
    for text in ("", " ", "https://gitlab.com/acme", "a/b/c", "git@gitlab.com:a/b.git", "nobody-has-this-name"):
        assert (await at.post("/resolve", {"input": text}, status=400))["message"] == "invalid target input"
    at.github.faults.append(Fault(502, times=1))
    found = await at.post("/resolve", {"input": "acme"}, status=500)
    assert (found["code"], found["message"]) == ("internal", "internal error")
    assert found["details"]["reason"] == "github_upstream_unavailable"
    at.github.faults.append(Fault(403, headers={"Retry-After": "90"}))
    found = await at.post("/resolve", {"input": "acme"}, status=500)
    assert found["details"]["reason"] == "github_upstream_unavailable"


async def test_resolve_tells_a_timeout(at: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.adapters.github import GitHub
    from app.features.hooks import lookup

    await at.settings()
    monkeypatch.setattr(lookup, "GitHub", lambda url, pat, now: GitHub(url, pat, seconds=0.1, now=now))
    at.github.faults.append(Fault(0, delay=0.5))
    found = await at.post("/resolve", {"input": "acme"}, status=500)
    assert found["details"]["reason"] == "github_upstream_timeout"


# ---- jobs


async def test_sync_is_refused_while_it_cannot_work(at: House) -> None:
    for path, body in (("/sync", {}), ("/webhook/sync-all", None), ("/webhook/sync-repo", {"fullName": "acme/web"})):
        await at.settings(enabled=False, repos=[{"fullName": "acme/web", "selected": True}])
        assert (await at.post(path, body, status=400))["message"] == "github packages webhook is disabled"
        await at.settings(callbackUrl="")
        assert (await at.post(path, body, status=400))["message"] == "callbackUrl is required"
    await at.settings(repos=[{"fullName": "acme/web", "selected": False}])
    assert (await at.post("/webhook/sync-all", status=400))["message"] == "no tracked repos selected"
    found = await at.post("/webhook/sync-repo", {"fullName": "acme/web"}, status=400)
    assert found["message"] == "repo is not selected"
    found = await at.post("/webhook/sync-repo", {"fullName": "acme/none"}, status=404)
    assert found["message"] == "repo is not tracked"


async def test_sync_enqueues_a_job_for_each(at: House) -> None:
    await at.settings(
        repos=[{"fullName": f"acme/{name}", "selected": name != "tools"} for name in ("web", "api", "tools")]
    )
    dry = await at.post("/sync", {"dryRun": True})
    assert [each["action"] for each in dry["results"]] == ["queued", "queued"] and dry["ok"]
    assert not at.github.asked
    found = await at.post("/sync", {"repos": ["ACME/web", "acme/tools", "acme/none"]})
    assert found["ok"] is False
    assert [(each["repo"], each["action"]) for each in found["results"]] == [
        ("acme/web", "queued"), ("acme/tools", "error"), ("acme/none", "error"),
    ]  # fmt: skip
    assert found["results"][1]["message"].startswith("repo is not selected")
    assert found["results"][2]["message"].startswith("repo is not tracked")
    job_id = re.search(r"job_\w+", found["results"][0]["message"])
    assert job_id is not None
    job = await at.finished(job_id[0])
    assert (job.type, job.service_id, job.summary["op"]) == ("github_packages_webhook_sync_repo", "acme/web", "sync")
    found = await at.post("/sync")
    assert found["ok"] and len(found["results"]) == 2
    await at.post("/sync", {"repos": ["acme"]}, status=400)


async def test_pending_work_is_reused(at: House) -> None:
    await at.settings(repos=[{"fullName": "acme/web", "selected": True}])
    at.github.faults.append(Fault(0, delay=0.5, where="GET"))
    first = await at.post("/webhook/sync-repo", {"fullName": "acme/web"})
    again = await at.post("/webhook/sync-repo", {"fullName": "ACME/web"})
    assert first["reused"] is False and again == {"ok": True, "jobId": first["jobId"], "reused": True}
    told = (await at.post("/sync"))["results"][0]["message"]
    assert first["jobId"] in told and "reused" in told
    everything = await at.post("/webhook/sync-all")
    assert everything["reused"] is False
    assert (await at.post("/webhook/sync-all"))["reused"] is True
    counted = await at.get("/webhook/overview")
    assert counted["jobsRunning"] + counted["jobsQueued"] == 2 and counted["runningJobId"]
    await at.finished(first["jobId"])
    job = await at.finished(everything["jobId"])
    assert job.status is JobStatus.SUCCESS
    assert len(at.github.hooks["acme/web"]) == 1, "two jobs never add two webhooks"


async def test_what_is_being_removed_is_left_alone(at: House) -> None:
    await at.settings(repos=[{"fullName": "acme/web", "selected": True}])
    at.github.add_hook("acme/web", CALLBACK)
    at.github.faults.append(Fault(0, delay=0.5, where="GET"))
    gone = await at.post("/repos/delete", {"fullName": "acme/web"})
    for path, body in (
        ("/webhook/sync-repo", {"fullName": "acme/web"}),
        ("/repos/selected", {"fullName": "acme/web", "selected": True}),
    ):
        found = await at.post(path, body, status=409)
        assert (found["code"], found["message"]) == ("conflict", "repo unregister in progress")
        assert found["details"]["existingJobId"] == gone["jobId"]
    assert (await at.post("/sync", {"repos": ["acme/web"]}))["ok"] is False
    await at.finished(gone["jobId"])
    assert at.github.hooks["acme/web"] == []


async def test_sync_all_and_the_overview(at: House) -> None:
    at.github.users["acme"] = [f"r{number}" for number in range(12)]
    await at.settings(repos=[{"fullName": f"acme/r{number}", "selected": number < 11} for number in range(12)])
    at.github.add_hook("acme/r1", CALLBACK.upper().replace("HTTPS://DOCKREV.EXAMPLE", "https://Dockrev.Example:443"))
    at.github.add_hook("acme/r2", CALLBACK, active=False)
    at.github.add_hook("acme/r3", CALLBACK)
    at.github.add_hook("acme/r3", CALLBACK + "/#x")
    at.github.faults.append(Fault(404, where="/acme/r4/"))
    at.github.faults.append(Fault(500, where="/acme/r5/", times=3))
    done = await at.post("/webhook/sync-all")
    job = await at.finished(done["jobId"])
    assert job.status is JobStatus.FAILED
    counters = {name: job.summary[name] for name in ("op", "total", "ok", "conflict", "error", "hardFailures")}
    assert counters == {"op": "sync", "total": 11, "ok": 9, "conflict": 1, "error": 1, "hardFailures": 1}
    conflict = await at.repo("acme/r3")
    assert conflict is not None and conflict["webhookState"] == "conflict"
    assert len(at.github.hooks["acme/r3"]) == 2
    told = next(each for each in job.summary["repos"] if each["repo"] == "acme/r3")
    assert [hook["url"] for hook in told["conflictHooks"]] == [CALLBACK, CALLBACK + "/#x"]
    assert at.github.hooks["acme/r2"][0]["active"] is True
    found = await at.get("/webhook/overview")
    assert found == {
        "summary": {
            "tracked": 11, "ok": 9, "missing": 0, "error": 1, "conflict": 1, "queued": 0, "running": 0, "unknown": 0,
        },
        "jobsQueued": 0, "jobsRunning": 0,
    }  # fmt: skip


async def test_a_conflict_is_settled_by_choice_and_nothing_else_is_removed(at: House) -> None:
    await at.settings(repos=[{"fullName": "acme/web", "selected": True}])
    keep, extra = at.github.add_hook("acme/web", CALLBACK), at.github.add_hook("acme/web", CALLBACK + "/")
    foreign = at.github.add_hook("acme/web", "https://ci.example/", ("push",))
    choice = {"repo": "Acme/web", "keepHookId": keep, "deleteHookIds": [extra, foreign, keep]}
    found = await at.post("/sync", {"repos": [], "resolveConflicts": [choice]})
    assert [each["action"] for each in found["results"]] == ["queued"]
    job_id = re.search(r"job_\w+", found["results"][0]["message"])
    assert job_id is not None
    assert (await at.finished(job_id[0])).status is JobStatus.SUCCESS
    assert {hook["id"] for hook in at.github.hooks["acme/web"]} == {keep, foreign}
    repo = await at.repo("acme/web")
    assert repo is not None and (repo["webhookState"], repo["hookId"]) == ("ok", keep)


async def test_transient_failures_are_tried_again(at: House) -> None:
    await at.settings(repos=[{"fullName": "acme/web", "selected": True}])
    for fault in (Fault(502), Fault(429, headers={"Retry-After": "5"}), Fault(drop=True)):
        at.github.faults.append(fault)
    job = await at.finished((await at.post("/webhook/sync-repo", {"fullName": "acme/web"}))["jobId"])
    assert job.status is JobStatus.SUCCESS and len(at.github.calls("GET")) == 4
    at.github.faults.append(
        Fault(403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999999999"}, times=9)
    )
    job = await at.finished((await at.post("/webhook/sync-repo", {"fullName": "acme/web"}))["jobId"])
    assert job.status is JobStatus.FAILED and len(at.github.calls("GET")) == 5, "nobody sleeps for an hour"
    assert TOKEN not in str(job.summary)


async def test_audit_looks_and_tells(at: House, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    async def announce(self: Notifications, job: Any, repos: Any) -> bool:
        told.append((job.reason, sorted((repo.repo, repo.state) for repo in repos)))
        return True

    monkeypatch.setattr(Notifications, "announce_anomaly", announce)
    webhooks = at.container.get(WebhookJobs)
    assert await webhooks.audit() is None
    at.github.users["acme"] = ["good", "none", "two", "off", "broken"]
    await at.settings(repos=[{"fullName": f"acme/{name}", "selected": True} for name in at.github.users["acme"]])
    at.github.add_hook("acme/good", CALLBACK)
    for _ in range(2):
        at.github.add_hook("acme/two", CALLBACK)
    at.github.add_hook("acme/off", CALLBACK, active=False)
    at.github.faults.append(Fault(404, where="broken"))
    first, second = await asyncio.gather(webhooks.audit(), webhooks.audit())
    assert first and second and first.job_id == second.job_id and first.reused != second.reused
    job = await at.finished(first.job_id)
    assert (job.created_by, job.reason, job.summary["op"]) == ("schedule", "schedule", "audit_all")
    counters = [job.summary[name] for name in ("total", "ok", "missing", "conflict", "error", "hardFailures")]
    assert counters == [5, 1, 2, 1, 1, 1] and job.status is JobStatus.FAILED
    assert [call.method for call in at.github.asked] == ["GET"] * 5, "it repairs nothing"
    odd = [("broken", "error"), ("none", "missing"), ("off", "missing"), ("two", "conflict")]
    assert told == [("schedule", odd)]
    repo = await at.repo("acme/none")
    assert repo is not None and (repo["webhookState"], repo["lastOp"]) == ("missing", "audit")
    assert (await at.get("/webhook/overview"))["lastAuditAt"]


async def test_what_was_interrupted_is_done_after_a_start(at: House) -> None:
    await at.settings(repos=[{"fullName": f"acme/{name}", "selected": True} for name in ("web", "api")])
    repos, webhooks = at.container.get(TrackedRepos), at.container.get(WebhookJobs)
    job = await at.finished((await at.post("/webhook/sync-repo", {"fullName": "acme/web"}))["jobId"])
    web, api = await repos.get(("acme", "web")), await repos.get(("acme", "api"))
    await repos.write(web, webhook_state=WebhookState.RUNNING, webhook_job_id=job.id, last_op=Op.SYNC)
    await repos.write(api, webhook_state=WebhookState.QUEUED, webhook_job_id="job_of_old", last_op=Op.SYNC)
    at.github.hooks.clear()
    await webhooks.resume()
    async with asyncio.timeout(10):
        while (row := await at.repo("acme/web")) is None or row["webhookState"] != "ok":
            await asyncio.sleep(0.01)
    assert row["webhookJobId"] != job.id
    row = await at.repo("acme/api")
    assert row is not None and row["webhookState"] == "error" and "interrupted" in row["lastError"]


# ---- other rooms


async def test_texts_that_are_no_text(at: House) -> None:
    """Half a surrogate pair is valid JSON and fits into no database."""
    headers = {"Content-Type": "application/json"}
    for path, body in (
        ("repos/bulk-selected", '{"q": "\\ud800", "selected": true}'),
        ("repos/selected", '{"fullName": "a/\\ud800", "selected": true}'),
        ("resolve", '{"input": "\\ud800"}'),
        ("targets/remove", '{"input": "\\ud800"}'),
        ("sync", '{"repos": ["\\udfff/x"]}'),
    ):
        answer = await at.client.post(f"/api/github-packages/{path}", content=body, headers=headers)
        assert answer.status_code < 500, f"{path}: {answer.text}"
    for query in ("repos?q=%00", "repos?q=%ED%A0%80", "webhook/deliveries?q=%FF", "repos?q=" + "x" * 5000):
        assert (await at.client.get(f"/api/github-packages/{query}")).status_code < 500, query


async def test_the_deploy_check_knows_what_is_missing(at: House) -> None:
    async def status() -> tuple[str, str]:
        checks = (await at.call("GET", "/api/deploy-check/report"))["checks"]
        found = next(check for check in checks if check["id"] == "feature.github_packages")
        return found["status"], str(found)

    assert (await status())[0] == "na"
    await at.settings(callbackUrl="")
    failed, told = await status()
    assert failed == "fail" and "callback URL" in told and "selected repository" in told
    await at.settings(repos=[{"fullName": "acme/web", "selected": True}])
    passed, told = await status()
    assert passed == "pass" and TOKEN not in told


async def test_an_audit_by_schedule_reaches_the_outbox(at: House) -> None:
    await at.call(
        "PUT",
        "/api/notifications",
        {
            "email": {"enabled": False}, "telegram": {"enabled": False}, "webPush": {"enabled": False},
            "webhook": {"enabled": True, "url": "http://127.0.0.1:9/"},
        },
    )  # fmt: skip
    await at.settings(repos=[{"fullName": "acme/web", "selected": True}])
    done = await at.container.get(WebhookJobs).audit()
    assert done is not None
    await at.finished(done.job_id)
    async with at.container.get(Database).session() as session:
        rows = (await session.exec(select(DeliveryRow))).all()
    assert [(row.kind, row.channel, row.job_id) for row in rows] == [("ghcr_webhook_anomaly", "webhook", done.job_id)]
    assert rows[0].payload["job"]["missing"] == 1


async def test_what_waits_is_shown_in_the_queue(at: House) -> None:
    await at.settings(repos=[{"fullName": f"acme/{name}", "selected": False} for name in ("web", "api")])
    at.github.faults.append(Fault(0, delay=0.5, where="GET"))
    ids = [(await at.post("/repos/selected", {"fullName": f"acme/{name}", "selected": True}))["jobId"]
           for name in ("web", "api")]  # fmt: skip
    page = (await at.client.get("/queue", headers={"Accept": "application/json"})).json()
    assert [job["id"] for job in page["waiting"]] == ids[1:]
    assert page["waiting"][0]["targetName"] == "for acme/api"
    for job_id in ids:
        await at.finished(job_id)
