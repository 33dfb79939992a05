"""The whole lab behind one object.

    with Lab() as lab:
        samples = lab.samples("paperboy")
        lab.registry.publish("homelab/paperboy", "1.4", samples.good("1.4.0"))
        lab.stack("news", f"services: {{web: {{image: {lab.registry.ref('homelab/paperboy', '1.4')}}}}}").up()

`engine` is `debian` (Docker 20.10, API 1.41), `new` (28.x), or `host`: the engine the machine already has
(`DOCKER_HOST` or the default socket). Without an argument, `DOCKREV_LAB_ENGINE` decides, then `debian`.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import secrets
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Literal

from tests.lab.cleanup import remove_projects
from tests.lab.engine import Engine
from tests.lab.errors import CommandFailed, LabUnavailable
from tests.lab.host_engine import HostEngine
from tests.lab.images import Samples
from tests.lab.janitor import Janitor
from tests.lab.packages import Tools, obtain
from tests.lab.registry import Registry
from tests.lab.stacks import Stack

EngineChoice = Literal["debian", "new", "host"]


def chosen_engine() -> EngineChoice:
    """What `DOCKREV_LAB_ENGINE` asks for."""
    choice = os.environ.get("DOCKREV_LAB_ENGINE") or "debian"
    match choice:
        case "debian" | "new" | "host":
            return choice
        case _:
            raise LabUnavailable(f"DOCKREV_LAB_ENGINE must be debian, new or host, not {choice!r}")


class Lab:
    """Engine, Compose, an open and a private registry, and stacks. A context manager; `stop()` may be repeated."""

    def __init__(self, engine: EngineChoice | None = None) -> None:
        self.choice: EngineChoice = engine or chosen_engine()
        self.stacks: list[Stack] = []
        self._janitor: Janitor | None = None
        self._pid = os.getpid()

    def __enter__(self) -> Lab:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- life ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring everything up; half a minute the first time, about a second later on.

        Raises `LabUnavailable` with the reason when this machine can't; nothing is left behind then.
        """
        if self.choice != "host" and os.geteuid() != 0:
            raise LabUnavailable("the lab needs root, since it starts a Docker engine of its own")
        self.tools: Tools = obtain("new" if self.choice == "new" else "debian")
        self._janitor = Janitor()
        atexit.register(self.stop)
        self.folder: Path = self._janitor.folder
        self.engine: Engine | HostEngine
        if self.choice == "host":
            self.engine = HostEngine(self.tools, self._janitor)
        else:
            self.engine = Engine(self.tools, self._janitor)
        self.registry = Registry(self.tools, self._janitor, "open")
        self.private_registry = Registry(self.tools, self._janitor, "private", private=True)
        try:
            self._write_docker_config()
            self.engine.start()
            self.registry.start()
            self.private_registry.start()
            if isinstance(self.engine, HostEngine):
                self.engine.own_registry(self.registry.host)
                self.engine.own_registry(self.private_registry.host)
            self._write_docker_config()  # now with the private registry's address
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop and remove everything this lab made."""
        if self._janitor is None or os.getpid() != self._pid:
            return
        janitor, self._janitor = self._janitor, None
        atexit.unregister(self.stop)
        try:
            self.engine.stop()
            self.registry.stop()
            self.private_registry.stop()
        finally:
            janitor.close()
            self.stacks.clear()

    # -- for programs ----------------------------------------------------------------------------------

    @property
    def docker_host(self) -> str:
        """The engine's address (`unix://…`)."""
        return self.engine.docker_host

    @property
    def docker_bin(self) -> Path:
        """The docker CLI of the same packages."""
        return self.tools.docker

    @property
    def docker_config(self) -> Path:
        """A folder for `DOCKER_CONFIG`: the private registry's credentials and Compose as a CLI plugin."""
        return self.folder / "docker-config"

    @property
    def compose_bin(self) -> Path:
        """Compose v2 as a standalone program named `docker-compose`."""
        return self.tools.compose

    def env(self) -> dict[str, str]:
        """Variables that make Dockrev, the docker CLI and Compose use this lab (without the rest of `os.environ`)."""
        return {
            "PATH": f"{self.docker_bin.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.folder),
            "DOCKER_HOST": self.docker_host,
            "DOCKER_CONFIG": str(self.docker_config),
            "DOCKREV_DOCKER_CONFIG": str(self.docker_config / "config.json"),
            "DOCKREV_COMPOSE_BIN": str(self.compose_bin),
        }

    def own_process(self, pid: int) -> None:
        """Have a process killed with the lab, however the lab ends."""
        if self._janitor:
            self._janitor.own_process(pid)

    def _write_docker_config(self) -> None:
        plugin = self.docker_config / "cli-plugins/docker-compose"
        plugin.parent.mkdir(parents=True, exist_ok=True)
        if not plugin.is_symlink():
            plugin.symlink_to(self.compose_bin)
        content: dict[str, object] = {}
        credentials = self.private_registry.credentials
        if credentials and self.private_registry.port:
            token = base64.b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
            content["auths"] = {self.private_registry.host: {"auth": token}}
        (self.docker_config / "config.json").write_text(json.dumps(content))

    def docker(self, *arguments: str, timeout: float = 60, check: bool = True) -> str:
        """Run the docker CLI against the lab's engine and return what it printed.

        Raises `CommandFailed` when it ends with an error, unless `check` is false.
        """
        done = subprocess.run(
            [str(self.docker_bin), *arguments],
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode != 0:
            raise CommandFailed(f"docker {' '.join(arguments)}", done.returncode, done.stdout + done.stderr)
        return done.stdout

    # -- for tests -------------------------------------------------------------------------------------

    def samples(self, name: str = "paperboy") -> Samples:
        """Specs of sample images named after a program."""
        return Samples(self.tools, name)

    def stack(self, name: str, yaml: str, files: dict[str, str] | None = None) -> Stack:
        """A stack in a folder of its own (not up yet); `files` are written beside its compose file.

        Use the stack's `name` afterwards: on the machine's own engine it gets a prefix.
        """
        if isinstance(self.engine, HostEngine):
            name = self.engine.project_name(name)
        folder = self.folder / "stacks" / secrets.token_hex(3) / name
        stack = Stack(name, folder, self.compose_bin, self.env())
        stack.write(yaml)
        for file, content in (files or {}).items():
            stack.write(content, file)
        self.stacks.append(stack)
        return stack

    def down_all(self) -> None:
        """Remove every container, network and volume of the stacks made so far, whatever state they are in."""
        remove_projects(self.docker_bin, self.docker_host, {stack.name for stack in self.stacks})
        self.stacks.clear()
