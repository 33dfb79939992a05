"""What a backup setting may be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from app.core.errors import InvalidArgument

MAX_PATH: Final = 4096


@dataclass(frozen=True, slots=True)
class BackupDefaults:
    """What a backup with mode `inherit` does; `skip_targets_over_bytes` is a threshold per target."""

    enabled: bool = True
    require_success: bool = True
    base_dir: str = "/data/backups"
    skip_targets_over_bytes: int = 104_857_600


def check_backup(wanted: BackupDefaults) -> BackupDefaults:
    """The settings with their folder in its plain form. Raises InvalidArgument naming the member that is wrong."""
    if wanted.skip_targets_over_bytes < 0:
        raise InvalidArgument(
            "backup.skipTargetsOverBytes must not be negative", details={"field": "backup.skipTargetsOverBytes"}
        )
    return BackupDefaults(
        enabled=wanted.enabled,
        require_success=wanted.require_success,
        base_dir=plain_folder(wanted.base_dir),
        skip_targets_over_bytes=wanted.skip_targets_over_bytes,
    )


def plain_folder(text: str) -> str:
    """An absolute folder without `.` and `..`; raises InvalidArgument for anything else, and for `/` itself."""
    path = text.strip()
    parts = PurePosixPath(path).parts
    acceptable = path.startswith("/") and len(path) <= MAX_PATH and path.isprintable()
    if not acceptable or ".." in parts or len(parts) < 2:
        raise InvalidArgument(
            "backup.baseDir must be an absolute folder without '..'",
            hint="Give a folder such as /data/backups that exists with the same path on the host and in the container.",
            details={"field": "backup.baseDir"},
        )
    return "/" + "/".join(parts[1:])
