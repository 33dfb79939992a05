"""The audit trail on the whole application: what is recorded, of whom, how it is read, what cannot be done to it."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.clock import LOCAL_TIME
from app.core.db import Database
from app.core.feature import Container
from app.core.jobs import JobEngine, NewJob
from app.features.access import acts
from app.features.access.ledger import Ledger
from app.features.stacks.models import ServiceRow, StackRow
from tests.web.test_contract import BODIES, JOB, STK, SVC, error, running
from tests.web.test_pages import BROWSER
from tests.web.test_routes_walk import routes_of
from tests.web.test_tokens_api import Moving, bearer, client_of, made, running_at

NAMES = {
    "{stack_id}": STK, "{service_id}": SVC, "{job_id}": JOB, "{backup_id}": "bkp_1", "{project}": "demo",
    "{token_id}": "tok_1", "{rule_id}": "ign_1", "{identifier}": "d1", "{owner}": "acme", "{repo}": "web",
    "{channel}": "email", "{card}": "backups", "{action}": "archive", "{which}": "trigger",
}  # fmt: skip


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path, webhook_secret="s3cret") as (_, client):
        yield client


async def events(client: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    """Newest first."""
    answer = await client.get("/api/audit", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["events"]
    return found


def filled(template: str) -> str:
    for name, value in NAMES.items():
        template = template.replace(name, value)
    return template


@pytest.mark.parametrize("passkeys", [False, True])
async def test_every_route_that_changes_something_leaves_a_row(tmp_path: Path, passkeys: bool) -> None:
    async with running(tmp_path, webhook_secret="s3cret", passkeys=passkeys) as (app, client):
        there = {f"{method} {path}" for method, path, _ in routes_of(app)}
        told = await every_act(client, there & {*acts.API, *acts.FORMS, *acts.PUBLIC})
        if passkeys:
            assert set(acts.actions()) - told == set(acts.REFUSED), "each kind is recorded, not only declared"


async def every_act(api: httpx.AsyncClient, keys: set[str]) -> set[str]:
    """Do each of them, rightly or wrongly; each is recorded. Returns the kinds that were."""
    told: set[str] = set()
    await api.get("/settings", headers=BROWSER)
    expected = set()
    for key in sorted(keys):
        method, template = key.split(" ")
        path = filled(template)
        form = {"csrf": api.cookies["dockrev_csrf"]}
        before = {event["id"] for event in await events(api)}
        answer = await (
            api.request(method, path, json=BODIES.get(path, {}))
            if path.startswith("/api/")
            else api.request(method, path, data=form, headers={**BROWSER, "Sec-Fetch-Site": "same-origin"})
        )
        new = [event for event in await events(api) if event["id"] not in before]
        told |= {event["action"] for event in new}
        action = acts.act(method, template, {"action": "archive"}).action
        repeated = (answer.status_code, action) in expected
        assert action in {event["action"] for event in new} or repeated, (key, answer.status_code, answer.text)
        for event in new:
            if event["action"] == action:
                assert (event["outcome"] == "ok") is (answer.status_code < 400), (key, answer.status_code, event)
                assert event["at"] and event["address"] == "127.0.0.1"
                assert event["means"] == ("anonymous" if key not in acts.PUBLIC else acts.PUBLIC[key][1])
        expected.add((answer.status_code, action))
    return told


async def test_who_did_what_with_which_means_and_how_it_ended(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allowed_user="alice") as (_, client):
        alice = {"X-Forwarded-User": "alice", "X-Forwarded-For": "192.168.1.20"}
        body = {"name": "ci", "scope": "check"}
        text = (await client.post("/api/tokens", json=body, headers=alice)).json()["value"]
        job_id = (await client.post("/api/discovery/scan", headers=bearer(text))).json()["jobId"]
        await client.post("/api/updates", headers=bearer(text), json={})
        await client.post("/api/updates", headers=alice, json={"scope": "service"})
        await client.get("/api/audit", headers=bearer(text))
        await client.get("/api/stacks", headers=alice)
        found = (await client.get("/api/audit", headers=alice)).json()["events"]
        told = [(e["principal"], e["means"], e["action"], e["outcome"], e.get("code"), e["address"]) for e in found]
        assert told == [
            ("token:ci", "token", "token.refused", "refused", "forbidden", "127.0.0.1"),
            ("alice", "proxy", "update.start", "refused", "invalid_argument", "192.168.1.20"),
            ("token:ci", "token", "update.start", "refused", "forbidden", "127.0.0.1"),
            ("token:ci", "token", "discovery.start", "ok", None, "127.0.0.1"),
            ("alice", "proxy", "token.create", "ok", None, "192.168.1.20"),
        ]
        refused, scan, token = found[0], found[3], found[4]
        assert refused["details"] == {"method": "GET", "path": "/api/audit"}
        assert scan["jobId"] == job_id and scan["objectKind"] == "all" and scan["details"] == {"job": "discovery"}
        assert token["objectLabel"] == "ci" and token["objectId"].startswith("tok_") and token["objectKind"] == "token"
        assert token["details"]["scope"] == "check" and text[-40:] not in str(found)


async def test_a_refusal_by_what_runs_names_its_code(api: httpx.AsyncClient) -> None:
    await made(api, "twice")
    await api.post("/api/tokens", json={"name": "twice", "scope": "read"})
    [again, first] = await events(api, action="token.create")
    assert (again["outcome"], again["code"], again["objectLabel"]) == ("refused", "conflict", "twice")
    assert first["outcome"] == "ok"
    await api.post(f"/api/stacks/{STK}/archive")
    [gone] = await events(api, action="stack")
    assert (gone["action"], gone["objectId"], gone["code"]) == ("stack.archive", STK, "not_found")


async def test_forms_of_other_sites_are_recorded(api: httpx.AsyncClient) -> None:
    await api.post("/checks", data={"scope": "all"}, headers={**BROWSER, "Sec-Fetch-Site": "cross-site"})
    [refused] = await events(api)
    assert (refused["action"], refused["code"], refused["principal"]) == ("check.start", "forbidden", "")


async def test_a_webhook_has_a_means_of_its_own(api: httpx.AsyncClient) -> None:
    secret = {"X-Dockrev-Webhook-Secret": "s3cret"}
    answer = await api.post("/api/webhooks/trigger", json={"action": "check", "scope": "all"}, headers=secret)
    await api.post("/api/webhooks/trigger", json={"action": "check"}, headers={"X-Dockrev-Webhook-Secret": "no"})
    [refused, told] = await events(api, means="webhook")
    assert told["action"] == "webhook.trigger" and told["principal"] == "webhook" and told["outcome"] == "ok"
    assert told["jobId"] in answer.text
    assert refused["code"] == "unauthorized" and refused["principal"] == "" and "s3cret" not in str(refused)


async def test_jobs_that_start_by_themselves_are_recorded_but_not_those_that_only_look(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        jobs = app.state["container"].get(JobEngine)
        check = await jobs.submit(NewJob("check", "all", "schedule", "schedule"))
        await jobs.submit(NewJob("runtime_scan", "all", "system", "schedule"))
        [told] = await events(client)
        assert (told["action"], told["means"], told["principal"], told["jobId"]) == (
            "check.start", "schedule", "schedule", check,
        )  # fmt: skip


async def test_knocking_all_night_leaves_a_few_rows(tmp_path: Path) -> None:
    moving = Moving()
    async with running_at(tmp_path, moving, auth_allowed_user="alice", api_failed_token_limit=10) as (app, client):
        alice = {"X-Forwarded-User": "alice"}
        async with client_of(app, "203.0.113.9") as knocker:
            for _ in range(30):
                await knocker.get("/api/stacks", headers=bearer("dkr_no"))
                await knocker.get("/", headers=BROWSER)
        found = (await client.get("/api/audit", headers=alice)).json()["events"]
        assert sorted(event["action"] for event in found) == ["login.refused", "rate.limited", "token.refused"]
        assert {event["address"] for event in found} == {"203.0.113.9"}
        assert {event["details"].get("reason") for event in found} == {"token_invalid", "identity_missing", None}
        moving.on(hours=2)
        ledger = app.state["container"].get(Ledger)
        for event in ledger._repeats.over():
            ledger._append(event)
        found = (await client.get("/api/audit", headers=alice)).json()["events"]
        repeated = {event["action"]: event["details"]["repeated"] for event in found if "repeated" in event["details"]}
        assert repeated == {"login.refused": 29, "token.refused": 9, "rate.limited": 19}


async def test_filters_and_pages(api: httpx.AsyncClient) -> None:
    for number in range(7):
        await made(api, f"token {number}")
    await api.post("/api/tokens", json={"name": "", "scope": "read"})
    assert len(await events(api)) == 8
    assert len(await events(api, outcome="ok")) == 7 and len(await events(api, outcome="refused")) == 1
    assert len(await events(api, action="token")) == 8 and not await events(api, action="tok")
    assert len(await events(api, principal="anon")) == 8 and not await events(api, principal="a%n")
    assert len(await events(api, means="anonymous")) == 8 and not await events(api, means="github")
    today = (await events(api))[0]["at"]
    day = datetime.fromisoformat(today).astimezone(LOCAL_TIME).date().isoformat()
    assert len(await events(api, since=day, until=day)) == 8, "a day alone is the whole day, here"
    assert not await events(api, since="2999-01-01") and not await events(api, until="2001-01-01")
    assert [event["at"] for event in await events(api, since=today)] == [today]
    seen: list[int] = []
    cursor = ""
    for _ in range(4):
        page = (await api.get("/api/audit", params={"limit": "3", "cursor": cursor})).json()
        seen += [event["id"] for event in page["events"]]
        if not (cursor := page.get("nextCursor", "")):
            break
    assert seen == sorted(seen, reverse=True) and len(seen) == len(set(seen)) == 8
    shown = await api.get("/settings/audit", params={"outcome": "refused"}, headers=BROWSER)
    assert shown.status_code == 200 and shown.text.count('id="e-') == 1 and "Show everything" in shown.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"means": "magic"}, "means"), ({"outcome": "maybe"}, "outcome"), ({"since": "yesterday"}, "since"),
        ({"until": "2026-13-01"}, "until"), ({"cursor": "x"}, "cursor"), ({"cursor": "-1"}, "cursor"),
        ({"limit": "0"}, "limit"), ({"limit": "201"}, "limit"), ({"since": "9999-12-31T23:59:59-23:00"}, ""),
    ],
)  # fmt: skip
async def test_filters_that_cannot_be(api: httpx.AsyncClient, query: dict[str, str], field: str) -> None:
    answer = await api.get("/api/audit", params=query)
    if field:
        assert answer.status_code == 400 and error(answer)["details"]["field"] == field
    else:
        assert answer.status_code < 500


async def test_the_export_is_whole_and_holds_no_formulas(api: httpx.AsyncClient) -> None:
    for name in ('=HYPERLINK("http://evil")', "+1", "-2", "@cmd", 'a,"b"'):
        await made(api, name)
    answer = await api.get("/api/audit/export", params={"action": "token.create"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8" and answer.headers["cache-control"] == "no-store"
    named = answer.headers["content-disposition"]
    assert re.fullmatch(r'attachment; filename="dockrev-audit-\d{4}-\d\d-\d\d\.csv"', named)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    labels = [row["object_label"] for row in rows]
    assert labels == ['a,"b"', "'@cmd", "'-2", "'+1", '\'=HYPERLINK("http://evil")']
    for row in rows:
        assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert (await api.get("/api/audit/export?outcome=maybe")).status_code == 400


async def test_more_than_one_piece_is_exported(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        with closing(sqlite3.connect(tmp_path / "d.sqlite3")) as connection, connection:
            connection.executemany(
                "INSERT INTO audit_events (at, principal, means, address, action, outcome, details_json)"
                " VALUES ('2026-01-01T00:00:00.000000Z', 'a', 'proxy', '', 'check.start', 'ok', '{}')",
                [()] * 1203,
            )
        lines = (await client.get("/api/audit/export")).text.splitlines()
        assert len(lines) == 1204 and len(set(lines)) == 1204


async def test_a_locked_database_fails_no_request_and_loses_no_event(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        await events(client)
        path = tmp_path / "d.sqlite3"
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            began = asyncio.get_running_loop().time()
            answer = await client.post("/api/updates", json={"scope": "nothing"})
            assert answer.status_code == 400
            assert asyncio.get_running_loop().time() - began < 2, "the request does not wait for the trail"
            await asyncio.sleep(6)  # longer than SQLite waits for a lock
            other.execute("ROLLBACK")
        [told] = await events(client)
        assert told["action"] == "update.start"


async def test_reading_leaves_nothing(api: httpx.AsyncClient) -> None:
    for path in ("/", "/settings/audit", "/settings/tokens", "/api/stacks", "/api/nothing", "/api/jobs/job_none"):
        await api.get(path, headers=BROWSER)
    await api.put("/api/stacks", json={})
    assert await events(api) == []


async def test_changes_of_settings_are_told_by_name_and_of_secrets_no_more_than_that(api: httpx.AsyncClient) -> None:
    secrets = ("smtp://dockrev:s3cr3t@mail.example:587?to=ops@example.org", "https://hooks.example/s3cr3t", "7:s3cr3t")
    body = (await api.get("/api/settings")).json()
    backup = body["backup"] | {"enabled": False}
    schedules = body["schedules"] | {"updateCheck": {"enabled": True, "cron": "15 4 * * *"}}
    instance = {"publicBaseUrl": "https://dockrev.example"}
    wanted = {"backup": backup, "schedules": schedules, "instance": instance}
    for _ in range(2):  # the second time nothing changes
        assert (await api.put("/api/settings", json=wanted)).status_code == 200
    again, [*told] = [event["details"].get("changes") for event in await events(api, action="settings.change")]
    assert again is None
    assert {"field": "backup.enabled", "from": True, "to": False} in told
    assert {"field": "schedules.updateCheck.enabled", "from": False, "to": True} in told
    assert {"field": "schedules.updateCheck.cron", "from": "*/30 * * * *", "to": "15 4 * * *"} in told
    assert {"field": "instance.publicBaseUrl"} in told and len(told) == 4

    channels = {
        "email": {"enabled": True, "smtpUrl": secrets[0]}, "webhook": {"enabled": False, "url": secrets[1]},
        "telegram": {"enabled": False, "botToken": None, "chatId": None}, "webPush": {"enabled": False},
        "events": {"update": False, "newVersion": True, "ghcrWebhookAnomaly": True},
    }  # fmt: skip
    answer = await api.put("/api/notifications", json=channels)
    assert answer.status_code == 200, answer.text
    [event] = await events(api, action="notifications.change")
    assert event["details"]["changes"] == [
        {"field": "email.enabled", "from": False, "to": True}, {"field": "email.smtpUrl"}, {"field": "webhook.url"},
        {"field": "events.update", "from": True, "to": False},
    ]  # fmt: skip
    github = {"enabled": True, "callbackUrl": "https://dockrev.example/x?key=s3cr3t", "pat": "ghp_s3cr3t"}
    assert (await api.put("/api/github-packages/settings", json=github)).status_code == 200
    [event] = await events(api, action="github.settings")
    assert event["details"]["changes"] == [
        {"field": "enabled", "from": False, "to": True}, {"field": "callbackUrl"}, {"field": "pat"},
    ]  # fmt: skip
    assert (await api.put("/api/deploy-welcome", json={"neverAutoOpen": True})).status_code == 200
    [event] = await events(api, action="welcome.change")
    assert event["details"]["changes"] == [{"field": "neverAutoOpen", "from": False, "to": True}]

    page = await api.get("/settings/audit", headers=BROWSER)
    assert "<code>schedules.updateCheck.cron</code> */30 * * * * → 15 4 * * *" in page.text
    assert "<code>email.smtpUrl</code> changed" in page.text and "<code>backup.enabled</code> on → off" in page.text
    export = await api.get("/api/audit/export")
    rows = list(csv.DictReader(io.StringIO(export.text)))
    assert any('{"field":"pat"}' in row["details"] for row in rows)
    for text in (page.text, export.text, (await api.get("/api/audit")).text):
        assert "s3cr3t" not in text


async def test_lists_that_are_sent_again_have_not_changed(api: httpx.AsyncClient) -> None:
    """Neither their order means anything, nor how a name is spelled."""

    async def told(**lists: Any) -> list[str]:
        body = {"enabled": False, "callbackUrl": "https://dockrev.example/api/webhooks/github-packages", **lists}
        assert (await api.put("/api/github-packages/settings", json=body)).status_code == 200
        event = (await events(api, action="github.settings"))[0]
        return [change["field"] for change in event["details"].get("changes", [])]

    def targets(*names: str) -> list[dict[str, str]]:
        return [{"input": name} for name in names]

    def repos(**selected: bool) -> list[dict[str, Any]]:
        return [{"fullName": f"acme/{name}", "selected": chosen} for name, chosen in selected.items()]

    assert await told(targets=targets("acme", "jane"), repos=repos(web=True, db=False)) == [
        "callbackUrl", "targets", "repos",
    ]  # fmt: skip
    assert await told(targets=targets("acme", "jane"), repos=repos(web=True, db=False)) == []
    assert await told(targets=targets("https://github.com/Jane", "ACME"), repos=repos(DB=False, web=True)) == []
    assert await told() == []
    assert await told(targets=targets("acme"), repos=repos(web=True, db=True)) == ["targets", "repos"]
    assert await told(targets=targets("acme", "john"), repos=repos(web=True)) == ["targets", "repos"]
    assert await told(targets=[], repos=[]) == ["targets", "repos"]
    assert await told(targets=[], repos=[]) == []


async def stored(container: Container) -> tuple[str, str]:
    """A stack with one service, as discovery would write it; their ids."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    async with container.get(Database).transaction() as session:
        session.add(StackRow(id="stk_1", name="demo", compose_files=["/x.yml"], created_at=now, updated_at=now))
        await session.flush()
        session.add(
            ServiceRow(
                id="svc_1", stack_id="stk_1", name="web", image_ref="a:1", image_tag="1", created_at=now, updated_at=now
            )
        )
    return "stk_1", "svc_1"


