"""Discovery's decisions, pure: which files make a project, whether a name may be used, what changed (spec §7.1)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from app.features.stacks import hints
from app.features.stacks.records import StackRecord

MAX_FILES: Final = 64
MAX_PATH: Final = 4096
MAX_NAME: Final = 128
MAX_IMAGE: Final = 512

_PROJECT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SERVICE: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,127}")
_SEPARATORS: Final = re.compile(r"[,\n]")


class FileKind(StrEnum):
    """What is known of a config file before it is decided whether it counts."""

    IMAGE_ONLY = "image_only"
    OTHER = "other"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a project cannot be taken in: a stable reason (with the path where there is one) and what to do."""

    reason: str
    hint: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileChoice:
    """The files that make the project, and what was left out of the labels' list on purpose."""

    files: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def split_config_files(label: str) -> tuple[str, ...]:
    """The `config_files` label as a list: split on comma and newline, trimmed, no duplicates, order kept."""
    parts = (part.strip() for part in _SEPARATORS.split(label))
    return tuple(dict.fromkeys(part for part in parts if part))


def valid_project_name(name: str) -> bool:
    """Whether a label can be a project's name: nothing that could be an option, a path or a control sequence."""
    return _PROJECT.fullmatch(name) is not None


def valid_service_name(name: str) -> bool:
    """As for projects; Compose allows a leading dash, Dockrev does not (it becomes an argument)."""
    return _SERVICE.fullmatch(name) is not None


