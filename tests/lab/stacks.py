"""Compose stacks of the lab: a folder with a compose file, brought up and down by the real Compose."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.lab.errors import CommandFailed


class Stack:
    """One Compose project in a folder of its own. `lab.stack(name, yaml)` makes one."""

    def __init__(self, name: str, folder: Path, compose: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.folder = folder
        self.file = folder / "compose.yaml"
        self._compose = compose
        self._env = dict(env)
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, yaml: str, file: str = "compose.yaml") -> Path:
        """Write (or rewrite) a file of the stack: the compose file, an override or `.env`."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml)
        return path

    def compose(self, *arguments: str, files: tuple[str, ...] = (), timeout: float = 120, check: bool = True) -> str:
        """Run Compose on this project and return what it printed.

        Raises `CommandFailed` when it ends with an error, unless `check` is false.
        """
        named = [part for file in files for part in ("-f", str(self.folder / file))]
        command = [str(self._compose), "--project-name", self.name, *named, *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode != 0:
            raise CommandFailed(f"docker compose {' '.join(arguments)}", done.returncode, done.stdout + done.stderr)
        return done.stdout

    def up(self, *services: str, wait: bool = False, files: tuple[str, ...] = ()) -> Stack:
        """Create and start the services; with `wait`, until they run and are healthy."""
        self.compose("up", "--detach", *(["--wait"] if wait else []), *services, files=files)
        return self

    def down(self, files: tuple[str, ...] = ()) -> None:
        """Stop and remove containers, networks and volumes."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1", files=files, check=False)

    def container_ids(self, service: str) -> list[str]:
        """Ids of the service's containers, running or not."""
        return self.compose("ps", "--all", "--quiet", service).split()
