"""The 52 routes of the seed: each is there, and each status that it lists is seen, in its shape (spec §3.6, §5)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from litestar import Litestar

from app.adapters.registry import RegistryClient
from app.core.clock import Clock
from app.core.db import Database
from app.core.feature import Container
from app.core.jobs import Job, JobStatus
from app.features import versions
from app.features.hooks.models import SINGLETON, GithubSettingsRow
from app.features.stacks.models import ProjectRow, ProjectStatus
from app.features.versions.models import ServiceVersion
from app.features.versions.store import DatabaseStore
from app.main import create_app
from app.settings import Settings
from tests.fakes.github import TOKEN
from tests.fakes.registry import FakeRegistry
from tests.web.hooks_house import CALLBACK, DELIVER, NOW, SECRET, STACK, WEB, House, house, published
from tests.web.test_contract import error

ROWS = """
GET /api/health 200
GET /api/version 200
GET /api/stacks 200 400 401
POST /api/stacks 405 401
GET /api/stacks/{stack_id} 200 404 401
POST /api/stacks/{stack_id}/archive 200 404 401
POST /api/stacks/{stack_id}/restore 200 404 401
POST /api/services/{service_id}/archive 200 404 401
POST /api/services/{service_id}/restore 200 404 401
GET /api/services/{service_id}/digest-tags 200 404 401
GET /api/services/{service_id}/digest-tags-snapshot 202 200 404 401
POST /api/services/{service_id}/version-inference/refresh 202 400 404 401
GET /api/version-inference/overview 200 401
GET /api/version-inference/events 200 401
POST /api/discovery/scan 200 401
GET /api/discovery/projects 200 401
POST /api/discovery/projects/{project}/archive 200 404 401
POST /api/discovery/projects/{project}/restore 200 404 401
POST /api/checks 200 400 401 409
POST /api/runtime-scans 200 400 401 409
POST /api/updates 200 400 401 409
GET /api/jobs 200 401
GET /api/jobs/events 200 401
GET /api/jobs/{job_id} 200 404 401
GET /api/jobs/{job_id}/events 200 404 401
GET /api/ignores 200 401
POST /api/ignores 200 400 401
DELETE /api/ignores 200 400 401
GET /api/services/{service_id}/settings 200 404 401
PUT /api/services/{service_id}/settings 200 400 404 401
GET /api/notifications 200 401
PUT /api/notifications 200 400 401
POST /api/notifications/test 200 400 401
GET /api/settings 200 401
PUT /api/settings 200 400 401
GET /api/github-packages/settings 200 401
PUT /api/github-packages/settings 200 400 401
GET /api/github-packages/repos 200 401
POST /api/github-packages/repos/selected 200 400 401
POST /api/github-packages/repos/delete 200 400 401
POST /api/github-packages/repos/bulk-selected 200 400 401
POST /api/github-packages/targets/add 200 400 401
POST /api/github-packages/targets/remove 200 400 401
POST /api/github-packages/resolve 200 400 401 422
POST /api/github-packages/sync 200 400 401
POST /api/web-push/subscriptions 200 400 401
DELETE /api/web-push/subscriptions 200 400 401
POST /api/webhooks/trigger 200 400 401
POST /api/webhooks/github-packages 200 400 401
GET /api/deploy-check/report 200 401
GET /api/deploy-welcome 200 401
PUT /api/deploy-welcome 200 400 401
"""
"""As the seed lists them, but for two where it offers a choice (spec §15): registering a stack by hand is 405, not
400, and a delivery of GitHub is answered 200, never 202."""

ALICE = {"X-Forwarded-User": "alice"}
OLD, NEW, FRESH = ("sha256:" + letter * 64 for letter in "abc")
OFF: dict[str, Any] = {name: {"enabled": False} for name in ("email", "webhook", "telegram", "webPush")}
BACKUP = {"enabled": True, "requireSuccess": True, "baseDir": "/data/backups", "skipTargetsOverBytes": 1}
RULE = {"scope": {"type": "service", "serviceId": WEB}, "match": {"kind": "exact", "value": "1"}}
DEVICE = {"endpoint": "https://push.example/a", "keys": {"p256dh": "BKey", "auth": "auth"}}
UPDATE = {
    "scope": "service", "serviceId": WEB, "targetTag": "1", "targetDigest": NEW, "pullTags": [], "mode": "apply",
    "allowArchMismatch": False, "backupMode": "skip", "reason": "ui",
}  # fmt: skip
SERVICE_SETTINGS = {"autoRollback": True, "backupTargets": {"bindPaths": {}, "volumeNames": {}}}
GITHUB_ON = {"enabled": True, "callbackUrl": CALLBACK, "pat": TOKEN}


@dataclass(frozen=True)
class Row:
    """A line of the list."""

    method: str
    path: str
    statuses: tuple[int, ...]

    @property
    def key(self) -> str:
        """How it is called here."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Ask:
    """A request of Alice that is answered so: a body, a query, and what has to be there."""

    body: Any = None
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)


LINES = [line.split() for line in ROWS.split("\n") if line]
LIST = [Row(method, path, tuple(map(int, statuses))) for method, path, *statuses in LINES]

