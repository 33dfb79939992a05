"""`kill -9` of the real server at each step of an update, and what the next start makes of it (spec §7.9)."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.lab.lab import Lab
from tests.lab.registry import free_port

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """`dockrev serve` on this lab. `kill` is kill -9."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.database = folder / "dockrev.sqlite3"
        self.env = {
            **lab.env(),
            "DOCKREV_DB_PATH": str(self.database),
            "DOCKREV_HTTP_ADDR": f"127.0.0.1:{self.port}",
            "DOCKREV_BACKUP_DIR": str(folder / "backups"),
            "DOCKREV_UPDATE_SETTLE_SECONDS": "1",
            "TMPDIR": str(folder / "tmp"),
        }
        (folder / "tmp").mkdir()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20, trust_env=False)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait for the first answer."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve"], cwd=ROOT, env=self.env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            try:
                self.http.get("/api/health")
                return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the server did not start: " + (self.folder / "server.log").read_text()[-3000:])

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the signal and wait for the end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=15)

    def get(self, path: str) -> dict[str, Any]:
        answer = self.http.get(path, headers={"Accept": "application/json"})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def finished(self, job_id: str, timeout: float = 90) -> dict[str, Any]:
        """The job after its end."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            job: dict[str, Any] = self.get(f"/api/jobs/{job_id}")["job"]
            if job["status"] not in ("queued", "running"):
                return job
            time.sleep(0.1)
        raise AssertionError(f"{job_id} does not end")

    def journal(self) -> list[Path]:
        """The overrides of what is half done."""
        with sqlite3.connect(self.database) as connection:
            rows = connection.execute("SELECT override_path FROM update_journal").fetchall()
        return [Path(row[0]) for row in rows]

    def target(self, project: str) -> dict[str, Any]:
        """Discover, check, and the body of an update of the project's service `web`."""
        self.finished(self.post("/api/discovery/scan")["jobId"])
        self.finished(self.post("/api/checks", scope="all")["checkId"])
        stacks = self.get("/api/stacks")["stacks"]
        stack_id = next(stack["id"] for stack in stacks if stack["name"] == project)
        detail = self.get(f"/api/stacks/{stack_id}")["stack"]
        (service,) = (one for one in detail["services"] if one["name"] == "web")
        return {
            "scope": "service",
            "serviceId": service["id"],
            "targetTag": service["image"]["tag"],
            "targetDigest": service["candidate"]["digest"],
            "pullTags": [],
            "mode": "apply",
            "backupMode": "force",
        }

    def kill_at(self, job_id: str, wanted: Callable[[dict[str, Any]], bool], delay: float) -> None:
        """Follow the job's events; kill the server `delay` seconds after the wanted one."""
        with self.http.stream("GET", f"/api/jobs/{job_id}/events", timeout=60) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:") and wanted(json.loads(line[5:])):
                    time.sleep(delay)
                    break
            else:
                raise AssertionError("the step never came")
            self.end()


@pytest.fixture
def server(clean_lab: Lab, tmp_path: Path) -> Iterator[Server]:
    made = Server(clean_lab, tmp_path)
    made.start()
    try:
        yield made
    finally:
        made.end()
        made.http.close()


