"""The part of a Compose model that Dockrev needs, from files or from `compose config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

HealthcheckChoice = Literal["", "own", "off"]


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """`type` is `volume`, `bind`, `tmpfs`, …; `source` is a key of the model's volumes, an absolute host path, or ''
    for an anonymous volume."""

    type: str
    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service. `image` is None for one that is only built; `healthcheck` is '' where the image decides."""

    name: str
    image: str | None
    build: bool = False
    network_mode: str = ""
    depends_on: Mapping[str, str] = field(default_factory=dict)
    """Condition by service, for example `service_healthy`."""
    restarts_after: tuple[str, ...] = ()
    """Those of `depends_on` with `restart: true`: when one of them is replaced, this service is started anew."""
    volumes: tuple[VolumeMount, ...] = ()
    healthcheck: HealthcheckChoice = ""
    profiles: tuple[str, ...] = ()
    container_name: str = ""


@dataclass(frozen=True, slots=True)
class ComposeModel:
    """Services and named volumes. `complete` is False when `extends` or `include` say more than was read."""

    services: Mapping[str, ServiceSpec]
    volumes: Mapping[str, str | None]
    """The engine's name of a volume by its key; None where Compose derives it from the project."""
    name: str = ""
    complete: bool = True

    def volume_name(self, key: str, project: str) -> str:
        """The engine's name of the volume with this key."""
        return self.volumes.get(key) or f"{project}_{key}"


def model_from_config(config: Mapping[str, Any]) -> ComposeModel:
    """The model in the output of `compose config --format json`."""
    services = _mapping(config.get("services"))
    volumes = _mapping(config.get("volumes"))
    return ComposeModel(
        services={name: service_from(name, _mapping(raw), "/") for name, raw in services.items()},
        volumes={key: _volume_name(key, raw) for key, raw in volumes.items()},
        name=_text(config.get("name")),
    )


def service_from(name: str, raw: Mapping[str, Any], base: str) -> ServiceSpec:
    """One service entry; relative bind sources are taken from the folder `base`."""
    image = raw.get("image")
    dependencies = depends_on_from(raw.get("depends_on"))
    return ServiceSpec(
        name=name,
        image=_text(image).strip() or None,
        build=raw.get("build") is not None,
        network_mode=_text(raw.get("network_mode")),
        depends_on={name: _text(told.get("condition")) or "service_started" for name, told in dependencies.items()},
        restarts_after=tuple(name for name, told in dependencies.items() if told.get("restart") is True),
        volumes=tuple(volumes_from(raw.get("volumes"), base).values()),
        healthcheck=_healthcheck(raw.get("healthcheck")),
        profiles=tuple(_text(p) for p in _sequence(raw.get("profiles")) if _text(p)),
        container_name=_text(raw.get("container_name")),
    )


def depends_on_from(raw: object) -> dict[str, Mapping[str, Any]]:
    """`depends_on` in its long form: what is said of each dependency, by name."""
    if isinstance(raw, Mapping):
        return {str(name): _mapping(told) for name, told in raw.items()}
    return {_text(name): {} for name in _sequence(raw) if _text(name)}


def volumes_from(raw: object, base: str) -> dict[str, VolumeMount]:
    """Mounts by target: a later one for the same target takes the place of an earlier one."""
    mounts = (mount_from(entry, base) for entry in _sequence(raw))
    return {mount.target: mount for mount in mounts if mount is not None}


def mount_from(raw: object, base: str) -> VolumeMount | None:
    """One mount in the long or the short form, None when it is neither."""
    if isinstance(raw, Mapping):
        kind, source, target = _text(raw.get("type")), _text(raw.get("source")), _text(raw.get("target"))
        if not target:
            return None
        path = _absolute(source, base) if kind == "bind" else source
        return VolumeMount(kind or "volume", path, target, raw.get("read_only") is True)
    if not isinstance(raw, str) or not raw:
        return None
    source, target, *mode = raw.split(":") if ":" in raw else ("", raw)
    flags = mode[0].split(",") if mode else []
    if not target:
        return None
    bind = source.startswith(("/", ".", "~"))
    return VolumeMount("bind" if bind else "volume", _absolute(source, base) if bind else source, target, "ro" in flags)


def _absolute(source: str, base: str) -> str:
    """A bind source as Compose resolves it; a home folder stays as written, it is that of another user."""
    if not source or source.startswith("~"):
        return source
    parts: list[str] = []
    for part in (PurePosixPath(base) / source).parts[1:]:
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return "/" + "/".join(parts)


def volume_names(raw: object) -> dict[str, str | None]:
    """The top-level `volumes` of a file: the engine's names that are said outright."""
    return {str(key): _volume_name(str(key), entry) for key, entry in _mapping(raw).items()}


def _volume_name(key: str, raw: object) -> str | None:
    told = _mapping(raw)
    external = told.get("external")
    if isinstance(external, Mapping):  # the old form
        return _text(external.get("name")) or key
    return _text(told.get("name")) or (key if external is True else None)


def _healthcheck(raw: object) -> HealthcheckChoice:
    if not isinstance(raw, Mapping):
        return ""
    test = raw.get("test")
    if raw.get("disable") is True or test == "NONE" or (isinstance(test, list) and test[:1] == ["NONE"]):
        return "off"
    return "own" if test else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
