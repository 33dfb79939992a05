"""A supervisor over a world in memory, with its state in a folder."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from app.adapters.compose import redact
from app.supervisor.ledger import Ledger
from app.supervisor.operations import Supervisor, parse_start
from app.supervisor.settings import SupervisorSettings
from app.supervisor.state import Book
from app.supervisor.upgrade import Pace
from tests.unit.supervisor.fake_world import REPO, FakeWorld, image_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would like another library to ask with
    from starlette.testclient import TestClient

__all__ = ["QUICK", "TestClient", "log_of", "published", "run", "supervisor_of"]

QUICK = Pace(between_probes=0.001, health=0.05, orphans=0)


def published(*versions: str, **changes: Any) -> dict[str, Any]:
    """A registry with these versions, the last of them as `latest`."""
    found = {f"{REPO}:{version}": image_of(version, **changes) for version in versions}
    return {**found, f"{REPO}:latest": image_of(versions[-1], **changes)}


def supervisor_of(folder: Path, world: FakeWorld, *, pace: Pace = QUICK, **settings: Any) -> Supervisor:
    """A supervisor whose state lies in `folder`."""
    made = SupervisorSettings(state_path=folder / "self-upgrade.json", **settings)
    return Supervisor(made, Ledger(made.state_path, REPO, redact), lambda: world, pace=pace)


async def run(
    supervisor: Supervisor, tag: str, mode: str = "apply", *, back: bool = True, digest: str | None = None
) -> Book:
    """Start an operation and wait for its end."""
    body = {"target": {"tag": tag, "digest": digest}, "mode": mode, "rollbackOnFailure": back}
    await supervisor.start(*parse_start(body, REPO), "tester")
    await supervisor.finished()
    return supervisor.book


def log_of(book: Book) -> str:
    """The current log as text."""
    return "\n".join(f"{line.level} {line.msg}" for line in book.logs)
