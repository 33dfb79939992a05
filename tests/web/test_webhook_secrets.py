"""Secrets of webhooks made anew: shown once, the old one counts for a while, and everybody sees who still uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.features.hooks.models import WebhookSecretRow
from app.features.hooks.secrets import WebhookSecrets, Which
from tests.web.hooks_house import SECRET, House, house, published
from tests.web.test_contract import error, running
from tests.web.test_pages import BROWSER
from tests.web.test_passkeys import Moving
from tests.web.test_tokens_page import post

API, HERE = "/api/webhook-secrets", "/settings/webhook-secrets"
CHECK = {"action": "check", "scope": "all"}


@asynccontextmanager
async def at_a_time(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[House, Moving]]:
    moving = Moving()
    async with house(tmp_path, clock=moving.clock(), **settings) as made:
        await made.settings(repos=[{"fullName": "acme/web", "selected": True}])
        yield made, moving


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[tuple[House, Moving]]:
    async with at_a_time(tmp_path) as made:
        yield made


async def call(client: httpx.AsyncClient, secret: str) -> int:
    headers = {"X-Dockrev-Webhook-Secret": secret}
    return (await client.post("/api/webhooks/trigger", json=CHECK, headers=headers)).status_code


async def rotate(at: House, which: str = "trigger", body: Any = None, status: int = 200) -> dict[str, Any]:
    found: dict[str, Any] = await at.call("POST", f"{API}/{which}/rotate", body, status=status)
    return found


async def told(at: House, which: str = "trigger") -> dict[str, Any]:
    found = (await at.call("GET", API))["secrets"]
    return next(each for each in found if each["which"] == which)


async def test_the_old_one_counts_for_a_day_and_says_whether_it_is_used(at: tuple[House, Moving]) -> None:
    dockrev, moving = at
    assert await told(dockrev) == {
        "which": "trigger", "secretMasked": "******", "fromEnvironment": True, "previousCounts": False,
    }  # fmt: skip
    made = await rotate(dockrev)
    new = made["value"]
    assert len(new) >= 43 and new != SECRET and made["secret"]["previousUntil"].startswith("2026-06-02T00:00:00")
    assert "previousUsedAt" not in await told(dockrev)
    moving.on(hours=23)
    assert (await call(dockrev.client, SECRET), await call(dockrev.client, new)) == (200, 200)
    state = await told(dockrev)
    assert state["previousUsedAt"].startswith("2026-06-01T23") and state["usedAt"].startswith("2026-06-01T23")
    assert await call(dockrev.client, "neither") == 401
    trail = (await dockrev.call("GET", "/api/audit?action=webhook.trigger&outcome=ok"))["events"]
    assert [event["details"]["secret"] for event in trail] == ["current", "previous"]
    assert (await dockrev.client.get("/settings/audit", headers=BROWSER)).text.count("with the old secret") == 1
    moving.on(hours=1)
    assert (await call(dockrev.client, SECRET), await call(dockrev.client, new)) == (401, 200)
    assert not (await told(dockrev))["previousCounts"]


async def test_no_overlap_an_end_before_its_time_and_three_secrets(at: tuple[House, Moving]) -> None:
    dockrev, moving = at
    first = (await rotate(dockrev, body={"overlapHours": 0}))["value"]
    assert (await call(dockrev.client, SECRET), await call(dockrev.client, first)) == (401, 200)
    second = (await rotate(dockrev, body={"overlapHours": 168}))["value"]
    assert await call(dockrev.client, first) == 200
    await dockrev.call("DELETE", f"{API}/trigger/previous")
    assert (await call(dockrev.client, first), await call(dockrev.client, second)) == (401, 200)
    assert (await dockrev.call("DELETE", f"{API}/trigger/previous", status=404))["code"] == "not_found"
    third = (await rotate(dockrev))["value"]
    fourth = (await rotate(dockrev))["value"]
    assert [await call(dockrev.client, each) for each in (second, third, fourth)] == [401, 200, 200]
    moving.on(days=2)
    secrets = dockrev.container.get(WebhookSecrets)
    await secrets.purge()
    async with dockrev.container.get(Database).session() as session:
        row = await session.get_one(WebhookSecretRow, Which.TRIGGER)
    assert row.previous is None and fourth not in str(row.model_dump())


@pytest.mark.parametrize("hours", [-1, 169, "x", 1.5])
async def test_an_overlap_that_cannot_be(at: tuple[House, Moving], hours: Any) -> None:
    dockrev, _ = at
    assert (await rotate(dockrev, body={"overlapHours": hours}, status=400))["code"] == "invalid_argument"
    assert (await rotate(dockrev, which="nobody", status=404))["code"] == "not_found"
    assert await call(dockrev.client, SECRET) == 200


async def test_the_environments_newest_word_counts(tmp_path: Path) -> None:
    async with at_a_time(tmp_path) as (dockrev, _):
        made = (await rotate(dockrev))["value"]
    async with running(tmp_path, webhook_secret=SECRET) as (_, client):
        assert await call(client, made) == 200
    async with running(tmp_path, webhook_secret="set later") as (_, client):
        assert [await call(client, each) for each in (made, SECRET, "set later")] == [401, 401, 200]
    async with running(tmp_path) as (_, client):
        assert await call(client, made) == 200


async def test_without_any_one_can_be_made(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        refused = await client.post("/api/webhooks/trigger", json=CHECK, headers={"X-Dockrev-Webhook-Secret": "x"})
        assert error(refused)["details"]["reason"] == "webhook_secret_not_configured"
        made = (await client.post(f"{API}/trigger/rotate")).json()
        assert "previousUntil" not in made["secret"] and await call(client, made["value"]) == 200


async def test_github_gets_the_new_one_and_may_sign_with_the_old(at: tuple[House, Moving]) -> None:
    dockrev, moving = at
    await dockrev.finished((await dockrev.post("/webhook/sync-all"))["jobId"])
    before = [hook["config"]["secret"] for hook in dockrev.github.hooks["acme/web"]]
    made = await rotate(dockrev, "github-packages")
    assert (await dockrev.finished(made["jobId"])).status.value == "success"
    assert [hook["config"]["secret"] for hook in dockrev.github.hooks["acme/web"]] == [made["value"]]
    await dockrev.deliver(published(), delivery="by-old", secret=before[0])
    await dockrev.deliver(published(), delivery="by-new", secret=made["value"])
    await dockrev.deliver(published(), delivery="by-none", secret="other", status=401)
    log = (await dockrev.get("/webhook/deliveries"))["deliveries"]
    assert {each["deliveryId"]: each["signedWith"] for each in log} == {"by-old": "previous", "by-new": "current"}
    inbox = await dockrev.client.get("/queue/ghcr-webhook-inbox", headers=BROWSER)
    assert inbox.text.count("Signed with the") == 1
    assert "Still used" in (await dockrev.client.get(HERE, headers=BROWSER)).text
    moving.on(hours=24)
    refused = await dockrev.deliver(published(), delivery="late", secret=before[0], status=401)
    assert refused["details"]["reason"] == "invalid_signature"


async def test_pages_without_javascript(at: tuple[House, Moving]) -> None:
    dockrev, _ = at
    client = dockrev.client
    page = await client.get(HERE, headers=BROWSER)
    assert "Webhooks have one secret each" in page.text and "DOCKREV_WEBHOOK_SECRET" in page.text
    made = await post(client, f"{HERE}/trigger/rotate", {"overlapHours": "168"})
    assert made.status_code == 200 and made.headers["cache-control"] == "no-store"
    secret = made.text.split('<code id="secret">')[1].split("<")[0]
    assert await call(client, secret) == 200
    page = await client.get(HERE, headers=BROWSER)
    assert "One old secret still counts" in page.text and "not since the new one was made" in page.text
    assert secret not in page.text and SECRET not in page.text
    bad = await post(client, f"{HERE}/trigger/rotate", {"overlapHours": "9999"})
    assert bad.status_code == 400 and "No secret was made" in bad.text
    assert (await client.post(f"{HERE}/trigger/rotate", headers=BROWSER)).status_code in (400, 403)
    ended = await post(client, f"{HERE}/trigger/end", {})
    assert (ended.status_code, ended.headers["location"]) == (303, HERE)
    assert await call(client, SECRET) == 401
    for path in (API, HERE, "/api/audit", "/api/settings", "/api/github-packages/settings"):
        answer = await client.get(path, headers={"Accept": "application/json"})
        assert secret not in answer.text and SECRET not in answer.text
    actions = [event["action"] for event in (await dockrev.call("GET", "/api/audit?action=webhook_secret"))["events"]]
    assert actions == ["webhook_secret.end_old", "webhook_secret.change", "webhook_secret.change"]
