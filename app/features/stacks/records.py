"""What other rooms get to see of stacks, services and projects: frozen values, no table rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.features.stacks.models import ProjectStatus


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """One service: identity, declared image and settings. `bind_paths` and `volume_names` hold backup choices,
    `restarts_after` what it depends on with `restart: true`."""

    id: str
    stack_id: str
    stack_name: str
    project: str
    name: str
    image_ref: str
    image_tag: str
    created_at: datetime
    auto_rollback: bool = True
    archived: bool = False
    stack_archived: bool = False
    bind_paths: Mapping[str, str] = field(default_factory=dict)
    volume_names: Mapping[str, str] = field(default_factory=dict)
    repo_url: str | None = None
    network_mode: str | None = None
    depends_on: tuple[str, ...] = ()
    restarts_after: tuple[str, ...] = ()

    @property
    def hidden(self) -> bool:
        """Left out of lists and batch actions: archived itself or with its stack."""
        return self.archived or self.stack_archived


def split_paths(text: str | None) -> tuple[str, ...]:
    """Absolute paths that a label, or `StackRecord.env_file`, separates by commas; a name may hold commas too."""
    return tuple(re.split(r",\s*(?=/)", text)) if text else ()


@dataclass(frozen=True, slots=True)
class StackRecord:
    """One stack with its services by name. `project` is what Compose knows it by, `env_file` may name several files,
    separated by commas as in Compose's label."""

    id: str
    name: str
    project: str
    compose_files: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    env_file: str | None = None
    working_dir: str | None = None
    archived: bool = False
    archived_at: datetime | None = None
    services: tuple[ServiceRecord, ...] = ()
    backup_keep_last: int = 1
    backup_delete_after_seconds: int = 3600

    @property
    def env_files(self) -> tuple[str, ...]:
        """The files that the stack's variables come from, later ones over earlier ones."""
        return split_paths(self.env_file)


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """What discovery last found. `last_error` begins with a stable reason (spec §7.1); `hint` is what to do."""

    project: str
    status: ProjectStatus
    stack_id: str | None = None
    config_files: tuple[str, ...] | None = None
    last_seen_at: datetime | None = None
    last_scan_at: datetime | None = None
    last_error: str | None = None
    hint: str | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a person may set for a service (spec §5.5). Choices are inherit, skip or force."""

    auto_rollback: bool
    bind_paths: Mapping[str, str]
    volume_names: Mapping[str, str]
    repo_url: str | None
