"""The program as a whole: help, exit codes, doctor, migrate, the lock, serving."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from app.cli import COMMANDS
from app.cli.exits import Failure
from app.cli.lock import DatabaseLock
from tests.unit.cli.conftest import Run

PROGRAM = [sys.executable, "-m", "app.cli"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run: Run, name: str) -> None:
    if name == "help":
        assert run("help", "jobs", "list").out.startswith("Usage:")
        return
    shown, asked = run(name, "--help"), run("help", name)
    assert (shown.code, asked.code) == (0, 0)
    assert shown.out.splitlines()[1:] == asked.out.splitlines()[1:]


def test_help_is_quick_and_tells_the_exit_codes() -> None:
    begun = time.monotonic()
    done = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, timeout=20, check=True)
    assert time.monotonic() - begun < 10  # 0.1 s on a quiet machine
    assert "5  updates are available" in done.stdout
    loaded = (
        "import sys; import app.cli; print([m for m in ('httpx','litestar','rich','sqlmodel') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "[]"


def test_a_server_does_not_load_what_it_has_no_use_for() -> None:
    code = (
        "import sys; from app.cli.memory import keep_small; keep_small(); import app.main; "
        "print([m for m in ('rich', 'docker', 'httpx', 'alembic', 'ruamel.yaml') if sys.modules.get(m)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_commands_name_the_known_ones(run: Run) -> None:
    ran = run("serv")
    assert ran.code == 2
    assert "serve" in ran.err


def test_version(run: Run) -> None:
    assert run("version", env={"APP_EFFECTIVE_VERSION": "9.9.9"}).out == "9.9.9\n"
    assert run("version", "--json").document["sqlite"] == sqlite3.sqlite_version


def test_doctor_names_each_wrong_setting(run: Run) -> None:
    wrong = {"DOCKREV_DISCOVERY_INTERVAL_SECONDS": "3", "DOCKREV_HTTP_ADDR": "nonsense"}
    ran = run("doctor", env=wrong)
    assert ran.code == 1
    assert all(name in ran.out for name in wrong)
    assert run("serve", env=wrong).code == 2


def test_doctor_says_what_to_do_about_a_missing_engine(run: Run, tmp_path: Path) -> None:
    missing = {"DOCKER_HOST": f"unix://{tmp_path}/no.sock", "DOCKREV_COMPOSE_BIN": str(tmp_path / "no-compose")}
    ran = run("doctor", "--json", env=missing)
    assert ran.code == 1
    found = {check["name"]: check for check in ran.document["checks"]}
    assert found["engine"]["status"] == found["compose"]["status"] == "fail"
    assert found["engine"]["remedy"]
    assert found["files"]["status"] == "warn"
    assert run("doctor", "--only", "settings", "--only", "disk", env=missing).code == 0


def test_doctor_and_migrate_refuse_what_is_no_database(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite3"
    broken.write_bytes(b"this is no database, not at all" * 100)
    ran = run("doctor", "--only", "database", env={"DOCKREV_DB_PATH": str(broken)})
    assert ran.code == 1
    assert run("migrate", "--check", env={"DOCKREV_DB_PATH": str(broken)}).code == 3


def test_migrate_makes_a_database_and_refuses_a_newer_one(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "dockrev.sqlite3"
    assert run("migrate", "--check").code == 1
    assert not path.exists()
    assert run("migrate").code == 0
    assert run("migrate", "--check", "--json").document["state"] == "current"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    connection.close()
    ran = run("migrate")
    assert ran.code == 3
    assert "newer" in ran.err


def test_one_process_per_database(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "dockrev.sqlite3"
    holder = (
        "import sys, time; from pathlib import Path; from app.cli.lock import DatabaseLock\n"
        "with DatabaseLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder, str(path)], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(Failure, match=f"process {other.pid}"), DatabaseLock(path):
                pass  # never reached: to enter raises
            assert run("migrate").code == 4
        finally:
            other.kill()
    with DatabaseLock(path):
        pass  # to enter is the test: a killed holder holds nothing


def test_a_taken_port_is_a_conflict(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = run("serve", env={"DOCKREV_HTTP_ADDR": address})
        assert ran.code == 4
        assert "DOCKREV_HTTP_ADDR" in ran.err
        assert run("supervisor", env={"DOCKREV_SUPERVISOR_HTTP_ADDR": address}).code == 4


@pytest.mark.parametrize("command", ["serve", "supervisor"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_servers_start_and_end_in_good_order(tmp_path: Path, command: str, number: signal.Signals) -> None:
    environment = {
        **os.environ,
        "DOCKREV_HTTP_ADDR": "127.0.0.1:0",
        "DOCKREV_SUPERVISOR_HTTP_ADDR": "127.0.0.1:0",
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "DOCKREV_DB_PATH": str(tmp_path / "dockrev.sqlite3"),
        "DOCKREV_SUPERVISOR_STATE_PATH": str(tmp_path / "self-upgrade.json"),
    }
    with subprocess.Popen([*PROGRAM, command], env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1].rstrip("/")
            path = "/api/health" if command == "serve" else "/health"
            assert httpx.get(url + path, timeout=10, trust_env=False).status_code == 200
            server.send_signal(number)
            assert server.wait(10) == 0
        finally:
            server.kill()


def test_a_check_without_a_running_dockrev_is_done_here(tmp_path: Path) -> None:
    environment = {
        **{key: value for key, value in os.environ.items() if key != "DOCKREV_URL"},
        "DOCKREV_HTTP_ADDR": "127.0.0.1:1",  # nobody listens there
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "DOCKREV_DB_PATH": str(tmp_path / "dockrev.sqlite3"),
    }
    done = subprocess.run(
        [*PROGRAM, "check", "--json"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "doing it here, once" in done.stderr
    assert json.loads(done.stdout)["services"] == []
    with DatabaseLock(tmp_path / "dockrev.sqlite3"):
        done = subprocess.run(
            [*PROGRAM, "check"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 4
    assert "another Dockrev" in done.stderr
