"""The image's health check, run as the image runs it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from app.cli import alive

PROGRAM = [sys.executable, "-S", str(Path(alive.__file__))]


@contextmanager
def server(status: int) -> Iterator[int]:
    """Answers everything with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/health" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_port
        running.shutdown()


def ask(address: str) -> tuple[int, str]:
    environment = {"DOCKREV_HTTP_ADDR": address}
    done = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_well(host: str) -> None:
    with server(200) as port:
        assert ask(f"{host}:{port}") == (0, "")


def test_not_well_says_why() -> None:
    with server(503) as port:
        assert ask(f"0.0.0.0:{port}") == (1, f"/api/health at 127.0.0.1:{port} answers 503\n")
    code, words = ask(f"127.0.0.1:{port}")
    assert code == 1
    assert "refused" in words


def test_a_stranger_is_a_sign_of_life_for_the_supervisor_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(401) as port:
        assert ask(f"0.0.0.0:{port}")[0] == 1
    monkeypatch.setattr(alive, "command", lambda: ["/sbin/docker-init", "--", "dockrev", "supervisor"])
    assert alive.target() == ("127.0.0.1", 50884, "/supervisor/health")
    monkeypatch.setenv("DOCKREV_SUPERVISOR_BASE_PATH", "/upgrades/")
    monkeypatch.setenv("DOCKREV_SUPERVISOR_HTTP_ADDR", "[::]:9000")
    assert alive.target() == ("::1", 9000, "/upgrades/health")
    monkeypatch.setattr(alive, "ask", lambda *_: 401)
    assert alive.main() == 0


def test_it_costs_next_to_nothing() -> None:
    """It is run six times a minute for months."""
    code = (
        f"import runpy, sys; runpy.run_path({alive.__file__!r}); "
        "print([m for m in ('pathlib', 'urllib', 'http', 'ssl', 'json', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "[]"
