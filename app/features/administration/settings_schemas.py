"""What the page `/settings` shows."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.core.web.auth import AuthPolicy
from app.core.web.ignored import REMEDY
from app.core.web.languages import _, known
from app.core.web.presentation import duration
from app.core.web.schema import ApiModel, Maybe
from app.features.administration.settings_forms import mebibytes
from app.features.preferences import AuthOut, SectionLink


class BackupCard(ApiModel):
    """`folder` says whether backups could be written there now: ok, new (made when needed), or bad."""

    enabled: bool
    require_success: bool
    base_dir: str
    skip_targets_over_bytes: int
    folder: str = "new"
    folder_text: str = ""
    free_bytes: int | None = None


class MonitorCard(ApiModel):
    """How often containers are looked at."""

    enabled: bool
    sample_interval_seconds: int
    intervals: list[int]
    retention_days: int


class ScheduleCard(ApiModel):
    """A schedule in words. `works` says whether there is anything that it would start."""

    name: str
    enabled: bool
    cron: str
    explanation: str
    next_run_at: Maybe[datetime] = None
    works: bool = True


class FieldProblem(ApiModel):
    """What was refused, at the field it is about; `card` is the anchor of its card."""

    field: str
    message: str
    hint: str = ""
    card: str = ""


class IgnoredSender(ApiModel):
    """The last one whose identity headers did not count: what happened, what to do, when, how often since the start."""

    told: str
    remedy: str
    headers: list[str]
    at: datetime
    total: int


def ignored_sender(policy: AuthPolicy) -> IgnoredSender | None:
    """None while there was none since the start."""
    last = policy.ignored.last
    if last is None:
        return None
    headers = list(last.headers)
    told = _(
        "identity headers came from %(address)s, which is not in DOCKREV_TRUSTED_PROXIES: ignored", address=last.address
    )
    return IgnoredSender(
        told=told, remedy=known(REMEDY) or REMEDY, headers=headers, at=last.at, total=policy.ignored.total
    )


class SettingsPage(ApiModel):
    """The page. `person` and `email` are what the identity provider says besides the user's name."""

    auth: AuthOut
    person: str = ""
    email: str = ""
    logout_url: str | None = None
    ignored: Maybe[IgnoredSender] = None
    allowed: bool
    passkeys: int = 0
    open_to: str
    backup: BackupCard
    monitor: MonitorCard
    schedules: list[ScheduleCard]
    zone: str
    public_base_url: str | None = None
    version: str
    self_upgrade_url: str
    sections: list[SectionLink] = []
    problem: Maybe[FieldProblem] = None
    entered: dict[str, str] = Field(default_factory=dict, exclude=True)

    @property
    def limit(self) -> str:
        """The limit of backups as the number of MiB that is typed."""
        return mebibytes(self.backup.skip_targets_over_bytes)

    @property
    def interval_choices(self) -> list[tuple[str, str]]:
        """Value and words of each interval."""
        return [(str(seconds), duration(seconds)) for seconds in self.monitor.intervals]

    def shown(self, name: str, stored: object) -> str:
        """What a field shows: what was entered and refused, else what is stored."""
        return self.entered.get(name, "" if stored is None else str(stored))

    def is_on(self, name: str, stored: bool) -> bool:
        """Whether a switch shows as on."""
        return self.entered[name] == "true" if name in self.entered else stored

    def wrong(self, name: str) -> FieldProblem | None:
        """What is wrong with a field."""
        return self.problem if self.problem is not None and self.problem.field == name else None
