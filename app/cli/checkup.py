"""What `dockrev doctor` looks at: each finding says how it is and, where it is not well, what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from app.cli.text import human_bytes, one_line

if TYPE_CHECKING:
    from app.adapters.engine import ContainerSummary, Engine
    from app.settings import Settings

OLDEST_API: Final = (1, 41)
LITTLE_SPACE: Final = 1_000_000_000  # bytes: a warning
NO_SPACE: Final = 50_000_000  # bytes: a failure
TIMEOUT_SECONDS: Final = 20.0
CONFIG_FILES_LABEL: Final = "com.docker.compose.project.config_files"

Health = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `fail` makes the command end with 1."""

    name: str
    health: Health
    text: str
    remedy: str = ""


class Checkup:
    """Looks at one set of settings; connects only for the checks that were asked for."""

    def __init__(self, settings: Settings) -> None:
        from app.adapters.engine import Engine

        self._settings = settings
        self._engine: Engine = Engine(
            settings.docker_host, docker_config=settings.docker_config, timeout=TIMEOUT_SECONDS
        )
        self._checks: dict[str, Callable[[], Awaitable[Finding]]] = {
            "settings": self._look_at_settings,
            "database": self._look_at_database,
            "disk": self._look_at_disk,
            "engine": self._look_at_engine,
            "platform": self._look_at_platform,
            "compose": self._look_at_compose,
            "files": self._look_at_files,
            "registries": self._look_at_registries,
            "access": self._look_at_access,
            "mqtt": self._look_at_mqtt,
            "passes": self._look_at_passes,
        }

    async def run(self, only: Sequence[str] = ()) -> list[Finding]:
        """The findings in their fixed order; a check that breaks or hangs is a failure of its own."""
        try:
            off = {
                "mqtt": not self._settings.mqtt_url and not await self._kept(),
                "passes": not self._settings.passkeys,
            }
            usual = [name for name in self._checks if not off.get(name)]
            wanted = {name: check for name, check in self._checks.items() if name in (only or usual)}
            return await asyncio.gather(*(self._careful(name, check) for name, check in wanted.items()))
        finally:
            await self._engine.close()

    async def _careful(self, name: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
        from app.core.errors import DockrevError

        try:
            async with asyncio.timeout(TIMEOUT_SECONDS + 5):
                return await check()
        except DockrevError as error:
            return Finding(name, "fail", one_line(error.message), one_line(error.hint))
        except TimeoutError:
            return Finding(name, "fail", "no answer in time")

    async def _look_at_settings(self) -> Finding:
        from app.settings import ignored_variables

        if ignored := ignored_variables():
            return Finding("settings", "warn", f"without effect: {', '.join(ignored)}", "Remove them.")
        return Finding("settings", "ok", f"valid; Dockrev listens at {self._settings.http_addr}")

    async def _look_at_database(self) -> Finding:
        from app.core.db.migrate import inspect
        from app.settings import project_root

        path = self._settings.db_path
        if not _writable(path):
            return Finding("database", "fail", f"{path} cannot be written", "Check its owner, or set DOCKREV_DB_PATH.")
        state = await asyncio.to_thread(inspect, path, project_root() / "migrations")
        match state.kind:
            case "newer":
                remedy = "Start the newer Dockrev again, or restore the copy kept before it was migrated."
                return Finding("database", "fail", f"{path} is newer than this version", remedy)
            case "behind":
                return Finding("database", "ok", f"{path} is older and will be migrated at the next start")
            case "fresh":
                return Finding("database", "ok", f"{path} will be made at the first start")
        return Finding("database", "ok", f"{path}, schema {state.revision}")

    async def _look_at_disk(self) -> Finding:
        folder = _existing(self._settings.db_path.parent)
        free = shutil.disk_usage(folder).free
        text = f"{human_bytes(free)} free at {folder}"
        remedy = "Free some space there: the database and, unless set elsewhere, backups need it."
        if free < LITTLE_SPACE:
            return Finding("disk", "fail" if free < NO_SPACE else "warn", text, remedy)
        return Finding("disk", "ok", text)

    async def _look_at_engine(self) -> Finding:
        info = await self._engine.info()
        text = f"Docker {info.version}, API {info.api_version}, {info.platform} at {self._engine.endpoint}"
        if _numbers(info.api_version) < OLDEST_API:
            return Finding("engine", "fail", text, "Dockrev needs API 1.41, Docker 20.10 or newer.")
        return Finding("engine", "ok", text)

    async def _look_at_platform(self) -> Finding:
        from app.adapters.engine import EngineError

        if own := self._settings.host_platform:
            good = len(parts := own.split("/")) in (2, 3) and all(parts)
            remedy = "" if good else "DOCKREV_HOST_PLATFORM looks like linux/amd64."
            return Finding("platform", "ok" if good else "fail", f"{own}, as set", remedy)
        try:
            info = await self._engine.info()
        except EngineError:
            return Finding("platform", "warn", "the engine would tell")
        return Finding("platform", "ok", f"{info.platform}, as the engine tells")

    async def _look_at_compose(self) -> Finding:
        from app.adapters.compose import Compose

        settings = self._settings
        compose = Compose(settings.compose_bin, docker_host=settings.docker_host, docker_config=settings.docker_config)
        version = await compose.version()
        return Finding("compose", "ok", f"Compose {version.raw} ({settings.compose_bin})")

    async def _look_at_files(self) -> Finding:
        from app.adapters.engine import EngineError

        try:
            containers = await self._engine.containers(labels=[CONFIG_FILES_LABEL])
        except EngineError:
            return Finding("files", "warn", "the engine would tell which there are")
        paths = sorted({Path(path) for path in _named_files(containers)})
        bad = [path for path in paths if not os.access(path, os.R_OK)]
        if bad:
            listed = ", ".join(one_line(path, 120) for path in bad[:5])
            remedy = "Mount the folders of your Compose files at the same absolute paths, readable for Dockrev."
            return Finding(
                "files", "warn", f"{len(bad)} of {len(paths)} Compose files cannot be read: {listed}", remedy
            )
        return Finding("files", "ok", f"{len(paths)} Compose files of running stacks, all readable")

    async def _look_at_registries(self) -> Finding:
        from app.adapters.registry import Credentials

        if self._settings.docker_config is None:
            return Finding("registries", "ok", "anonymous; DOCKREV_DOCKER_CONFIG would name a config.json with logins")
        credentials = Credentials(self._settings.docker_config)
        await credentials.reload()
        if credentials.problem:
            return Finding("registries", "warn", credentials.problem, "Run docker login there, or correct the path.")
        return Finding("registries", "ok", f"logins from {self._settings.docker_config}")

    async def _look_at_access(self) -> Finding:
        policy, host = self._settings.auth_policy, self._settings.bind[0]
        if policy.open_to_anyone:
            remedy = "Set DOCKREV_AUTH_ALLOWED_USER or DOCKREV_AUTH_ALLOWED_GROUP."
            return Finding("access", "warn", "everybody who reaches Dockrev may do everything", remedy)
        if policy.has_allow_list:
            names = ", ".join(filter(None, (policy.user_header, policy.group_header)))
            return Finding("access", "ok", f"forward auth, identity in {names}")
        if self._settings.passkeys:
            return Finding("access", "ok", "the owner signs in with a passkey")
        if policy.anonymous == "off":
            remedy = "Set DOCKREV_AUTH_ALLOWED_USER or DOCKREV_AUTH_ALLOWED_GROUP."
            return Finding("access", "warn", "nobody is allowed in", remedy)
        beyond = (
            "" if host in ("127.0.0.1", "::1", "localhost") else "; others get 401 until a user or group is allowed"
        )
        return Finding("access", "ok", f"open from this machine only{beyond}")

    async def _look_at_mqtt(self) -> Finding:
        url, kept = self._settings.mqtt_url, await self._kept()
        if url is None and not kept:
            return Finding("mqtt", "ok", "off; DOCKREV_MQTT_URL would name a broker")
        from app.adapters.mqtt import Broker, connect

        old = [name for name in kept if url is None or name != Broker.of(url).name]
        still = f"{', '.join(old)} still keeps what it was told" if old else ""
        clear = (
            "`dockrev homeassistant clear` takes it back, with that one in DOCKREV_MQTT_URL; `forget` if it is gone."
        )
        remedy = clear if old else ""
        if url is None:
            return Finding("mqtt", "warn", f"off; {still}", remedy)
        broker = Broker.of(url, self._settings.mqtt_password_file)
        async with connect(broker, identifier=f"dockrev-doctor-{os.getpid()}"):
            may = "may start updates" if self._settings.mqtt_install else "only hears"
            told = f"connected to {broker.name}; Home Assistant {may}"
            return Finding("mqtt", "warn" if old else "ok", f"{told}; {still}" if old else told, remedy)

    async def _kept(self) -> list[str]:
        """Brokers that were told something, by their names."""
        from app.adapters.mqtt import Published

        places = await asyncio.to_thread(Published.beside(self._settings.db_path).places)
        return sorted({place.broker for place in places})

    async def _look_at_passes(self) -> Finding:
        if not self._settings.passkeys:
            return Finding("passes", "ok", "off; DOCKREV_PASSKEYS would open the supervisor with them")
        from app.adapters.engine import EngineError
        from app.features.passkeys import look_at_passes

        try:
            verdict = await look_at_passes(self._settings, self._engine, _key_of)
            return Finding("passes", verdict.health, one_line(verdict.text, 400), verdict.remedy)
        except EngineError:
            return Finding("passes", "warn", "the engine would tell whether the supervisor shares their key")


async def _key_of(address: str) -> str | None:
    """Which key a supervisor reads, as it tells whoever it does not let in; '' for none, None when it does not tell."""
    import httpx

    try:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            details = (await client.get(address)).json()["error"]["details"]
        return str(details["keyId"] or "")
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return None


def _named_files(containers: Iterable[ContainerSummary]) -> Iterable[str]:
    from app.adapters.compose import is_generated_override, parse_config_files_label

    for container in containers:
        for name in parse_config_files_label(container.labels.get(CONFIG_FILES_LABEL, "")):
            if not is_generated_override(name):
                yield name


def _existing(path: Path) -> Path:
    """The path or the nearest folder above it that is there."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _writable(path: Path) -> bool:
    return os.access(path if path.exists() else _existing(path.parent), os.W_OK)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
