"""`dockrev homeassistant` where no broker is: what is remembered, and what is said. On a real one: tests/lab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.adapters.mqtt import Place, Published
from tests.unit.cli.conftest import Run

OLD = "mqtt://127.0.0.1:1"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    monkeypatch.setenv("DOCKREV_DB_PATH", str(tmp_path / "d.sqlite3"))
    return Published.beside(tmp_path / "d.sqlite3")


def test_a_broker_that_is_gone_is_forgotten_by_name(run: Run, published: Published) -> None:
    for prefix in ("dockrev", "home/dockrev"):
        published.remember(Place(OLD, prefix, "homeassistant"), ["dockrev/status"])
    published.remember(Place("mqtts://new.lan:8883", "dockrev", "homeassistant"), ["dockrev/status"])
    refused = run("homeassistant", "forget", "mqtt://other")
    assert refused.code == 2 and f"Known: {OLD}, mqtts://new.lan:8883" in refused.err
    done = run("homeassistant", "forget", OLD, "--json")
    assert done.code == 0 and len(json.loads(done.out)["forgotten"]) == 2
    assert [place.broker for place in published.places()] == ["mqtts://new.lan:8883"]
    assert run("homeassistant", "forget", OLD).code == 2


def test_a_broker_that_does_not_answer_is_told_and_not_forgotten(
    run: Run, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.remember(Place(OLD, "dockrev", "homeassistant"), ["dockrev/status"])
    monkeypatch.setenv("DOCKREV_MQTT_URL", "mqtt://alice:s3cret@127.0.0.1:1")
    ran = run("homeassistant", "clear", "--yes", "--json")
    assert ran.code == 3 and "cannot be reached" in json.loads(ran.out)["error"]["message"]
    assert "s3cret" not in ran.out + ran.err and published.places()
    monkeypatch.delenv("DOCKREV_MQTT_URL")
    assert run("homeassistant", "clear", "--yes").code == 2
