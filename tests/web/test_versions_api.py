"""The routes of the versions room: shapes, words and refusals (spec §5.2, §5.3, §5.5, §6.4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.plugins.pydantic import PydanticPlugin
from litestar.testing import AsyncTestClient

from app.adapters.compose import Compose
from app.adapters.engine import Engine
from app.adapters.registry import RegistryClient, RegistryUnreachable
from app.core.background import Background
from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.core.feature import Container
from app.core.jobs import JobEngine
from app.core.metrics import Metrics
from app.core.web.auth import AuthPolicy, require_identity
from app.core.web.forms import require_same_site
from app.core.web.problems import HANDLERS
from app.features import stacks
from app.features import versions as room
from app.features.versions.digest_tags import LISTING_SECONDS
from app.features.versions.store import DatabaseStore
from app.settings import Settings
from tests.fakes.compose import FakeCompose
from tests.fakes.engine import FakeEngine, compose_container, image
from tests.fakes.registry import FakeRegistry, digest_of

ALICE = {"X-Forwarded-User": "alice"}
WEB = "ghcr.io/acme/web"
OLD = digest_of("old")


@dataclass
class Api:
    """The rooms behind HTTP, over a fake engine and registry; the clock can be turned."""

    app: Litestar
    client: AsyncTestClient[Litestar]
    container: Container
    engine: FakeEngine
    registry: FakeRegistry
    folder: Path
    ahead: timedelta = timedelta()

    async def run(self, name: str = "web", ref: str = f"{WEB}:latest", digest: str = OLD) -> str:
        """Run a service of the stack `shop` and have it found; its id."""
        path = self.folder / f"{name}.yml"
        path.write_text(f"services: {{{name}: {{image: '{ref}'}}}}\n")
        present = image(ref.rpartition(":")[0], digests=[digest])
        self.engine.stored.append(present)
        self.engine.listed.append(
            compose_container(f"shop-{name}", name, files=str(path), image=ref, image_id=present.id)
        )
        await self.container.get(stacks.Discovery).scan()
        found = await self.container.get(stacks.Stacks).select("all")
        return next(service.id for service in found if service.name == name)

    async def call(self, method: str, path: str, status: int, **more: Any) -> Any:
        """A request of Alice; its JSON after the status was found right."""
        answer = await self.client.request(method, path, headers=ALICE, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def check(self, **body: str) -> str:
        """Check and wait for the end; the job's id."""
        answer = await self.call("POST", "/api/checks", 200, json={"scope": "all", **body})
        job_id: str = answer["checkId"]
        jobs = self.container.get(JobEngine)
        async with asyncio.timeout(20):
            while not ((job := await jobs.store.get(job_id)) and job.status.final):
                await jobs.wait_for_rows(0.05)
        return job_id

    async def work(self) -> None:
        """Run the inference worker until nothing is left to do."""
        inference = self.container.get(room.Inference)
        worker = asyncio.create_task(inference.run())
        async with asyncio.timeout(20):
            while any(inference.queue.counts()):
                await asyncio.sleep(0.01)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    async def listen(self, path: str, wanted: int) -> list[dict[str, str]]:
        """The first events of a stream, comments left out; then the client goes."""
        found: list[dict[str, str]] = []
        enough, gone = asyncio.Event(), asyncio.Event()

        async def receive() -> dict[str, Any]:
            if not gone.is_set():
                gone.set()
                return {"type": "http.request", "body": b"", "more_body": False}
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = {key.decode(): value.decode() for key, value in message["headers"]}
                assert headers["content-type"].startswith("text/event-stream")
                assert headers["x-accel-buffering"] == "no"
            for block in message.get("body", b"").decode().split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
                if fields:
                    found.append(fields)
            if len(found) >= wanted:
                enough.set()

        address, _, query = path.partition("?")
        scope: Any = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": address, "raw_path": address.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(b"x-forwarded-user", b"alice"), (b"host", b"localhost")],
            "client": ("127.0.0.1", 1), "server": ("localhost", 80), "extensions": {}, "state": {},
        }  # fmt: skip
        async with asyncio.timeout(10):
            await self.app(scope, receive, send)  # type: ignore[arg-type]
        return found[:wanted]


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    container, engine = Container(), FakeEngine()
    db, bus = Database(tmp_path / "dockrev.sqlite3"), EventBus()
    clock = Clock(now=lambda: datetime.now(UTC) + made.ahead)
    await db.create_all()
    container.put(Settings, Settings(db_path=db.path))
    container.put(Database, db)
    container.put(EventBus, bus)
    container.put(Clock, clock)
    container.put(Metrics, Metrics())
    jobs = container.put(JobEngine, JobEngine(db, bus, clock))
    container.put(Background, Background())
    container.put(Engine, engine)
    container.put(Compose, FakeCompose())
    registry = FakeRegistry(store=container.put(DatabaseStore, DatabaseStore(db, clock)))
    monkeypatch.setattr(room, "registry_client", lambda _: container.put(RegistryClient, registry))
    stacks.FEATURE.setup(container)
    room.FEATURE.setup(container)
    provided = {**stacks.FEATURE.provides, **room.FEATURE.provides}

    def provide(kind: type) -> Provide:
        return Provide(lambda: container.get(kind), sync_to_thread=False)

    app = Litestar(
        route_handlers=list(room.FEATURE.handlers),
        guards=[require_same_site, require_identity],
        dependencies={name: provide(kind) for name, kind in provided.items()},
        exception_handlers=HANDLERS,
        plugins=[PydanticPlugin(prefer_alias=True)],
        state=State({"auth_policy": AuthPolicy(allowed_user="alice", anonymous="off", trusted_proxies=_anywhere())}),
        logging_config=None,
    )
    async with AsyncTestClient(app) as client:
        made = Api(app, client, container, engine, registry, tmp_path)
        yield made
    await jobs.stop(0.5)
    await bus.settle()
    await db.close()


