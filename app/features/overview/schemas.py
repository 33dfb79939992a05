"""What the overview shows. The same model is the JSON answer of `/`."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.core.web.schema import ApiModel
from app.features.catalog.schemas import StackGroup, StateCount
from app.features.jobs.schemas import JobRow


class Action(ApiModel):
    """A button: a link, or a form with `fields` when `method` is post."""

    label: str
    href: str
    method: str = "get"
    fields: dict[str, str] = Field(default_factory=dict)


class Issue(ApiModel):
    """Something that needs a person. `severity` is bad, back, blocked or warn; `command` is run on the host."""

    key: str
    severity: str
    title: str
    detail: str = ""
    remedy: str = ""
    command: str | None = None
    actions: list[Action] = Field(default_factory=list)


class EngineReading(ApiModel):
    """The Docker engine. `error` when it is not connected."""

    connected: bool
    version: str | None = None
    api_version: str | None = None
    latency_ms: float | None = None
    error: str | None = None


class DiscoveryReading(ApiModel):
    """Compose projects that were found, and how many of them have a problem."""

    projects: int = 0
    active: int = 0
    problems: int = 0
    last_at: datetime | None = None


class RegistryReading(ApiModel):
    """A registry that checks talk to: reachable, limited, failing or unused. The quota is as of `quota_at`."""

    host: str
    state: str
    authenticated: bool = False
    remaining: int | None = None
    limit: int | None = None
    quota_at: datetime | None = None
    resets_at: datetime | None = None
    latency_ms: float | None = None
    error: str | None = None


class InferenceReading(ApiModel):
    """How many services have a known version."""

    known: int = 0
    total: int = 0
    pending: int = 0
    failed: int = 0


class BackupReading(ApiModel):
    """The newest backup and what all of them take."""

    enabled: bool = True
    last_at: datetime | None = None
    last_ok: bool = True
    total_bytes: int | None = None


class Readings(ApiModel):
    """All readings of the overview."""

    engine: EngineReading
    discovery: DiscoveryReading = Field(default_factory=DiscoveryReading)
    registries: list[RegistryReading] = Field(default_factory=list)
    inference: InferenceReading = Field(default_factory=InferenceReading)
    backups: BackupReading = Field(default_factory=BackupReading)
    taken_at: datetime


class OverviewQuery(ApiModel):
    """Filter and search as they stand in the address; `open` is every service with a decision to take."""

    state: str = "open"
    q: str = ""


class OverviewPage(ApiModel):
    """`/`. `groups` hold only rows that match the query; `rows_total` counts them before a cut."""

    service_total: int
    stack_total: int
    counts: list[StateCount] = Field(default_factory=list)
    actionable: int = 0
    checked_at: datetime | None = None
    next_check_at: datetime | None = None
    running: list[JobRow] = Field(default_factory=list)
    issues: list[Issue] = Field(default_factory=list)
    groups: list[StackGroup] = Field(default_factory=list)
    rows_total: int = 0
    query: OverviewQuery = Field(default_factory=OverviewQuery)
    readings: Readings
    recent: list[JobRow] = Field(default_factory=list)
    self_upgrade_url: str | None = None
