"""`dockrev serve` as a process of its own, with a database of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
READY_SECONDS = 40.0


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One Dockrev. `start` and `stop` may be repeated; port and database stay the same."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKREV_", "DOCKER_"))}
        self._environment = {
            **kept,
            "DOCKREV_DB_PATH": str(folder / "dockrev.sqlite3"),
            "DOCKREV_BACKUP_DIR": str(folder / "backups"),
            "DOCKREV_HTTP_ADDR": f"127.0.0.1:{self.port}",
            "DOCKREV_UPDATE_SETTLE_SECONDS": "1",
            **environment,
        }

    def start(self) -> Server:
        """Start it and wait for its first answer."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve"],
                env=self._environment,
                cwd=PROJECT,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise AssertionError(f"dockrev serve ended with {self._process.returncode}:\n{self.tail()}")
            try:
                with urllib.request.urlopen(f"{self.url}/api/health", timeout=5):
                    return self
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)
        raise AssertionError(f"dockrev serve did not answer within {READY_SECONDS:.0f} s:\n{self.tail()}")

    def stop(self) -> None:
        """End it in good order; kill it when it does not listen."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def tail(self, lines: int = 60) -> str:
        """The end of what it logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """One call of the JSON API; an error's status fails the test with what was answered."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Accept": "application/json", "Content-Type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from None
        return json.loads(text) if text else None

    def finished(self, job_id: str, seconds: float = 90) -> dict[str, Any]:
        """The job once it has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job: dict[str, Any] = self.call("GET", f"/api/jobs/{job_id}")["job"]
            if job["status"] not in ("queued", "running"):
                return job
            time.sleep(0.2)
        raise AssertionError(f"job {job_id} still {job['status']} after {seconds:.0f} s:\n{self.tail()}")

    def stacks(self, count: int = 1, seconds: float = 30) -> dict[str, dict[str, Any]]:
        """Stacks by name, once there are at least `count`."""
        end = time.monotonic() + seconds
        while True:
            found = {stack["name"]: stack for stack in self.call("GET", "/api/stacks")["stacks"]}
            if len(found) >= count:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"only {sorted(found)} after {seconds:.0f} s:\n{self.tail()}")
            time.sleep(0.2)

    def services(self, stack: str, seconds: float = 30) -> dict[str, dict[str, Any]]:
        """Services of the stack by name, once discovery has found it."""
        end = time.monotonic() + seconds
        while stack not in (known := self.stacks(0)):
            if time.monotonic() > end:
                raise AssertionError(f"{stack} was not discovered:\n{self.tail()}")
            time.sleep(0.2)
        detail = self.call("GET", f"/api/stacks/{known[stack]['id']}")["stack"]
        return {service["name"]: {**service, "stackId": detail["id"]} for service in detail["services"]}
