"""What is backed up, what is left out, what may be deleted. Pure (spec §7.10)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

Kind = Literal["docker-volume", "bind-mount"]
Choice = Literal["inherit", "skip", "force"]
SkipReason = Literal["skipped_by_size", "skipped_by_user", "skipped_by_probe_error"]

_RANK: Final[Mapping[str, int]] = {"force": 2, "inherit": 1, "skip": 0}
_ANONYMOUS: Final = re.compile(r"[0-9a-f]{64}")
_SYSTEM: Final = ("/proc", "/sys", "/dev", "/run", "/var/run", "/etc/localtime", "/etc/timezone", "/lib/modules")


@dataclass(frozen=True, slots=True)
class MountSeen:
    """A mount of a service's container; `choice` is what the service's settings say about it, if anything."""

    kind: Kind
    name: str
    service: str
    container_id: str
    destination: str
    rw: bool
    choice: Choice | None


@dataclass(frozen=True, slots=True)
class Target:
    """Something to keep, and the container through which it is reached. `name` is a volume's name or a host path."""

    kind: Kind
    name: str
    effective: Choice
    service: str
    container_id: str
    destination: str
    services: tuple[str, ...] = field(default=())

    @property
    def document(self) -> dict[str, str]:
        """The `target` of spec §7.10."""
        return {"kind": self.kind, "name" if self.kind == "docker-volume" else "path": self.name}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was decided about a target; `error` is what the probe said."""

    target: Target
    size: int | None = None
    skipped: SkipReason | None = None
    error: str = ""

    def document(self, member: str = "") -> dict[str, Any]:
        """The entry of the summary, and of the row a restore reads."""
        found: dict[str, Any] = {
            "target": self.target.document,
            "status": "skipped" if self.skipped else "included",
            "effective": self.target.effective,
            "service": self.target.service,
            "destination": self.target.destination,
        }
        optional: dict[str, Any] = {"reason": self.skipped, "sizeBytes": self.size}
        optional |= {"error": self.error or None, "member": member or None}
        return found | {key: value for key, value in optional.items() if value is not None}


def worth_keeping(kind: Kind, name: str) -> bool:
    """Whether a mount without a choice of its own is data: no nameless volume, no socket, nothing of the system."""
    if kind == "docker-volume":
        return bool(name) and not _ANONYMOUS.fullmatch(name)
    plain = name.rstrip("/")
    system = any(plain == root or plain.startswith(f"{root}/") for root in _SYSTEM)
    return bool(plain) and not system and not plain.endswith(".sock")


def choice_for(kind: Kind, name: str, project: str, chosen: Mapping[str, str]) -> Choice | None:
    """What a service's settings say about a mount. A volume may be named as the engine does (`news_data`) or as the
    Compose file does (`data`)."""
    names = [name]
    if kind == "docker-volume" and name.startswith(f"{project}_"):
        names.append(name.removeprefix(f"{project}_"))
    found = next((chosen[key] for key in names if key in chosen), None)
    return found if found in ("inherit", "skip", "force") else None  # type: ignore[return-value]  # narrowed by the test


def targets_of(mounts: Iterable[MountSeen]) -> list[Target]:
    """One target per volume or path, volumes first, by name. Of several services' choices the strongest counts:
    force, inherit, skip."""
    shared: dict[tuple[Kind, str], list[MountSeen]] = {}
    for mount in mounts:
        if mount.choice is not None or worth_keeping(mount.kind, mount.name):
            shared.setdefault((mount.kind, mount.name), []).append(mount)
    return [_target(shared[key]) for key in sorted(shared, key=lambda key: (key[0] != "docker-volume", key[1]))]


def _target(users: Sequence[MountSeen]) -> Target:
    through = next((mount for mount in users if mount.rw), users[0])
    effective = max((mount.choice or "inherit" for mount in users), key=lambda choice: _RANK[choice])
    return Target(
        kind=through.kind,
        name=through.name,
        effective=effective,
        service=through.service,
        container_id=through.container_id,
        destination=through.destination,
        services=tuple(sorted({mount.service for mount in users})),
    )


def decide(target: Target, size: int | None, error: str, threshold: int) -> Finding:
    """Included or skipped, and why. `size` is None when the probe failed."""
    if target.effective == "skip":
        return Finding(target, size, "skipped_by_user")
    if size is None:
        return Finding(target, None, "skipped_by_probe_error", error)
    if size > threshold and target.effective != "force":
        return Finding(target, size, "skipped_by_size")
    return Finding(target, size)


def members(included: Sequence[Finding]) -> list[str]:
    """Where each target lies in the archive: `volumes/<name>`, `binds/<n>` in order."""
    names: list[str] = []
    binds = 0
    for finding in included:
        if finding.target.kind == "docker-volume":
            names.append(f"volumes/{finding.target.name}")
        else:
            names.append(f"binds/{binds}")
            binds += 1
    return names


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished backup as far as its retention is concerned."""

    id: str
    created_at: datetime
    cleanup_after: datetime | None


def to_delete(kept: Sequence[Kept], now: datetime, keep_last: int) -> list[str]:
    """Backups of one stack that may go: past their time, and not among the newest `keep_last` (at least one)."""
    newest_first = sorted(kept, key=lambda backup: (backup.created_at, backup.id), reverse=True)
    return [
        backup.id
        for backup in newest_first[max(1, keep_last) :]
        if backup.cleanup_after is not None and backup.cleanup_after <= now
    ]