def _anywhere() -> tuple[Any, ...]:
    from ipaddress import ip_network

    return (ip_network("127.0.0.0/8"),)


def told(answer: Any) -> tuple[str, str]:
    """Code and message of an error envelope."""
    return answer["error"]["code"], answer["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/checks"),
        ("POST", "/api/runtime-scans"),
        ("GET", "/api/ignores"),
        ("POST", "/api/ignores"),
        ("DELETE", "/api/ignores"),
        ("GET", "/api/services/svc_1/digest-tags"),
        ("GET", "/api/services/svc_1/digest-tags-snapshot"),
        ("GET", "/api/services/svc_1/versions"),
        ("POST", "/api/services/svc_1/version-inference/refresh"),
        ("GET", "/api/version-inference/overview"),
        ("GET", "/api/version-inference/events"),
    ],
)
async def test_every_route_wants_an_identity(api: Api, method: str, path: str) -> None:
    answer = await api.client.request(method, path)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "auth_required"


# ---- checks and scans


async def test_a_check_is_a_job_of_the_caller(api: Api) -> None:
    await api.run()
    check_id = await api.check()
    assert check_id.startswith("chk_")
    job = await api.container.get(JobEngine).store.get(check_id)
    assert job is not None
    assert (job.type, job.scope, job.created_by, job.reason) == ("check", "all", "alice", "ui")


@pytest.mark.parametrize("path", ["/api/checks", "/api/runtime-scans"])
async def test_scopes_want_their_ids(api: Api, path: str) -> None:
    for scope, field in (("stack", "stackId"), ("service", "serviceId")):
        answer = await api.call("POST", path, 400, json={"scope": scope})
        assert told(answer) == ("invalid_argument", f"{field} is required for scope={scope}")
        assert answer["error"]["details"]["field"] == field
    answer = await api.call("POST", path, 404, json={"scope": "stack", "stackId": "stk_nobody"})
    assert told(answer) == ("not_found", "stack not found")
    answer = await api.call("POST", path, 404, json={"scope": "service", "serviceId": "svc_nobody"})
    assert told(answer) == ("not_found", "service not found")


