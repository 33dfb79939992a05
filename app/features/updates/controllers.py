"""Routes of updates (spec §5.3)."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from app.core.web.auth import identity_of
from app.core.web.fresh import require_fresh
from app.core.web.openapi import UNAUTHORISED, ErrorOut
from app.features.updates.rollback import Rollbacks
from app.features.updates.schemas import JobStarted, Mode, RollbackTarget, Scope, UpdateInput
from app.features.updates.service import Updates

REFUSED = {
    **UNAUTHORISED,
    400: ResponseSpec(ErrorOut, description="a member is missing, wrong, or does not fit the scope"),
    404: ResponseSpec(ErrorOut, description="stack or service not found"),
    409: ResponseSpec(ErrorOut, description="the target is out of date, or another operation owns the service"),
}


def fresh_for(request: Request[Any, Any, Any], wanted: UpdateInput) -> None:
    """An update of everything may want the person again. Raises StepUpRequired."""
    if wanted.scope is Scope.ALL and wanted.mode is Mode.APPLY:
        require_fresh(request)


@post(
    "/api/updates",
    status_code=200,
    operation_id="startUpdate",
    summary="Update services, or tell what would be done",
    tags=["updates"],
    responses=REFUSED,
)
async def update_start(
    request: Request[Any, Any, Any], data: JSONBody[UpdateInput], updates: NamedDependency[Updates]
) -> JobStarted:
    """Apply a confirmed target digest, or with `mode=dry-run` only tell what would happen."""
    fresh_for(request, data)
    identity = identity_of(request)
    return JobStarted(job_id=await updates.start(data, identity.principal if identity else "unknown"))


@get(
    "/api/services/{service_id:str}/rollback-target",
    operation_id="rollbackTarget",
    summary="Where a rollback of a service would lead",
    tags=["updates"],
    responses={**UNAUTHORISED, 404: ResponseSpec(ErrorOut, description="service not found")},
)
async def rollback_target(rollbacks: NamedDependency[Rollbacks], service_id: FromPath[str]) -> RollbackTarget:
    """The digest before the last successful update, or the reason why there is no way back now."""
    return await rollbacks.target(service_id)


@post(
    "/api/services/{service_id:str}/rollback",
    status_code=200,
    operation_id="startRollback",
    summary="Go back to what ran before the last update",
    tags=["updates"],
    responses=REFUSED,
)
async def rollback_start(
    request: Request[Any, Any, Any], rollbacks: NamedDependency[Rollbacks], service_id: FromPath[str]
) -> JobStarted:
    """A job of type `rollback`; it takes the same care as an update. The body is ignored."""
    identity = identity_of(request)
    return JobStarted(job_id=await rollbacks.start(service_id, identity.principal if identity else "unknown"))


HANDLERS = (update_start, rollback_target, rollback_start)
