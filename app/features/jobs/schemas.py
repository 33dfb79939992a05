"""What the pages of jobs show. The same models are their JSON answer; formatting is the work of the templates."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, computed_field

from app.core.jobs import JobStatus, StopState
from app.core.web.schema import ApiModel, Maybe
from app.features.jobs.stored import FACTS


class StepKey(StrEnum):
    """Places of a timeline. An update has the first five and one of the ends; other jobs name their own phases."""

    QUEUED = "queued"
    BACKUP = "backup"
    PULL = "pull"
    RECREATE = "recreate"
    HEALTH = "health"
    SETTLED = "settled"
    ROLLED_BACK = "rolled_back"
    UNCHANGED = "unchanged"
    SCAN = "scan"
    STORE = "store"


class StepState(StrEnum):
    """How a step stands: `back` is the way back after a failure, `skip` was left out on purpose."""

    DONE = "done"
    RUN = "run"
    AHEAD = "todo"  # a step of the timeline that is still to come; the word is the one stylesheet and job rows use
    BAD = "bad"
    BACK = "back"
    SKIP = "skip"


class TrackState(StrEnum):
    """How one service of an update stands or ended."""

    QUEUED = "queued"
    RUNNING = "running"
    SETTLED = "settled"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    SKIPPED = "skipped"
    PLANNED = "planned"


class LayerState(StrEnum):
    """How a layer of a pull stands."""

    WAITING = "waiting"
    DOWNLOADING = "downloading"
    EXTRACTING = "extracting"
    DONE = "done"
    PRESENT = "present"


class Layer(ApiModel):
    """One layer of a pull; sizes in bytes, unknown while the registry has not said."""

    id: str
    state: LayerState
    current_bytes: int | None = None
    total_bytes: int | None = None


class Step(ApiModel):
    """One step of a timeline. Seconds; `percent` 0 to 100 while it runs and is known."""

    key: StepKey
    state: StepState
    started_at: datetime | None = None
    finished_at: datetime | None = None
    estimate_s: float | None = None
    percent: float | None = None
    current_bytes: int | None = None
    total_bytes: int | None = None
    note: str = ""
    layers: list[Layer] = Field(default_factory=list)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorator above property
    @property
    def seconds(self) -> float | None:
        """How long it took; none while it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class RollbackEvidence(ApiModel):
    """What was kept of a candidate that did not get healthy."""

    trigger: str
    last_output: list[str] = Field(default_factory=list)
    health_output: str | None = None
    exit_code: int | None = None
    restarts: int | None = None
    oom_killed: bool | None = None
    failed_digest: str | None = None
    restored_digest: str | None = None
    restored_ok: bool = True
    backup_id: str | None = None
    backup_at: datetime | None = None
    backup_path: str | None = None


class ServiceTrack(ApiModel):
    """One service of an update with its steps."""

    service_id: str
    stack_id: str
    service_name: str
    stack_name: str
    from_version: str | None = None
    to_version: str | None = None
    from_digest: str | None = None
    to_digest: str | None = None
    state: TrackState
    steps: list[Step] = Field(default_factory=list)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    evidence: RollbackEvidence | None = None

    @property
    def running(self) -> Step | None:
        """The step that runs now."""
        return next((step for step in self.steps if step.state is StepState.RUN), None)


class Download(ApiModel):
    """Bytes and layers of a pull as far as they are known."""

    current_bytes: Maybe[int] = None
    total_bytes: Maybe[int] = None
    completed_layers: Maybe[int] = None
    total_layers: Maybe[int] = None


class JobProgress(ApiModel):
    """Work done and work handed out (spec §5.4); `total` 0 means unknown."""

    phase: str
    message: str
    current: int = 0
    total: int = 0
    percent: float = 0
    planned_current: Maybe[int] = None
    planned_total: Maybe[int] = None
    planned_percent: Maybe[float] = None
    current_target: Maybe[str] = None
    updated_at: datetime | None = None
    download: Maybe[Download] = None


class JobRow(ApiModel):
    """A job in a list: what it was, who wanted it, how it ended. `target_name` is the service or stack it was about,
    `stop` tells whether a running job can still be stopped."""

    id: str
    type: str
    scope: str
    status: JobStatus
    created_by: str
    reason: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stack_id: str | None = None
    service_id: str | None = None
    target_name: str | None = None
    dry_run: bool = False
    from_version: str | None = None
    to_version: str | None = None
    services_total: int | None = None
    services_settled: int = 0
    services_rolled_back: int = 0
    new_versions: int | None = None
    changes: int | None = None
    problems: int | None = None
    result_summary: str | None = None
    result_detail: str | None = None
    progress: JobProgress | None = None
    steps: list[Step] = Field(default_factory=list)
    current: ServiceTrack | None = None
    stop: StopState | None = None

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorator above property
    @property
    def seconds(self) -> float | None:
        """How long it ran; none while it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class FilterCount(ApiModel):
    """One entry of a filter with its count."""

    key: str
    count: int


class JobQuery(ApiModel):
    """Filter of the job list as it stands in the address."""

    status: str = "all"
    type: str = ""
    cursor: str = ""


class JobListPage(ApiModel):
    """`/queue`."""

    running: list[JobRow] = Field(default_factory=list)
    waiting: list[JobRow] = Field(default_factory=list)
    history: list[JobRow] = Field(default_factory=list)
    counts: list[FilterCount] = Field(default_factory=list)
    types: list[str] = Field(default_factory=list)
    query: JobQuery = Field(default_factory=JobQuery)
    next_cursor: str | None = None
    retention_days: int = 30


class LogLine(ApiModel):
    """One line of a job's log; `id` is also the id of its event."""

    id: int
    ts: datetime
    level: str = "info"
    source: str | None = None
    msg: str


class NewVersion(ApiModel):
    """A candidate that a check saw for the first time."""

    stack_id: str
    service_id: str
    service_name: str
    image_ref: str
    current_tag: str
    current_digest: str | None = None
    current_version: str | None = None
    candidate_version: str | None = None
    candidate_digest: str


class DiscoveryActionRow(ApiModel):
    """What a discovery did to one Compose project."""

    project: str
    action: str
    stack_id: str | None = None
    reason: str | None = None


class JobPage(ApiModel):
    """`/queue/{jobId}`: `tracks` for updates and rollbacks, `facts` (plain figures of the summary) for the rest."""

    job: JobRow
    tracks: list[ServiceTrack] = Field(default_factory=list)
    new_versions: list[NewVersion] = Field(default_factory=list)
    actions: list[DiscoveryActionRow] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    facts: dict[str, Any] = Field(default_factory=dict)
    logs: list[LogLine] = Field(default_factory=list)
    logs_last_id: int = 0
    logs_total: int = 0
    summary: dict[str, Any] = Field(default_factory=dict)

    @staticmethod
    def fact(name: str) -> str:
        """What a figure of the summary is called; empty for one that nobody named."""
        return str(FACTS.get(name, ""))

    @property
    def now(self) -> ServiceTrack | None:
        """The service that is being worked on."""
        return next((track for track in self.tracks if track.state is TrackState.RUNNING), None)