GOOD = {
    "GET /api/services/{service_id}/digest-tags": Ask(query=f"?digest={OLD}"),
    "GET /api/services/{service_id}/digest-tags-snapshot": Ask(query=f"?digest={NEW}"),
    "POST /api/services/{service_id}/version-inference/refresh": Ask({"digest": NEW}),
    "POST /api/checks": Ask({"scope": "all"}),
    "POST /api/runtime-scans": Ask({"scope": "service", "serviceId": WEB}),
    "POST /api/updates": Ask(UPDATE | {"mode": "dry-run"}),
    "POST /api/ignores": Ask(RULE),
    "DELETE /api/ignores": Ask({"ruleId": "ign_x"}),
    "PUT /api/services/{service_id}/settings": Ask(SERVICE_SETTINGS),
    "PUT /api/notifications": Ask(OFF),
    "PUT /api/settings": Ask({"backup": BACKUP}),
    "PUT /api/github-packages/settings": Ask(GITHUB_ON),
    "POST /api/github-packages/repos/selected": Ask({"fullName": "acme/web", "selected": True}),
    "POST /api/github-packages/repos/delete": Ask({"fullName": "acme/web"}),
    "POST /api/github-packages/repos/bulk-selected": Ask({"selected": False}),
    "POST /api/github-packages/targets/add": Ask({"input": "acme"}),
    "POST /api/github-packages/targets/remove": Ask({"input": "acme"}),
    "POST /api/github-packages/resolve": Ask({"input": "acme/web"}),
    "POST /api/github-packages/sync": Ask({}),
    "POST /api/web-push/subscriptions": Ask(DEVICE),
    "DELETE /api/web-push/subscriptions": Ask({"endpoint": DEVICE["endpoint"]}),
    "POST /api/webhooks/trigger": Ask(
        {"action": "check", "scope": "all"}, headers={"X-Dockrev-Webhook-Secret": SECRET}
    ),
    "PUT /api/deploy-welcome": Ask({"neverAutoOpen": True}),
}
BAD = {
    "GET /api/stacks": Ask(query="?archived=foo"),
    "POST /api/webhooks/trigger": Ask({}, headers={"X-Dockrev-Webhook-Secret": SECRET}),
    "POST /api/notifications/test": Ask({"channel": "pager"}),
    "POST /api/github-packages/sync": Ask({"repos": "all"}),
}  # of every other one a body that is a list
OTHER = {
    ("GET /api/services/{service_id}/digest-tags-snapshot", 202): Ask(query=f"?digest={FRESH}"),
    ("GET /api/services/{service_id}/digest-tags-snapshot", 404): Ask(query=f"?digest={NEW}"),
    ("POST /api/checks", 409): Ask({"scope": "stack", "stackId": STACK}),
    ("POST /api/runtime-scans", 409): Ask({"scope": "all"}),
    ("POST /api/updates", 409): Ask(UPDATE | {"targetDigest": "sha256:cc"}),
    ("POST /api/github-packages/resolve", 422): Ask({"input": "nobody"}),
}


def ask_of(row: Row, status: int) -> Ask:
    """The request that is answered so."""
    if (row.key, status) in OTHER:
        return OTHER[row.key, status]
    if status == 400:
        return BAD.get(row.key, Ask([]))
    return GOOD.get(row.key, Ask())


def address(row: Row, status: int, job_id: str) -> str:
    """The path with what there is; with what there is not for a 404."""
    known = {"stack_id": STACK, "service_id": WEB, "project": "shop", "job_id": job_id}
    return re.sub(r"\{(\w+)\}", lambda found: "nothing" if status == 404 else known[found[1]], row.path)


