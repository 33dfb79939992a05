"""Checks, runtime scans, ignore rules, digest tags and version inference over the API (spec §5.2, §5.3, §5.5, §6.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import anyio
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.core.errors import InvalidArgument
from app.core.web.auth import identity_of
from app.core.web.openapi import STREAM, UNAUTHORISED, ErrorOut
from app.core.web.paging import parse_number
from app.core.web.sse import event_stream, json_event, resume_point
from app.features.versions import rules, schemas
from app.features.versions.checking.checks import Checks
from app.features.versions.checking.runtime_scan import RuntimeScans
from app.features.versions.digest_tags import DigestTags, Pending
from app.features.versions.evidence import Evidence
from app.features.versions.ignore import IgnoreRules
from app.features.versions.inference.overview import STATUSES, Overview, overview
from app.features.versions.inference.ring import EVENT_NAME
from app.features.versions.inference.worker import Inference
from app.features.versions.newer.controllers import HANDLERS as NEWER_HANDLERS
from app.features.versions.newer.worker import Newer

JSON: Final = "application/json"
BAD = ResponseSpec(ErrorOut, description="what is wrong, and in which field")
NO_SERVICE = ResponseSpec(ErrorOut, description="service not found")
STARTING: Final = {
    **UNAUTHORISED,
    400: BAD,
    404: ResponseSpec(ErrorOut, description="unknown stack or service"),
    409: ResponseSpec(ErrorOut, description="one of the same scope is running; details.existingJobId"),
}
OF_SERVICE: Final = {**UNAUTHORISED, 400: BAD, 404: NO_SERVICE}


def _caller(request: Request[Any, Any, Any]) -> str:
    identity = identity_of(request)
    return identity.principal if identity else "unknown"


@post(
    "/api/checks",
    status_code=200,
    operation_id="startCheck",
    summary="Check for new versions",
    tags=["checks"],
    responses=STARTING,
)
async def check_start(
    request: Request[Any, Any, Any], checks: NamedDependency[Checks], data: JSONBody[schemas.CheckInput]
) -> schemas.CheckStarted:
    """Starts a job and returns its id at once; the check goes on when the client leaves."""
    check_id = await checks.start(
        data.scope,
        stack_id=data.stack_id,
        service_id=data.service_id,
        created_by=_caller(request),
        reason=data.reason,
    )
    return schemas.CheckStarted(check_id=check_id)


@post(
    "/api/runtime-scans",
    status_code=200,
    operation_id="startRuntimeScan",
    summary="Compare what runs with what is noted",
    tags=["checks"],
    responses=STARTING,
)
async def runtime_scan_start(
    request: Request[Any, Any, Any],
    runtime_scans: NamedDependency[RuntimeScans],
    data: JSONBody[schemas.RuntimeScanInput],
) -> schemas.JobStarted:
    """Starts a job; registries are asked only about services whose running image is another one than noted."""
    job_id = await runtime_scans.start(
        data.scope,
        stack_id=data.stack_id,
        service_id=data.service_id,
        created_by=_caller(request),
        reason=data.reason,
    )
    return schemas.JobStarted(job_id=job_id)


@get("/api/ignores", operation_id="listIgnoreRules", summary="Ignore rules", tags=["ignores"], responses=UNAUTHORISED)
async def ignore_list(ignore_rules: NamedDependency[IgnoreRules]) -> schemas.IgnoreListOut:
    """All rules, newest first."""
    return schemas.IgnoreListOut(rules=[schemas.IgnoreRuleOut.of(rule) for rule in await ignore_rules.all()])


@post(
    "/api/ignores",
    status_code=200,
    operation_id="createIgnoreRule",
    summary="Ignore candidates of a service",
    tags=["ignores"],
    responses={**UNAUTHORISED, 400: BAD},
)
async def ignore_create(
    ignore_rules: NamedDependency[IgnoreRules], data: JSONBody[schemas.IgnoreInput]
) -> schemas.IgnoreCreated:
    """The rule counts from the next check of the service on; the service need not exist yet."""
    service_id = data.scope.service_id.strip()
    if data.scope.type != "service":
        raise InvalidArgument("scope.type must be 'service'", details={"field": "scope.type"})
    if not service_id:
        raise InvalidArgument("scope.serviceId must not be empty", details={"field": "scope.serviceId"})
    if (problem := rules.validate(data.match.kind, data.match.value)) is not None:
        field = "match.value" if data.match.kind in rules.KINDS else "match.kind"
        raise InvalidArgument(problem, details={"field": field})
    rule_id = await ignore_rules.add(
        service_id, data.match.kind, data.match.value, enabled=data.enabled, note=data.note
    )
    return schemas.IgnoreCreated(rule_id=rule_id)


@delete(
    "/api/ignores",
    status_code=200,
    operation_id="deleteIgnoreRule",
    summary="Delete an ignore rule",
    tags=["ignores"],
    responses={**UNAUTHORISED, 400: BAD},
)
async def ignore_delete(
    ignore_rules: NamedDependency[IgnoreRules], data: JSONBody[schemas.IgnoreDeleteInput]
) -> schemas.IgnoreDeleted:
    """The candidate it hid comes back with the next check of its service."""
    return schemas.IgnoreDeleted(deleted=await ignore_rules.delete(data.rule_id))


@get(
    "/api/services/{service_id:str}/digest-tags",
    operation_id="getDigestTags",
    summary="Tags of a digest, asked now",
    tags=["version inference"],
    responses={**OF_SERVICE, 500: ResponseSpec(ErrorOut, description="registry timeout; details.op")},
)
async def digest_tags_live(
    digest_tags: NamedDependency[DigestTags], service_id: FromPath[str], digest: FromQuery[str | None] = None
) -> schemas.DigestTagsOut:
    """Lists the tags of the service's repository and compares each; may take up to 48 s."""
    return schemas.DigestTagsOut.of(await digest_tags.live(service_id, digest))


