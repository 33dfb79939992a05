"""The contract on the whole application with no engine near: every route of this stage, asked as the spec does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from app.core.clock import Clock
from app.main import create_app
from app.settings import Settings

STK, SVC, JOB, RULE = (f"{prefix}_01JT5N3V0QZ8R6W2M4K7C9D1EA" for prefix in ("stk", "svc", "job", "ign"))
ROUTES = [
    ("GET", "/api/health", "public"),
    ("GET", "/api/version", "public"),
    ("GET", "/api/widget", "forward"),
    ("GET", "/api/stacks", "forward"),
    ("POST", "/api/stacks", "forward"),
    ("GET", f"/api/stacks/{STK}", "forward"),
    ("POST", f"/api/stacks/{STK}/archive", "forward"),
    ("POST", f"/api/stacks/{STK}/restore", "forward"),
    ("POST", f"/api/services/{SVC}/archive", "forward"),
    ("POST", f"/api/services/{SVC}/restore", "forward"),
    ("GET", f"/api/services/{SVC}/digest-tags", "forward"),
    ("GET", f"/api/services/{SVC}/digest-tags-snapshot?digest=sha256:aa", "forward"),
    ("GET", f"/api/services/{SVC}/versions", "forward"),
    ("POST", f"/api/services/{SVC}/version-inference/refresh", "forward"),
    ("GET", "/api/version-inference/overview", "forward"),
    ("GET", "/api/version-inference/events", "forward"),
    ("POST", "/api/discovery/scan", "forward"),
    ("GET", "/api/discovery/projects", "forward"),
    ("POST", "/api/discovery/projects/demo/archive", "forward"),
    ("POST", "/api/discovery/projects/demo/restore", "forward"),
    ("POST", "/api/checks", "forward"),
    ("POST", "/api/runtime-scans", "forward"),
    ("POST", "/api/updates", "forward"),
    ("GET", "/api/jobs", "forward"),
    ("GET", "/api/jobs/events", "forward"),
    ("GET", f"/api/jobs/{JOB}", "forward"),
    ("GET", f"/api/jobs/{JOB}/events", "forward"),
    ("GET", f"/api/jobs/{JOB}/log", "forward"),
    ("GET", "/api/ignores", "forward"),
    ("POST", "/api/ignores", "forward"),
    ("DELETE", "/api/ignores", "forward"),
    ("GET", f"/api/services/{SVC}/settings", "forward"),
    ("PUT", f"/api/services/{SVC}/settings", "forward"),
    ("GET", "/api/settings", "forward"),
    ("PUT", "/api/settings", "forward"),
    ("GET", "/api/deploy-check/report", "forward"),
    ("GET", "/api/deploy-welcome", "forward"),
    ("PUT", "/api/deploy-welcome", "forward"),
    ("GET", "/api/github-packages/settings", "forward"),
    ("PUT", "/api/github-packages/settings", "forward"),
    ("GET", "/api/github-packages/repos", "forward"),
    ("POST", "/api/github-packages/repos/selected", "forward"),
    ("POST", "/api/github-packages/repos/delete", "forward"),
    ("POST", "/api/github-packages/repos/bulk-selected", "forward"),
    ("POST", "/api/github-packages/targets/add", "forward"),
    ("POST", "/api/github-packages/targets/remove", "forward"),
    ("POST", "/api/github-packages/resolve", "forward"),
    ("POST", "/api/github-packages/sync", "forward"),
    ("GET", "/api/github-packages/webhook/overview", "forward"),
    ("POST", "/api/github-packages/webhook/sync-all", "forward"),
    ("POST", "/api/github-packages/webhook/sync-repo", "forward"),
    ("GET", "/api/github-packages/webhook/deliveries", "forward"),
    ("GET", "/api/github-packages/webhook/deliveries/events", "forward"),
    ("GET", "/metrics", "forward"),
    ("GET", "/schema", "forward"),
    ("GET", "/reference", "forward"),
    ("GET", "/reference/jobs", "forward"),
    ("GET", "/", "forward"),
    ("GET", "/services", "forward"),
    ("GET", f"/services/{STK}/{SVC}", "forward"),
    ("GET", f"/stacks/{STK}", "forward"),
    ("GET", "/queue", "forward"),
    ("GET", f"/queue/{JOB}", "forward"),
    ("GET", "/version-inference", "forward"),
    ("GET", "/settings/ghcr-webhooks", "forward"),
    ("GET", "/settings/ghcr-webhooks/add", "forward"),
    ("GET", "/settings/ghcr-webhooks/conflict/acme/web", "forward"),
    ("GET", "/queue/ghcr-webhooks", "forward"),
    ("GET", "/queue/ghcr-webhook-inbox", "forward"),
    ("GET", "/settings", "forward"),
    ("GET", "/deploy-check", "forward"),
    ("GET", "/events", "forward"),
    ("GET", "/api/webhook-secrets", "forward"),
    ("POST", "/api/webhook-secrets/trigger/rotate", "forward"),
    ("DELETE", "/api/webhook-secrets/trigger/previous", "forward"),
    ("GET", "/settings/webhook-secrets", "forward"),
    ("POST", "/checks", "forward"),
    ("POST", "/settings/backups", "forward"),
    ("POST", "/deploy-welcome", "forward"),
]
BODIES: dict[str, Any] = {
    f"/api/services/{SVC}/version-inference/refresh": {"digest": "sha256:aa"},
    f"/api/services/{SVC}/settings": {"autoRollback": True, "backupTargets": {"bindPaths": {}, "volumeNames": {}}},
}


@asynccontextmanager
async def running(
    tmp_path: Path, *, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[tuple[Litestar, httpx.AsyncClient]]:
    app = create_app(
        Settings(db_path=tmp_path / "d.sqlite3", docker_host=f"unix://{tmp_path}/no-engine.sock", **settings),
        clock=clock,
    )
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 4000))  # type: ignore[arg-type]
    started, done = asyncio.Event(), asyncio.Event()

    async def live() -> None:  # in one task of its own: cancel scopes may not wander between tasks
        async with app.lifespan():
            started.set()
            await done.wait()

    task = asyncio.ensure_future(live())
    waiting = asyncio.ensure_future(started.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield app, client
    finally:
        waiting.cancel()
        done.set()
        await task


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, client):
        yield client


def error(answer: httpx.Response) -> dict[str, Any]:
    """The envelope's inside; fails when it is not the envelope."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    found: dict[str, Any] = body["error"]
    return found


