"""A deployment of Dockrev for tests of its supervisor: small images that answer like Dockrev, and the real supervisor.

`Deployment` takes image references, so that the same tests run on the real images once there are any.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from tests.lab.builder import Health, Spec, layer
from tests.lab.images import busybox_layer
from tests.lab.lab import Lab
from tests.lab.registry import free_port
from tests.lab.stacks import Stack

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "homelab/dockrev"
SCHEMA_LABEL = "org.dockrev.schema"
DATABASE = "/data/dockrev.sqlite3"

# Refuses a database it does not know, brings an older one to its own schema: as Dockrev does.
_RUN = """#!/bin/sh
trap 'echo "stopping"; exit 0' TERM INT
echo "dockrev {version} starting"
{before}
if [ -n "{schema}" ]; then
  mkdir -p /data
  if grep -q "schema-is-newer-than-{schema}" {database} 2>/dev/null; then
    echo "the database is newer than this version" >&2; sleep 0.5; exit 3
  fi
  grep -q "schema-is-{schema}" {database} 2>/dev/null || cp /app/seed.sqlite3 {database}
fi
mkdir -p /www/api
echo '{{"version":"{version}"}}' > /www/api/version
{health}
httpd -f -p 50883 -h /www &
echo "dockrev {version} ready"
while :; do sleep 3600 & wait $!; done
"""


def seed(schema: str) -> bytes:
    """A database with this schema; it says of itself for which versions it is too new."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed.sqlite3"
        connection = sqlite3.connect(path)
        older = [f"schema-is-newer-than-{number:04d}" for number in range(int(schema))]
        with connection:
            connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
            connection.execute("INSERT INTO alembic_version VALUES (?)", (schema,))
            connection.execute("CREATE TABLE notes (text TEXT)")
            connection.executemany("INSERT INTO notes VALUES (?)", [(t,) for t in (f"schema-is-{schema}", *older)])
        connection.close()
        return path.read_bytes()


class Likeness:
    """Specs of images that answer at port 50883 as Dockrev does."""

    def __init__(self, lab: Lab) -> None:
        self._base = busybox_layer(lab.tools.busybox)

    def good(self, version: str, *, schema: str = "", labelled: bool = True, after: float = 0) -> Spec:
        """Answers, `after` some seconds; `schema` is the one of its database, told by a label when `labelled`."""
        health = "echo '{\"ok\":true}' > /www/api/health"
        return self._spec(version, health, schema=schema, labelled=labelled, before=f"sleep {after:g}" if after else "")

    def sick(self, version: str, *, schema: str = "") -> Spec:
        """Runs, migrates, and never answers that it is well."""
        return self._spec(version, "echo 'migration of settings failed: secret=hush-hush'", schema=schema)

    def crashing(self, version: str) -> Spec:
        """Ends at once."""
        return self._spec(version, "", before="echo 'cannot start' >&2; exit 7")

    def _spec(self, version: str, health: str, *, schema: str = "", before: str = "", labelled: bool = True) -> Spec:
        script = _RUN.format(version=version, health=health, schema=schema, before=before, database=DATABASE)
        files: dict[str, bytes | str] = {"app/run": script}
        if schema:
            files["app/seed.sqlite3"] = seed(schema)
        labels = {"org.opencontainers.image.version": version}
        if schema and labelled:
            labels[SCHEMA_LABEL] = schema
        spec = Spec(layers=(self._base, layer(files, {"app/run": 0o755})), labels=labels, ports=(50883,))
        return replace(spec, health=Health("wget -q -O - http://127.0.0.1:50883/api/health || exit 1"))


