"""Settings of the supervisor, by environment variable only (spec §2.2); forward auth is set as for Dockrev itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from app.core.environment import EnvSettings
from app.core.web.pass_key import NAME as KEY_NAME
from app.core.web.pass_key import PassKey
from app.core.web.passes import OPEN_PATH
from app.settings import SettingsError, build_version

_OF_DOCKREV = (OPEN_PATH, "/api/health")  # a proxy sends what lies below the base path to the supervisor
_REPOSITORY = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?(?::\d{1,5})?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*", re.ASCII)
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]{0,254}")
_SERVICE = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,254}")


class SupervisorSettings(EnvSettings):
    """Read once at start. Blank counts as unset."""

    env_prefix = "DOCKREV_SUPERVISOR_"

    effective_version: str = Field(default_factory=build_version, validation_alias="APP_EFFECTIVE_VERSION")
    http_addr: str = "0.0.0.0:50884"
    base_path: str = "/supervisor"
    state_path: Path = Path("./data/supervisor/self-upgrade.json")
    target_image_repo: str = "ghcr.io/ivanli-cn/dockrev"
    target_container_id: str | None = None
    target_compose_project: str | None = None
    target_compose_service: str | None = None
    target_compose_files: tuple[Path, ...] | None = None
    docker_bin: str = "docker"
    docker_host: str | None = None
    compose_bin: str = "docker-compose"

    @field_validator("http_addr")
    @classmethod
    def _address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
            raise ValueError("must look like 0.0.0.0:50884")
        return value

    @field_validator("base_path")
    @classmethod
    def _path(cls, value: str) -> str:
        path = value.rstrip("/")
        plain = not any(character in path for character in "{}?#%\\ ") and path.isascii() and path.isprintable()
        if not path.startswith("/") or "//" in path or not plain or {".", ".."} & set(path.split("/")):
            raise ValueError("must be a plain path that begins with / and is more than that, like /supervisor")
        if lost := [address for address in _OF_DOCKREV if f"{address}/".startswith(f"{path}/")]:
            raise ValueError(f"must not be {path}: {lost[0]} is Dockrev's own address")
        return path

    @field_validator("target_image_repo")
    @classmethod
    def _repository(cls, value: str) -> str:
        text = value.strip()
        if not _REPOSITORY.fullmatch(text) or (":" in text and "/" not in text):
            raise ValueError("must be a repository without tag or digest, like ghcr.io/ivanli-cn/dockrev")
        return text

    @field_validator("target_container_id", "target_compose_project", "target_compose_service", mode="before")
    @classmethod
    def _trimmed(cls, value: Any) -> Any:
        return (value.strip() or None) if isinstance(value, str) else value

    @field_validator("target_container_id")
    @classmethod
    def _container(cls, value: str | None) -> str | None:
        return _matched(_CONTAINER, value, "must be the id or the name of a container")

    @field_validator("target_compose_project")
    @classmethod
    def _project(cls, value: str | None) -> str | None:
        return _matched(_PROJECT, value, "must be the name of a Compose project: small letters, digits, - and _")

    @field_validator("target_compose_service")
    @classmethod
    def _service(cls, value: str | None) -> str | None:
        return _matched(_SERVICE, value, "must be the name of a Compose service")

    @field_validator("target_compose_files", mode="before")
    @classmethod
    def _files(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        paths = tuple(Path(part.strip()) for part in value.split(",") if part.strip())
        if any(not path.is_absolute() for path in paths):
            raise ValueError("must be absolute paths, separated by commas")
        return paths or None

    @field_validator("docker_bin")
    @classmethod
    def _docker(cls, value: str) -> str:
        if Path(value).name != "docker":
            raise ValueError("must be a program named docker, like /usr/bin/docker: Compose is asked for as its plugin")
        return value

    @property
    def bind(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.http_addr.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def override_path(self) -> Path:
        """The file that names the image of an upgrade, beside the state."""
        return self.state_path.absolute().with_name("self-upgrade.override.yml")

    def pass_key(self, named: Path | None) -> PassKey:
        """The key of passes: the file that is named, else where Dockrev keeps it when the state lies in a folder of its
        data folder."""
        return PassKey(named or self.state_path.absolute().parent.parent / KEY_NAME)

    def compose_program(self) -> str:
        """The program to run Compose with: `compose_bin`; the docker CLI for its plugin when that is what is named,
        or when there is no such program but a docker CLI."""
        if self.compose_bin == "docker" or (not shutil.which(self.compose_bin) and shutil.which(self.docker_bin)):
            return self.docker_bin
        return self.compose_bin


def _matched(grammar: re.Pattern[str], value: str | None, rule: str) -> str | None:
    if value is not None and not grammar.fullmatch(value):
        raise ValueError(rule)
    return value


def load_settings() -> SupervisorSettings:
    """Settings from the environment; raises SettingsError naming each bad variable."""
    try:
        return SupervisorSettings()
    except ValidationError as error:
        names = SupervisorSettings.variables()
        lines = [
            f"{names.get(str(item['loc'][0]), item['loc'][0])}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from error
