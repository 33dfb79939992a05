from __future__ import annotations

import base64
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from app.adapters.registry import Credential, Credentials
from app.adapters.registry.credentials import normalise_key


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 2.0  # every look at the file is due
        return self.now


def write(path: Path, data: Any) -> Path:
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def helper(folder: Path, name: str, script: str) -> dict[str, str]:
    """A credential helper on a PATH of its own."""
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://reg.example:5000/v2/", "reg.example:5000"),
        ("reg.example/v1", "reg.example"),
        ("GHCR.IO", "ghcr.io"),
        ("http://127.0.0.1:5000", "127.0.0.1:5000"),
    ],
)
def test_keys_are_normalised(key: str, registry: str) -> None:
    assert normalise_key(key) == registry


async def test_reads_every_form_of_auths(tmp_path: Path) -> None:
    path = write(
        tmp_path / "config.json",
        {"auths": {
            "https://index.docker.io/v1/": {"auth": auth("alice:pa:ss")},
            "ghcr.io": {"username": "bob", "password": "pw"},
            "id.example": {"auth": auth("x:"), "identitytoken": "tok"},
            "empty.example": {}, "broken.example": {"auth": "%%%"}, "odd.example": 7,
        }},
    )  # fmt: skip
    credentials = Credentials(path)
    assert await credentials.for_registry("docker.io") == Credential("alice", "pa:ss")
    assert await credentials.for_registry("registry-1.docker.io") == Credential("alice", "pa:ss")
    assert await credentials.for_registry("ghcr.io") == Credential("bob", "pw")
    token = await credentials.for_registry("id.example")
    assert token is not None
    assert (token.identity_token, token.basic()) == ("tok", None)
    for name in ("empty.example", "broken.example", "odd.example", "other.example"):
        assert await credentials.for_registry(name) is None
    assert credentials.problem == ""


async def test_no_file_is_anonymous_and_no_problem() -> None:
    credentials = Credentials()
    assert await credentials.for_registry("docker.io") is None
    assert credentials.problem == ""


@pytest.mark.parametrize(
    "content", ["", "nope", "[]", "[" * 100_000, '{"auths":[1]}', '{"auths":{"a":[]},"credHelpers":3}']
)
async def test_a_bad_file_is_anonymous(tmp_path: Path, content: str) -> None:
    credentials = Credentials(write(tmp_path / "config.json", content))
    assert await credentials.for_registry("docker.io") is None
    assert ("cannot be used" in credentials.problem) == (not content.startswith("{"))


async def test_a_missing_file_is_a_problem_until_it_appears_and_changes_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    credentials = Credentials(path, monotonic=Ticks())
    assert await credentials.for_registry("a.example") is None
    assert str(path) in credentials.problem
    write(path, {"auths": {"a.example": {"auth": auth("u:one")}}})
    assert await credentials.for_registry("a.example") == Credential("u", "one")
    assert credentials.problem == ""
    write(path, {"auths": {"a.example": {"auth": auth("u:two!")}}})
    assert await credentials.for_registry("a.example") == Credential("u", "two!")


async def test_a_folder_means_the_config_in_it(tmp_path: Path) -> None:
    write(tmp_path / "config.json", {"auths": {"a.example": {"auth": auth("u:p")}}})
    assert await Credentials(tmp_path).for_registry("a.example") == Credential("u", "p")


async def test_a_helper_goes_before_auths_and_gets_the_key_on_stdin(tmp_path: Path) -> None:
    environ = helper(
        tmp_path, "lab", f'read key; echo x >> {tmp_path}/calls; printf \'{{"Username":"%s","Secret":"s"}}\' "$key"'
    )
    path = write(
        tmp_path / "config.json",
        {"auths": {"a.example": {"auth": auth("u:p")}}, "credHelpers": {"https://a.example/v2/": "lab"}},
    )
    credentials = Credentials(path, environ=environ)
    for _ in range(3):
        assert await credentials.for_registry("a.example") == Credential("https://a.example/v2/", "s")
    assert (tmp_path / "calls").read_text() == "x\n"


async def test_the_store_answers_for_docker_hub_under_its_old_key(tmp_path: Path) -> None:
    environ = helper(tmp_path, "desk", 'read key; printf \'{"Username":"<token>","Secret":"%s"}\' "$key"')
    path = write(tmp_path / "config.json", {"auths": {"https://index.docker.io/v1/": {}}, "credsStore": "desk"})
    found = await Credentials(path, environ=environ).for_registry("docker.io")
    assert found == Credential(identity_token="https://index.docker.io/v1/")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo credentials not found in native keychain; exit 1", ""),
        ("echo no; exit 3", "exit code 3"),
        ("echo not json", "cannot read"),
        ("echo '{}'", "cannot read"),
        ('echo \'{"Username":"u","Secret":""}\'', ""),
    ],
)
async def test_a_helper_in_trouble_means_anonymous(tmp_path: Path, script: str, problem: str) -> None:
    environ = helper(tmp_path, "bad", script)
    credentials = Credentials(write(tmp_path / "config.json", {"credsStore": "bad"}), environ=environ)
    assert await credentials.for_registry("a.example") is None
    assert problem in credentials.problem
    assert bool(credentials.problem) == bool(problem)


async def test_a_helper_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.registry.credentials._HELPER_TIMEOUT", 0.2)
    environ = helper(tmp_path, "slow", "exec sleep 30")
    credentials = Credentials(write(tmp_path / "config.json", {"credsStore": "slow"}), environ=environ)
    started = time.monotonic()
    assert await credentials.for_registry("a.example") is None
    assert time.monotonic() - started < 5
    assert "did not answer" in credentials.problem


@pytest.mark.parametrize("name", ["../../bin/sh", "a b", "x;reboot", "/bin/sh", "missing-helper"])
async def test_a_helper_name_is_a_plain_program_name(tmp_path: Path, name: str) -> None:
    credentials = Credentials(write(tmp_path / "config.json", {"credsStore": name}))
    assert await credentials.for_registry("a.example") is None
    assert "helper" in credentials.problem


@pytest.mark.parametrize("script", ["exec yes", "yes & yes", "exec cat /dev/zero"])
async def test_a_helper_that_prints_without_end_is_not_read_on(tmp_path: Path, script: str) -> None:
    environ = helper(tmp_path, "loud", script)
    credentials = Credentials(write(tmp_path / "config.json", {"credsStore": "loud"}), environ=environ)
    started = time.monotonic()
    assert await credentials.for_registry("a.example") is None
    assert time.monotonic() - started < 3
    assert "cannot read" in credentials.problem


async def test_what_a_hanging_helper_started_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.registry.credentials._HELPER_TIMEOUT", 0.3)
    environ = helper(tmp_path, "nest", f"sleep 30 & echo $! > {tmp_path}/pid; wait")
    credentials = Credentials(write(tmp_path / "config.json", {"credsStore": "nest"}), environ=environ)
    assert await credentials.for_registry("a.example") is None
    status = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    deadline = time.monotonic() + 3
    while status.exists() and status.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not status.exists() or status.read_text().split()[2] == "Z"