@pytest.mark.parametrize("path", ["/api/checks", "/api/runtime-scans"])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b'"all"', b"null", b'{"scope":"host"}', b'{"scope":1}', b"{}", b"\xff\xfe",
        b'{"scope":"all","reason":"x"}', b'{"scope":"service","serviceId":7}',
        b'{"scope":"stack","stackId":"' + b"x" * 1000 + b'"}',
    ],
)  # fmt: skip
async def test_wrong_bodies_are_400(api: Api, path: str, body: bytes) -> None:
    answer = await api.client.request("POST", path, headers={**ALICE, "content-type": "application/json"}, content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "invalid_argument"


@pytest.mark.parametrize(
    ("path", "message"),
    [("/api/checks", "check already running"), ("/api/runtime-scans", "runtime scan already running")],
)
async def test_a_second_one_is_409(api: Api, path: str, message: str) -> None:
    await api.run()
    api.registry.delay = 1
    started = await api.call("POST", path, 200, json={"scope": "all"})
    answer = await api.call("POST", path, 409, json={"scope": "all"})
    assert told(answer) == ("conflict", message)
    assert answer["error"]["details"]["existingJobId"] in started.values()


# ---- ignore rules


def rule(kind: str = "exact", value: str = "latest", **more: Any) -> dict[str, Any]:
    return {"scope": {"type": "service", "serviceId": "svc_1"}, "match": {"kind": kind, "value": value}, **more}


async def test_rules_are_created_listed_and_deleted(api: Api) -> None:
    first = (await api.call("POST", "/api/ignores", 200, json=rule()))["ruleId"]
    second = (await api.call("POST", "/api/ignores", 200, json=rule("semver", ">=2", note="no", enabled=False)))[
        "ruleId"
    ]
    assert first.startswith("ign_")
    assert (await api.call("GET", "/api/ignores", 200)) == {
        "rules": [
            {
                "id": second,
                "enabled": False,
                "scope": {"type": "service", "serviceId": "svc_1"},
                "match": {"kind": "semver", "value": ">=2"},
                "note": "no",
            },
            {
                "id": first,
                "enabled": True,
                "scope": {"type": "service", "serviceId": "svc_1"},
                "match": {"kind": "exact", "value": "latest"},
                "note": None,
            },
        ]
    }
    assert await api.call("DELETE", "/api/ignores", 200, json={"ruleId": first}) == {"deleted": True}
    assert await api.call("DELETE", "/api/ignores", 200, json={"ruleId": first}) == {"deleted": False}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**rule(), "scope": {"type": "stack", "serviceId": "svc_1"}}, "scope.type"),
        ({**rule(), "scope": {"type": "service", "serviceId": "  "}}, "scope.serviceId"),
        ({**rule(), "scope": {"type": "service"}}, "scope.serviceId"),
        (rule("glob", "1.*"), "match.kind"),
        (rule("exact", ""), "match.value"),
        (rule("regex", "("), "match.value"),
        (rule("semver", "newer than 2"), "match.value"),
        (rule("exact", "x" * 300), "match.value"),
    ],
)
async def test_wrong_rules_name_their_field(api: Api, body: dict[str, Any], field: str) -> None:
    answer = await api.call("POST", "/api/ignores", 400, json=body)
    assert answer["error"]["code"] == "invalid_argument"
    assert answer["error"]["details"]["field"] == field
    assert (await api.call("GET", "/api/ignores", 200)) == {"rules": []}


async def test_the_words_of_the_contract(api: Api) -> None:
    body = {**rule(), "scope": {"type": "stack", "serviceId": "svc_1"}}
    assert told(await api.call("POST", "/api/ignores", 400, json=body))[1] == "scope.type must be 'service'"
    body = {**rule(), "scope": {"type": "service", "serviceId": ""}}
    assert told(await api.call("POST", "/api/ignores", 400, json=body))[1] == "scope.serviceId must not be empty"


