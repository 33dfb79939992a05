"""Compose files read without the CLI (spec §7.1, steps 2 to 5). Blocking: call it in a thread."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.adapters.compose.errors import ComposeFileInvalid
from app.adapters.compose.interpolation import InterpolationFailed, interpolate, read_env
from app.adapters.compose.model import (
    ComposeModel,
    depends_on_from,
    mount_from,
    service_from,
    volume_names,
)
from app.adapters.compose.yaml_reader import RESET, Replace, read_documents

MAX_LABEL_FILES = 100

# What a model is made of; nothing else is interpolated, so that nothing else can fail.
_FIELDS = frozenset({
    "image", "build", "network_mode", "depends_on", "volumes", "healthcheck", "profiles", "container_name",
})  # fmt: skip


def parse_config_files_label(text: str) -> tuple[str, ...]:
    """The files of a `com.docker.compose.project.config_files` label: trimmed, each once, order kept."""
    parts = (part.strip() for part in re.split(r"[,\n]", text))
    return tuple(dict.fromkeys(part for part in parts if part))[:MAX_LABEL_FILES]


def read_model(
    paths: Sequence[Path], env_files: Sequence[Path] = (), *, working_dir: Path | None = None
) -> ComposeModel:
    """The model of one or several files, later ones over earlier ones, variables from `env_files` or from the `.env`
    beside the first file. `extends` and `include` are not followed, the model says so in `complete`.

    Raises ComposeFileUnreadable and ComposeFileInvalid.
    """
    base = str(working_dir or paths[0].parent)
    variables = _variables(env_files, Path(base))
    services: dict[str, dict[str, Any]] = {}
    volumes: dict[str, str | None] = {}
    name, complete = "", True
    for path in paths:
        for document in read_documents(path):
            top = _top(document, path)
            complete = complete and "include" not in top
            name = _interpolated(top.get("name"), variables, path) or name
            volumes.update(volume_names(_interpolated(_plain(top.get("volumes")), variables, path)))
            for service, raw in _services(top, path).items():
                complete = complete and "extends" not in raw
                wanted = {k: _interpolated(v, variables, path) for k, v in raw.items() if k in _FIELDS}
                services[service] = _merged(services.get(service, {}), wanted, base)
    specs = {service: service_from(service, raw, base) for service, raw in services.items()}
    return ComposeModel(specs, volumes, name if isinstance(name, str) else "", complete)


def is_image_only(path: Path) -> bool:
    """Whether a file sets nothing but `services.<name>.image`. Raises ComposeFileUnreadable, ComposeFileInvalid."""
    documents = read_documents(path)
    if len(documents) != 1 or not isinstance(documents[0], dict) or set(documents[0]) != {"services"}:
        return False
    services = documents[0]["services"]
    return isinstance(services, dict) and all(
        isinstance(raw, dict) and set(raw) == {"image"} and isinstance(raw["image"], str) for raw in services.values()
    )


def _variables(env_files: Sequence[Path], folder: Path) -> dict[str, str]:
    if env_files:
        return {name: value for file in env_files for name, value in read_env(file).items()}
    beside = folder / ".env"
    return read_env(beside) if beside.is_file() else {}


def _top(document: object, path: Path) -> dict[str, Any]:
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ComposeFileInvalid(path, 0, "the file is not a mapping")
    return document


def _services(top: Mapping[str, Any], path: Path) -> dict[str, dict[str, Any]]:
    services = _plain(top.get("services"))
    if services is None or services is RESET:
        return {}
    if not isinstance(services, dict):
        raise ComposeFileInvalid(path, 0, "`services` is not a mapping")
    entries = {name: _plain(raw) for name, raw in services.items()}
    for raw in entries.values():
        if raw is not None and not isinstance(raw, dict):
            raise ComposeFileInvalid(path, 0, "a service is not a mapping")
    return {name: raw or {} for name, raw in entries.items()}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Replace) else value


def _interpolated(value: Any, variables: Mapping[str, str], path: Path) -> Any:
    """`value` with all texts in it interpolated; keys are left alone, as Compose does."""
    if isinstance(value, str):
        try:
            return interpolate(value, variables)
        except InterpolationFailed as exc:
            raise ComposeFileInvalid(path, 0, str(exc)) from None
    if isinstance(value, list):
        return [_interpolated(item, variables, path) for item in value]
    if isinstance(value, dict):
        return {key: _interpolated(item, variables, path) for key, item in value.items()}
    if isinstance(value, Replace):
        return Replace(_interpolated(value.value, variables, path))
    return value


def _merged(below: Mapping[str, Any], above: Mapping[str, Any], base: str) -> dict[str, Any]:
    """One service's fields of a later file over those of earlier ones."""
    result = dict(below)
    for key, value in above.items():
        if value is RESET:
            result.pop(key, None)
        elif isinstance(value, Replace):
            result[key] = value.value
        elif value is not None or key not in result:
            result[key] = _merged_field(key, result.get(key), value, base)
    return result


def _merged_field(key: str, below: Any, above: Any, base: str) -> Any:
    if below is None:
        return above
    if key == "depends_on":
        known, told = depends_on_from(below), depends_on_from(above)
        return {name: {**known.get(name, {}), **told.get(name, {})} for name in {**known, **told}}
    if key == "volumes" and isinstance(below, list) and isinstance(above, list):
        taken = {mount.target for entry in above if (mount := mount_from(entry, base)) is not None}
        kept = [e for e in below if (mount := mount_from(e, base)) is not None and mount.target not in taken]
        return [*kept, *above]
    if key == "profiles" and isinstance(below, list) and isinstance(above, list):
        return list(dict.fromkeys([*below, *above]))
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **above}
    return above
