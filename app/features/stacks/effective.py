"""From the labels of a project to its effective model: `compose config` where it can be had, else the plain files.

What was read is kept until a file, the labels or the containers' configuration change, so that looking at fifty
unchanged projects costs a few `stat` calls. Now and then it is read anew: included files are not watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from app.adapters.compose import (
    Compose,
    ComposeError,
    ComposeFileInvalid,
    ComposeFileUnreadable,
    ComposeMissing,
    ComposeModel,
    Project,
    is_generated_override,
    is_image_only,
    model_from_config,
    read_model,
)
from app.core.clock import Clock
from app.features.stacks import rules
from app.features.stacks.reconcile import Failure, Model
from app.features.stacks.records import split_paths
from app.features.stacks.rules import FileKind, Problem, ServiceSpec, StackSpec
from app.features.stacks.sightings import Sighting

log = structlog.get_logger(__name__)

CONCURRENCY: Final = 2
KEPT_SECONDS: Final = 900.0
TROUBLE_KEPT_SECONDS: Final = 300.0

Stamp = tuple[str, int, int, int] | tuple[str]
Fingerprint = tuple[Sighting, tuple[Stamp, ...]]


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: Fingerprint
    found: Model | Failure
    until: float


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a project lives: its files, and what its variables come from."""

    lists: tuple[tuple[str, ...], ...]
    working_dir: str | None
    env_files: tuple[str, ...]


class ModelReader:
    """Reads one project at a time per slot; at most two Compose commands run at once."""

    def __init__(self, compose: Compose, clock: Clock) -> None:
        self._compose = compose
        self._clock = clock
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._kept: dict[str, _Kept] = {}

    async def read(self, sighting: Sighting, *, fresh: bool = False) -> Model | Failure:
        """The project's model, or why there is none. Never raises for what labels and files say."""
        if not rules.valid_project_name(sighting.name):
            return Failure(rules.BAD_NAME)
        lists, problem = rules.check_lists(sighting.config_labels)
        if problem is not None:
            return Failure(problem, _shown(sighting.files))
        place = await asyncio.to_thread(_place, sighting, lists)
        fingerprint = (sighting, await asyncio.to_thread(_stamps, place))
        kept = self._kept.get(sighting.key)
        if not fresh and kept and kept.fingerprint == fingerprint and self._clock.monotonic() < kept.until:
            return kept.found
        async with self._slots:
            found = await self._resolve(sighting.name, place)
        trouble = isinstance(found, Failure) or found.warning is not None
        until = self._clock.monotonic() + (TROUBLE_KEPT_SECONDS if trouble else KEPT_SECONDS)
        self._kept[sighting.key] = _Kept(fingerprint, found, until)
        return found

    def forget_all_but(self, keys: Collection[str]) -> None:
        """Drop what was kept of projects that are no longer there."""
        self._kept = {key: kept for key, kept in self._kept.items() if key in keys}

    async def _resolve(self, name: str, place: _Place) -> Model | Failure:
        chosen = await asyncio.to_thread(_choose, place.lists)
        if isinstance(chosen, Problem):
            return Failure(chosen, _shown(path for files in place.lists for path in files))
        files = chosen.files
        needed = [*files, *place.env_files]
        if (lost := await asyncio.to_thread(_first_unreadable, needed)) is not None:
            return Failure(rules.unreadable(lost), files)
        try:
            model, warning = await self._model(name, files, place)
        except ComposeFileUnreadable as error:
            return Failure(rules.unreadable(str(error.path)), files)
        except ComposeFileInvalid as error:
            where = f"Line {error.line}: " if error.line else ""
            return Failure(rules.invalid_file(str(error.path), where + error.reason), files)
        services = _services(model)
        if isinstance(services, Problem):
            return Failure(rules.invalid_file(files[-1], services.reason), files)
        if not services:
            return Failure(rules.NO_SERVICES, files)
        spec = StackSpec(files, ",".join(place.env_files) or None, place.working_dir, services)
        return Model(spec, warning, partial=not model.complete)

    async def _model(self, name: str, files: tuple[str, ...], place: _Place) -> tuple[ComposeModel, Problem | None]:
        """The model, and a warning when Compose itself could not make it. Raises what the files are guilty of."""
        paths = tuple(Path(path) for path in files)
        env_files = tuple(Path(path) for path in place.env_files)
        working_dir = Path(place.working_dir) if place.working_dir else None
        try:
            return model_from_config(await self._compose.config(Project(name, paths, env_files, working_dir))), None
        except ComposeMissing as error:
            failed: ComposeError = error
        except ComposeError as error:
            log.info("compose config failed", project=name, cause=error.message)
            failed = error
        model = await asyncio.to_thread(read_model, paths, env_files, working_dir=working_dir)
        if isinstance(failed, ComposeMissing) and model.complete:
            return model, None
        return model, rules.unresolved(failed.message)