@pytest.mark.parametrize("more", [{}, {"json": {}}, {"json": {"ruleId": 7}}, {"json": []}, {"content": b"{"}])
async def test_deleting_wants_a_rule(api: Api, more: dict[str, Any]) -> None:
    answer = await api.call("DELETE", "/api/ignores", 400, **more)
    assert answer["error"]["code"] == "invalid_argument"


async def test_hostile_text_comes_back_as_it_is(api: Api) -> None:
    nasty = "<script>alert(1)</script>\x1b[31m"
    await api.call("POST", "/api/ignores", 200, json=rule("prefix", nasty, note=nasty))
    [found] = (await api.call("GET", "/api/ignores", 200))["rules"]
    assert (found["match"]["value"], found["note"]) == (nasty, nasty)


# ---- digest tags


async def checked(api: Api) -> tuple[str, str]:
    """A checked service behind `latest`; its id and its candidate's digest."""
    new = api.registry.push(WEB, ["latest", "2.0.0", "2"], "new")
    api.registry.push(WEB, ["1.9.0"], "old")
    service = await api.run()
    await api.check()
    return service, new


async def test_tags_of_a_digest_asked_now(api: Api) -> None:
    service, new = await checked(api)
    answer = await api.call(
        "GET", f"/api/services/{service}/digest-tags?digest=%20{new.upper().removeprefix('SHA256:')}", 200
    )
    assert answer == {
        "digest": new,
        "tags": ["2.0.0", "2", "latest"],
        "repoTags": ["1.9.0", "2", "2.0.0", "latest"],
        "scan": {
            "repoTagsTotal": 4,
            "repoTagsConsidered": 4,
            "manifestsOk": 4,
            "manifestsTimeout": 0,
            "manifestsError": 0,
        },
    }


async def test_the_answer_is_kept_and_spares_the_next_questions(api: Api) -> None:
    service, new = await checked(api)
    await api.call("GET", f"/api/services/{service}/digest-tags?digest={new}", 200)
    api.registry.calls.clear()
    answer = await api.call("GET", f"/api/services/{service}/digest-tags?digest={new}", 200)
    assert answer["tags"] == ["2.0.0", "2", "latest"]
    assert "checkedAt" in answer
    assert api.registry.calls == {"tags": 1}
    record = (await api.container.get(room.Versions).records([service]))[service]
    assert record.candidate_resolved_tag == "2.0.0"


async def test_without_a_digest_there_are_only_the_tags(api: Api) -> None:
    service, _ = await checked(api)
    for query in ("", "?digest=", "?digest=%20"):
        answer = await api.call("GET", f"/api/services/{service}/digest-tags{query}", 200)
        assert (answer["digest"], answer["tags"], answer["scan"]["repoTagsConsidered"]) == ("", [], 0)
        assert answer["repoTags"] == ["1.9.0", "2", "2.0.0", "latest"]


async def test_a_foreign_digest_just_has_no_tags(api: Api) -> None:
    service, _ = await checked(api)
    answer = await api.call("GET", f"/api/services/{service}/digest-tags?digest=../../etc", 200)
    assert (answer["digest"], answer["tags"]) == ("sha256:../../etc", [])


async def test_failing_tags_are_counted(api: Api) -> None:
    service, new = await checked(api)
    api.registry.failing[f"{WEB}:2"] = RegistryUnreachable("answered 503")
    answer = await api.call("GET", f"/api/services/{service}/digest-tags?digest={new}", 200)
    assert (answer["tags"], answer["scan"]["manifestsError"]) == (["2.0.0", "latest"], 1)


