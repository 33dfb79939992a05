"""Health, version and metrics (spec §5.1)."""

from __future__ import annotations

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from app.core.jobs import JobEngine, JobStatus
from app.core.metrics import Metrics
from app.core.web import sse
from app.core.web.schema import ApiModel
from app.features.stacks import Runtime
from app.features.versions import Inference
from app.settings import Settings


class VersionOut(ApiModel):
    """`GET /api/version`."""

    version: str


@get("/api/health", media_type=MediaType.TEXT, public=True, operation_id="health", summary="Alive", tags=["core"])
async def health() -> str:
    """`ok`; asks neither database, engine nor network."""
    return "ok"


@get("/api/version", public=True, operation_id="version", summary="Version of Dockrev", tags=["core"])
async def version(settings: NamedDependency[Settings]) -> VersionOut:
    """The effective version."""
    return VersionOut(version=settings.effective_version)


@get("/metrics", operation_id="metrics", summary="Metrics for Prometheus", tags=["core"], media_type=MediaType.TEXT)
async def metrics(
    metrics: NamedDependency[Metrics],
    jobs: NamedDependency[JobEngine],
    runtime: NamedDependency[Runtime],
    inference: NamedDependency[Inference],
) -> Response[bytes]:
    """The text exposition format; behind forward auth like everything else that tells something."""
    metrics.jobs.clear()
    metrics.updates.clear()
    for (kind, status), number in (await jobs.store.counts()).items():
        metrics.jobs.labels(kind, status.value).set(number)
        if kind == "update" and status is not JobStatus.RUNNING:
            metrics.updates.labels(status.value).set(number)
    metrics.jobs_running.set(len(jobs.running))
    for name, number in sse.open_streams.items():
        metrics.event_clients.labels(name).set(number)
    metrics.queue_depth.labels("inference").set(inference.queue.counts()[0])
    metrics.engine_up.set(1 if runtime.engine.connected else 0)
    for measure in metrics.measures:
        await measure()
    return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


HANDLERS = (health, version, metrics)
