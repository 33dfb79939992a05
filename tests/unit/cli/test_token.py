"""Commands with an API token, against a real server that lets only alice in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import httpx
import pytest

from app.cli import COMMANDS, main
from app.cli.commands.backup import variables
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_dockrev import FakeDockrev
from tests.web.test_server import Server

ALICE = {"X-Forwarded-User": "alice"}
LIMIT = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(
        tmp_path_factory.mktemp("served"), DOCKREV_AUTH_ALLOWED_USER="alice", DOCKREV_API_RATE_LIMIT=str(LIMIT)
    )
    made.wait()
    yield made
    made.stop()


def token(server: Server, name: str, scope: str = "read") -> tuple[str, str]:
    body = {"name": name, "scope": scope}
    answer = httpx.post(f"{server.url}/api/tokens", json=body, headers=ALICE, timeout=30).raise_for_status().json()
    return answer["token"]["id"], answer["value"]


@pytest.fixture
def there(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("DOCKREV_URL", server.url)
    monkeypatch.setenv("DOCKREV_USER", "mallory")
    return server


def test_a_token_from_the_environment_and_from_a_file(there: Server, run: Run, tmp_path: Path) -> None:
    refused = run("jobs", "list")
    assert refused.code == 2 and "DOCKREV_TOKEN" in refused.err and "--user" in refused.err
    _, reads = token(there, "reads")
    assert run("jobs", "list", "--json", env={"DOCKREV_TOKEN": f" {reads}\n"}).code == 0
    assert run("jobs", env={"DOCKREV_TOKEN": reads}).code == 0
    file = tmp_path / "token"
    file.write_text(f"{reads}\n", encoding="utf-8")
    named = run("jobs", "list", "--token-file", str(file), env={"DOCKREV_TOKEN": "dkr_wrong"})
    assert named.code == 0, named.err


def test_what_a_token_starts_is_by_the_token(there: Server, run: Run) -> None:
    _, checks = token(there, "night shift", "check")
    checked = run("check", "--json", env={"DOCKREV_TOKEN": checks})
    assert checked.document["job"]["createdBy"] == "token:night shift"
    followed = run("jobs", "follow", checked.document["job"]["id"], "--json", env={"DOCKREV_TOKEN": checks})
    assert followed.document["job"]["id"] == checked.document["job"]["id"]


def test_a_scope_that_is_not_enough(there: Server, run: Run) -> None:
    _, reads = token(there, "only reads")
    refused = run("check", env={"DOCKREV_TOKEN": reads})
    assert refused.code == 2 and "needs a token with the scope check" in refused.err
    assert "The token has the scope read. Make one with the scope check" in refused.err


def test_a_token_that_was_revoked(there: Server, run: Run) -> None:
    token_id, gone = token(there, "gone")
    httpx.delete(f"{there.url}/api/tokens/{token_id}", headers=ALICE, timeout=30).raise_for_status()
    refused = run("jobs", "list", "--json", env={"DOCKREV_TOKEN": gone})
    assert refused.code == 2 and refused.document["error"]["code"] == "auth_required"
    assert "the API token gone was revoked" in refused.err and "Settings, API tokens" in refused.err
    mistyped = run("jobs", "list", env={"DOCKREV_TOKEN": gone[:-1]})
    assert mistyped.code == 2 and "mistyped or cut off" in mistyped.err
    for text in (refused, mistyped):
        assert gone[:-1] not in text.out + text.err and "Bearer" not in text.out + text.err


def test_too_many_requests(there: Server, run: Run) -> None:
    _, busy = token(there, "busy")
    bearer = {"Authorization": f"Bearer {busy}"}
    with httpx.Client(base_url=there.url, headers=bearer, timeout=30) as client:
        for _ in range(LIMIT * 3):
            if client.get("/api/jobs?limit=1").status_code == 429:
                break
        else:
            raise AssertionError("the limit was never reached")
        for _ in range(20):  # a request is given back every second
            refused = run("jobs", "list", env={"DOCKREV_TOKEN": busy})
            if refused.code:
                break
    assert refused.code == 3 and "too many requests" in refused.err and "Ask again in" in refused.err


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), ("", "is empty"), ("a b", "has no API token"), ("x" * 5000, "too large")],
)
def test_a_file_without_a_token(dockrev: FakeDockrev, run: Run, tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    refused = run("jobs", "list", "--token-file", str(file))
    assert refused.code == 2 and said in refused.err
    assert dockrev.asked == []


def test_with_a_token_nobody_is_named(dockrev: FakeDockrev, run: Run) -> None:
    assert run("jobs", "list", "--user", "alice", env={"DOCKREV_TOKEN": "dkr_x"}).code == 0
    for headers in dockrev.headers:
        assert headers["Authorization"] == "Bearer dkr_x" and "alice" not in json.dumps(headers)


def test_no_command_takes_a_token_as_an_argument_and_no_backup_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    context = click.Context(main)

    def options(command: click.Command) -> Iterator[str]:
        for parameter in command.params:
            yield from parameter.opts
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                yield from options(command.get_command(context, name) or command)

    found = [each for name in COMMANDS for each in options(main.get_command(context, name) or main)]
    assert "--token-file" in found and "--token" not in found
    monkeypatch.setenv("DOCKREV_TOKEN", "dkr_x")
    assert "DOCKREV_TOKEN" not in variables()
