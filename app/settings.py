"""Everything that can be set, by environment variable only (spec §2.1); a bad value stops the start and says why."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from app.core.environment import EnvSettings
from app.core.web.auth import AuthPolicy, Network
from app.core.web.languages import LANGUAGES
from app.core.web.pass_key import NAME as KEY_NAME
from app.core.web.pass_key import PassKey
from app.core.web.presets import DEFAULT, PRESETS

DEFAULT_TRUSTED = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
IGNORED = (
    "DOCKREV_CHECK_CONCURRENCY",
    "DOCKREV_REGISTRY_PER_HOST_CONCURRENCY",
    "DOCKREV_GHCR_WEBHOOK_AUDIT_INTERVAL_SECONDS",
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_TOPIC = re.compile(r"(?=.{1,64}$)[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_TRUE, _FALSE = frozenset({"1", "true", "yes", "y", "on"}), frozenset({"0", "false", "no", "n", "off"})


S = TypeVar("S", bound="AccessSettings")


class SettingsError(Exception):
    """A variable has an impossible value; the text names it and says what is allowed."""


def build_version() -> str:
    """The version of the installed package."""
    try:
        return version("dockrev")
    except PackageNotFoundError:  # run from a plain checkout
        return "0.0.0"


class AccessSettings(EnvSettings):
    """What Dockrev and its supervisor share: who may come in, registry logins, language, log. Blank counts as unset."""

    env_prefix = "DOCKREV_"

    docker_config: Path | None = None
    auth_preset: str | None = None
    auth_forward_header_name: str = DEFAULT.user
    auth_group_header_name: str = DEFAULT.groups
    auth_group_separator: str = DEFAULT.separator
    auth_name_header_name: str | None = None
    auth_email_header_name: str | None = None
    auth_logout_url: str | None = None
    auth_allowed_user: str | None = None
    auth_allowed_group: str | None = None
    auth_allow_anonymous_in_dev: Literal["loopback", "any", "off"] = "loopback"
    trusted_proxies: tuple[Network, ...] = Field(default=DEFAULT_TRUSTED, validate_default=True)
    passkeys: bool = False
    passkeys_step_up: bool = False
    pass_key_path: Path | None = None
    language: str = "en"
    log_level: str = "INFO"

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str) -> str:
        if (name := value.strip().lower()) not in LANGUAGES:
            raise ValueError(f"must be one of {', '.join(LANGUAGES)}")
        return name

    @field_validator("auth_allow_anonymous_in_dev", mode="before")
    @classmethod
    def _anonymous(cls, value: Any) -> Any:
        text = str(value).strip().lower()
        return "any" if text in _TRUE else "off" if text in _FALSE else "loopback"

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        return tuple(ip_network(part.strip(), strict=False) for part in str(value).split(",") if part.strip())

    @field_validator("auth_allowed_user", "auth_allowed_group", mode="after")
    @classmethod
    def _trimmed(cls, value: str | None) -> str | None:
        return (value or "").strip() or None

    @field_validator("auth_preset")
    @classmethod
    def _preset(cls, value: str | None) -> str | None:
        name = (value or "").strip().lower() or None
        if name is not None and name not in PRESETS:
            raise ValueError(f"must be one of {', '.join(PRESETS)}, or unset")
        return name

    @field_validator(
        "auth_forward_header_name", "auth_group_header_name", "auth_name_header_name", "auth_email_header_name"
    )
    @classmethod
    def _header_name(cls, value: str | None) -> str | None:
        if value is not None and not _HEADER_NAME.fullmatch(value := value.strip()):
            raise ValueError("must be the name of a header, like Remote-User")
        return value

    @field_validator("auth_group_separator")
    @classmethod
    def _separator(cls, value: str) -> str:
        if len(value) != 1 or value.isalnum() or not value.isprintable():
            raise ValueError("must be one character that no group has in its name, like , or |")
        return value

    @field_validator("auth_logout_url")
    @classmethod
    def _logout(cls, value: str | None) -> str | None:
        text = (value or "").strip()
        if text and not is_address(text):
            raise ValueError("must be an http or https address, or a path that begins with one /")
        return text or None

    @model_validator(mode="after")
    def _groups_are_sent(self) -> Self:
        if self.auth_allowed_group and not self.auth_policy.group_header:
            raise ValueError(
                f"DOCKREV_AUTH_ALLOWED_GROUP: {self.auth_preset} sends no groups, what clients send does not count. "
                "Name a user in DOCKREV_AUTH_ALLOWED_USER, or in DOCKREV_AUTH_GROUP_HEADER_NAME a header that your "
                "proxy sets"
            )
        return self

    @property
    def auth_policy(self) -> AuthPolicy:
        """The rules of forward auth: the preset's, with what is set by itself in their place."""
        preset, given = PRESETS.get(self.auth_preset or "", DEFAULT), self.model_fields_set
        return AuthPolicy(
            user_header=self.auth_forward_header_name if "auth_forward_header_name" in given else preset.user,
            group_header=self.auth_group_header_name if "auth_group_header_name" in given else preset.groups,
            group_separator=self.auth_group_separator if "auth_group_separator" in given else preset.separator,
            name_header=self.auth_name_header_name or preset.name,
            email_header=self.auth_email_header_name or preset.email,
            logout_url=self.auth_logout_url or preset.logout,
            allowed_user=self.auth_allowed_user,
            allowed_group=self.auth_allowed_group,
            anonymous=self.auth_allow_anonymous_in_dev,
            trusted_proxies=self.trusted_proxies,
        )


