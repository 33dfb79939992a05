"""The Compose CLI (v2): argument lists, a bare environment, time limits, redacted words (spec §7.8)."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.adapters.compose.errors import (
    CommandResult,
    ComposeCommandFailed,
    ComposeMissing,
    ComposeTimeout,
)
from app.adapters.compose.names import file_path, project_name, service_name, service_names
from app.adapters.compose.process import KEEP_CHARS, Expired, OnLine, run_command
from app.adapters.compose.redact import Redactor

OnCommand = Callable[[str], Awaitable[None] | None]
PullPolicy = Literal["never", "missing", "always"]

VERSION_TIMEOUT_SECONDS = 12.0
CONFIG_TIMEOUT_SECONDS = 30.0
SHORT_TIMEOUT_SECONDS = 30.0
LONG_TIMEOUT_SECONDS = 300.0
MAX_CONFIG_CHARS = 16 * 1024 * 1024
MAX_LOGGED_CHARS = 2_000
MAX_SAID_CHARS = 500

_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,6})(?:\.(\d{1,6}))?")
_CONTAINER_ID = re.compile(r"[0-9a-f]{12,64}")
_KEPT_VARIABLES = frozenset(
    {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR"}
)


@dataclass(frozen=True, slots=True)
class ComposeVersion:
    """`raw` as the program wrote it, on one line."""

    raw: str
    major: int
    minor: int
    patch: int


@dataclass(frozen=True, slots=True)
class Project:
    """What identifies a stack to Compose. All paths are absolute; without `working_dir` the first file's folder
    counts, without `env_files` the `.env` in it; of several the last one that sets a variable wins."""

    name: str
    files: tuple[Path, ...]
    env_files: tuple[Path, ...] = ()
    working_dir: Path | None = None


class Compose:
    """Runs `binary`; a program named `docker` gets the word `compose` first (spec §2.1).

    `docker_config` is a DOCKER_CONFIG folder (or the config.json in it), see `staged_docker_config`. Every command
    raises ComposeMissing, ComposeCommandFailed, ComposeTimeout and ComposeInvalidName. `on_command` gets the
    redacted `$ …` line before a command runs, `on_line` each line it writes, redacted; both may be async. Timeouts
    in seconds.
    """

    def __init__(
        self,
        binary: str = "docker-compose",
        *,
        docker_host: str | None = None,
        docker_config: Path | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.binary = binary
        self.redactor = redactor or Redactor()
        self._docker_host = docker_host
        self._docker_config = docker_config
        self._version: ComposeVersion | None = None
        self._probing = asyncio.Lock()

    def with_docker_config(self, folder: Path) -> Compose:
        """The same Compose with another DOCKER_CONFIG folder."""
        other = Compose(self.binary, docker_host=self._docker_host, docker_config=folder, redactor=self.redactor)
        other._version = self._version
        return other

    # ---- commands

    async def version(self) -> ComposeVersion:
        """The version, asked once. Raises ComposeMissing also for Compose 1."""
        async with self._probing:
            if self._version is None:
                self._version = await self._probe()
        return self._version

    async def ask_version(self, timeout: float) -> ComposeVersion:
        """The version, asked anew whatever was known. Raises ComposeMissing also after `timeout` seconds."""
        return await self._probe(timeout)

    async def config(self, project: Project, *, timeout: float = CONFIG_TIMEOUT_SECONDS) -> dict[str, Any]:
        """The effective model, of all profiles. It may hold secrets of the stack: never log it."""
        arguments = [*self._base(project), "--profile", "*", "config", "--format", "json"]
        result = await self._run("config", arguments, timeout=timeout, keep=MAX_CONFIG_CHARS)
        try:
            model = json.loads(result.stdout)
        except ValueError:
            model = None
        if not isinstance(model, dict):
            raise ComposeCommandFailed(result, "config", "its output is no model")
        return model

    async def up(
        self,
        project: Project,
        services: Sequence[str],
        *,
        override: Path | None = None,
        no_deps: bool = True,
        pull: PullPolicy = "never",
        force_recreate: bool = False,
        scale: Mapping[str, int] | None = None,
        on_line: OnLine | None = None,
        on_command: OnCommand | None = None,
        timeout: float = LONG_TIMEOUT_SECONDS,
    ) -> CommandResult:
        """Create or recreate and start services, detached; never builds. `scale` keeps a number of containers that
        was chosen by hand: without it Compose goes back to what the file says."""
        # A named service may depend on one whose profile is not switched on here: Compose would not know that one.
        arguments = [*self._base(project, override), *(["--profile", "*"] if services else []), "up"]
        flags = ["--detach", "--no-build", "--pull", pull]
        flags += ["--no-deps"] if no_deps else []
        flags += ["--force-recreate"] if force_recreate else []
        for name, number in (scale or {}).items():
            flags += ["--scale", f"{service_name(name)}={number:d}"]
        arguments += [*flags, *service_names(services)]
        return await self._run("up", arguments, timeout=timeout, on_line=on_line, on_command=on_command)

    async def pull(
        self,
        project: Project,
        services: Sequence[str],
        *,
        override: Path | None = None,
        on_line: OnLine | None = None,
        on_command: OnCommand | None = None,
        timeout: float = LONG_TIMEOUT_SECONDS,
    ) -> CommandResult:
        """Pull the images of services; `PullLines` reads its progress from the lines."""
        arguments = [*self._base(project, override), "pull", *service_names(services)]
        return await self._run("pull", arguments, timeout=timeout, on_line=on_line, on_command=on_command)

    async def ps_ids(
        self,
        project: Project,
        service: str,
        *,
        all: bool = False,
        on_command: OnCommand | None = None,
        timeout: float = SHORT_TIMEOUT_SECONDS,
    ) -> list[str]:
        """Full ids of the service's containers; with `all` also of stopped ones."""
        flags = ["--all", "--quiet"] if all else ["--quiet"]
        arguments = [*self._base(project), "ps", *flags, service_name(service)]
        result = await self._run("ps", arguments, timeout=timeout, on_command=on_command)
        return [line for line in result.stdout.split() if _CONTAINER_ID.fullmatch(line)]

    async def stop(
        self,
        project: Project,
        services: Sequence[str],
        *,
        on_line: OnLine | None = None,
        on_command: OnCommand | None = None,
        timeout: float = LONG_TIMEOUT_SECONDS,
    ) -> CommandResult:
        """Stop services without removing their containers."""
        arguments = [*self._base(project), "stop", *service_names(services)]
        return await self._run("stop", arguments, timeout=timeout, on_line=on_line, on_command=on_command)

    async def start(
        self,
        project: Project,
        services: Sequence[str],
        *,
        on_line: OnLine | None = None,
        on_command: OnCommand | None = None,
        timeout: float = LONG_TIMEOUT_SECONDS,
    ) -> CommandResult:
        """Start the existing containers of services."""
        arguments = [*self._base(project), "start", *service_names(services)]
        return await self._run("start", arguments, timeout=timeout, on_line=on_line, on_command=on_command)

    # ---- words for the log

    def describe(self, argv: Sequence[str]) -> str:
        """The redacted `$ …` line of a command."""
        return self.redactor.redact(f"$ {shlex.join(argv)}")[:MAX_LOGGED_CHARS]

    def outcome(self, result: CommandResult) -> str:
        """The redacted `status=… stdout=… stderr=…` line, at most 2000 characters."""
        told = f"status={result.returncode} stdout={result.stdout.strip()} stderr={result.stderr.strip()}"
        return self.redactor.redact(told)[:MAX_LOGGED_CHARS]

    # ---- plumbing

    def _program(self) -> list[str]:
        return [self.binary, "compose"] if Path(self.binary).name == "docker" else [self.binary]

    def _base(self, project: Project, override: Path | None = None) -> list[str]:
        arguments = ["--ansi", "never", "--project-name", project_name(project.name)]
        for file in (*project.files, *([override] if override else [])):
            arguments += ["--file", file_path(file)]
        for file in project.env_files:
            arguments += ["--env-file", file_path(file)]
        if project.working_dir is not None:
            arguments += ["--project-directory", file_path(project.working_dir)]
        return arguments

    def _environment(self) -> dict[str, str]:
        """Only what the CLI itself needs: a COMPOSE_* or any other variable of Dockrev's own process would change
        what the stack's files mean."""
        env = {k: v for k, v in os.environ.items() if k in _KEPT_VARIABLES or k.startswith("DOCKER_")}
        env.setdefault("PATH", os.defpath)
        env["DOCKER_CLI_HINTS"] = "false"
        if self._docker_host:
            env["DOCKER_HOST"] = self._docker_host
            env.pop("DOCKER_CONTEXT", None)
        if self._docker_config is not None:
            is_file = self._docker_config.name == "config.json"
            env["DOCKER_CONFIG"] = str(self._docker_config.parent if is_file else self._docker_config)
        return env

    async def _probe(self, timeout: float = VERSION_TIMEOUT_SECONDS) -> ComposeVersion:
        argv = [*self._program(), "version", "--short"]
        try:
            result = await run_command(argv, env=self._environment(), cwd=Path("/"), timeout=timeout)
        except OSError as exc:
            raise ComposeMissing(self.binary, exc.strerror or "it cannot be started") from exc
        except Expired as exc:
            raise ComposeMissing(self.binary, f"no answer in {timeout:g} s") from exc
        match = _VERSION.search(result.stdout)
        if result.returncode != 0 or match is None:
            raise ComposeMissing(self.binary, self._said(result) or f"it ended with status {result.returncode}")
        raw = " ".join(result.stdout.split())[:100]
        version = ComposeVersion(raw, int(match[1]), int(match[2]), int(match[3] or 0))
        if version.major < 2:
            raise ComposeMissing(self.binary, f"it is version {version.raw}")
        return version

    async def _run(
        self,
        action: str,
        arguments: Sequence[str],
        *,
        timeout: float,
        keep: int = KEEP_CHARS,
        on_line: OnLine | None = None,
        on_command: OnCommand | None = None,
    ) -> CommandResult:
        await self.version()
        argv = [*self._program(), *arguments]
        if on_command is not None:
            await _tell(on_command, self.describe(argv))
        redacted = None if on_line is None else _redacted(on_line, self.redactor)
        env: Mapping[str, str] = self._environment()
        try:
            result = await run_command(argv, env=env, cwd=Path("/"), timeout=timeout, keep=keep, on_line=redacted)
        except OSError as exc:
            self._version = None
            raise ComposeMissing(self.binary, exc.strerror or "it cannot be started") from exc
        except Expired as exc:
            raise ComposeTimeout(exc.result, action, timeout) from None
        if result.returncode != 0:
            raise ComposeCommandFailed(result, action, self._said(result))
        return result

    def _said(self, result: CommandResult) -> str:
        """The end of what a failed command wrote, on one line."""
        told = self.redactor.redact((result.stderr.strip() or result.stdout.strip())[-4 * MAX_SAID_CHARS :])
        return " ".join(told.split())[-MAX_SAID_CHARS:]


def _redacted(on_line: OnLine, redactor: Redactor) -> OnLine:
    return lambda line: on_line(redactor.redact(line))


async def _tell(listener: OnCommand, text: str) -> None:
    answer = listener(text)
    if inspect.isawaitable(answer):
        await answer