async def test_listing_that_takes_too_long_is_500(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    service, new = await checked(api)
    assert LISTING_SECONDS == 8
    monkeypatch.setattr("app.features.versions.digest_tags.LISTING_SECONDS", 0.05)
    api.registry.delay = 5
    answer = await api.call("GET", f"/api/services/{service}/digest-tags?digest={new}", 500)
    assert told(answer) == ("internal", "registry timeout")
    assert answer["error"]["details"]["op"] == "list_tags"


async def test_unknown_services_and_images_that_are_none(api: Api) -> None:
    for path in ("digest-tags", "digest-tags-snapshot"):
        answer = await api.call("GET", f"/api/services/svc_nobody/{path}?digest=aa", 404)
        assert told(answer) == ("not_found", "service not found")
    service = await api.run("bad", "Not/An Image:latest")
    answer = await api.call("GET", f"/api/services/{service}/digest-tags?digest=aa", 400)
    assert answer["error"]["details"]["field"] == "image"
    answer = await api.call("GET", f"/api/services/{service}/digest-tags?digest={'a' * 5000}", 400)
    assert answer["error"]["details"]["field"] == "digest"


# ---- snapshots and refresh (spec §13, 9 and 10)


async def test_a_snapshot_from_nothing_to_cached(api: Api) -> None:
    service, new = await checked(api)
    path = f"/api/services/{service}/digest-tags-snapshot"
    api.registry.calls.clear()
    pending = {"status": "pending", "digest": new, "retryAfterMs": 800}
    assert await api.call("GET", f"{path}?digest={new.removeprefix('sha256:')}", 202) == pending
    assert not api.registry.calls  # nobody waits for a registry
    await api.work()
    cached = await api.call("GET", f"{path}?digest={new}", 200)
    assert set(cached) == {"digest", "tags", "checkedAt", "scan"}
    assert cached["tags"] == ["2.0.0", "2", "latest"]
    assert cached["checkedAt"].endswith("Z")


async def test_a_missing_snapshot_is_looked_up(api: Api) -> None:
    service, new = await checked(api)
    await api.work()
    api.ahead = timedelta(days=40)
    inference = api.container.get(room.Inference)
    await inference.collect_garbage()
    await api.call("GET", f"/api/services/{service}/digest-tags-snapshot?digest={new}", 202)
    [task] = inference.queue.tasks()
    assert (task.key.digest, task.reason) == (new, room.Reason.API_SNAPSHOT_READ_MISS)


async def test_a_stale_snapshot_is_shown_and_refreshed(api: Api) -> None:
    service, new = await checked(api)
    await api.work()
    api.ahead = timedelta(days=8)
    path = f"/api/services/{service}/digest-tags-snapshot?digest={new}"
    for _ in range(2):  # a refresh in flight does not hide it
        assert (await api.call("GET", path, 200))["tags"] == ["2.0.0", "2", "latest"]
    [task] = api.container.get(room.Inference).queue.tasks()
    assert task.reason is room.Reason.CACHE_STALE


async def test_a_forced_refresh_hides_it(api: Api) -> None:
    service, new = await checked(api)
    await api.work()
    refresh, body = f"/api/services/{service}/version-inference/refresh", {"digest": new}
    assert await api.call("POST", refresh, 202, json=body) == {
        "status": "pending",
        "serviceId": service,
        "imageRepo": WEB,
        "digest": new,
        "reason": "force",
    }
    assert (await api.call("POST", refresh, 202, json=body))["reason"] == "running"
    await api.call("GET", f"/api/services/{service}/digest-tags-snapshot?digest={new}", 202)
    await api.call("GET", f"/api/services/{service}/digest-tags-snapshot?digest={OLD}", 200)
    await api.work()
    await api.call("GET", f"/api/services/{service}/digest-tags-snapshot?digest={new}", 200)


async def test_digests_that_are_missing_or_foreign(api: Api) -> None:
    service, _ = await checked(api)
    snapshot, refresh = (
        f"/api/services/{service}/{end}" for end in ("digest-tags-snapshot", "version-inference/refresh")
    )
    for answer in (
        await api.call("GET", snapshot, 400),
        await api.call("GET", f"{snapshot}?digest=%20", 400),
        await api.call("POST", refresh, 400, json={}),
        await api.call("POST", refresh, 400, json={"digest": ""}),
    ):
        assert told(answer) == ("invalid_argument", "digest is required")
    await api.call("POST", refresh, 400, content=b"{")
    await api.call("POST", refresh, 400)
    answer = await api.call("GET", f"{snapshot}?digest=sha256:aa", 404)
    assert told(answer) == ("not_found", "digest snapshot not found")
    await api.call("POST", refresh, 404, json={"digest": "sha256:aa"})
    await api.call("POST", "/api/services/svc_nobody/version-inference/refresh", 404, json={"digest": "sha256:aa"})


# ---- newer versions across tags


async def versions_of(api: Api, service: str) -> Any:
    """The answer once nothing is being looked up any more."""
    newer = api.container.get(room.Newer)
    worker = asyncio.create_task(newer.run())
    path = f"/api/services/{service}/versions"
    async with asyncio.timeout(20):
        while (answer := await api.client.get(path, headers=ALICE)).status_code == 202 or answer.json()["refreshing"]:
            await asyncio.sleep(0.02)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert answer.status_code == 200
    return answer.json()


async def test_newer_versions_from_pending_to_told(api: Api) -> None:
    runs = api.registry.push(WEB, ["1.4.2"], "runs", arch=["linux/amd64", "linux/arm64"])
    newer = api.registry.push(WEB, ["1.5.0", "1.5", "1", "latest"], "newer", arch=["linux/amd64"])
    api.registry.push(WEB, "2.0.0", "other hosts", arch=["linux/arm64"])
    service = await api.run(ref=f"{WEB}:1.4.2", digest=runs)
    path = f"/api/services/{service}/versions"
    unchecked = await api.call("GET", path, 202)
    assert unchecked == {
        "status": "pending", "serviceId": service, "reason": "not_checked", "retryAfterMs": 800,
    }  # fmt: skip
    await api.check()
    assert (await api.call("GET", path, 202))["reason"] == "cache_miss"
    found = await versions_of(api, service)
    assert {key: found[key] for key in ("serviceId", "imageRef", "imageRepo", "followedTag", "reach", "status")} == {
        "serviceId": service, "imageRef": f"{WEB}:1.4.2", "imageRepo": WEB, "followedTag": "1.4.2", "reach": "none",
        "status": "ready",
    }  # fmt: skip
    assert datetime.fromisoformat(found["checkedAt"]).tzinfo
    current, minor, major = found["versions"]
    assert current == {
        "state": "current", "distance": "now", "version": "1.4.2", "tag": "1.4.2", "inferred": False, "inReach": True,
        "digest": runs, "platforms": ["linux/amd64", "linux/arm64"], "reachedBy": ["1.4.2"], "more": 0,
    }  # fmt: skip
    assert minor == {
        "state": "other_series", "distance": "minor", "version": "1.5.0", "tag": "1.5.0", "inferred": False,
        "inReach": False, "digest": newer, "platforms": ["linux/amd64"], "follow": "1.5.0",
        "reachedBy": ["1.5.0", "1.5", "1", "latest"], "more": 0,
    }  # fmt: skip
    assert (major["state"], major["platforms"]) == ("arch_mismatch", ["linux/arm64"])
    overview = await api.call("GET", "/api/version-inference/overview", 200)
    assert overview["newerVersions"] == {"queued": 0, "running": 0}


async def test_newer_versions_while_the_registry_fails(api: Api) -> None:
    runs = api.registry.push(WEB, ["1.4.2", "1.5.0"], "runs")
    service = await api.run(ref=f"{WEB}:1.4.2", digest=runs)
    await api.check()
    api.registry.failing[WEB] = RegistryUnreachable("ghcr.io answered 503")
    found = await versions_of(api, service)
    assert (found["status"], found["error"], len(found["versions"])) == ("failed", "ghcr.io answered 503", 1)
    assert "checkedAt" not in found


async def test_newer_versions_of_nothing_and_of_no_image(api: Api) -> None:
    answer = await api.call("GET", "/api/services/svc_none/versions", 404)
    assert told(answer) == ("not_found", "service not found")
    await api.call("GET", f"/api/services/{'x' * 5000}/versions", 404)
    service = await api.run(ref=f"{WEB}:1.4.2")
    db = api.container.get(Database)
    async with db.transaction() as session:
        await (await session.connection()).exec_driver_sql("UPDATE services SET image_ref = 'NOT <a> reference'")
    answer = await api.call("GET", f"/api/services/{service}/versions", 400)
    assert answer["error"]["code"] == "invalid_argument"
    assert answer["error"]["details"]["field"] == "image"


# ---- overview and events


async def test_the_overview_before_and_after_work(api: Api) -> None:
    await checked(api)
    before = await api.call("GET", "/api/version-inference/overview", 200)
    assert before["worker"] == {"maxConcurrency": 2, "queued": 2, "running": 0, "inFlight": 0}
    assert before["gc"] == {"retentionDays": 30, "intervalSeconds": 86400}
    assert set(before["tasks"][0]) == {
        "key", "imageRepo", "digest", "hostPlatform", "status", "reason", "enqueuedAt", "updatedAt",
    }  # fmt: skip
    assert {task["reason"] for task in before["tasks"]} == {"new_version", "cache_miss"}
    [row] = before["rows"]
    assert (row["key"], row["status"], row["serviceCount"]) == (f"{WEB}@linux/amd64", "queued", 1)
    await api.work()
    after = await api.call("GET", "/api/version-inference/overview", 200)
    assert after["summary"] == {
        "snapshotsTotal": 2,
        "queued": 0,
        "running": 0,
        "ready": 2,
        "stale": 0,
        "allFailed": 0,
        "total": 2,
        "missing": 0,
    }
    assert after["tasks"] == []
    assert set(after["rows"][0]) == {
        "key", "imageRepo", "hostPlatform", "status", "serviceCount", "checkedAt", "updatedAt",
    }  # fmt: skip
    assert (after["page"], after["perPage"], after["total"]) == (1, 50, 1)


async def test_the_overview_is_filtered_and_paged(api: Api) -> None:
    await checked(api)
    for query, status, total, size in (
        ("?q=ACME", 200, 1, 50),
        ("?q=nothing", 200, 0, 50),
        ("?status=ready", 200, 0, 50),
        ("?status=queued&perPage=900", 200, 1, 200),
        ("?perPage=0", 200, 1, 1),
        ("?page=99999", 200, 1, 50),
    ):
        answer = await api.call("GET", f"/api/version-inference/overview{query}", status)
        assert (answer["total"], answer["perPage"]) == (total, size)
    for query, field in (
        ("?status=foo", "status"),
        ("?page=0", "page"),
        ("?page=x", "page"),
        ("?perPage=x", "perPage"),
    ):
        answer = await api.call("GET", f"/api/version-inference/overview{query}", 400)
        assert answer["error"]["details"]["field"] == field


async def test_events_are_numbered_and_resumed(api: Api) -> None:
    await checked(api)
    await api.work()
    count = api.container.get(room.Inference).ring.latest
    events = await api.listen("/api/version-inference/events", count)
    assert [event["id"] for event in events] == [str(number) for number in range(1, count + 1)]
    assert {event["event"] for event in events} == {"version_inference_event"}
    documents = [json.loads(event["data"]) for event in events]
    for document in documents:
        assert {"type", "ts", "key", "imageRepo", "digest", "hostPlatform", "reason"} <= set(document)
    finished = next(document for document in documents if document["type"] == "task_finished")
    assert (finished["status"], finished["allFailed"]) == ("success", False)
    assert finished["scan"]["repoTagsTotal"] == 4
    progress = [document for document in documents if document["type"] == "task_progress"]
    assert {document["phase"] for document in progress} == {"prepare", "listing_tags", "scanning", "persist"}
    [last] = await api.listen(f"/api/version-inference/events?afterId={count - 1}", 1)
    assert last["id"] == str(count)


async def test_a_lost_place_is_told(api: Api) -> None:
    [event] = await api.listen("/api/version-inference/events?afterId=12345", 1)
    document = json.loads(event["data"])
    assert (event["event"], document["type"]) == ("version_inference_event", "resync_required")
    assert document["requestedAfterId"] == 12345
