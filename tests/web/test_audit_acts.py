"""Acts that succeed, in the audit trail: each with its kind, its object, and `ok`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from app.core.db import Database
from app.features.stacks.models import ProjectRow, ProjectStatus
from tests.web.hooks_house import STACK, WEB, House, house, published
from tests.web.test_pages import BROWSER

SELECT = {"fullName": "acme/web", "selected": True}
RULE = {"enabled": True, "scope": {"type": "service", "serviceId": WEB}, "match": {"kind": "exact", "value": "2"}}
SETTINGS = {"autoRollback": False, "backupTargets": {"bindPaths": {}, "volumeNames": {}}}
PUSH = {"endpoint": "https://push.example/abc", "keys": {"p256dh": "BKey", "auth": "auth"}}
BACKUP = {"enabled": False, "requireSuccess": True, "baseDir": "/data", "skipTargetsOverBytes": 1}
CHANNELS = {
    "email": {"enabled": False, "smtpUrl": None}, "webhook": {"enabled": False, "url": None},
    "telegram": {"enabled": False, "botToken": None, "chatId": None}, "webPush": {"enabled": False},
}  # fmt: skip
HUB = "/api/github-packages"
SERVICE, GROUP = ("service", WEB), ("stack", STACK)

# Request, body, kind and object of the row. Each must succeed; `{…}` is filled with what an earlier one made.
DONE: tuple[tuple[str, Any, str, tuple[str | None, str | None]], ...] = (
    ("POST /api/checks", {"scope": "all"}, "check.start", ("all", None)),
    ("POST /api/discovery/scan", None, "discovery.start", ("all", None)),
    ("POST /api/runtime-scans", {"scope": "all"}, "runtime_scan.start", ("all", None)),
    ("PUT /api/deploy-welcome", {"neverAutoOpen": True}, "welcome.change", (None, None)),
    ("POST /api/discovery/projects/shop/archive", None, "project.archive", ("project", "shop")),
    ("POST /api/discovery/projects/shop/restore", None, "project.restore", ("project", "shop")),
    (f"POST /api/stacks/{STACK}/archive", None, "stack.archive", GROUP),
    (f"POST /api/stacks/{STACK}/restore", None, "stack.restore", GROUP),
    (f"POST /api/services/{WEB}/archive", None, "service.archive", SERVICE),
    (f"POST /api/services/{WEB}/restore", None, "service.restore", SERVICE),
    (f"PUT /api/services/{WEB}/settings", SETTINGS, "service.settings", SERVICE),
    ("POST /api/ignores", RULE, "rule.create", (None, None)),
    ("DELETE /api/ignores", {"ruleId": "{ruleId}"}, "rule.delete", (None, None)),
    ("PUT /api/settings", {"backup": BACKUP}, "settings.change", (None, None)),
    ("PUT /api/notifications", CHANNELS, "notifications.change", (None, None)),
    ("POST /api/web-push/subscriptions", PUSH, "device.add", (None, None)),
    ("DELETE /api/web-push/subscriptions", {"endpoint": PUSH["endpoint"]}, "device.remove", (None, None)),
    ("POST /api/tokens", {"name": "ci", "scope": "read"}, "token.create", ("token", "{id}")),
    ("DELETE /api/tokens/{id}", None, "token.revoke", ("token", "{id}")),
    ("POST /api/webhook-secrets/trigger/rotate", None, "webhook_secret.change", ("webhook", "trigger")),
    ("DELETE /api/webhook-secrets/trigger/previous", None, "webhook_secret.end_old", ("webhook", "trigger")),
    (f"POST {HUB}/resolve", {"input": "acme"}, "github.resolve", (None, None)),
    (f"POST {HUB}/targets/add", {"input": "acme"}, "github.add", (None, None)),
    (f"POST {HUB}/repos/selected", SELECT, "github.select", ("repository", "acme/web")),
    (f"POST {HUB}/webhook/sync-repo", {"fullName": "acme/web"}, "github.sync", ("repository", "acme/web")),
    (f"POST {HUB}/targets/remove", {"input": "acme"}, "github.remove", (None, None)),
)  # fmt: skip


async def newest(client: httpx.AsyncClient, action: str) -> dict[str, Any]:
    answer = await client.get("/api/audit", params={"action": action, "limit": "1"})
    found: dict[str, Any] = answer.json()["events"][0]
    return found


async def test_acts_that_succeed_are_told_with_their_object(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        await at.settings()
        await prepare(at)
        made: dict[str, str] = {}
        for request, body, action, (kind, identifier) in DONE:
            method, path = request.split(" ")
            filled = {key: fill(text, made) for key, text in body.items()} if isinstance(body, dict) else body
            answer = await at.client.request(method, fill(path, made), json=filled)
            assert answer.status_code < 300, (request, answer.text)
            found = answer.json() if "application/json" in answer.headers.get("content-type", "") else {}
            made |= {key: value for key, value in {**found, **found.get("token", {})}.items() if isinstance(value, str)}
            event = await newest(at.client, action)
            assert (event["action"], event["outcome"], event["means"]) == (action, "ok", "anonymous"), request
            assert "code" not in event and event["address"] == "127.0.0.1", event
            told = (event.get("objectKind"), event.get("objectId"))
            assert told == (kind, identifier and fill(identifier, made)), request
            job = found.get("jobId") or found.get("checkId")
            assert job is None or event["jobId"] == job, request


async def prepare(at: House) -> None:
    """A project."""
    now = datetime(2026, 5, 1, tzinfo=UTC)
    async with at.container.get(Database).transaction() as session:
        session.add(ProjectRow(project="shop", stack_id=STACK, status=ProjectStatus.ACTIVE, last_scan_at=now))


def fill(text: Any, made: dict[str, str]) -> Any:
    for key, value in made.items():
        text = text.replace("{" + key + "}", value) if isinstance(text, str) else text
    return text


async def test_who_comes_by_a_way_of_its_own_is_told_too(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        await at.settings(repos=[SELECT])
        await at.deliver(published())
        event = await newest(at.client, "webhook.github")
        assert (event["outcome"], event["means"]) == ("ok", "github")
        await at.client.get("/settings", headers=BROWSER)
        form = {"csrf": at.client.cookies["dockrev_csrf"], "language": "de"}
        assert (await at.client.post("/language", data=form, headers=BROWSER)).status_code == 303
        assert (await newest(at.client, "language.choose"))["outcome"] == "ok"