class Settings(AccessSettings):
    """Read once at start."""

    effective_version: str = Field(default_factory=build_version, validation_alias="APP_EFFECTIVE_VERSION")
    http_addr: str = "0.0.0.0:50883"
    db_path: Path = Path("./data/dockrev.sqlite3")
    docker_host: str | None = Field(default=None, validation_alias="DOCKER_HOST")
    compose_bin: str = "docker-compose"
    host_platform: str | None = None
    image_repo: str = "ghcr.io/ivanli-cn/dockrev"
    self_upgrade_url: str = "/supervisor/"

    discovery_interval_seconds: int = Field(60, ge=10)
    discovery_max_actions: int = Field(200, ge=1)
    runtime_scan_interval_seconds: int = Field(600, ge=30)
    registry_retry_max_attempts: int = Field(3, ge=0)
    registry_retry_base_ms: int = Field(250, ge=1)
    registry_retry_max_ms: int = Field(2000, ge=1)
    registry_rate_limit_cooldown_seconds: int = Field(21600, ge=1)
    plain_http_registries: frozenset[str] = frozenset()
    update_idempotent_retry_max_attempts: int = Field(3, ge=1)
    update_idempotent_retry_base_ms: int = Field(300, ge=1)
    update_idempotent_retry_max_ms: int = Field(3000, ge=1)
    update_settle_seconds: float = Field(3.0, ge=0, le=600)
    backup_dir: str | None = None
    telegram_api_url: str = "https://api.telegram.org"
    push_allowed_origins: frozenset[str] = frozenset()
    webhook_secret: str | None = Field(default=None, repr=False)
    github_api_url: str = "https://api.github.com"
    api_rate_limit: int = Field(600, ge=0, le=100_000)
    api_failed_token_limit: int = Field(20, ge=1, le=1000)
    audit_retention_days: int = Field(365, ge=1, le=3650)
    audit_max_rows: int = Field(100_000, ge=1000, le=10_000_000)
    passkeys_origin: str | None = None
    mqtt_url: str | None = Field(default=None, repr=False)
    mqtt_password_file: Path | None = None
    mqtt_prefix: str = "dockrev"
    mqtt_discovery_prefix: str = "homeassistant"
    mqtt_install: bool = False
    deploy_check_local_command_timeout_seconds: int = Field(12, ge=1)
    sandbox: bool = False

    @field_validator("plain_http_registries", mode="before")
    @classmethod
    def _hosts(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        return frozenset(part.strip().lower() for part in parts if part.strip())

    @field_validator("push_allowed_origins", mode="before")
    @classmethod
    def _origins(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value
        found = frozenset(part.strip().lower().rstrip("/") for part in parts if part.strip())
        if any(not urlsplit(origin).hostname or urlsplit(origin).path for origin in found):
            raise ValueError("must be origins like https://push.example, separated by commas")
        return found

    @field_validator("telegram_api_url", "github_api_url")
    @classmethod
    def _api_url(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname:
            raise ValueError("must be an http or https URL")
        return value

    @field_validator("passkeys_origin")
    @classmethod
    def _passkeys_origin(cls, value: str | None) -> str | None:
        parts = urlsplit((value or "").strip().rstrip("/"))
        local = (parts.hostname or "").split(".")[-1] == "localhost"
        if value and (not parts.hostname or parts.path or (parts.scheme != "https" and not local)):
            raise ValueError("must be Dockrev's own https address without a path, like https://dockrev.example.com")
        return f"{parts.scheme}://{parts.netloc}" if value else None

    @field_validator("mqtt_url")
    @classmethod
    def _mqtt_url(cls, value: str | None) -> str | None:
        text = (value or "").strip()
        try:
            parts = urlsplit(text)
            host = parts.hostname if parts.scheme in ("mqtt", "mqtts") and parts.port != 0 else None
            good = host and not (parts.path.strip("/") or parts.query or parts.fragment)
        except ValueError:
            good = False
        if text and not good:  # nothing of the value is said: it may hold a password
            raise ValueError("must look like mqtt://user:password@host:1883 or mqtts://host; encode @ / : # ? in names")
        return text or None

    @field_validator("mqtt_prefix", "mqtt_discovery_prefix")
    @classmethod
    def _topic(cls, value: str) -> str:
        if not _TOPIC.fullmatch(value := value.strip("/ ")):
            raise ValueError("must be letters, digits, _ and -, with / between parts, 64 at most")
        return value

    @field_validator("http_addr")
    @classmethod
    def _address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
            raise ValueError("must look like 0.0.0.0:50883")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Settings:
        if self.registry_retry_max_ms < self.registry_retry_base_ms:
            raise ValueError("DOCKREV_REGISTRY_RETRY_MAX_MS must not be below DOCKREV_REGISTRY_RETRY_BASE_MS")
        if self.update_idempotent_retry_max_ms < self.update_idempotent_retry_base_ms:
            raise ValueError(
                "DOCKREV_UPDATE_IDEMPOTENT_RETRY_MAX_MS must not be below DOCKREV_UPDATE_IDEMPOTENT_RETRY_BASE_MS"
            )
        return self

    @property
    def bind(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.http_addr.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def pass_key(self) -> PassKey:
        """The key of passes for the supervisor, beside the database where nothing else is set."""
        return PassKey(self.pass_key_path or self.db_path.parent / KEY_NAME)


def is_address(text: str) -> bool:
    """Whether a link may lead there: an http or https address, or a path of this host; nothing that runs or hides."""
    if len(text) > 2048 or "\\" in text or any(not character.isprintable() or character == " " for character in text):
        return False
    if text.startswith("/"):
        return not text.startswith("//")
    try:
        return urlsplit(text).scheme in ("http", "https") and bool(urlsplit(text).hostname)
    except ValueError:
        return False


def load_settings() -> Settings:
    """Settings from the environment; raises SettingsError naming each bad variable."""
    return _read(Settings)


def load_access() -> AccessSettings:
    """The part of them that the supervisor takes too: what is wrong with the rest does not stop it."""
    return _read(AccessSettings)


def _read(settings: type[S]) -> S:
    try:
        return settings()
    except ValidationError as error:
        lines = [_explain(item["loc"], item["msg"]) for item in error.errors()]
        raise SettingsError("\n".join(lines)) from error


def _explain(loc: tuple[int | str, ...], message: str) -> str:
    name = str(loc[0]) if loc else ""
    variable = name if name.isupper() or not name else f"DOCKREV_{name.upper()}"
    return f"{variable}: {message.removeprefix('Value error, ')}".removeprefix(": ")


def ignored_variables() -> list[str]:
    """Variables of older versions that are set and do nothing."""
    return [name for name in IGNORED if os.environ.get(name)]


@lru_cache(maxsize=1)
def project_root() -> Path:
    """Where `templates/`, `static/` and `migrations/` lie, beside the package."""
    return Path(__file__).resolve().parent.parent