# ---- in threads: these touch the disk


def _place(sighting: Sighting, lists: tuple[tuple[str, ...], ...]) -> _Place:
    working_dir = next((text for text in sighting.working_dirs if _usable(text)), None)
    told = [path.strip() for label in sighting.env_labels[:1] for path in split_paths(label)]
    named = tuple(path for path in told[: rules.MAX_FILES] if _usable(path))
    folders = dict.fromkeys([*([working_dir] if working_dir else []), str(Path(lists[0][0]).parent)])
    beside = (f"{folder.rstrip('/')}/.env" for folder in folders)
    return _Place(lists, working_dir, named or tuple(path for path in beside if _is_file(path))[:1])


def _usable(path: str) -> bool:
    return path.startswith("/") and len(path) <= rules.MAX_PATH and path.isprintable()


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def _stamps(place: _Place) -> tuple[Stamp, ...]:
    paths = [path for files in place.lists for path in files]
    return tuple(_stamp(path) for path in dict.fromkeys([*paths, *place.env_files]))


def _stamp(path: str) -> Stamp:
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return (path,)
    return (path, found.st_mtime_ns, found.st_size, found.st_ino)


def _choose(lists: tuple[tuple[str, ...], ...]) -> rules.FileChoice | Problem:
    generated = {path for files in lists for path in files if is_generated_override(path)}
    kinds = {path: _kind(path) for path in rules.extra_files(lists) if path not in generated}
    return rules.choose_files(lists, kinds, generated)


def _kind(path: str) -> FileKind:
    try:
        return FileKind.IMAGE_ONLY if is_image_only(Path(path)) else FileKind.OTHER
    except ComposeFileUnreadable:
        return FileKind.UNREADABLE
    except ComposeError:
        return FileKind.OTHER


def _first_unreadable(paths: Iterable[str]) -> str | None:
    for path in paths:
        try:
            if not Path(path).is_file():
                return path
            with Path(path).open("rb"):
                pass  # opening it is the question: a file may be there and not be ours to read
        except (OSError, ValueError):
            return path
    return None


# ---- pure


def _services(model: ComposeModel) -> tuple[ServiceSpec, ...] | Problem:
    found = []
    for service in model.services.values():
        if service.image is None:
            continue
        if not rules.valid_service_name(service.name):
            return Problem(f"{rules.printable(service.name, 80)} is no name for a service", "")
        ref = rules.printable(service.image, rules.MAX_IMAGE)
        found.append(
            ServiceSpec(
                name=service.name,
                image_ref=ref,
                image_tag=rules.image_tag(ref),
                network_mode=rules.printable(service.network_mode, 300) or None,
                depends_on=tuple(sorted(filter(rules.valid_service_name, service.depends_on))),
                restarts_after=tuple(sorted(filter(rules.valid_service_name, service.restarts_after))),
            )
        )
    return tuple(sorted(found, key=lambda spec: spec.name))


def _shown(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rules.printable(path, 1000) for path in paths))[: rules.MAX_FILES]