def shown(text: str, limit: int = MAX_NAME) -> str:
    """Text from labels made safe to keep and to address: printable, no slash, bounded."""
    clean = "".join(c if c.isprintable() and c != "/" else "�" for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def printable(text: str, limit: int) -> str:
    """Text bounded to `limit` characters and without control characters."""
    clean = "".join(c if c.isprintable() else "�" for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def image_tag(ref: str) -> str:
    """The tag of a reference as written; `latest` when there is none or a digest pins it (spec §7.1.5)."""
    if "@" in ref:
        return "latest"
    head, colon, tag = ref.rpartition(":")
    return tag if colon and head and tag and "/" not in tag else "latest"


def is_subsequence(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether `part` is `whole` with some entries left out."""
    rest = iter(whole)
    return all(item in rest for item in part)


def _drop_generated(files: Sequence[str], generated: Collection[str]) -> tuple[str, ...]:
    return tuple(path for path in files if path not in generated)


def check_lists(labels: Iterable[str]) -> tuple[tuple[tuple[str, ...], ...], Problem | None]:
    """The distinct file lists of a project's labels, longest first, or why they cannot be used."""
    raw = tuple(dict.fromkeys(labels))
    if not raw:
        return (), MISSING
    lists = tuple(dict.fromkeys(split for label in raw if (split := split_config_files(label))))
    if not lists:
        return (), EMPTY
    flat = [path for files in lists for path in files]
    if len(flat) > MAX_FILES or any(len(path) > MAX_PATH for path in flat):
        return lists, TOO_LONG
    relative = [path for path in flat if not path.startswith("/")]
    if relative:
        return lists, Problem(RELATIVE.reason, RELATIVE.hint, {"paths": [printable(p, 300) for p in relative[:5]]})
    return tuple(sorted(lists, key=len, reverse=True)), None


def extra_files(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Files that some containers of the project were made with and others not."""
    common = set(lists[0]).intersection(*lists) if lists else set()
    return tuple(dict.fromkeys(path for files in lists for path in files if path not in common))


def choose_files(
    lists: Sequence[tuple[str, ...]], kinds: Mapping[str, FileKind], generated: Collection[str]
) -> FileChoice | Problem:
    """Reconcile the lists of one project (spec §7.1.3).

    `kinds` tells of each path in `extra_files`. `generated` are Dockrev's own overrides: they come and go with an
    update, so they never count, whether they can still be read or not.
    """
    left_out = tuple(dict.fromkeys(path for files in lists for path in files if path in generated))
    kept = tuple(dict.fromkeys(own for files in lists if (own := _drop_generated(files, generated))))
    if not kept:
        return EMPTY
    longest = max(kept, key=len)
    extras = set(extra_files(kept))
    superset = all(is_subsequence(files, longest) for files in kept)
    if superset and all(kinds.get(path) == FileKind.IMAGE_ONLY for path in extras):
        return FileChoice(longest, left_out)
    unreadable = sorted(path for path in extras if kinds.get(path) == FileKind.UNREADABLE)
    hint = CONFLICT.hint
    if unreadable:
        hint = hints.english(hints.CONFLICT_UNREADABLE, path=printable(unreadable[0], 300))
    return Problem(CONFLICT.reason, hint, {"lists": [[printable(p, 300) for p in files] for files in kept[:5]]})


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service as the Compose model declares it."""

    name: str
    image_ref: str
    image_tag: str
    network_mode: str | None = None
    depends_on: tuple[str, ...] = ()
    restarts_after: tuple[str, ...] = ()

    @property
    def wiring(self) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
        """What it has to do with other services."""
        return (self.network_mode, self.depends_on, self.restarts_after)


@dataclass(frozen=True, slots=True)
class StackSpec:
    """A project as its files declare it."""

    compose_files: tuple[str, ...]
    env_file: str | None
    working_dir: str | None
    services: tuple[ServiceSpec, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to be written to make a known stack say what the files say; `changed` pairs ids with new specs."""

    files: bool = False
    added: tuple[ServiceSpec, ...] = ()
    changed: tuple[tuple[str, ServiceSpec], ...] = ()
    new_images: frozenset[str] = frozenset()
    removed: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether files and stack already agree."""
        return not (self.files or self.added or self.changed or self.removed)

    @property
    def words(self) -> str:
        """The difference in a phrase, for the log."""
        counts = (
            (len(self.added), "added"),
            (len(self.new_images), "with another image"),
            (len(self.changed) - len(self.new_images), "changed"),
            (len(self.removed), "removed"),
        )
        told = [f"{count} {word}" for count, word in counts if count > 0]
        return ", ".join((["files"] if self.files else []) + told)


def difference(known: StackRecord, wanted: StackSpec, *, partial: bool = False) -> Difference:
    """Compare by service name; settings of services that stay are not touched (spec §7.1.6). With `partial` the model
    may lack services, and none is taken for gone."""
    before = {service.name: service for service in known.services}
    after = {spec.name: spec for spec in wanted.services}
    changed, new_images = [], set()
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        same_image = (old.image_ref, old.image_tag) == (new.image_ref, new.image_tag)
        if not same_image:
            new_images.add(old.id)
        if not same_image or (old.network_mode, old.depends_on, old.restarts_after) != new.wiring:
            changed.append((old.id, new))
    told = (known.compose_files, known.env_file, known.working_dir)
    gone = () if partial else tuple(sorted(service.id for service in known.services if service.name not in after))
    return Difference(
        files=told != (wanted.compose_files, wanted.env_file, wanted.working_dir),
        added=tuple(spec for spec in wanted.services if spec.name not in before),
        changed=tuple(sorted(changed)),
        new_images=frozenset(new_images),
        removed=gone,
    )


MISSING = Problem("config_files_missing", hints.MISSING.message)
EMPTY = Problem("config_files_empty", hints.EMPTY.message)
TOO_LONG = Problem("config_files_invalid", hints.english(hints.TOO_LONG, files=MAX_FILES, characters=MAX_PATH))
RELATIVE = Problem("config_files_relative_path_rejected", hints.RELATIVE.message)
CONFLICT = Problem("config_files_conflict", hints.CONFLICT.message)
NO_SERVICES = Problem("compose_no_services", hints.NO_SERVICES.message)
BAD_NAME = Problem("project_name_invalid", hints.BAD_NAME.message)


def unreadable(path: str) -> Problem:
    """A file that cannot be read."""
    return Problem(f"compose_file_unreadable: {printable(path, MAX_PATH)}", hints.UNREADABLE.message)


def invalid_file(path: str, why: str) -> Problem:
    """A file that is no Compose file."""
    found = printable(" ".join(why.split()), 500).rstrip(".")
    hint = hints.english(hints.INVALID_BECAUSE, why=found) if found else hints.INVALID.message
    return Problem(f"compose_file_invalid: {printable(path, MAX_PATH)}", hint)


def unresolved(why: str) -> Problem:
    """`docker compose config` could not make a model of readable files."""
    found = printable(" ".join(why.split()), 500).rstrip(".")
    hint = hints.english(hints.UNRESOLVED_BECAUSE, why=found) if found else hints.UNRESOLVED.message
    return Problem("compose_config_unresolved", hint)
