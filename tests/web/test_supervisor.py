"""The supervisor's HTTP contract (spec §10.1 to §10.5): routes, status codes, who gets in, forms, the stream."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from app.core.web.auth import AuthPolicy
from app.settings import SettingsError
from app.supervisor.main import create_supervisor
from app.supervisor.settings import SupervisorSettings, load_settings
from tests.unit.supervisor.fake_world import REPO, FakeWorld
from tests.unit.supervisor.house import QUICK, TestClient, published

BODY: dict[str, Any] = {"target": {"tag": "latest"}, "mode": "apply", "rollbackOnFailure": True}
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


class Slow(FakeWorld):
    """Pulls take their time, so that an operation can be met while it runs."""

    async def pull(self, ref: str, on_line: Any) -> str | None:
        import asyncio

        await asyncio.sleep(0.3)
        return await super().pull(ref, on_line)


@pytest.fixture
def world() -> FakeWorld:
    return Slow(registry=published("0.2.0"))


def client_of(folder: Path, world: FakeWorld | None = None, peer: str = "127.0.0.1", **policy: Any) -> TestClient:
    settings = SupervisorSettings(state_path=folder / "self-upgrade.json")
    trusted = (ip_network("127.0.0.0/8"),)
    application = create_supervisor(
        settings, AuthPolicy(trusted_proxies=trusted, **policy), world=lambda: world or FakeWorld(), pace=QUICK
    )
    return TestClient(application, base_url="http://localhost", client=(peer, 50000), follow_redirects=False)


@pytest.fixture
def client(tmp_path: Path, world: FakeWorld) -> Iterator[TestClient]:
    with client_of(tmp_path, world, anonymous="any") as client:
        yield client


def finished(client: TestClient) -> dict[str, Any]:
    end = time.monotonic() + 10
    while (state := client.get("/supervisor/self-upgrade").json())["state"] == "running":
        assert time.monotonic() < end, state
        time.sleep(0.02)
    return dict(state)


def error_of(answer: Any) -> tuple[int, str, str]:
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "details"}
    return answer.status_code, error["code"], error["message"]


# ---- the seven routes


def test_routes(client: TestClient) -> None:
    assert client.get("/supervisor/health").json() == {"ok": True}
    assert set(client.get("/supervisor/version").json()) == {"version", "repository", "developerName", "developerUrl"}
    for address in ("/supervisor", "/supervisor/"):
        page = client.get(address)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "No upgrade of Dockrev has been made here" in page.text
    icon = client.get("/supervisor/favicon.png")
    assert (icon.headers["content-type"], icon.content[:4]) == ("image/png", b"\x89PNG")
    assert error_of(client.get("/elsewhere"))[:2] == (404, "not_found")
    assert error_of(client.get("/supervisor/nothing"))[:2] == (404, "not_found")
    refused = client.delete("/supervisor/self-upgrade")
    assert error_of(refused)[:2] == (405, "method_not_allowed")
    assert "POST" in refused.headers["allow"]


def test_an_upgrade_and_its_way_back(client: TestClient, world: FakeWorld) -> None:
    op_id = client.post("/supervisor/self-upgrade", json=BODY).json()["opId"]
    assert re.fullmatch(r"sup_[0-9A-HJKMNP-TV-Z]{26}", op_id)
    state = client.get("/supervisor/self-upgrade").json()
    assert (state["state"], state["opId"]) == ("running", op_id)
    assert state["request"] == {"mode": "apply", "rollbackOnFailure": True}
    assert client.post("/supervisor/self-upgrade", json=BODY).json() == {"opId": op_id}
    assert error_of(client.post("/supervisor/self-upgrade", json={**BODY, "mode": "dry-run"}))[:2] == (409, "conflict")
    assert error_of(client.post("/supervisor/self-upgrade/rollback", json={"opId": op_id}))[:2] == (409, "conflict")
    state = finished(client)
    assert state["state"] == "succeeded", state["logs"]
    assert set(state) == {
        "state", "opId", "target", "previous", "startedAt", "updatedAt", "progress", "logs", "operations",
    }  # fmt: skip
    assert set(state["logs"][0]) == {"ts", "level", "msg", "opId"}
    assert set(state["operations"][0]) == {"opId", "state", "startedAt", "updatedAt", "logs"}
    assert client.post("/supervisor/self-upgrade/rollback", json={"opId": op_id}).json() == {"ok": True}
    assert finished(client)["state"] == "rolled_back"
    assert world.version == "0.1.0"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**BODY, "target": {"tag": "  "}}, "target.tag is required"),
        ({**BODY, "target": {}}, "target.tag is required"),
        ({**BODY, "target": {"tag": "a b"}}, "target.tag must be a tag, like latest or 0.2.0"),
        ({**BODY, "target": {"tag": "x", "digest": "sha256:1"}}, "target.digest must be"),
        ({**BODY, "mode": "now"}, "mode must be apply|dry-run"),
        ({"target": {"tag": "x"}, "rollbackOnFailure": True}, "mode must be apply|dry-run"),
        ({**BODY, "rollbackOnFailure": "yes"}, "rollbackOnFailure must be true or false"),
        ({**BODY, "target": "latest"}, "target must be an object with a tag"),
        ([], "the body must be a JSON object"),
    ],
)
def test_what_makes_no_sense_is_400(client: TestClient, world: FakeWorld, body: Any, message: str) -> None:
    status, code, said = error_of(client.post("/supervisor/self-upgrade", json=body))
    assert (status, code) == (400, "invalid_argument")
    assert said.startswith(message)
    assert world.calls == []


def test_bodies_that_cannot_be_read_are_400(client: TestClient) -> None:
    for content in (b"", b"{", b"\xff", b"[" * 90_000, b'"' + b"x" * 200_000 + b'"'):
        answer = client.post("/supervisor/self-upgrade", content=content, headers={"Content-Type": "application/json"})
        assert error_of(answer)[:2] == (400, "invalid_argument")


def test_rollbacks_that_cannot_be(client: TestClient) -> None:
    for body, status, message in (
        ({}, 400, "opId is required"),
        ({"opId": "sup_x"}, 400, "opId not found"),
        ({"opId": ""}, 400, "opId is required"),
    ):
        assert error_of(client.post("/supervisor/self-upgrade/rollback", json=body))[::2] == (status, message)
    op_id = client.post("/supervisor/self-upgrade", json={**BODY, "mode": "dry-run"}).json()["opId"]
    assert finished(client)["progress"]["message"] == "dry-run completed"
    status, code, message = error_of(client.post("/supervisor/self-upgrade/rollback", json={"opId": op_id}))
    assert (status, code) == (409, "conflict")
    assert message.startswith("no rollback target available")


# ---- who gets in


def test_only_the_favicon_is_public(tmp_path: Path) -> None:
    with client_of(tmp_path, allowed_user="alice") as client:
        for path in ("", "/", "/health", "/version", "/self-upgrade", "/self-upgrade/events", "/static/app.css"):
            assert error_of(client.get(f"/supervisor{path}"))[:2] == (401, "auth_required")
        assert error_of(client.post("/supervisor/self-upgrade", json=BODY))[:2] == (401, "auth_required")
        page = client.get("/supervisor", headers=BROWSER)
        assert page.status_code == 401
        assert "X-Forwarded-User" in page.text and "al***ce" in page.text
        assert "nonce-" in page.headers["content-security-policy"]
        assert client.get("/supervisor/favicon.png").status_code == 200
        assert client.get("/supervisor/health", headers={"X-Forwarded-User": "alice"}).status_code == 200
        assert client.get("/supervisor/health", headers={"X-Forwarded-User": "bob"}).status_code == 401
    with client_of(tmp_path, peer="203.0.113.7", allowed_user="alice") as client:
        told = client.get("/supervisor/health", headers={"X-Forwarded-User": "alice"})
        assert error_of(told)[:2] == (401, "auth_required"), "only trusted proxies speak for others"
        page = client.get("/supervisor", headers={**BROWSER, "X-Forwarded-User": "alice"}).text
        assert "Identity headers came from <code>203.0.113.7</code>" in page and "DOCKREV_TRUSTED_PROXIES" in page
        assert "<code>X-Forwarded-User</code> did not count" in page and "alice" not in page
        assert "which is not a trusted proxy" in client.get("/supervisor", headers=BROWSER).text
    with client_of(tmp_path, allowed_user="alice") as client:
        page = client.get("/supervisor", headers={**BROWSER, "X-Forwarded-User": "bob"}).text
        assert "did not count" not in page and "not a trusted proxy" not in page


def test_another_site_can_do_nothing(client: TestClient, world: FakeWorld) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = client.post("/supervisor/self-upgrade", json=BODY, headers=headers)
        assert error_of(answer)[:2] == (403, "forbidden")
    assert world.calls == []
    assert client.post("/supervisor/self-upgrade", json=BODY, headers={"Origin": "http://localhost"}).status_code == 200


# ---- the page without scripts


def token_of(client: TestClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/supervisor/", headers=BROWSER).text)
    assert found is not None
    return found[1]


def test_forms_start_and_take_back(client: TestClient, world: FakeWorld) -> None:
    token = token_of(client)
    form = {"csrf": token, "tag": "latest", "digest": "", "mode": "apply", "rollbackOnFailure": "true"}
    assert client.post("/supervisor/self-upgrade", data={**form, "csrf": "x"}).status_code == 403
    wrong = client.post("/supervisor/self-upgrade", data={**form, "tag": ""}, headers=BROWSER)
    assert wrong.status_code == 400
    assert "target.tag is required" in wrong.text and "<form" in wrong.text
    begun = client.post("/supervisor/self-upgrade", data=form, headers=BROWSER)
    assert (begun.status_code, begun.headers["location"]) == (303, "/supervisor/")
    page = client.get("/supervisor/", headers=BROWSER).text
    assert 'value="apply" disabled aria-busy="true"' in page, "the spinner survives a reload"
    op_id = finished(client)["opId"]
    confirm = client.get("/supervisor/rollback", headers=BROWSER).text
    assert op_id in confirm and "The database stays as it is." in confirm
    back = client.post("/supervisor/self-upgrade/rollback", data={"csrf": token, "opId": op_id}, headers=BROWSER)
    assert back.status_code == 303
    assert finished(client)["state"] == "rolled_back"
    assert "There is nothing to roll back" in client.get("/supervisor/rollback", headers=BROWSER).text


def test_each_operation_has_its_log_and_texts_are_escaped(client: TestClient, tmp_path: Path, world: FakeWorld) -> None:
    first = client.post("/supervisor/self-upgrade", json={**BODY, "mode": "dry-run"}).json()["opId"]
    finished(client)
    world.fails = {"look <script>alert(1)</script>"}
    world.containers = [type(world.containers[0])("x" * 64, "<script>alert(1)</script>", f"{REPO}:1", "sha256:x")]
    second = client.post("/supervisor/self-upgrade", json={**BODY, "mode": "dry-run"}).json()["opId"]
    assert finished(client)["state"] == "failed"
    page = client.get("/supervisor/", headers=BROWSER).text
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert page.count("data-op=") == 3 and f'<ol data-op="{second}">' in page
    older = client.get(f"/supervisor/?op={first}", headers=BROWSER).text
    assert f'<ol data-op="{first}">' in older and "data-pinned" in older


def test_static_files_come_from_the_supervisor_itself(client: TestClient) -> None:
    page = client.get("/supervisor/", headers=BROWSER).text
    loaded = re.findall(r'(?:src|href)="(/supervisor/static/[^"#]+)', page)
    assert {address.partition("?")[0].rpartition("/")[2] for address in loaded} == {
        "app.css", "console.css", "console.js", "icons.svg", "theme.js", "times.js", "words.js",
    }  # fmt: skip
    for address in set(loaded):
        answer = client.get(address)
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
        assert client.get(address, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert client.get("/supervisor/static/../console.html").status_code == 404
    assert client.get("/supervisor/static/sw.js").status_code == 404
    outside = re.findall(r'(?:src|action)="(?!/supervisor/)([^"]*)"', page)
    assert outside == []


def test_the_view_tells_what_moves(client: TestClient) -> None:
    view = client.get("/supervisor/self-upgrade/view").json()
    assert view["regions"]["action"] == ""
    client.post("/supervisor/self-upgrade", json=BODY)
    running = client.get("/supervisor/self-upgrade/view").json()
    assert running["regions"]["action"] == "apply"
    assert running["revision"] > view["revision"]
    finished(client)
    assert "Dockrev was upgraded to 0.2.0" in client.get("/supervisor/self-upgrade/view").json()["regions"]["headline"]


# ---- life


def test_an_interrupted_operation_is_a_failed_one(tmp_path: Path, world: FakeWorld) -> None:
    with client_of(tmp_path, world, anonymous="any") as client:
        client.post("/supervisor/self-upgrade", json=BODY)
        time.sleep(0.05)
    assert json.loads((tmp_path / "self-upgrade.json").read_text())["state"] == "running"
    with client_of(tmp_path, world, anonymous="any") as client:
        state = client.get("/supervisor/self-upgrade").json()
        assert (state["state"], state["progress"]["step"]) == ("failed", "postcheck")
        assert state["progress"]["message"] == "supervisor restarted; previous operation interrupted"
        assert "request" not in state
        assert "was interrupted" in client.get("/supervisor/", headers=BROWSER).text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(
            ("DOCKREV_SUPERVISOR_BASE_PATH", value)
            for value in (
                "/",
                "supervisor",
                "//",
                "/a//b",
                "/a{x}",
                "/..",
                "/a b",
                "/api",
                "/self-upgrade/",
                "/self-upgrade/open",
            )
        ),
        *(("DOCKREV_SUPERVISOR_HTTP_ADDR", value) for value in ("50884", "x:y", "0.0.0.0:70000")),
        *(("DOCKREV_SUPERVISOR_TARGET_IMAGE_REPO", value) for value in ("a/b:1", "a/b@sha256:1", "A/b", "a b", "x:1")),
        ("DOCKREV_SUPERVISOR_TARGET_CONTAINER_ID", "--all"),
        ("DOCKREV_SUPERVISOR_TARGET_COMPOSE_PROJECT", "-x"),
        ("DOCKREV_SUPERVISOR_TARGET_COMPOSE_SERVICE", "-x"),
        ("DOCKREV_SUPERVISOR_TARGET_COMPOSE_FILES", "compose.yaml"),
        ("DOCKREV_SUPERVISOR_DOCKER_BIN", "/bin/sh"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load_settings()


def test_the_base_path_leaves_dockrev_the_addresses_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKREV_SUPERVISOR_BASE_PATH", "/self-upgrade")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value) == (
        "DOCKREV_SUPERVISOR_BASE_PATH: must not be /self-upgrade: /self-upgrade/open is Dockrev's own address"
    )
    monkeypatch.setenv("DOCKREV_SUPERVISOR_BASE_PATH", "/self-upgrades")
    assert load_settings().base_path == "/self-upgrades"


def test_settings_that_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BASE_PATH": "/deep/er/",
        "TARGET_IMAGE_REPO": "127.0.0.1:5000/homelab/dockrev",
        "TARGET_COMPOSE_PROJECT": " house ",
        "TARGET_COMPOSE_FILES": "/srv/a.yaml, /srv/b.yaml",
        "TARGET_CONTAINER_ID": "",
    }.items():
        monkeypatch.setenv(f"DOCKREV_SUPERVISOR_{name}", value)
    settings = load_settings()
    assert settings.base_path == "/deep/er"
    assert settings.target_compose_project == "house"
    assert settings.target_compose_files == (Path("/srv/a.yaml"), Path("/srv/b.yaml"))
    assert settings.target_container_id is None


def test_it_loads_nothing_of_dockrev_itself() -> None:
    heavy = "('litestar','sqlmodel','sqlalchemy','alembic','docker','httpx','ruamel','sqlite3')"
    code = (
        "import sys; import app.supervisor.main; "
        f"print([m for m in sys.modules if m.split('.')[0] in {heavy}"
        " or m.startswith(('app.features','app.core.db','app.core.jobs','app.adapters'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
