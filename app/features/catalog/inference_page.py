"""The page of version inference: every repository with the services that need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Redirect

from app.core.web.view import Pages, View
from app.features.catalog.reads import Catalog, Known
from app.features.catalog.rows import known_version
from app.features.stacks import ServiceRecord
from app.features.versions import TTL, Evidence, Inference, OverviewRow, Task, read_overview, rules
from app.features.versions.page_schemas import (
    InferenceCount,
    InferenceGc,
    InferencePage,
    InferenceProgress,
    InferenceQuery,
    InferenceRow,
    InferenceUse,
    InferenceWorker,
)

STATUSES = ("running", "queued", "stale", "all_failed", "ready")


def inference_row(row: OverviewRow, known: Known, services: Mapping[str, ServiceRecord]) -> InferenceRow:
    """One repository with its services."""
    return InferenceRow(
        key=row.key,
        image_repo=row.image_repo,
        host_platform=row.host_platform,
        status=row.status,
        reason=row.reason,
        service_count=len(row.services),
        checked_at=row.checked_at,
        updated_at=row.updated_at,
        progress=_progress(row.task) if row.task else None,
        uses=[
            _use(services[service_id], known)
            for service_id in sorted(row.services, key=lambda key: services[key].name if key in services else "")
            if service_id in services
        ],
    )


def _use(service: ServiceRecord, known: Known) -> InferenceUse:
    record = known.records.get(service.id)
    return InferenceUse(
        service_id=service.id,
        service_name=service.name,
        stack_id=service.stack_id,
        stack_name=service.stack_name,
        tag=service.image_tag,
        digest=record.current_digest if record else None,
        version=record.current_resolved_tag if record else None,
        versions=list(record.current_resolved_tags) if record else [],
    )


def _progress(task: Task) -> InferenceProgress | None:
    if task.progress is None:
        return None
    scan = task.progress
    return InferenceProgress(
        phase=scan.phase,
        message=scan.message,
        assigned_current=scan.assigned,
        assigned_total=scan.total,
        result_current=scan.finished,
        result_total=scan.total,
        percent=round(100 * scan.finished / scan.total, 1) if scan.total else 0,
    )


@get("/version-inference", operation_id="inferencePage", summary="Page of version inference", tags=["pages"])
async def inference_page(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    catalog: NamedDependency[Catalog],
    inference: NamedDependency[Inference],
    evidence: NamedDependency[Evidence],
    q: FromQuery[str] = "",
    status: FromQuery[str] = "all",
    page: FromQuery[str] = "1",
    per_page: Annotated[str, QueryParameter(name="perPage")] = "50",
) -> View[InferencePage]:
    """How each floating tag was given a version."""
    found = await read_overview(inference, evidence, q, status, page, per_page)
    known = await catalog.known()
    services = {s.id: s for stack in known.stacks for s in stack.services if not s.hidden}
    rows = [catalog.row(known, service) for service in services.values()]
    floating = sum(rules.needs_inference(service.image_tag) for service in services.values())
    content = InferencePage(
        known=sum(known_version(row.current_version) is not None for row in rows),
        services_total=len(rows),
        floating_total=floating,
        worker=InferenceWorker(max_concurrency=found.max_concurrency, queued=found.queued, running=found.running),
        gc=InferenceGc.model_validate({key: value for key, value in found.gc.items() if key != "lastDurationMs"}),
        counts=[
            InferenceCount(key="all", count=sum(found.row_counts.values())),
            *(InferenceCount(key=key, count=found.row_counts[key]) for key in STATUSES if found.row_counts.get(key)),
        ],
        rows=[inference_row(row, known, services) for row in found.rows],
        query=InferenceQuery(q=q[:300], status=status or "all", page=found.page, per_page=found.per_page),
        total=found.total,
        ttl_days=TTL.days,
    )
    return await pages.show(request, content, "inference/inference_overview.html", topics=("inference", "engine"))


@get("/queue/version-inference", include_in_schema=False)
async def inference_page_of_queue() -> Redirect:
    """The other address of the page (spec §11.1)."""
    return Redirect("/version-inference", status_code=301)


HANDLERS = (inference_page, inference_page_of_queue)