async def test_every_forward_auth_route_refuses_a_stranger(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allowed_user="alice") as (_, client):
        for method, path, auth in ROUTES:
            answer = await client.request(method, path, headers={"Accept": "application/json"})
            if auth == "public":
                assert answer.status_code == 200, path
                continue
            assert answer.status_code == 401, f"{method} {path}"
            assert error(answer)["code"] == "auth_required"
            assert error(answer)["details"]["reason"] == "identity_missing"
        page = await client.get("/", headers={"Accept": "text/html"})
        assert page.status_code == 401
        assert "DOCKREV_AUTH_FORWARD_HEADER_NAME" in page.text
        assert "X-Forwarded-User" in page.text


async def test_unknown_things_are_404_in_the_envelope(api: httpx.AsyncClient) -> None:
    for method, path, _ in ROUTES:
        if not any(known in path for known in (STK, SVC, JOB, "/projects/demo")):
            continue
        answer = await api.request(method, path, json=BODIES.get(path), headers={"Accept": "application/json"})
        assert answer.status_code == 404, f"{method} {path} {answer.text}"
        assert error(answer)["code"] == "not_found"


async def test_unknown_addresses_and_methods(api: httpx.AsyncClient) -> None:
    for path in ("/api/x", "/api/stacks/a/b/c", "/api"):
        answer = await api.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 404
        assert error(answer)["code"] == "not_found"
    refused = await api.post("/api/stacks", json={"anything": 1})
    assert refused.status_code == 405
    assert (await api.post("/api/stacks", content=b"")).status_code == 405
    wrong = await api.delete("/api/jobs")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET, HEAD"
    for path in (
        "/api/../api/health",
        "/api/stacks/..%2f..%2fetc",
        "/static/../pyproject.toml",
        "/static/%2e%2e/Makefile",
    ):
        answer = await api.get(path)
        assert answer.status_code in (200, 400, 404)
        assert "hatchling" not in answer.text
        assert "setuptools" not in answer.text


