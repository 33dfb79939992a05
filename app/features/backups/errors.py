"""What can go wrong with a backup."""

from __future__ import annotations

from typing import ClassVar

from app.core.errors import DockrevError


class BackupFailed(DockrevError):
    """A backup or a restore could not be made; nothing incomplete was kept."""

    code: ClassVar[str] = "backup_failed"
