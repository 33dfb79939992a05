"""A server killed with -9 at the worst moments: nothing is lost, and what was told is not told again."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.core.clock import rfc3339, utc_now
from app.core.db.migrate import prepare
from app.installed import INSTALLED
from app.settings import project_root
from e2e.server import Server
from tests.unit.notifications.ends import Answer, HttpEnd

AT = rfc3339(utc_now())
JOB = (
    "INSERT INTO jobs (id, type, scope, status, allow_arch_mismatch, backup_mode, created_by, reason, created_at,"
    " started_at, summary_json, payload_json)"
    " VALUES (?, 'update', 'all', 'running', 0, 'inherit', 'alice', 'ui', ?, ?, '{}', '{\"mode\":\"apply\"}')"
)
SETTINGS = (
    "INSERT OR IGNORE INTO notification_settings (id, email_enabled, webhook_enabled, webhook_url, telegram_enabled,"
    " webpush_enabled, event_update_enabled, event_new_version_enabled, event_ghcr_webhook_anomaly_enabled,"
    " seen_row_id) VALUES ('default', 0, 1, ?, 0, 0, 1, 1, 1, 0)"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server without an engine, not started yet, whose database has a job that a dead process left running."""
    assert INSTALLED  # every room's tables are known
    prepare(tmp_path / "dockrev.sqlite3", project_root() / "migrations")
    made = Server(tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    yield made
    made.stop()


def leave_running(server: Server, job_id: str, hook: str) -> None:
    """A job in the middle, and a webhook that is told about it."""
    with closing(sqlite3.connect(server.folder / "dockrev.sqlite3")) as connection, connection:
        connection.execute(JOB, (job_id, AT, AT))
        connection.execute(SETTINGS, (hook,))


def kill(server: Server) -> None:
    """As the kernel does when memory is short."""
    process = server._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    server._process = None


def states(server: Server) -> list[tuple[str, int]]:
    """State and attempts of every delivery."""
    with closing(sqlite3.connect(server.folder / "dockrev.sqlite3")) as connection:
        return list(connection.execute("SELECT state, attempts FROM notification_deliveries ORDER BY id"))


def wait(server: Server, wanted: list[str]) -> None:
    """Until the deliveries stand so."""
    end = time.monotonic() + 15
    while [state for state, _ in states(server)] != wanted:
        assert time.monotonic() < end, (states(server), server.tail())
        time.sleep(0.05)


def test_killed_while_sending(server: Server) -> None:
    released = threading.Event()

    def hang() -> Answer:
        released.wait(30)
        return 200, b""

    with HttpEnd() as end:
        end.answers = [hang]
        leave_running(server, "job_01JT5N3V0QZ8R6W2M4K7C9D1EA", f"{end.url}/hook")
        server.start()
        end.wait_for(1, 15)
        assert states(server) == [("sending", 1)]
        kill(server)
        released.set()
        server.start()
        wait(server, ["delivered"])
        first, again = end.seen
        assert first.json()["human"]["title"] == "Update failed"
        assert first.headers["x-dockrev-delivery"] == again.headers["x-dockrev-delivery"], "the repetition can be told"
        _stays(server, end, 2)


def test_killed_before_and_after_sending(server: Server) -> None:
    with HttpEnd(default=(503, b"")) as end:
        leave_running(server, "job_01JT5N3V0QZ8R6W2M4K7C9D1EA", f"{end.url}/hook")
        server.start()
        end.wait_for(1, 15)
        wait(server, ["queued"])  # down; the next try is in 30 s
        kill(server)
        end.default = (200, b"")
        with closing(sqlite3.connect(server.folder / "dockrev.sqlite3")) as connection, connection:
            connection.execute("UPDATE notification_deliveries SET next_try_at = ?", (AT,))  # 30 s later
        leave_running(server, "job_01JT5N3V0QZ8R6W2M4K7C9D1EB", f"{end.url}/hook")
        server.start()
        wait(server, ["delivered", "delivered"])
        kill(server)
        server.start()
        _stays(server, end, 3)
        logs = server.call("GET", "/api/jobs/job_01JT5N3V0QZ8R6W2M4K7C9D1EA")["job"]["logs"]
        notes = [line["msg"] for line in logs if "notify" in line["msg"]]
        assert notes[0].endswith("answered 503; next try in 30 s") and notes[1:] == ["notify: webhook=ok"]


def _stays(server: Server, end: HttpEnd, count: int, beat: Callable[[float], None] = time.sleep) -> None:
    """Nothing more comes, also after another start in good order."""
    server.stop()
    server.start()
    beat(1)
    assert len(end.seen) == count
