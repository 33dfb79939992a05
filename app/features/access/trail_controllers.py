"""The audit trail over the API; a script needs the scope `admin` for it."""

from __future__ import annotations

from typing import Final

from litestar import get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery
from litestar.response import Stream

from app.core.clock import Clock
from app.core.web.openapi import UNAUTHORISED, ErrorOut
from app.core.web.paging import parse_number
from app.features.access import schemas
from app.features.access.trail import Trail, parse_filter

REFUSED: Final = {**UNAUTHORISED, 400: ResponseSpec(ErrorOut, description="a filter that cannot be")}


@get("/api/audit", operation_id="listAuditEvents", summary="The audit trail", tags=["access"], responses=REFUSED)
async def audit_list(
    trail: NamedDependency[Trail],
    principal: FromQuery[str] = "",
    action: FromQuery[str] = "",
    means: FromQuery[str] = "",
    outcome: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
    limit: FromQuery[str] = "",
) -> schemas.AuditOut:
    """Who did what, when, from where, with which means, and how it ended; newest first. `action` may be a beginning
    like `token`, `since` and `until` are days or times, `limit` is 1 to 200."""
    wanted = parse_filter(principal, action, means, outcome, since, until)
    return await trail.page(wanted, cursor, parse_number("limit", limit, default=100, low=1, high=200))


@get(
    "/api/audit/export",
    operation_id="exportAuditEvents",
    summary="The audit trail as CSV",
    tags=["access"],
    responses=REFUSED,
    media_type="text/csv",
)
async def audit_export(
    trail: NamedDependency[Trail],
    clock: NamedDependency[Clock],
    principal: FromQuery[str] = "",
    action: FromQuery[str] = "",
    means: FromQuery[str] = "",
    outcome: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
) -> Stream:
    """All that the filters leave, not only a page of it. Cells that a spreadsheet would take for formulas begin with an
    apostrophe."""
    wanted = parse_filter(principal, action, means, outcome, since, until)
    name = f"dockrev-audit-{clock.now():%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Stream(trail.csv(wanted), media_type="text/csv; charset=utf-8", headers=headers)


HANDLERS: Final = (audit_list, audit_export)