class Deployment:
    """A Compose project with Dockrev in it."""

    def __init__(
        self, lab: Lab, name: str, image: str, *, service: str = "dockrev", more: str = "", port: int = 0
    ) -> None:
        self.lab = lab
        self.service = service
        self.stack: Stack = lab.stack(name, "")
        self.stack.write(
            f"name: {self.stack.name}\nservices:\n  {service}:\n    image: {image}\n    restart: unless-stopped\n"
            "    environment:\n      DOCKREV_DB_PATH: "
            + DATABASE
            + "\n      TOKEN: a-secret-of-the-container\n"
            + (f'    ports: ["127.0.0.1:{port}:50883"]\n' if port else "")
            + f"    volumes: [data:/data]\n{more}volumes:\n  data: {{}}\n"
        )

    def up(self) -> Deployment:
        """Start it."""
        self.stack.up()
        return self

    def container(self) -> dict[str, Any]:
        """The service's container as the engine tells of it."""
        ids = self.stack.container_ids(self.service)
        assert len(ids) == 1, ids
        told: list[dict[str, Any]] = json.loads(self.lab.docker("inspect", ids[0]))
        return told[0]

    def image(self) -> str:
        """The reference the container was made with."""
        return str(self.container()["Config"]["Image"])

    def version(self) -> str:
        """What the container answers, asked over the network."""
        networks = self.container()["NetworkSettings"]["Networks"]
        address = next(iter(networks.values()))["IPAddress"]
        answer = httpx.get(f"http://{address}:50883/api/version", timeout=3, trust_env=False)
        return str(answer.json()["version"])

    def wait_up(self, seconds: float = 20) -> Deployment:
        """Until it answers."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.version()
                return self
            except (httpx.HTTPError, AssertionError, ValueError, StopIteration):
                assert time.monotonic() < end, "the deployment does not answer"
                time.sleep(0.1)

    def notes(self) -> list[str]:
        """The rows of its database, read from the container."""
        done = subprocess.run(
            [str(self.lab.docker_bin), "cp", f"{self.container()['Id']}:{DATABASE}", "-"],
            env=self.lab.env(),
            capture_output=True,
            check=True,
            timeout=30,
        )
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar, tempfile.TemporaryDirectory() as folder:
            tar.extractall(folder, filter="data")
            connection = sqlite3.connect(Path(folder) / "dockrev.sqlite3")
            try:
                return [str(row[0]) for row in connection.execute("SELECT text FROM notes")]
            finally:
                connection.close()


class SupervisorProcess:
    """`dockrev supervisor` on this lab. `start` may be repeated; port and state stay the same."""

    def __init__(self, lab: Lab, folder: Path, repository: str, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/supervisor"
        self.state_path = folder / "state" / "self-upgrade.json"
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(timeout=20, trust_env=False)
        self.env = {
            **lab.env(),
            "DOCKREV_SUPERVISOR_HTTP_ADDR": f"127.0.0.1:{self.port}",
            "DOCKREV_SUPERVISOR_STATE_PATH": str(self.state_path),
            "DOCKREV_SUPERVISOR_TARGET_IMAGE_REPO": repository,
            "DOCKREV_SUPERVISOR_DOCKER_HOST": lab.docker_host,
            "DOCKREV_SUPERVISOR_COMPOSE_BIN": str(lab.compose_bin),
            **(environment or {}),
        }
        self.env.pop("DOCKER_HOST")  # the supervisor has a setting of its own

    def start(self) -> SupervisorProcess:
        """Start it and wait for its first answer."""
        self.http.close()
        self.http = httpx.Client(timeout=20, trust_env=False)
        with (self.folder / "supervisor.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "supervisor"], cwd=ROOT, env=self.env, stdout=log, stderr=log
            )
        end = time.monotonic() + 20
        while True:
            assert self.process.poll() is None, self.tail()
            try:
                self.http.get(f"{self.url}/health")
                return self
            except httpx.HTTPError:
                assert time.monotonic() < end, self.tail()
                time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it in good order."""
        self.http.close()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def tail(self) -> str:
        """The end of its log."""
        return (self.folder / "supervisor.log").read_text(errors="replace")[-4000:]

    def state(self) -> dict[str, Any]:
        """`GET self-upgrade`."""
        answer = self.http.get(f"{self.url}/self-upgrade")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def ask(self, tag: str, mode: str = "apply", *, back: bool = True, digest: str | None = None) -> httpx.Response:
        """`POST self-upgrade`."""
        body = {"target": {"tag": tag, "digest": digest}, "mode": mode, "rollbackOnFailure": back}
        return self.http.post(f"{self.url}/self-upgrade", json=body)

    def begin(self, tag: str, mode: str = "apply", *, back: bool = True, digest: str | None = None) -> str:
        """Start an operation; its id."""
        answer = self.ask(tag, mode, back=back, digest=digest)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["opId"])

    def roll_back(self, op_id: str) -> httpx.Response:
        """`POST self-upgrade/rollback`."""
        return self.http.post(f"{self.url}/self-upgrade/rollback", json={"opId": op_id})

    def finished(self, seconds: float = 90) -> dict[str, Any]:
        """The state once nothing runs."""
        return self.until(lambda state: state["state"] != "running", seconds)

    def until(self, wanted: Any, seconds: float = 60) -> dict[str, Any]:
        """The first state that `wanted` says yes to."""
        end = time.monotonic() + seconds
        while True:
            state = self.state()
            if wanted(state):
                return state
            assert time.monotonic() < end, json.dumps(state["logs"][-15:], indent=1)
            time.sleep(0.05)


def log_of(state: dict[str, Any]) -> str:
    """The log of the current operation as text."""
    return "\n".join(f"{line['level']} {line['msg']}" for line in state["logs"])
