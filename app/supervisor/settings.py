"""Settings of the supervisor, by environment variable only (spec §2.2); forward auth is set as for Dockrev itself."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from app.core.environment import EnvSettings
from app.settings import SettingsError, build_version


class SupervisorSettings(EnvSettings):
    """Read once at start. Blank counts as unset."""

    env_prefix = "DOCKREV_SUPERVISOR_"

    effective_version: str = Field(default_factory=build_version, validation_alias="APP_EFFECTIVE_VERSION")
    http_addr: str = "0.0.0.0:50884"
    base_path: str = "/supervisor"
    state_path: Path = Path("./data/supervisor/self-upgrade.json")
    target_image_repo: str = "ghcr.io/ivanli-cn/dockrev"

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
        if not path.startswith("/") or "//" in path or any(character in path for character in "{}?#%\\ "):
            raise ValueError("must be a plain path that begins with / and is more than that, like /supervisor")
        return path

    @property
    def bind(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.http_addr.rpartition(":")
        return host.strip("[]"), int(port)


def load_settings() -> SupervisorSettings:
    """Settings from the environment; raises SettingsError naming each bad variable."""
    try:
        return SupervisorSettings()
    except ValidationError as error:
        lines = [
            f"DOCKREV_SUPERVISOR_{str(item['loc'][0]).upper()}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from error
