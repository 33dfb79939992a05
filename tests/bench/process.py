"""Dockrev as an own process, as its owner runs it, and what can be read of it from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from app.features.administration.welcome import COOKIE
from tests.lab.errors import LabError
from tests.lab.packages import PROJECT
from tests.lab.registry import free_port

START_SECONDS = 30.0
FINAL = frozenset({"success", "failed", "rolled_back", "anomaly", "cancelled"})


class Dockrev:
    """`dockrev serve` with a database in `folder`. A context manager; `started` is the moment of its start.

    Its log is kept in `folder` and shown when it does not come up.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self.started = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._env = {
            "PATH": os.environ.get("PATH", os.defpath),
            **env,
            "DOCKREV_HTTP_ADDR": self.url.removeprefix("http://"),
            "DOCKREV_DB_PATH": str(folder / "dockrev.sqlite3"),
            "DOCKREV_BACKUP_DIR": str(folder / "backups"),
        }
        self._process: subprocess.Popen[bytes] | None = None
        # As of somebody who has seen the deploy check in this session: a newcomer's first page is another one.
        self.http = httpx.Client(
            base_url=self.url, timeout=60, trust_env=False, headers={"User-Agent": "bench"}, cookies={COOKIE: "seen"}
        )

    def __enter__(self) -> Dockrev:
        self.start()
        self.first_answer("/api/health")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process; does not wait for it."""
        with (self.folder / "dockrev.log").open("ab") as log:
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("dockrev")), "serve"],
                env=self._env,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def first_answer(self, path: str) -> float:
        """Seconds from the start of the process to its first good answer. Raises LabError with the log's end."""
        deadline = self.started + START_SECONDS
        while time.perf_counter() < deadline and self._process is not None and self._process.poll() is None:
            with suppress(httpx.TransportError):
                answer = self.http.get(path, headers={"Accept": "text/html"})
                seconds = time.perf_counter() - self.started
                if answer.status_code == 200:
                    return seconds
            time.sleep(0.003)
        raise LabError(f"Dockrev does not answer {path}: {self.log[-2000:]}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to one that does not listen."""
        self.http.close()
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    # -- what it says and is ---------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """Everything it wrote."""
        return (self.folder / "dockrev.log").read_text(errors="replace")

    def memory(self) -> dict[str, float]:
        """`VmRSS`, `VmHWM` and `Pss` in MB of 1,000,000 bytes, of the server's own process."""
        assert self._process
        told: dict[str, float] = {}
        for file in ("status", "smaps_rollup"):
            for line in Path(f"/proc/{self._process.pid}/{file}").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in ("VmRSS", "VmHWM", "Pss"):
                    told[name] = int(rest.split()[0]) * 1024 / 1e6
        return told

    def get(self, path: str) -> Any:
        """JSON of a GET."""
        return self.http.get(path, headers={"Accept": "application/json"}).raise_for_status().json()

    def post(self, path: str, body: object) -> Any:
        """JSON of a POST."""
        return self.http.post(path, json=body).raise_for_status().json()

    def job(self, path: str, body: object, key: str, timeout: float = 120.0) -> tuple[float, dict[str, Any]]:
        """Start a job; seconds from the request to the job's end by the job's own clock, and the job.

        Raises LabError when it does not end well.
        """
        asked = time.time()
        job_id = self.post(path, body)[key]
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            job: dict[str, Any] = self.get(f"/api/jobs/{job_id}")["job"]
            if job["status"] in FINAL:
                if job["status"] != "success":
                    raise LabError(f"{path} ended as {job['status']}: {job['summary']}")
                return datetime.fromisoformat(job["finishedAt"]).timestamp() - asked, job
            time.sleep(0.05)
        raise LabError(f"{path} took longer than {timeout:.0f} s")

    def check(self) -> float:
        """Seconds for a check of everything."""
        return self.job("/api/checks", {"scope": "all", "reason": "ui"}, "checkId")[0]

    def settle(self, timeout: float = 180.0) -> None:
        """Wait until no version is looked up any more and no job runs. Raises LabError.

        Looking for newer versions begins a second after what it is about: the calm must last longer than that.
        """
        deadline, calm = time.monotonic() + timeout, 0
        while calm < 5:
            looking = self.get("/api/version-inference/overview")
            waiting = sum(
                looking[part][state] for part in ("worker", "newerVersions") for state in ("queued", "running")
            )
            busy = waiting or self.get("/api/jobs?status=running")["jobs"]
            calm = 0 if busy else calm + 1
            if time.monotonic() > deadline:
                raise LabError("version inference does not come to rest")
            time.sleep(0.3)

    def services(self) -> list[dict[str, Any]]:
        """All services of all stacks."""
        stacks = self.get("/api/stacks")["stacks"]
        return [service for stack in stacks for service in self.get(f"/api/stacks/{stack['id']}")["stack"]["services"]]