async def test_the_empty_application(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/health")).text == "ok"
    assert (await api.get("/api/health")).headers["content-type"].startswith("text/plain")
    assert set((await api.get("/api/version")).json()) == {"version"}
    assert (await api.get("/api/stacks")).json() == {"stacks": []}
    assert (await api.get("/api/stacks", params={"archived": "include"})).json() == {"stacks": []}
    bad = await api.get("/api/stacks", params={"archived": "foo"})
    assert bad.status_code == 400
    assert error(bad)["message"] == "invalid archived filter: foo"
    assert (await api.get("/api/jobs")).json() == {"jobs": []}
    assert (await api.get("/api/ignores")).json() == {"rules": []}
    assert (await api.get("/api/discovery/projects")).json() == {"projects": []}
    overview = (await api.get("/api/version-inference/overview")).json()
    assert overview["page"] == 1
    assert overview["perPage"] == 50
    assert overview["worker"]["maxConcurrency"] == 2


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/jobs?limit=0", "limit"),
        ("/api/jobs?limit=201", "limit"),
        ("/api/jobs?limit=x", "limit"),
        ("/api/jobs?status=foo", "status"),
        ("/api/jobs?cursor=nonsense", "cursor"),
        ("/api/version-inference/overview?status=foo", "status"),
        ("/api/version-inference/overview?page=0", "page"),
        ("/services?state=foo", "state"),
        ("/services?sort=foo", "sort"),
        ("/?state=foo", "state"),
        ("/updates/new?scope=foo", "scope"),
        ("/queue?status=foo", "status"),
        ("/queue?cursor=nonsense", "cursor"),
    ],
)
async def test_bad_queries_name_their_field(api: httpx.AsyncClient, path: str, field: str) -> None:
    answer = await api.get(path, headers={"Accept": "application/json"})
    assert answer.status_code == 400, answer.text
    assert error(answer)["details"]["field"] == field


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/api/checks", {"scope": "stack"}, "stackId is required for scope=stack"),
        ("/api/checks", {"scope": "service"}, "serviceId is required for scope=service"),
        ("/api/checks", {}, None),
        ("/api/checks", {"scope": "universe"}, None),
        ("/api/runtime-scans", {"scope": "stack"}, "stackId is required for scope=stack"),
        ("/api/updates", {}, None),
        ("/api/updates", {"scope": "service", "mode": "apply"}, "serviceId is required for scope=service"),
        ("/api/updates", {"scope": "stack", "mode": "apply"}, "stackId is required for scope=stack"),
        ("/api/updates", {"scope": "all", "mode": "apply"}, "targets is required for scope=stack/all"),
        ("/api/updates", {"scope": "all", "mode": "maybe"}, None),
        (
            "/api/updates",
            {"scope": "service", "serviceId": SVC, "mode": "apply", "targetTag": "1", "targetDigest": "a"},
            "pullTags is required for scope=service",
        ),
        (
            "/api/updates",
            {"scope": "all", "mode": "apply", "targetTag": "1", "targets": []},
            "targetTag/targetDigest/pullTags is only supported for scope=service",
        ),
        ("/api/ignores", {"scope": {"type": "stack", "serviceId": "x"}, "match": {"kind": "exact", "value": "1"}},
         "scope.type must be 'service'"),
        ("/api/ignores", {"scope": {"type": "service", "serviceId": " "}, "match": {"kind": "exact", "value": "1"}},
         "scope.serviceId must not be empty"),
        ("/api/ignores", {"scope": {"type": "service", "serviceId": "x"}, "match": {"kind": "wild", "value": "1"}},
         None),
    ],
)  # fmt: skip
async def test_bad_bodies(api: httpx.AsyncClient, path: str, body: Any, message: str | None) -> None:
    answer = await api.post(path, json=body)
    assert answer.status_code == 400, answer.text
    found = error(answer)
    assert found["code"] == "invalid_argument"
    if message:
        assert found["message"] == message
    else:
        assert found["details"]["field"]


