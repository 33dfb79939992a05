"""Bodies of the versions room's API (spec §5.2, §5.3, §5.5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.core.web.schema import ApiInput, ApiModel, Maybe
from app.features.versions.digest_tags import DigestTagsNow
from app.features.versions.inference.events import progress_document
from app.features.versions.inference.overview import Overview, OverviewRow
from app.features.versions.inference.queue import Task
from app.features.versions.records import IgnoreRuleRecord, ScanCounts, Snapshot

Id = Field(default=None, max_length=64)


class CheckInput(ApiInput):
    """What to check. `stackId` or `serviceId` goes with the scope of that name."""

    scope: Literal["service", "stack", "all"]
    stack_id: str | None = Id
    service_id: str | None = Id
    reason: Literal["ui", "webhook", "schedule"] = "ui"


class CheckStarted(ApiModel):
    """The check runs; its id is a job id."""

    check_id: str


class RuntimeScanInput(ApiInput):
    """What to scan."""

    scope: Literal["service", "stack", "all"]
    stack_id: str | None = Id
    service_id: str | None = Id
    reason: Literal["ui", "schedule"] = "ui"


class JobStarted(ApiModel):
    """The job runs."""

    job_id: str


class ScanOut(ApiModel):
    """How far a look through the tags came."""

    repo_tags_total: int
    repo_tags_considered: int
    manifests_ok: int
    manifests_timeout: int
    manifests_error: int

    @classmethod
    def of(cls, scan: ScanCounts) -> ScanOut:
        """From the counts."""
        return cls.model_validate(scan.document())


class DigestTagsOut(ApiModel):
    """Tags that have the digest, and all tags of the repository; `checkedAt` when the former are from the cache."""

    digest: str
    tags: list[str]
    repo_tags: list[str]
    scan: ScanOut
    checked_at: Maybe[datetime] = None

    @classmethod
    def of(cls, found: DigestTagsNow) -> DigestTagsOut:
        """From the answer."""
        return cls(
            digest=found.digest,
            tags=list(found.tags),
            repo_tags=list(found.repo_tags),
            scan=ScanOut.of(found.scan),
            checked_at=found.checked_at,
        )


class SnapshotOut(ApiModel):
    """Tags that had the digest at `checkedAt`."""

    digest: str
    tags: list[str]
    checked_at: datetime
    scan: ScanOut

    @classmethod
    def of(cls, snapshot: Snapshot) -> SnapshotOut:
        """From the cache."""
        return cls(
            digest=snapshot.digest,
            tags=list(snapshot.tags),
            checked_at=snapshot.checked_at,
            scan=ScanOut.of(snapshot.scan),
        )


class SnapshotPending(ApiModel):
    """Nothing cached yet; ask again after `retryAfterMs`."""

    status: Literal["pending"] = "pending"
    digest: str
    retry_after_ms: int


class RefreshInput(ApiInput):
    """The digest to look up again: the service's current one or its candidate's."""

    digest: str | None = Field(default=None, max_length=300)


class RefreshOut(ApiModel):
    """Queued (`force`), or under way already (`running`)."""

    status: Literal["pending"] = "pending"
    service_id: str
    image_repo: str
    digest: str
    reason: Literal["force", "running"]


class WorkerOut(ApiModel):
    """The worker; `inFlight` are tasks being worked on."""

    max_concurrency: int
    queued: int
    running: int
    in_flight: int


class GcOut(ApiModel):
    """Removal of old snapshots; `last…` are absent before the first run."""

    retention_days: int = 30
    interval_seconds: int = 86400
    last_run_at: Maybe[str] = None
    last_deleted: Maybe[int] = None
    last_duration_ms: Maybe[int] = None
    last_error: Maybe[str] = None


class SummaryOut(ApiModel):
    """Digests by state, before filters; `missing` are digests in use that were never looked up."""

    snapshots_total: int
    queued: int
    running: int
    ready: int
    stale: int
    all_failed: int
    total: int
    missing: int


class TaskOut(ApiModel):
    """A look-up that waits or runs."""

    key: str
    image_repo: str
    digest: str
    host_platform: str
    status: str
    reason: str
    enqueued_at: datetime
    updated_at: datetime
    started_at: Maybe[datetime] = None
    progress: Maybe[dict[str, Any]] = None

    @classmethod
    def of(cls, task: Task) -> TaskOut:
        """From the queue."""
        return cls(
            key=str(task.key),
            image_repo=task.key.image_repo,
            digest=task.key.digest,
            host_platform=task.key.host_platform,
            status=task.status,
            reason=task.reason.value,
            enqueued_at=task.enqueued_at,
            updated_at=task.updated_at,
            started_at=task.started_at,
            progress=progress_document(task.progress) if task.progress else None,
        )


class RowOut(ApiModel):
    """One repository on one platform."""

    key: str
    image_repo: str
    host_platform: str
    status: str
    service_count: int
    reason: Maybe[str] = None
    checked_at: Maybe[datetime] = None
    updated_at: Maybe[datetime] = None
    progress: Maybe[dict[str, Any]] = None

    @classmethod
    def of(cls, row: OverviewRow) -> RowOut:
        """From the overview."""
        progress = row.task.progress if row.task else None
        return cls(
            key=row.key,
            image_repo=row.image_repo,
            host_platform=row.host_platform,
            status=row.status,
            service_count=len(row.services),
            reason=row.reason,
            checked_at=row.checked_at,
            updated_at=row.updated_at,
            progress=progress_document(progress) if progress else None,
        )


class NewerWorkerOut(ApiModel):
    """Repositories in which newer versions are being looked for."""

    queued: int
    running: int


class OverviewOut(ApiModel):
    """Version inference as a whole; `total` counts the rows that pass the filters."""

    worker: WorkerOut
    gc: GcOut
    summary: SummaryOut
    tasks: list[TaskOut]
    rows: list[RowOut]
    page: int
    per_page: int
    total: int
    newer_versions: NewerWorkerOut

    @classmethod
    def of(cls, found: Overview, newer: tuple[int, int]) -> OverviewOut:
        """From the overview, and how many repositories wait for newer versions and are looked at."""
        return cls(
            worker=WorkerOut(
                max_concurrency=found.max_concurrency,
                queued=found.queued,
                running=found.running,
                in_flight=found.running,
            ),
            gc=GcOut.model_validate(dict(found.gc)),
            summary=SummaryOut.model_validate(dict(found.summary)),
            tasks=[TaskOut.of(task) for task in found.tasks],
            rows=[RowOut.of(row) for row in found.rows],
            page=found.page,
            per_page=found.per_page,
            total=found.total,
            newer_versions=NewerWorkerOut(queued=newer[0], running=newer[1]),
        )


class IgnoreScope(ApiInput):
    """Whose candidates; `type` is always `service`."""

    type: str = Field(max_length=40)
    service_id: str = Field(default="", max_length=64)


class IgnoreMatch(ApiInput):
    """`kind` is exact, prefix, regex or semver; `value` at most 256 characters."""

    kind: str = Field(max_length=40)
    value: str = Field(max_length=1000)


class IgnoreInput(ApiInput):
    """A new rule."""

    enabled: bool = True
    scope: IgnoreScope
    match: IgnoreMatch
    note: str | None = Field(default=None, max_length=1000)


class IgnoreCreated(ApiModel):
    """The rule is kept; it counts from the next check of the service on."""

    rule_id: str


class IgnoreDeleteInput(ApiInput):
    """Which rule to delete."""

    rule_id: str = Field(max_length=64)


class IgnoreDeleted(ApiModel):
    """False when there was no such rule."""

    deleted: bool


class IgnoreScopeOut(ApiModel):
    """Whose candidates."""

    type: Literal["service"] = "service"
    service_id: str


class IgnoreMatchOut(ApiModel):
    """What the candidate's tag is compared with."""

    kind: str
    value: str


class IgnoreRuleOut(ApiModel):
    """One rule."""

    id: str
    enabled: bool
    scope: IgnoreScopeOut
    match: IgnoreMatchOut
    note: str | None

    @classmethod
    def of(cls, rule: IgnoreRuleRecord) -> IgnoreRuleOut:
        """From the record."""
        return cls(
            id=rule.id,
            enabled=rule.enabled,
            scope=IgnoreScopeOut(service_id=rule.service_id),
            match=IgnoreMatchOut(kind=rule.kind, value=rule.value),
            note=rule.note,
        )


class IgnoreListOut(ApiModel):
    """All rules, newest first."""

    rules: list[IgnoreRuleOut]
