"""The document and its file: what may be in it, what is kept, what an interruption makes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.supervisor import state as machine
from app.supervisor.ledger import read_book, write_book
from app.supervisor.state import Book, UpgradeRequest, UpgradeTarget

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
LINE = {"ts": "2026-05-01T10:00:00Z", "level": "INFO", "msg": "pulled", "opId": "sup_1"}
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
            "opId": "sup_0",
            "state": "unknown",
            "logs": [LINE],
            "startedAt": "2026-05-01T10:00:00Z",
            "updatedAt": "2026-05-01T10:01:00Z",
        }
    ],
}
REQUEST = UpgradeRequest(mode="apply", rollback_on_failure=True)


def read(path: Path) -> Book:
    return read_book(path, now=NOW, image="repo")


def test_idle_is_what_there_is_without_a_file(tmp_path: Path) -> None:
    document = read(tmp_path / "none.json").public()
    assert (document["state"], document["opId"], document["logs"], document["operations"]) == ("idle", "", [], [])
    assert document["target"] == {"image": "repo", "tag": "latest", "digest": None}
    assert document["previous"] == {"tag": "unknown", "digest": None}
    assert document["progress"] == {"step": "done", "message": "idle"}
    assert set(document) == {
        "state", "opId", "target", "previous", "startedAt", "updatedAt", "progress", "logs", "operations",
    }  # fmt: skip


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(DOCUMENT))
    assert read(path).public() == {key: value for key, value in DOCUMENT.items() if key != "schemaVersion"}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"state":"odd"}', '{"schemaVersion":2}', "\x00" * 50, "[" * 100_000]
)
def test_a_broken_file_is_idle_and_kept_aside(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    assert read(path).state == "idle"
    assert path.with_name("state.json.unreadable").read_text() == content


NAMES = st.sampled_from([*DOCUMENT, "recovery", "preflight", "request", "x"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.dictionaries(NAMES, inner, max_size=6) | st.lists(inner, max_size=3),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANYTHING)
def test_no_json_stops_it(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps({**DOCUMENT, **value} if isinstance(value, dict) else value))
    assert read(path).state in ("idle", "succeeded", "failed", "running", "rolled_back")


def test_the_file_is_replaced_as_a_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    book = machine.note(machine.idle(NOW, "repo"), "INFO", "x" * 5000, NOW)
    write_book(path, book)
    assert read(path) == book
    assert len(book.logs[0].msg) == 2000
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["state.json"]


def test_an_operation_and_its_entry_are_one() -> None:
    book = machine.begin(machine.idle(NOW, "repo"), "sup_1", REQUEST, UpgradeTarget(image="repo", tag="2"), NOW)
    assert machine.is_running_as(book, REQUEST, UpgradeTarget(image="repo", tag="2"))
    assert not machine.is_running_as(book, REQUEST, UpgradeTarget(image="repo", tag="3"))
    book = machine.note(machine.enter(book, "pull", "pulling", NOW), "WARN", "slow", NOW)
    failed = machine.end(book, "failed", "no", NOW)
    assert (failed.state, failed.request, failed.progress.step) == ("failed", None, "pull")
    assert (failed.operations[0].state, failed.operations[0].logs) == ("failed", failed.logs)
    assert not machine.is_running_as(failed, REQUEST, UpgradeTarget(image="repo", tag="2"))


def test_interrupted_only_when_it_ran() -> None:
    idle = machine.idle(NOW, "repo")
    assert machine.interrupted(idle, NOW) == idle
    running = machine.begin(idle, "sup_1", REQUEST, UpgradeTarget(image="repo"), NOW)
    found = machine.interrupted(machine.enter(running, "apply", "replacing", NOW), NOW)
    assert (found.state, found.progress.step, found.progress.message) == ("failed", "postcheck", machine.INTERRUPTED)
    assert found.operations[0].state == "failed"
    assert "it was at step apply" in found.logs[-1].msg


def test_logs_and_operations_are_bounded() -> None:
    book = machine.begin(machine.idle(NOW, "repo"), "sup_1", REQUEST, UpgradeTarget(image="repo"), NOW)
    for number in range(machine.KEPT_LINES + 5):
        book = machine.note(book, "INFO", str(number), NOW)
    assert (len(book.logs), book.logs[0].msg) == (machine.KEPT_LINES, "5")