@pytest.fixture
async def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A house for Alice alone, with a registry and a GitHub that answer."""
    registry = FakeRegistry()

    def registry_client(container: Container) -> RegistryClient:
        container.put(DatabaseStore, DatabaseStore(container.get(Database), container.get(Clock)))
        return container.put(RegistryClient, registry)

    monkeypatch.setattr(versions, "registry_client", registry_client)
    async with house(tmp_path, auth_allowed_user="alice") as made:
        made.client.headers.update(ALICE)
        registry.push("ghcr.io/acme/web", ["1", "1.0.0"], "old")
        async with made.container.get(Database).transaction() as session:
            session.add(ProjectRow(project="shop", status=ProjectStatus.ACTIVE, stack_id=STACK))
            session.add(
                Job(id="job_scan", type="runtime_scan", scope="all", status=JobStatus.RUNNING, created_by="bob",
                    reason="ui", created_at=NOW.replace(year=2099))
            )  # fmt: skip
            session.add(
                ServiceVersion(
                    service_id=WEB, image_ref="ghcr.io/acme/web:1", image_repo="ghcr.io/acme/web", image_tag="1",
                    current_digest=OLD, candidate_tag="1", candidate_digest=NEW, candidate_arch_match="match",
                    candidate_arch=["linux/amd64"], checked_at=NOW,
                )
            )  # fmt: skip
        yield made


def routes_of(app: Litestar) -> set[tuple[str, str]]:
    """Method and path of every route of the API, with the names of its parameters left out."""
    return {
        (method, re.sub(r"\{[^}]*\}", "{}", route.path_format))
        for route in app.routes
        if route.path.startswith("/api/")
        for method in getattr(route, "methods", ())
    }


def test_the_list_is_complete(tmp_path: Path) -> None:
    assert len(LIST) == 52 and len({row.key for row in LIST}) == 52
    found = routes_of(create_app(Settings(db_path=tmp_path / "d.sqlite3")))
    missing = [row.key for row in LIST if (row.method, re.sub(r"\{\w+\}", "{}", row.path)) not in found]
    assert missing == []


async def test_the_document_names_them_with_their_statuses(at: House) -> None:
    document = (await at.client.get("/schema")).json()["paths"]
    for row in LIST:
        operation = document[row.path][row.method.lower()]
        named = {int(status) for status in operation["responses"]}
        assert set(row.statuses) <= named, row.key


async def test_strangers_get_401_and_its_reason(at: House) -> None:
    del at.client.headers["X-Forwarded-User"]
    for row in LIST:
        answer = await at.client.request(row.method, address(row, 401, "job_x"))
        if 401 not in row.statuses:
            assert answer.status_code == 200, row.key
        elif row.path == DELIVER:
            told = await at.deliver(published(), signature="sha256=0", status=200)
            assert told["reason"] == "disabled", "nothing to sign while it is off"
        else:
            assert answer.status_code == 401, row.key
            assert error(answer)["code"] == ("unauthorized" if "webhooks" in row.path else "auth_required"), row.key


async def status_of_stream(container: Container, app: Litestar, path: str) -> int:
    """The status of an answer that does not end."""
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def receive() -> Any:
        if not begun.done():
            await asyncio.shield(begun)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and not begun.done():
            types = [value for name, value in message["headers"] if name == b"content-type"]
            assert types[0].startswith(b"text/event-stream")
            begun.set_result(message["status"])

    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"x-forwarded-user", b"alice"), (b"host", b"localhost")],
        "client": ("127.0.0.1", 1), "server": ("localhost", 80), "extensions": {}, "state": {},
    }  # fmt: skip
    async with asyncio.timeout(10):
        await app(scope, receive, send)
    return await begun


async def test_each_status_is_seen_in_its_shape(at: House) -> None:
    document = (await at.client.get("/schema")).json()
    job_id = (await at.call("POST", "/api/discovery/scan"))["jobId"]
    await at.finished(job_id)
    seen = 0
    for row in LIST:
        for status in row.statuses:
            if status == 401 and row.path != DELIVER:
                continue  # its own test
            await before(at, row, status)
            path = address(row, status, job_id)
            if path.endswith("/events") and status == 200:
                app: Litestar = at.client._transport.app  # type: ignore[attr-defined]
                assert await status_of_stream(at.container, app, path) == 200, row.key
            else:
                await expect(at, document, row, status, path)
            seen += 1
    assert seen == sum(len(row.statuses) for row in LIST) - sum(401 in row.statuses for row in LIST) + 1


async def before(at: House, row: Row, status: int) -> None:
    """What has to have happened."""
    if (row.key, status) == ("POST /api/checks", 409):
        at.gate.clear()
        await at.call("POST", "/api/checks", {"scope": "stack", "stackId": STACK})
    elif (row.key, status) == ("GET /api/services/{service_id}/digest-tags-snapshot", 202):
        async with at.container.get(Database).transaction() as session:
            (await session.get_one(ServiceVersion, WEB)).current_digest = FRESH
    elif (row.key, status) == ("GET /api/services/{service_id}/digest-tags-snapshot", 200):
        await at.call("GET", f"/api/services/{WEB}/digest-tags?digest={NEW}")
    elif (row.key, status) == ("POST /api/github-packages/resolve", 422):
        async with at.container.get(Database).transaction() as session:
            (await session.get_one(GithubSettingsRow, SINGLETON)).pat = None
    elif row.key == "POST /api/github-packages/sync":
        await at.settings()


async def expect(at: House, document: dict[str, Any], row: Row, status: int, path: str) -> None:
    """Ask, and hold the answer to its status and to the document."""
    ask = ask_of(row, status)
    if row.path == DELIVER:
        wrong = {"signature": "sha256=0"} if status == 401 else {"delivery": None} if status == 400 else {}
        await at.deliver(published(), status=status, **wrong)
        return
    answer = await at.client.request(row.method, path + ask.query, json=ask.body, headers=ask.headers)
    at.gate.set()
    assert answer.status_code == status, f"{row.key} {status}: {answer.status_code} {answer.text[:300]}"
    if status >= 400 and row.key != "POST /api/stacks":
        assert error(answer)["message"]
    content = document["paths"][row.path][row.method.lower()]["responses"][str(status)].get("content", {})
    if "application/json" in content:
        schema = content["application/json"]["schema"]
        jsonschema_rs.validate({**schema, "components": document["components"]}, answer.json())
    else:
        assert answer.headers["content-type"].startswith("text/plain"), row.key
