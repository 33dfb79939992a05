"""The command line as a person at a shell meets it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import main
from tests.unit.cli.fake_dockrev import CACHE, WEB, FakeDockrev, candidate, running, service


@dataclass
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Stdout as JSON."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = ("DOCKREV_URL", "DOCKREV_USER", "DOCKREV_TOKEN", "DOCKREV_HTTP_ADDR", "DOCKREV_AUTH_ALLOWED_USER")
    for name in (*named, "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKREV_DB_PATH", str(tmp_path / "dockrev.sqlite3"))


@pytest.fixture
def run() -> Run:
    """Run `dockrev …`."""

    def run(*arguments: str, input: str | None = None, env: dict[str, str] | None = None) -> Ran:
        result = CliRunner().invoke(main, list(arguments), input=input, env=env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def dockrev(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDockrev]:
    """A running Dockrev with a service that has news and one that has none."""
    fake = FakeDockrev(
        services=[service(WEB, "web", "1", candidate=candidate("1.5.0")), service(CACHE, "cache", "7")],
        events=[
            ("job_log", {"ts": "2026-05-01T10:00:00Z", "level": "info", "msg": "pulling"}),
            ("job_progress", {"message": "pulling", "percent": 40, "current": 0, "total": 1}),
            ("job_finished", {"status": "success"}),
        ],
    )
    with running(fake):
        monkeypatch.setenv("DOCKREV_URL", fake.url)
        yield fake
