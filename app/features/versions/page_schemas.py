"""What the page of version inference shows (`/version-inference`); spec §5.2 names the states."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.core.web.schema import ApiModel, Maybe


class InferenceProgress(ApiModel):
    """Tags handed to workers (*assigned*) and tags finished (*result*)."""

    phase: str
    message: str = ""
    assigned_current: int = 0
    assigned_total: int = 0
    result_current: int = 0
    result_total: int = 0
    percent: float = 0


class InferenceUse(ApiModel):
    """A service that runs one digest of the repository."""

    service_id: str
    service_name: str
    stack_id: str
    stack_name: str
    tag: str
    digest: str | None = None
    version: str | None = None
    versions: list[str] = Field(default_factory=list)


class InferenceRow(ApiModel):
    """One repository on one platform: `status` is running, queued, stale, all_failed or ready."""

    key: str
    image_repo: str
    host_platform: str
    status: str
    reason: Maybe[str] = None
    service_count: int = 0
    tags_total: Maybe[int] = None
    checked_at: Maybe[datetime] = None
    updated_at: Maybe[datetime] = None
    progress: Maybe[InferenceProgress] = None
    uses: list[InferenceUse] = Field(default_factory=list)


class InferenceWorker(ApiModel):
    """The background worker."""

    max_concurrency: int = 2
    queued: int = 0
    running: int = 0


class InferenceGc(ApiModel):
    """Removal of old snapshots."""

    retention_days: int = 30
    last_run_at: Maybe[datetime] = None
    last_deleted: Maybe[int] = None
    last_error: Maybe[str] = None


class InferenceCount(ApiModel):
    """One entry of the filter."""

    key: str
    count: int


class InferenceQuery(ApiModel):
    """Filter and page as they stand in the address."""

    q: str = ""
    status: str = "all"
    page: int = 1
    per_page: int = 50


class InferencePage(ApiModel):
    """`known` of `services_total` services have a version; `floating_total` of them follow a floating tag."""

    known: int
    services_total: int
    floating_total: int
    worker: InferenceWorker = Field(default_factory=InferenceWorker)
    gc: InferenceGc = Field(default_factory=InferenceGc)
    counts: list[InferenceCount] = Field(default_factory=list)
    rows: list[InferenceRow] = Field(default_factory=list)
    query: InferenceQuery = Field(default_factory=InferenceQuery)
    total: int = 0
    ttl_days: int = 7
