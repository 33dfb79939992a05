"""The cards of `/settings` as changes: the fields of a form are named like the members of the API. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from app.core.errors import InvalidArgument
from app.core.web.languages import N_
from app.features.preferences import (
    BackupDefaults,
    HouseSettings,
    ResourceMonitor,
    Schedule,
    ScheduleName,
    SettingsChange,
)

MIB: Final = 1024 * 1024
NOT_A_LIMIT: Final = N_("The limit must be a number of MiB, 0 or more")
LIMIT: Final = "backup.skipTargetsOverBytes"
Fields = Mapping[str, str]


def mebibytes(count: int) -> str:
    """Bytes as the number a person types: `100`, `0.5`."""
    return f"{count / MIB:.10g}"


def limit_of(text: str, stored: int) -> int:
    """Bytes from that number; what was not touched stays exact. Raises InvalidArgument."""
    typed = text.strip().replace(",", ".")
    if typed == mebibytes(stored):
        return stored
    try:
        count = float(typed) * MIB
        if not 0 <= count < 2**63:
            raise ValueError
    except ValueError:
        raise InvalidArgument(NOT_A_LIMIT.message, details={"field": LIMIT}) from None
    return round(count)


def _on(fields: Fields, name: str) -> bool:
    return fields.get(name) == "true"


def _backups(fields: Fields, now: HouseSettings) -> SettingsChange:
    return SettingsChange(
        backup=BackupDefaults(
            enabled=_on(fields, "backup.enabled"),
            require_success=_on(fields, "backup.requireSuccess"),
            base_dir=fields.get("backup.baseDir", ""),
            skip_targets_over_bytes=limit_of(fields.get(LIMIT, ""), now.backup.skip_targets_over_bytes),
        )
    )


def _monitoring(fields: Fields, _: HouseSettings) -> SettingsChange:
    text = fields.get("resourceMonitor.sampleIntervalSeconds", "")
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    return SettingsChange(monitor=ResourceMonitor(_on(fields, "resourceMonitor.enabled"), seconds))


def _schedules(fields: Fields, _: HouseSettings) -> SettingsChange:
    def wanted(name: ScheduleName) -> Schedule:
        return Schedule(_on(fields, f"schedules.{name}.enabled"), fields.get(f"schedules.{name}.cron", ""))

    return SettingsChange(update_check=wanted("updateCheck"), ghcr_audit=wanted("ghcrWebhookAudit"))


def _instance(fields: Fields, _: HouseSettings) -> SettingsChange:
    return SettingsChange(public_base_url=fields.get("instance.publicBaseUrl", ""))


CARDS: Final[dict[str, Callable[[Fields, HouseSettings], SettingsChange]]] = {
    "backups": _backups,
    "monitoring": _monitoring,
    "schedules": _schedules,
    "instance": _instance,
}
