"""Dockrev's real images, deployed as docs/deploy says: schemas, and a supervisor killed in the middle (spec §10).

The plain way there and back is in `test_self_upgrade.py`.
"""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.lab.deployment import ALICE, deployment
from tests.lab.lab import Lab
from tests.lab.own_image import LOCAL, derive, publish
from tests.lab.registry import free_port
from tests.lab.selfupgrade import log_of
from tests.lab.stacks import Stack

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

NEW_SCHEMA = "9001"
MIGRATION = f'''
from alembic import op
import sqlalchemy as sa

revision = "{NEW_SCHEMA}"
down_revision = "%s"
branch_labels = None
depends_on = None

def upgrade() -> None:
    op.create_table("brought_by_the_new_version", sa.Column("id", sa.Integer(), primary_key=True))
'''


class Console:
    """Alice at the gateway."""

    def __init__(self, lab: Lab, stack: Stack, port: int) -> None:
        self.lab, self.stack = lab, stack
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20, headers={"Authorization": ALICE}
        )

    def version(self) -> str:
        return str(self.http.get("/api/version").json()["version"])

    def upgrade(self, tag: str, mode: str = "apply", seconds: float = 120) -> dict[str, Any]:
        body = {"target": {"tag": tag}, "mode": mode, "rollbackOnFailure": True}
        answer = self.http.post("/supervisor/self-upgrade", json=body)
        assert answer.status_code == 200, answer.text
        return self.finished(seconds)

    def roll_back(self) -> dict[str, Any]:
        op_id = self.http.get("/supervisor/self-upgrade").json()["opId"]
        answer = self.http.post("/supervisor/self-upgrade/rollback", json={"opId": op_id})
        assert answer.status_code == 200, answer.text
        return self.finished()

    def finished(self, seconds: float = 120) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while (state := self.http.get("/supervisor/self-upgrade").json())["state"] == "running":
            assert time.monotonic() < end, log_of(state)
            time.sleep(0.1)
        return dict(state)

    def container(self, service: str = "dockrev") -> str:
        (id,) = self.stack.container_ids(service)
        return id

    def tables(self) -> tuple[str, set[str]]:
        """Schema and tables of the database, read from the container."""
        with tempfile.TemporaryDirectory() as folder:
            for name in ("dockrev.sqlite3", "dockrev.sqlite3-wal"):
                done = subprocess.run(
                    [str(self.lab.docker_bin), "cp", f"{self.container()}:/data/{name}", "-"],
                    env=self.lab.env(),
                    capture_output=True,
                    timeout=30,
                    check=False,
                )
                if done.returncode == 0:
                    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
                        tar.extractall(folder, filter="data")
            connection = sqlite3.connect(Path(folder) / "dockrev.sqlite3")
            try:
                (schema,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
                tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
            finally:
                connection.close()
            return str(schema), tables


@pytest.fixture(scope="module")
def console(lab: Lab, own: dict[str, str]) -> Iterator[Console]:
    port = free_port()
    with deployment(lab, own["0.1.0"], port) as stack:
        made = Console(lab, stack, port)
        yield made
        made.http.close()


def interval_of(console: Console) -> Any:
    """Something the owner set: it must survive."""
    return console.http.get("/api/settings").json()["backup"]


def test_a_new_schema_goes_back_with_its_database(console: Console, lab: Lab, own: dict[str, str]) -> None:
    (old, _), was, kept = console.tables(), console.version(), interval_of(console)
    text = json.dumps(MIGRATION % old)
    path = f"/opt/dockrev/migrations/versions/{NEW_SCHEMA}_later.py"
    write = json.dumps(["python3", "-c", f"open({path!r}, 'w').write({text})"])
    derive(
        lab, f"{LOCAL}:0.2.0", "0.4.0", f"LABEL org.dockrev.schema={NEW_SCHEMA}", "USER 0", f"RUN {write}", "USER 1000"
    )
    publish(lab, f"{LOCAL}:0.4.0", "0.4.0")
    state = console.upgrade("0.4.0")
    assert state["state"] == "succeeded", log_of(state)
    schema, tables = console.tables()
    assert schema == NEW_SCHEMA
    assert "brought_by_the_new_version" in tables
    upgraded = state["opId"]
    assert console.http.post("/supervisor/self-upgrade/rollback", json={"opId": upgraded}).status_code == 200
    state = console.finished()
    assert state["state"] == "rolled_back", log_of(state)
    assert f"is back (schema {old})" in log_of(state)
    schema, tables = console.tables()
    assert schema == old
    assert "brought_by_the_new_version" not in tables
    assert console.version() == was
    assert interval_of(console) == kept
    assert console.http.put("/api/settings", json={"backup": kept}).status_code == 200, "its database can be written"


def test_an_older_schema_is_refused(console: Console, lab: Lab, own: dict[str, str]) -> None:
    derive(lab, f"{LOCAL}:0.2.0", "0.0.9", "LABEL org.dockrev.schema=0001")
    publish(lab, f"{LOCAL}:0.0.9", "0.0.9")
    before = console.container()
    state = console.upgrade("0.0.9")
    assert (state["state"], state["progress"]["step"]) == ("failed", "pull")
    assert "The target knows schema 0001" in log_of(state)
    assert console.container() == before


@pytest.mark.parametrize("step", ["apply", "apply a moment later", "wait_healthy"])
def test_the_supervisors_container_killed_in_the_middle(
    console: Console, lab: Lab, own: dict[str, str], step: str
) -> None:
    """Its Compose dies with it, wherever that was."""
    was, kept = console.version(), interval_of(console)
    tag = "0.1.0" if was == "0.2.0" else "0.2.0"
    body = {"target": {"tag": tag}, "mode": "apply", "rollbackOnFailure": True}
    op_id = console.http.post("/supervisor/self-upgrade", json=body).json()["opId"]
    end = time.monotonic() + 60
    while console.http.get("/supervisor/self-upgrade").json()["progress"]["step"] != step.split()[0]:
        assert time.monotonic() < end, console.http.get("/supervisor/self-upgrade").text[-3000:]
        time.sleep(0.02)
    time.sleep(1.0 if "later" in step else 0)
    lab.docker("restart", "--time", "0", console.container("supervisor"))
    state: dict[str, Any] = {}
    while "now: " not in log_of(state) if state else True:
        assert time.monotonic() < end + 30, log_of(state)
        time.sleep(0.2)
        try:
            state = console.http.get("/supervisor/self-upgrade").json()
        except (httpx.HTTPError, ValueError):
            state = {}
    assert (state["state"], state["opId"]) == ("failed", op_id), log_of(state)
    assert "supervisor restarted; previous operation interrupted" in log_of(state)
    state = console.roll_back()
    assert state["state"] == "rolled_back", log_of(state)
    assert console.version() == was
    assert interval_of(console) == kept
    assert len(console.stack.container_ids("dockrev")) == 1, "nothing half-made is left"