@get(
    "/api/services/{service_id:str}/digest-tags-snapshot",
    operation_id="getDigestTagsSnapshot",
    summary="Tags of a digest, as last seen",
    tags=["version inference"],
    responses={
        **OF_SERVICE,
        200: ResponseSpec(schemas.SnapshotOut, description="what is cached, however old"),
        202: ResponseSpec(schemas.SnapshotPending, description="nothing cached yet; ask again"),
    },
)
async def digest_tags_snapshot(
    digest_tags: NamedDependency[DigestTags], service_id: FromPath[str], digest: FromQuery[str | None] = None
) -> Response[schemas.SnapshotOut | schemas.SnapshotPending]:
    """Never asks a registry while the client waits; what is missing or old is looked up in the background."""
    found = await digest_tags.cached(service_id, digest)
    if isinstance(found, Pending):
        pending = schemas.SnapshotPending(digest=found.digest, retry_after_ms=found.retry_after_ms)
        return Response(pending, status_code=202, media_type=JSON)
    return Response(schemas.SnapshotOut.of(found), status_code=200, media_type=JSON)


@post(
    "/api/services/{service_id:str}/version-inference/refresh",
    status_code=202,
    operation_id="refreshVersionInference",
    summary="Look a digest up again",
    tags=["version inference"],
    responses=OF_SERVICE,
)
async def inference_refresh(
    digest_tags: NamedDependency[DigestTags], service_id: FromPath[str], data: JSONBody[schemas.RefreshInput]
) -> schemas.RefreshOut:
    """Queued before everything else; `running` when a look-up of the digest was queued or under way."""
    accepted = await digest_tags.refresh(service_id, data.digest)
    return schemas.RefreshOut(
        service_id=accepted.service_id,
        image_repo=accepted.key.image_repo,
        digest=accepted.key.digest,
        reason="running" if accepted.reason == "running" else "force",
    )


async def read_overview(
    inference: Inference, evidence: Evidence, q: str | None, status: str | None, page: str | None, per_page: str | None
) -> Overview:
    """The overview for a query as it stands in an address; raises InvalidArgument naming the parameter."""
    wanted = status or "all"
    if wanted != "all" and wanted not in STATUSES:
        raise InvalidArgument(f"invalid status filter: {wanted[:40]}", details={"field": "status"})
    size = parse_number("perPage", per_page, default=50, low=-(10**9), high=10**9)
    return await overview(
        inference,
        evidence,
        q=(q or "")[:300],
        status=wanted,
        page=parse_number("page", page, default=1, low=1, high=10**6),
        per_page=min(max(size, 1), 200),
    )


@get(
    "/api/version-inference/overview",
    operation_id="getVersionInferenceOverview",
    summary="State of version inference",
    tags=["version inference"],
    responses={**UNAUTHORISED, 400: BAD},
)
async def inference_overview(
    inference: NamedDependency[Inference],
    evidence: NamedDependency[Evidence],
    newer: NamedDependency[Newer],
    q: FromQuery[str | None] = None,
    status: FromQuery[str | None] = None,
    page: FromQuery[str | None] = None,
    per_page: Annotated[str | None, QueryParameter(name="perPage")] = None,
) -> schemas.OverviewOut:
    """Worker, clean-up and one row per repository; `status` is all, queued, running, ready, stale or all_failed."""
    found = await read_overview(inference, evidence, q, status, page, per_page)
    return schemas.OverviewOut.of(found, newer.counts())


@get(
    "/api/version-inference/events",
    operation_id="streamVersionInference",
    summary="Events of version inference",
    tags=["version inference"],
    responses={**STREAM, **UNAUTHORISED},
)
async def inference_events(
    request: Request[Any, Any, Any], inference: NamedDependency[Inference]
) -> EventSourceResponse:
    """Server-sent events named `version_inference_event`; after a gap the first one is `resync_required`."""
    after, ring = resume_point(request), inference.ring

    async def source(closing: anyio.Event) -> AsyncIterator[ServerSentEvent]:
        async for event_id, document in ring.follow(after, closing):
            yield json_event(EVENT_NAME, document, event_id)

    return event_stream(request, "version_inference", source)


HANDLERS = (
    check_start,
    runtime_scan_start,
    ignore_list,
    ignore_create,
    ignore_delete,
    digest_tags_live,
    digest_tags_snapshot,
    inference_refresh,
    inference_overview,
    inference_events,
    *NEWER_HANDLERS,
)