def at_step(step: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event.get("type") == "job_step" and (event["step"], event["status"]) == (step, "run")


def at_message(text: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event.get("type") == "job_progress" and text in event["message"]


def web(lab: Lab, project: str) -> dict[str, Any]:
    """The only container of the project, wherever its life stands."""
    ids = lab.docker("ps", "-aq", "--no-trunc", "--filter", f"label=com.docker.compose.project={project}").split()
    assert len(ids) == 1, lab.docker("ps", "-a")
    found: dict[str, Any] = json.loads(lab.docker("inspect", ids[0]))[0]
    return found


CASES = [
    ("backup", at_step("backup"), 0.0, True),
    ("pull", at_step("pull"), 0.0, True),
    ("recreate", at_step("recreate"), 0.0, True),
    ("recreate-150", at_step("recreate"), 0.15, True),
    ("recreate-300", at_step("recreate"), 0.3, True),
    ("recreate-500", at_step("recreate"), 0.5, True),
    ("health", at_step("health"), 0.0, True),
    ("tag", at_message("naming the image"), 0.0, True),
    ("bad-recreate", at_step("recreate"), 0.3, False),
    ("bad-health", at_step("health"), 0.5, False),
    ("rolled-back", at_step("rolled_back"), 0.0, False),
    ("rolled-back-150", at_step("rolled_back"), 0.15, False),
    ("rolled-back-400", at_step("rolled_back"), 0.4, False),
]


@pytest.mark.parametrize(("name", "moment", "delay", "good"), CASES, ids=[case[0] for case in CASES])
def test_a_killed_update_is_put_right(
    clean_lab: Lab, server: Server, name: str, moment: Callable[[dict[str, Any]], bool], delay: float, good: bool
) -> None:
    lab, samples, project = clean_lab, clean_lab.samples("crash"), f"crash-{name}"
    repo = f"crash/{name}"
    lab.registry.publish(repo, "1", samples.good("1.0.0"))
    ref = lab.registry.ref(repo, "1")
    lab.stack(project, f"services: {{web: {{image: '{ref}', volumes: ['data:/data']}}}}\nvolumes: {{data: {{}}}}").up(
        wait=True
    )
    old = web(lab, project)
    new = samples.big("2.0.0", layers=2, megabytes=2) if good else samples.never_healthy("2.0.0")
    lab.registry.publish(repo, "1", new)
    # Tags that are not there take a moment, between the naming and the end.
    body = {**server.target(project), "pullTags": [f"no-{n}" for n in range(40)] if name == "tag" else []}
    job_id = server.post("/api/updates", **body)["jobId"]
    server.kill_at(job_id, moment, delay)
    was_open = server.journal()
    server.start()
    job = server.finished(job_id)
    assert (job["status"], job["summary"]["cause"]) == ("failed", "server_restart")
    recoveries = [one for one in server.get("/api/jobs?type=rollback")["jobs"] if one["reason"] == "recovery"]
    assert len(recoveries) == len(was_open) == (0 if name in ("backup", "pull") else 1)
    for recovery in recoveries:
        ended = server.finished(recovery["id"])
        assert ended["status"] in ("success", "rolled_back"), json.dumps(ended, indent=1)
        assert ended["summary"]["interruptedJobId"] == job_id and ended["createdBy"] == "system"
    assert not server.journal()
    left = [path for path in (*was_open, *(server.folder / "tmp").iterdir()) if path.exists()]
    assert left == [], "temporary files with credentials or pins must not stay"
    now = web(lab, project)
    assert now["State"]["Running"] and now["State"]["Health"]["Status"] == "healthy"
    configured = lab.docker("image", "inspect", "-f", "{{.Id}}", ref).strip()
    assert now["Image"] == configured, "what runs is what the Compose file's tag means"
    if not good or name in ("backup", "pull"):
        assert now["Image"] == old["Image"]
    if name == "tag":
        assert now["Image"] != old["Image"], "a proven update is finished, not undone"
    assert not list((server.folder / "backups").rglob("*.partial"))
    lab.stacks[-1].up()
    assert web(lab, project)["Image"] == configured, "a plain compose up changes nothing"
    again = (
        server.post("/api/updates", **{**server.target(project), "mode": "dry-run"})
        if (now["Image"] == old["Image"])
        else None
    )
    assert again is None or server.finished(again["jobId"])["status"] == "success"


def test_a_stop_in_the_middle_is_put_right_at_the_next_start(clean_lab: Lab, server: Server) -> None:
    lab, samples = clean_lab, clean_lab.samples("crash")
    lab.registry.publish("crash/stop", "1", samples.good("1.0.0"))
    ref = lab.registry.ref("crash/stop", "1")
    lab.stack("crash-stop", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)
    lab.registry.publish("crash/stop", "1", samples.slow_start("2.0.0", 4))
    job_id = server.post("/api/updates", **server.target("crash-stop"))["jobId"]
    deadline = time.monotonic() + 30
    while not server.journal() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(1.0)
    began = time.monotonic()
    server.end(signal.SIGTERM)
    assert time.monotonic() - began < 6
    server.start()
    job = server.finished(job_id)
    assert (job["status"], job["summary"]["cause"]) == ("failed", "server_shutdown")
    (recovery,) = (one for one in server.get("/api/jobs?type=rollback")["jobs"] if one["reason"] == "recovery")
    assert server.finished(recovery["id"])["status"] in ("success", "rolled_back")
    now = web(lab, "crash-stop")
    assert now["State"]["Health"]["Status"] == "healthy"
    assert now["Image"] == lab.docker("image", "inspect", "-f", "{{.Id}}", ref).strip()
    assert not server.journal()


def test_a_compose_that_outlives_its_dockrev_is_waited_for(clean_lab: Lab, server: Server) -> None:
    """The old version needs seconds to stop, so that Compose is in the middle of the recreation for long."""
    lab, samples = clean_lab, clean_lab.samples("crash")
    lab.registry.publish("crash/orphan", "1", samples.ignores_stop("1.0.0"))
    ref = lab.registry.ref("crash/orphan", "1")
    lab.stack("crash-orphan", f"services: {{web: {{image: '{ref}', stop_grace_period: 4s}}}}").up(wait=True)
    lab.registry.publish("crash/orphan", "1", samples.good("2.0.0"))
    body = server.target("crash-orphan")
    job_id = server.post("/api/updates", **body)["jobId"]
    server.kill_at(job_id, at_step("recreate"), 1.0)
    assert server.process is not None
    orphans = [pid for pid in os.listdir("/proc") if pid.isdigit() and _is_compose(pid)]
    assert orphans, "Compose must have survived for this test to mean anything"
    server.start()
    (recovery,) = (one for one in server.get("/api/jobs?type=rollback")["jobs"] if one["reason"] == "recovery")
    ended = server.finished(recovery["id"])
    assert ended["status"] in ("success", "rolled_back"), json.dumps(ended, indent=1)
    assert not [pid for pid in orphans if Path(f"/proc/{pid}").exists() and _is_compose(pid)]
    now = web(lab, "crash-orphan")
    assert now["State"]["Health"]["Status"] == "healthy"
    assert now["Image"] == lab.docker("image", "inspect", "-f", "{{.Id}}", ref).strip()


def _is_compose(pid: str) -> bool:
    try:
        return b"dockrev-override-" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