@pytest.mark.parametrize("opening", [b"[", b'{"backup":'])
@pytest.mark.parametrize("depth", [100, 990, 5_000, 200_000])
async def test_deep_bodies_are_refused(api: httpx.AsyncClient, opening: bytes, depth: int) -> None:
    for method, path in (("PUT", "/api/settings"), ("POST", "/api/updates"), ("POST", "/api/github-packages/sync")):
        answer = await api.request(method, path, content=opening * depth, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, f"{path} {answer.text}"
        closed = opening * depth + b"1" + (b"]" if opening == b"[" else b"}") * depth
        answer = await api.request(method, path, content=closed, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, f"{path} {answer.text}"
        assert error(answer)["code"] == "invalid_argument"


async def test_rules_round_trip(api: httpx.AsyncClient) -> None:
    rule = {
        "scope": {"type": "service", "serviceId": SVC},
        "match": {"kind": "regex", "value": "^2\\."},
        "note": "later",
    }
    made = await api.post("/api/ignores", json=rule)
    assert made.status_code == 200
    rule_id = made.json()["ruleId"]
    (kept,) = (await api.get("/api/ignores")).json()["rules"]
    assert kept == {"id": rule_id, "enabled": True, **rule}
    gone = await api.request("DELETE", "/api/ignores", json={"ruleId": rule_id})
    assert gone.json() == {"deleted": True}
    again = await api.request("DELETE", "/api/ignores", json={"ruleId": rule_id})
    assert again.json() == {"deleted": False}
    assert (await api.request("DELETE", "/api/ignores")).status_code == 400


async def test_without_an_engine_jobs_say_so(api: httpx.AsyncClient) -> None:
    job_id = (await api.post("/api/discovery/scan")).json()["jobId"]
    assert job_id.startswith("dsc_")
    for _ in range(200):
        job = (await api.get(f"/api/jobs/{job_id}")).json()["job"]
        if job["status"] != "running":
            break
    assert job["status"] == "failed"
    assert "no-engine.sock" in job["summary"]["error"]
    assert job["resultReason"]["summary"]
    assert job["logsLastId"] > 0
    listed = (await api.get("/api/jobs", params={"type": "discovery", "status": "failed"})).json()["jobs"]
    assert [entry["id"] for entry in listed] == [job_id]
    assert "logs" not in listed[0]
    stream = (await api.get(f"/api/jobs/{job_id}/events")).text
    assert "event: job_log" in stream
    assert "event: job_finished" in stream
    ids = [int(line[4:]) for line in stream.splitlines() if line.startswith("id: ")]
    assert ids == sorted(set(ids))
    assert ids[-1] == job["logsLastId"]
    rest = (await api.get(f"/api/jobs/{job_id}/events", headers={"Last-Event-ID": str(ids[0])})).text
    assert [int(line[4:]) for line in rest.splitlines() if line.startswith("id: ")] == ids[1:]
    for path in ("/", "/services", "/queue", f"/queue/{job_id}", "/version-inference"):
        page = await api.get(path, headers={"Accept": "text/html"})
        assert page.status_code == 200, path
        assert "Docker engine not reachable" in page.text, path
        assert "no-engine.sock" in page.text, path


async def test_a_service_is_never_registered_by_hand(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/stacks", json={"name": "x"})
    assert isinstance(answer.json()["error"], str)
    assert "auto-discovery" in answer.json()["error"]
