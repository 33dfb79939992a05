"""Routes of backups: what there is, and a restore as a job. For `dockrev backups`; the spec has none."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from app.core.web.auth import identity_of
from app.core.web.fresh import require_fresh
from app.core.web.openapi import UNAUTHORISED, ErrorOut
from app.core.web.schema import ApiModel, Maybe
from app.features.backups.records import BackupRecord
from app.features.backups.restore import Restores
from app.features.backups.service import Backups

REFUSED = {
    **UNAUTHORISED,
    404: ResponseSpec(ErrorOut, description="backup not found"),
    409: ResponseSpec(ErrorOut, description="the archive is gone, or something else owns the stack"),
}


class BackupOut(ApiModel):
    """One backup; `restorable` says that its archive is complete and still there."""

    id: str
    stack_id: str
    job_id: str
    status: str
    created_at: datetime
    finished_at: Maybe[datetime] = None
    size_bytes: Maybe[int] = None
    artifact_path: Maybe[str] = None
    error: Maybe[str] = None
    restorable: bool

    @classmethod
    def of(cls, record: BackupRecord) -> BackupOut:
        """From the record."""
        return cls(
            id=record.id,
            stack_id=record.stack_id,
            job_id=record.job_id,
            status=record.status.value,
            created_at=record.created_at,
            finished_at=record.finished_at,
            size_bytes=record.size_bytes,
            artifact_path=record.artifact_path,
            error=record.error,
            restorable=record.restorable,
        )


class BackupListOut(ApiModel):
    """`GET /api/backups`, newest first."""

    backups: list[BackupOut]


class RestoreStarted(ApiModel):
    """The job that restores."""

    job_id: str


@get(
    "/api/backups",
    operation_id="listBackups",
    summary="Backups, newest first",
    tags=["backups"],
    responses=UNAUTHORISED,
)
async def backup_list(
    backups: NamedDependency[Backups], stack_id: Annotated[str | None, QueryParameter(name="stackId")] = None
) -> BackupListOut:
    """Backups that are still there or left a trace, of one stack or of all."""
    return BackupListOut(backups=[BackupOut.of(record) for record in await backups.recent(stack_id or None)])


@post(
    "/api/backups/{backup_id:str}/restore",
    status_code=200,
    operation_id="restoreBackup",
    summary="Put the files of a backup back",
    tags=["backups"],
    responses=REFUSED,
)
async def backup_restore(
    request: Request[Any, Any, Any], restores: NamedDependency[Restores], backup_id: FromPath[str]
) -> RestoreStarted:
    """Stops the services that use the files, unpacks, starts them again; answers with the job's id at once."""
    require_fresh(request)
    identity = identity_of(request)
    return RestoreStarted(job_id=await restores.start(backup_id, identity.principal if identity else "unknown"))


HANDLERS = (backup_list, backup_restore)
