"""Routes of updates (spec §5.3)."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from app.core.web.auth import identity_of
from app.core.web.openapi import UNAUTHORISED, ErrorOut
from app.features.updates.schemas import JobStarted, UpdateInput
from app.features.updates.service import Updates

REFUSED = {
    **UNAUTHORISED,
    400: ResponseSpec(ErrorOut, description="a member is missing, wrong, or does not fit the scope"),
    404: ResponseSpec(ErrorOut, description="stack or service not found"),
    409: ResponseSpec(ErrorOut, description="the target is out of date, or another operation owns the service"),
}


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
    identity = identity_of(request)
    return JobStarted(job_id=await updates.start(data, identity.principal if identity else "unknown"))


HANDLERS = (update_start,)
