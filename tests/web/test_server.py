"""The real server process: it starts without an engine, streams, and goes in time with clients attached."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO

import httpx
import pytest


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`dockrev serve` as a process of its own."""

    def __init__(self, folder: Path, log: IO[bytes] | int = subprocess.PIPE, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            env={
                "PATH": os.environ["PATH"],
                "DOCKREV_HTTP_ADDR": self.url.removeprefix("http://"),
                "DOCKREV_DB_PATH": str(folder / "d.sqlite3"),
                "DOCKER_HOST": f"unix://{folder}/none.sock",
                **environment,
            },
            stderr=log,
            stdout=subprocess.PIPE,
        )

    def wait(self) -> None:
        """Until it answers."""
        for _ in range(300):
            try:
                if httpx.get(f"{self.url}/api/health", timeout=2).text == "ok":
                    return
            except httpx.TransportError:
                time.sleep(0.1)
            assert self.process.poll() is None, self.process.communicate()
        raise AssertionError("the server did not start")

    def stop(self) -> tuple[int, str]:
        """SIGTERM; exit code and what it said."""
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=20)
        return self.process.returncode, err.decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.wait()
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


def test_streams_open_at_once_and_end_in_time(server: Server) -> None:
    paths = ("/api/jobs/events", "/api/version-inference/events", "/events?topics=services,jobs,engine")
    clients = [httpx.Client(timeout=30) for _ in range(9)]
    streams = []
    for number, client in enumerate(clients):
        request = client.build_request("GET", server.url + paths[number % 3])
        answer = client.send(request, stream=True)
        assert answer.status_code == 200
        assert answer.headers["x-accel-buffering"] == "no"
        lines = answer.iter_lines()
        assert next(lines).startswith(":")
        streams.append(lines)
    began = time.monotonic()
    code, err = server.stop()
    assert time.monotonic() - began < 3.0
    assert code == 0
    assert "Traceback" not in err
    assert "without completing" not in err
    for lines in streams:  # a clean end, and when to come back
        rest = "\n".join(lines)
        assert "event: bye" in rest
        assert "retry: 1000" in rest
    for client in clients:
        client.close()


def test_events_reach_a_browser_page(server: Server) -> None:
    with httpx.stream("GET", server.url + "/events?topics=jobs,engine", timeout=20) as page:
        lines = page.iter_lines()
        next(lines)
        job_id = httpx.post(server.url + "/api/discovery/scan").json()["jobId"]
        assert job_id.startswith("dsc_")
        for line in lines:
            if line == "event: jobs-changed":
                break
    with httpx.stream("GET", server.url + f"/events?topics=job:{job_id}@0", timeout=20) as page:
        seen = []
        for line in page.iter_lines():
            seen.append(line)
            if line == "event: job-changed":
                break
        assert "event: job_log" in seen
        assert any(line.startswith("data: <li") for line in seen)
        assert any(line.startswith("id: ") for line in seen)


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """A full disk, or a reader that went: neither the start, nor a request, nor a job."""
    reading, writing = os.pipe()
    os.close(reading)
    with open("/dev/full", "wb") as full, os.fdopen(writing, "wb") as gone:
        for name, log in (("full", full), ("gone", gone)):
            (tmp_path / name).mkdir()
            server = Server(tmp_path / name, log, DOCKREV_LOG_LEVEL="DEBUG")
            try:
                server.wait()
                with httpx.Client(base_url=server.url, timeout=30) as client:
                    assert client.get("/deploy-check", headers={"Accept": "text/html"}).status_code == 200
                    assert client.get("/api/stacks", headers={"Authorization": "Bearer dkr_no"}).status_code == 401
                    check = client.post("/api/checks", json={"scope": "all"}).json()["checkId"]
                    job = {}
                    for _ in range(300):
                        if (job := client.get(f"/api/jobs/{check}").json()["job"]).get("finishedAt"):
                            break
                        time.sleep(0.1)
                    assert job["status"] == "success"
            finally:
                server.process.send_signal(signal.SIGTERM)
                server.process.communicate(timeout=30)


def test_a_second_server_on_the_same_port_says_so(server: Server, tmp_path: Path) -> None:
    other = Server(tmp_path, DOCKREV_HTTP_ADDR=server.url.removeprefix("http://"))
    _, err = other.process.communicate(timeout=30)
    assert other.process.returncode == 4
    assert "Traceback" not in err.decode()


def test_wrong_settings_stop_the_start(tmp_path: Path) -> None:
    wrong = Server(tmp_path, DOCKREV_DISCOVERY_INTERVAL_SECONDS="3", DOCKREV_HTTP_ADDR="nonsense")
    _, err = wrong.process.communicate(timeout=30)
    assert wrong.process.returncode == 2
    assert "DOCKREV_DISCOVERY_INTERVAL_SECONDS" in err.decode()
    assert "DOCKREV_HTTP_ADDR" in err.decode()
    assert "Traceback" not in err.decode()
