"""The routes of the stacks room: shapes, words and refusals (spec §5.2, §5.3, §5.5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
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
from app.core.background import Background
from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.core.feature import Container
from app.core.jobs import JobEngine
from app.core.web.auth import AuthPolicy, require_identity
from app.core.web.forms import require_same_site
from app.core.web.problems import HANDLERS
from app.features import stacks as room
from app.settings import Settings
from tests.fakes.compose import FakeCompose
from tests.fakes.engine import FakeEngine, compose_container

ALICE = {"X-Forwarded-User": "alice"}


@dataclass
class Api:
    """The room behind HTTP, everything else left out."""

    client: AsyncTestClient[Litestar]
    container: Container
    engine: FakeEngine
    folder: Path

    async def discover(self, project: str = "shop", image: str = "nginx:1.27") -> None:
        """Run a project and have it found."""
        path = self.folder / f"{project}.yml"
        path.write_text(f"services: {{web: {{image: '{image}'}}}}\n")
        self.engine.listed.append(compose_container(project, "web", files=str(path)))
        await self.container.get(room.Discovery).scan()

    async def stack(self, name: str = "shop") -> room.StackRecord:
        """A stack by name."""
        return next(s for s in await self.container.get(room.Stacks).stacks("include") if s.name == name)

    async def call(self, method: str, path: str, status: int, **more: Any) -> Any:
        """A request of Alice; its JSON after the status was found right."""
        answer = await self.client.request(method, path, headers=ALICE, **more)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    container, engine = Container(), FakeEngine()
    db, bus, clock = Database(tmp_path / "dockrev.sqlite3"), EventBus(), Clock()
    await db.create_all()
    container.put(Settings, Settings(db_path=db.path))
    container.put(Database, db)
    container.put(EventBus, bus)
    container.put(Clock, clock)
    jobs = container.put(JobEngine, JobEngine(db, bus, clock))
    container.put(Background, Background())
    container.put(Engine, engine)
    container.put(Compose, FakeCompose())
    feature = room.FEATURE
    feature.setup(container)
    policy = AuthPolicy(allowed_user="alice", anonymous="off")

    def provide(kind: type) -> Provide:
        return Provide(lambda: container.get(kind), sync_to_thread=False)

    app = Litestar(
        route_handlers=list(feature.handlers),
        guards=[require_same_site, require_identity],
        dependencies={name: provide(kind) for name, kind in feature.provides.items()},
        exception_handlers=HANDLERS,
        plugins=[PydanticPlugin(prefer_alias=True)],
        state=State({"auth_policy": policy}),
        logging_config=None,
    )
    async with AsyncTestClient(app) as client:
        yield Api(client, container, engine, tmp_path)
    await jobs.stop(0.5)
    await bus.settle()
    await db.close()


def told(answer: Any) -> tuple[str, str]:
    """Code and message of an error envelope."""
    return answer["error"]["code"], answer["error"]["message"]


async def test_a_scan_is_a_job_of_the_caller_and_ignores_its_body(api: Api) -> None:
    for body in ({}, {"json": {"x": 1}}, {"content": b"\xff not json"}):
        answer = await api.call("POST", "/api/discovery/scan", 200, **body)
        assert set(answer) == {"jobId"}
        assert answer["jobId"].startswith("dsc_")
    job = await api.container.get(JobEngine).store.get(answer["jobId"])
    assert job is not None
    assert (job.created_by, job.reason) == ("alice", "ui")


async def test_projects_are_listed_by_name_with_what_is_known(api: Api) -> None:
    await api.discover("shop")
    api.engine.listed.append(compose_container("broken", "web", files="compose.yml"))
    await api.container.get(room.Discovery).scan()
    broken, shop = (await api.call("GET", "/api/discovery/projects", 200))["projects"]
    assert set(broken) == {
        "project", "status", "configFiles", "lastSeenAt", "lastScanAt", "lastError", "lastErrorHint", "archived",
    }  # fmt: skip
    assert (broken["status"], broken["lastError"]) == ("invalid", "config_files_relative_path_rejected")
    assert shop["stackId"] == (await api.stack()).id
    assert (shop["status"], shop["archived"], shop["configFiles"]) == ("active", False, [str(api.folder / "shop.yml")])
    assert shop["lastSeenAt"].endswith("Z")
    assert "lastError" not in shop


async def test_projects_are_filtered_archived_and_restored(api: Api) -> None:
    await api.discover("shop")
    for _ in range(2):
        assert await api.call("POST", "/api/discovery/projects/shop/archive", 200) == {"ok": True}

    async def names(filter_: str) -> list[str]:
        answer = await api.call("GET", f"/api/discovery/projects?archived={filter_}", 200)
        return [project["project"] for project in answer["projects"]]

    assert (await names("exclude"), await names("include"), await names("only")) == ([], ["shop"], ["shop"])
    assert not (await api.stack()).archived
    await api.call("POST", "/api/discovery/projects/shop/restore", 200)
    assert await names("exclude") == ["shop"]
    refused = await api.call("GET", "/api/discovery/projects?archived=yes", 400)
    assert told(refused) == ("invalid_argument", "invalid archived filter: yes")
    missing = await api.call("POST", "/api/discovery/projects/no%20such/archive", 404)
    assert told(missing) == ("not_found", "project not found")


@pytest.mark.parametrize("body", [{}, {"json": {"name": "x"}}, {"content": b"{"}])
async def test_stacks_cannot_be_registered_by_hand(api: Api, body: dict[str, Any]) -> None:
    refused = await api.call("POST", "/api/stacks", 405, **body)
    assert refused == {"error": "manual stack registration is disabled; use auto-discovery instead"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/stacks"),
        ("POST", "/api/discovery/scan"),
        ("GET", "/api/discovery/projects"),
        ("POST", "/api/discovery/projects/x/archive"),
        ("POST", "/api/stacks/x/archive"),
        ("POST", "/api/services/x/restore"),
        ("GET", "/api/services/x/settings"),
        ("PUT", "/api/services/x/settings"),
    ],
)
async def test_every_route_asks_who_is_there_first(api: Api, method: str, path: str) -> None:
    answer = await api.client.request(method, path)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "auth_required"


async def test_stacks_and_services_are_archived_and_restored(api: Api) -> None:
    await api.discover()
    stack = await api.stack()
    service_id = stack.services[0].id
    for _ in range(2):
        assert await api.call("POST", f"/api/stacks/{stack.id}/archive", 200) == {"ok": True}
        assert await api.call("POST", f"/api/services/{service_id}/archive", 200) == {"ok": True}
    archived = await api.stack()
    assert archived.archived
    assert archived.services[0].archived
    for _ in range(2):
        await api.call("POST", f"/api/stacks/{stack.id}/restore", 200)
        await api.call("POST", f"/api/services/{service_id}/restore", 200)
    restored = await api.stack()
    assert not restored.archived
    assert not restored.services[0].archived
    for action in ("archive", "restore"):
        assert told(await api.call("POST", f"/api/stacks/stk_x/{action}", 404)) == ("not_found", "stack not found")
        assert told(await api.call("POST", f"/api/services/x/{action}", 404)) == ("not_found", "service not found")


async def test_settings_of_a_service_are_read_and_replaced(api: Api) -> None:
    await api.discover()
    address = f"/api/services/{(await api.stack()).services[0].id}/settings"
    assert await api.call("GET", address, 200) == {
        "autoRollback": True,
        "backupTargets": {"bindPaths": {}, "volumeNames": {}},
        "repoUrl": None,
    }
    wanted = {
        "autoRollback": False,
        "backupTargets": {"bindPaths": {"/data": "force"}, "volumeNames": {"db": "skip", "cache": "inherit"}},
        "repoUrl": " https://github.com/acme/web ",
    }
    assert await api.call("PUT", address, 200, json=wanted) == {"ok": True}
    stored = {**wanted, "repoUrl": "https://github.com/acme/web"}
    assert await api.call("GET", address, 200) == stored
    kept = {key: value for key, value in wanted.items() if key != "repoUrl"}
    await api.call("PUT", address, 200, json=kept)
    assert await api.call("GET", address, 200) == stored
    for blank in (None, "  "):
        await api.call("PUT", address, 200, json={**wanted, "repoUrl": blank})
        assert (await api.call("GET", address, 200))["repoUrl"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"autoRollback": "yes"}, "autoRollback"),
        ({"autoRollback": None}, "autoRollback"),
        ({"backupTargets": None}, "backupTargets"),
        ({"backupTargets": {"bindPaths": {"/d": "always"}}}, "backupTargets.bindPaths"),
        ({"backupTargets": {"bindPaths": {"d": "skip"}}}, "backupTargets.bindPaths"),
        ({"backupTargets": {"bindPaths": {"/../d": "skip"}}}, "backupTargets.bindPaths"),
        ({"backupTargets": {"volumeNames": {"-v": "skip"}}}, "backupTargets.volumeNames"),
        ({"backupTargets": {"volumeNames": {f"v{n}": "skip" for n in range(500)}}}, "backupTargets.volumeNames"),
        ({"repoUrl": "ftp://x/y"}, "repoUrl"),
        ({"repoUrl": 7}, "repoUrl"),
    ],
)
async def test_bad_settings_are_refused_naming_the_field(api: Api, change: dict[str, Any], field: str) -> None:
    await api.discover()
    address = f"/api/services/{(await api.stack()).services[0].id}/settings"
    body = {"autoRollback": True, "backupTargets": {"bindPaths": {}, "volumeNames": {}}, "repoUrl": None, **change}
    refused = await api.call("PUT", address, 400, json=body)
    assert refused["error"]["code"] == "invalid_argument"
    assert refused["error"]["details"]["field"].startswith(field)


@pytest.mark.parametrize("body", [{"content": b"{"}, {"json": []}, {"json": {}}, {"json": "x"}, {}])
async def test_bodies_of_another_shape_are_refused(api: Api, body: dict[str, Any]) -> None:
    refused = await api.call("PUT", "/api/services/svc_x/settings", 400, **body)
    assert refused["error"]["code"] == "invalid_argument"


async def test_settings_of_no_service(api: Api) -> None:
    body = {"autoRollback": True, "backupTargets": {"bindPaths": {}, "volumeNames": {}}}
    assert told(await api.call("GET", "/api/services/svc_x/settings", 404)) == ("not_found", "service not found")
    assert told(await api.call("PUT", "/api/services/svc_x/settings", 404, json=body)) == (
        "not_found",
        "service not found",
    )