async def test_settings_of_a_service_are_told_by_name(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        stack, service = await stored(app.state["container"])
        path = f"/api/services/{service}/settings"
        wanted = {
            "autoRollback": False,
            "backupTargets": {"bindPaths": {"/srv/s3cr3t": "force"}, "volumeNames": {}},
            "repoUrl": "https://git.example/web?key=s3cr3t",
        }
        for _ in range(2):  # the second time nothing changes
            assert (await client.put(path, json=wanted)).status_code == 200
        again, told = await events(client, action="service.settings")
        assert again["outcome"] == told["outcome"] == "ok" and "changes" not in again["details"]
        assert (told["objectKind"], told["objectId"]) == ("service", service)
        assert told["details"]["changes"] == [
            {"field": "autoRollback", "from": True, "to": False}, {"field": "backupTargets.bindPaths"},
            {"field": "repoUrl"},
        ]  # fmt: skip
        await client.get("/settings", headers=BROWSER)
        form = {"csrf": client.cookies["dockrev_csrf"], "autoRollback": "true", "repoUrl": ""}
        here = {**BROWSER, "Sec-Fetch-Site": "same-origin"}
        answer = await client.post(f"/services/{stack}/{service}/settings", data=form, headers=here)
        assert answer.status_code < 400, answer.text
        told = (await events(client, action="service.settings"))[0]
        fields = [change["field"] for change in told["details"]["changes"]]
        assert fields == ["autoRollback", "repoUrl"] and told["objectId"] == service
        assert (await client.put(path, json=wanted | {"repoUrl": "javascript:s3cr3t"})).status_code == 400
        refused = (await events(client, action="service.settings"))[0]
        assert refused["outcome"] == "refused" and "changes" not in refused["details"]
        assert "s3cr3t" not in (await client.get("/api/audit")).text


async def test_a_change_that_was_refused_tells_of_none(api: httpx.AsyncClient) -> None:
    bad = {"backup": {"enabled": False, "requireSuccess": True, "baseDir": "relative", "skipTargetsOverBytes": 1}}
    assert (await api.put("/api/settings", json=bad)).status_code == 400
    [event] = await events(api, action="settings.change")
    assert event["outcome"] == "refused" and "changes" not in event["details"]


async def test_every_kind_of_act_can_be_recorded(tmp_path: Path) -> None:
    """What the filter offers and no route of its own stands for: the three ways not to be let in."""
    named = {name for _, name in acts.API.values()} | {name for name, _ in acts.PUBLIC.values()}
    named |= set(acts.FORMS.values()) | set(acts.JOBS.values())
    assert set(acts.actions()) - named == set(acts.REFUSED)
    async with running(tmp_path, auth_allowed_user="alice", api_failed_token_limit=1) as (_, client):
        assert (await client.get("/api/stacks")).status_code == 401
        for expected in (401, 429):
            assert (await client.get("/api/stacks", headers=bearer("dkr_x"))).status_code == expected
        answer = await client.get("/api/audit", headers={"X-Forwarded-User": "alice"})
    assert set(acts.REFUSED) <= {event["action"] for event in answer.json()["events"]}
