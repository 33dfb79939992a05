"""What the settings are and what they may be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from typing import Final, Literal
from urllib.parse import urlsplit

from app.core.errors import InvalidArgument
from app.core.web.languages import N_, _
from app.features.preferences import cron

MAX_PATH: Final = 4096
SAMPLE_INTERVALS: Final = (10, 30, 60, 300)
MAX_BYTES: Final = 2**63 - 1
MAX_URL: Final = 2048
# Said beside a field; a page translates them when it shows them, so they stay English where they are raised.
NEGATIVE: Final = N_("must not be negative")
TOO_LARGE: Final = N_("is too large")
NO_FOLDER: Final = N_("must be an absolute folder without '..'")
GIVE_A_FOLDER: Final = N_(
    "Give a folder such as /data/backups that exists with the same path on the host and in the container."
)
NO_INTERVAL: Final = N_("must be one of 10/30/60/300")
UPDATE_CHECK: Final = "updateCheck"
GHCR_AUDIT: Final = "ghcrWebhookAudit"
ScheduleName = Literal["updateCheck", "ghcrWebhookAudit"]


class Keep(Enum):
    """Says that a setting stays what it is; None would clear it."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class BackupDefaults:
    """What a backup with mode `inherit` does; `skip_targets_over_bytes` is a threshold per target."""

    enabled: bool = True
    require_success: bool = True
    base_dir: str = "/data/backups"
    skip_targets_over_bytes: int = 104_857_600


@dataclass(frozen=True, slots=True)
class ResourceMonitor:
    """How often containers are looked at for what they use."""

    enabled: bool = True
    sample_interval_seconds: int = 10


@dataclass(frozen=True, slots=True)
class Schedule:
    """Something that is done by itself; `cron` may be anything while it is off."""

    enabled: bool
    cron: str


@dataclass(frozen=True, slots=True)
class HouseSettings:
    """Everything that is set (spec §5.5)."""

    backup: BackupDefaults = BackupDefaults()
    monitor: ResourceMonitor = ResourceMonitor()
    update_check: Schedule = Schedule(False, "*/30 * * * *")
    ghcr_audit: Schedule = Schedule(True, "0 3 * * *")
    public_base_url: str | None = None

    def schedule(self, name: ScheduleName) -> Schedule:
        """A schedule by its name in the API."""
        return self.update_check if name == UPDATE_CHECK else self.ghcr_audit


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """What is to be changed; what is None stays."""

    backup: BackupDefaults | None = None
    monitor: ResourceMonitor | None = None
    update_check: Schedule | None = None
    ghcr_audit: Schedule | None = None
    public_base_url: str | Keep | None = KEEP


def check_change(wanted: SettingsChange) -> SettingsChange:
    """The change in the form that is stored. Raises InvalidArgument for the first part that is wrong."""
    return SettingsChange(
        backup=check_backup(wanted.backup) if wanted.backup else None,
        monitor=check_monitor(wanted.monitor) if wanted.monitor else None,
        update_check=check_schedule(UPDATE_CHECK, wanted.update_check) if wanted.update_check else None,
        ghcr_audit=check_schedule(GHCR_AUDIT, wanted.ghcr_audit) if wanted.ghcr_audit else None,
        public_base_url=(KEEP if isinstance(wanted.public_base_url, Keep) else public_address(wanted.public_base_url)),
    )


def check_backup(wanted: BackupDefaults) -> BackupDefaults:
    """The settings with their folder in its plain form. Raises InvalidArgument naming the member that is wrong."""
    if wanted.skip_targets_over_bytes < 0:
        raise InvalidArgument(
            f"backup.skipTargetsOverBytes {NEGATIVE.message}", details={"field": "backup.skipTargetsOverBytes"}
        )
    if wanted.skip_targets_over_bytes > MAX_BYTES:
        raise InvalidArgument(
            f"backup.skipTargetsOverBytes {TOO_LARGE.message}", details={"field": "backup.skipTargetsOverBytes"}
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
            f"backup.baseDir {NO_FOLDER.message}",
            hint=GIVE_A_FOLDER.message,
            details={"field": "backup.baseDir"},
        )
    return "/" + "/".join(parts[1:])


def check_monitor(wanted: ResourceMonitor) -> ResourceMonitor:
    """Only the intervals that a page offers."""
    if wanted.sample_interval_seconds not in SAMPLE_INTERVALS:
        raise InvalidArgument(
            f"resourceMonitor.sampleIntervalSeconds {NO_INTERVAL.message}",
            details={"field": "resourceMonitor.sampleIntervalSeconds"},
        )
    return wanted


def nearest_interval(stored: int) -> int:
    """An interval of today for one that an older version stored."""
    return min(SAMPLE_INTERVALS, key=lambda possible: abs(possible - stored))


def check_schedule(name: ScheduleName, wanted: Schedule) -> Schedule:
    """In canonical form. While it is off its text may be anything that can be kept and shown."""
    field, text = f"schedules.{name}.cron", cron.canonical(wanted.cron)
    try:
        if wanted.enabled:
            cron.check(text)
        elif len(text) > cron.MAX_CRON or not text.isprintable():
            raise cron.CronProblem(_("it must be printable text of up to %(count)s characters", count=cron.MAX_CRON))
    except cron.CronProblem as problem:
        raise InvalidArgument(
            N_("cron expression is invalid").message,
            hint=N_(
                "Five fields: minute, hour, day of month, month, day of week. 0 3 * * * is 03:00 every day."
            ).message,
            details={"reason": "cron_invalid", "field": field, "error": str(problem)},
        ) from None
    return Schedule(wanted.enabled, text)


def public_address(text: str | None) -> str | None:
    """An http(s) address with a slash at its end; None for nothing. Raises InvalidArgument (spec §5.5)."""
    address = (text or "").strip()
    if not address:
        return None
    if len(address) > MAX_URL or not address.isprintable() or any(char in address for char in ' "<>\\^`{|}'):
        raise _bad_address(N_("must be a plain address of up to 2048 characters"))
    scheme, separator, _rest = address.partition("://")
    if not separator:
        raise _bad_address(N_("must be absolute, like https://dockrev.example/"))
    if scheme.lower() not in ("http", "https"):
        raise _bad_address(N_("must be http or https"))
    if "?" in address or "#" in address:
        raise _bad_address(N_("must not include query or fragment"))
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _bad_address(N_("must be absolute, with a host and, if any, a port from 1 to 65535")) from None
    if not host or port == 0:
        raise _bad_address(N_("must be absolute, with a host"))
    if "@" in parts.netloc:
        raise _bad_address(N_("must not include a user or password"))
    return f"{scheme.lower()}://{parts.netloc}{parts.path.rstrip('/')}/"


def _bad_address(problem: N_) -> InvalidArgument:
    return InvalidArgument(
        f"instance.publicBaseUrl {problem.message}",
        hint=N_("Give the address at which browsers reach Dockrev, such as https://dockrev.home.example/.").message,
        details={"reason": "instance_public_base_url_invalid", "field": "instance.publicBaseUrl"},
    )
