"""The projects that a list of containers shows, with what their labels say. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.adapters.engine import ContainerSummary
from app.features.stacks.rules import shown, split_config_files
from app.features.stacks.runtime_rules import CONFIG_FILES_LABEL, CONFIG_HASH_LABEL, is_running

WORKING_DIR_LABEL: Final = "com.docker.compose.project.working_dir"
ENV_FILE_LABEL: Final = "com.docker.compose.project.environment_file"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One project with running containers. `name` is the label as it is, `key` what it is kept under.

    `revision` changes whenever a container was made with another configuration.
    """

    key: str
    name: str
    config_labels: tuple[str, ...]
    working_dirs: tuple[str, ...]
    env_labels: tuple[str, ...]
    revision: frozenset[tuple[str, str]]

    @property
    def files(self) -> tuple[str, ...]:
        """Every file any of its containers names."""
        return tuple(dict.fromkeys(path for label in self.config_labels for path in split_config_files(label)))[:64]


def sightings(containers: Iterable[ContainerSummary]) -> list[Sighting]:
    """Projects by name; only running containers count (spec §7.1.1)."""
    groups: dict[str, list[ContainerSummary]] = defaultdict(list)
    for container in containers:
        if container.project and is_running(container):
            groups[container.project].append(container)
    found = {(sighting := _sighting(name, group)).key: sighting for name, group in groups.items()}
    return [found[key] for key in sorted(found)]


def _sighting(name: str, group: list[ContainerSummary]) -> Sighting:
    newest_first = sorted(group, key=lambda c: (c.created is not None, c.created, c.id), reverse=True)
    return Sighting(
        key=shown(name),
        name=name,
        config_labels=_told(newest_first, CONFIG_FILES_LABEL),
        working_dirs=_told(newest_first, WORKING_DIR_LABEL),
        env_labels=_told(newest_first, ENV_FILE_LABEL),
        revision=frozenset((c.service, c.labels.get(CONFIG_HASH_LABEL, "")) for c in group),
    )


def _told(group: list[ContainerSummary], label: str) -> tuple[str, ...]:
    """Distinct values of a label, the newest container's first."""
    return tuple(dict.fromkeys(c.labels[label] for c in group if label in c.labels))
