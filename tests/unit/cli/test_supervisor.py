"""The supervisor: its routes, who gets in, and a state file that may hold anything (spec §10)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from app.core.web.auth import AuthPolicy
from app.settings import SettingsError
from app.supervisor.main import create_supervisor
from app.supervisor.settings import SupervisorSettings, load_settings

Client = TestClient[Litestar]
LINE = {"ts": "2026-05-01T10:00:00Z", "level": "INFO", "msg": "pulled <script>alert(1)</script>", "opId": "sup_1"}
DOCUMENT: dict[str, Any] = {
    "schemaVersion": 1,
    "state": "succeeded",
    "opId": "sup_1",
    "target": {"image": "ghcr.io/ivanli-cn/dockrev", "tag": "1.3", "digest": None},
    "previous": {"tag": "1.2", "digest": "sha256:aa"},
    "startedAt": "2026-05-01T10:00:00Z",
    "updatedAt": "2026-05-01T10:01:00Z",
    "progress": {"step": "done", "message": "ok"},
    "logs": [LINE],
    "operations": [
        {
            "opId": "sup_1",
            "state": "succeeded",
            "logs": [LINE],
            "startedAt": "2026-05-01T10:00:00Z",
            "updatedAt": "2026-05-01T10:01:00Z",
        }
    ],
}


@pytest.fixture
def state_path(tmp_path: Path) -> Path:
    return tmp_path / "self-upgrade.json"


def client_of(state_path: Path, **policy: Any) -> Client:
    settings = SupervisorSettings(state_path=state_path)
    trusted = (ip_network("127.0.0.0/8"),)
    return TestClient(create_supervisor(settings, AuthPolicy(trusted_proxies=trusted, **policy)))


@pytest.fixture
def client(state_path: Path) -> Iterator[Client]:
    with client_of(state_path, anonymous="any") as client:
        yield client


def test_routes(client: Client) -> None:
    assert client.get("/supervisor/health").json() == {"ok": True}
    assert set(client.get("/supervisor/version").json()) == {"version", "repository", "developerName", "developerUrl"}
    for address in ("/supervisor", "/supervisor/"):
        page = client.get(address)
        assert page.status_code == 200
        assert "idle" in page.text
    assert client.get("/supervisor/favicon.png").content.startswith(b"\x89PNG")
    assert client.get("/elsewhere").json()["error"]["code"] == "not_found"
    refused = client.post("/supervisor/self-upgrade", json={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (405, "method_not_allowed")


def test_without_a_file_it_is_idle(client: Client) -> None:
    state = client.get("/supervisor/self-upgrade").json()
    assert (state["state"], state["opId"], state["logs"], state["operations"]) == ("idle", "", [], [])
    assert state["target"] == {"image": "ghcr.io/ivanli-cn/dockrev", "tag": "latest", "digest": None}
    assert state["previous"] == {"tag": "unknown", "digest": None}
    assert state["progress"] == {"step": "done", "message": "idle"}
    assert "request" not in state


def test_a_persisted_state_is_shown(client: Client, state_path: Path) -> None:
    state_path.write_text(json.dumps(DOCUMENT))
    state = client.get("/supervisor/self-upgrade").json()
    assert {key: state[key] for key in DOCUMENT if key != "schemaVersion"} == {
        key: value for key, value in DOCUMENT.items() if key != "schemaVersion"
    }
    page = client.get("/supervisor/").text
    assert "sup_1" in page
    assert "<script>" not in page


def test_an_interrupted_operation_is_a_failed_one(client: Client, state_path: Path) -> None:
    request = {"mode": "apply", "rollbackOnFailure": True}
    state_path.write_text(json.dumps({**DOCUMENT, "state": "running", "request": request}))
    state = client.get("/supervisor/self-upgrade").json()
    assert state["state"] == "failed"
    assert state["progress"]["step"] == "postcheck"
    assert "request" not in state


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"state":"odd"}', '{"schemaVersion":2}', "\x00" * 50])
def test_a_broken_file_is_idle(client: Client, state_path: Path, content: str) -> None:
    state_path.write_text(content)
    assert client.get("/supervisor/self-upgrade").json()["state"] == "idle"


def test_only_the_favicon_is_public(state_path: Path) -> None:
    with client_of(state_path, allowed_user="alice") as client:
        for path in ("", "/health", "/version", "/self-upgrade"):
            refused = client.get(f"/supervisor{path}")
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "auth_required")
        page = client.get("/supervisor", headers={"Accept": "text/html"})
        assert page.status_code == 401
        assert "X-Forwarded-User" in page.text
        assert client.get("/supervisor/favicon.png").status_code == 200
        assert client.get("/supervisor/health", headers={"X-Forwarded-User": "alice"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "supervisor", "//", "/a//b", "/a{x}"])
def test_a_base_path_must_be_one(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("DOCKREV_SUPERVISOR_BASE_PATH", path)
    with pytest.raises(SettingsError, match="DOCKREV_SUPERVISOR_BASE_PATH"):
        load_settings()


def test_it_loads_nothing_of_dockrev_itself() -> None:
    code = (
        "import sys; import app.supervisor.main; "
        "print([m for m in sys.modules if m.split('.')[0] in ('sqlmodel','sqlalchemy','alembic','docker','httpx')"
        " or m.startswith(('app.features','app.core.db','app.core.jobs'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
