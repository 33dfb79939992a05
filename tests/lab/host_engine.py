"""The engine the machine already has, used politely.

What the lab makes there carries a prefix of its own (`project_name`) and is removed by label; images are
removed by the lab's registry they came from. The janitor does the same when the owner dies.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys

from tests.lab.cleanup import remove_images, remove_projects
from tests.lab.errors import LabUnavailable
from tests.lab.janitor import Janitor
from tests.lab.packages import PROJECT, Tools


class HostEngine:
    """`DOCKER_HOST` or the default socket; never started or stopped by the lab."""

    def __init__(self, tools: Tools, janitor: Janitor) -> None:
        self.tools = tools
        self._janitor = janitor
        self._prefix = "dlab" + secrets.token_hex(3)
        self._projects: set[str] = set()
        self._registries: set[str] = set()
        self.docker_host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"

    def start(self) -> None:
        """Check that it answers. Raises `LabUnavailable` when it doesn't."""
        command = [str(self.tools.docker), "--host", self.docker_host, "version", "--format", "{{.Server.Version}}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as error:
            raise LabUnavailable(f"the machine's engine at {self.docker_host} does not answer") from error
        if done.returncode != 0:
            raise LabUnavailable(f"the machine has no engine at {self.docker_host}: {done.stderr.strip()}")

    def project_name(self, name: str) -> str:
        """A project name that can't be one of the machine's own; remembered for cleaning."""
        mine = f"{self._prefix}-{name}"
        self._projects.add(mine)
        self._tell_janitor(f"project={mine}")
        return mine

    def own_registry(self, registry: str) -> None:
        """Images from this registry are the lab's."""
        self._registries.add(registry)
        self._tell_janitor(f"registry={registry}")

    def _tell_janitor(self, what: str) -> None:
        program = ["env", f"PYTHONPATH={PROJECT}", sys.executable, "-m", "tests.lab.cleanup"]
        self._janitor.own(command=[*program, str(self.tools.docker), self.docker_host, what])

    def stop(self) -> None:
        """Remove what the lab made on it."""
        remove_projects(self.tools.docker, self.docker_host, self._projects)
        remove_images(self.tools.docker, self.docker_host, self._registries)
