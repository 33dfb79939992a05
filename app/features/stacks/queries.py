"""Reads over stacks, services and projects. Columns, not rows with identity: lists may be long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.errors import InvalidArgument
from app.features.stacks.models import RESTART, ProjectRow, ServiceRow, StackRow
from app.features.stacks.records import ProjectRecord, ServiceRecord, StackRecord

Archived = Literal["exclude", "include", "only"]
CHUNK = 500  # ids in one IN list

_STACK_COLUMNS = (
    StackRow.id,
    StackRow.name,
    StackRow.compose_files,
    StackRow.env_file,
    StackRow.working_dir,
    StackRow.archived,
    StackRow.archived_at,
    StackRow.created_at,
    StackRow.updated_at,
    StackRow.backup_retention_keep_last,
    StackRow.backup_retention_delete_after_stable_seconds,
)
_SERVICE_COLUMNS = (
    ServiceRow.id,
    ServiceRow.stack_id,
    ServiceRow.name,
    ServiceRow.image_ref,
    ServiceRow.image_tag,
    ServiceRow.created_at,
    ServiceRow.auto_rollback,
    ServiceRow.archived,
    ServiceRow.backup_targets_bind_paths,
    ServiceRow.backup_targets_volume_names,
    ServiceRow.repo_url,
    ServiceRow.network_mode,
    ServiceRow.depends_on,
)


def parse_archived(text: str | None) -> Archived:
    """The `archived` filter of a list; None means exclude. Raises InvalidArgument."""
    if text is None or text == "exclude":
        return "exclude"
    if text == "include":
        return "include"
    if text == "only":
        return "only"
    raise InvalidArgument(f"invalid archived filter: {text[:100]}", details={"field": "archived"})


async def read_stacks(
    session: AsyncSession, *, archived: Archived = "include", ids: Collection[str] | None = None
) -> list[StackRecord]:
    """Stacks with their services, newest created first; two statements whatever their number."""
    wanted: list[ColumnElement[bool]] = []
    if ids is not None:
        wanted.append(col(StackRow.id).in_(ids))
    if archived != "include":
        wanted.append(col(StackRow.archived).is_(archived == "only"))
    query: Select[Any] = (
        select(*_STACK_COLUMNS)  # type: ignore[call-overload]
        .where(*wanted)
        .order_by(col(StackRow.created_at).desc(), col(StackRow.id).desc())
    )
    stacks = (await session.exec(query)).all()  # type: ignore[call-overload]
    if not stacks:
        return []
    services: dict[str, list[ServiceRecord]] = defaultdict(list)
    for service in await read_services(session, wanted):
        services[service.stack_id].append(service)
    return [_stack_record(row, services.get(row.id, ())) for row in stacks]


async def read_services(session: AsyncSession, wanted: Sequence[ColumnElement[bool]]) -> list[ServiceRecord]:
    """Services by stack and name; `wanted` are conditions on services and their stacks. One statement."""
    query: Select[Any] = (
        select(*_SERVICE_COLUMNS, col(StackRow.name).label("stack_name"), col(StackRow.archived).label("hidden_stack"))  # type: ignore[call-overload]
        .join(StackRow, col(StackRow.id) == col(ServiceRow.stack_id))
        .where(*wanted)
        .order_by(col(StackRow.name), col(ServiceRow.name))
    )
    # From the connection: the session would look for entities in each row of a long list.
    rows: Sequence[Sequence[Any]] = (await (await session.connection()).execute(query)).all()
    return [_service_record(*row) for row in rows]


async def read_projects(session: AsyncSession, *, archived: Archived = "include") -> list[ProjectRecord]:
    """Discovery projects by name."""
    query = select(ProjectRow).order_by(col(ProjectRow.project))
    if archived != "include":
        query = query.where(col(ProjectRow.archived).is_(archived == "only"))
    return [_project_record(row) for row in await session.exec(query)]


async def service_ids(session: AsyncSession, projects: Collection[str]) -> dict[tuple[str, str], str]:
    """Ids by project and service name."""
    found: dict[tuple[str, str], str] = {}
    names = sorted(projects)
    for start in range(0, len(names), CHUNK):
        rows = await session.exec(
            select(StackRow.name, ServiceRow.name, ServiceRow.id)
            .join(ServiceRow, col(ServiceRow.stack_id) == col(StackRow.id))
            .where(col(StackRow.name).in_(names[start : start + CHUNK]))
        )
        found |= {(project, name): service_id for project, name, service_id in rows}
    return found


def _stack_record(row: Row[Any], services: Sequence[ServiceRecord]) -> StackRecord:
    return StackRecord(
        id=row.id,
        name=row.name,
        project=row.name,
        compose_files=tuple(row.compose_files),
        created_at=row.created_at,
        updated_at=row.updated_at,
        env_file=row.env_file,
        working_dir=row.working_dir,
        archived=row.archived,
        archived_at=row.archived_at,
        services=tuple(services),
        backup_keep_last=row.backup_retention_keep_last,
        backup_delete_after_seconds=row.backup_retention_delete_after_stable_seconds,
    )


def _service_record(
    id: str,
    stack_id: str,
    name: str,
    image_ref: str,
    image_tag: str,
    created_at: datetime,
    auto_rollback: bool,
    archived: bool,
    bind_paths: dict[str, str],
    volume_names: dict[str, str],
    repo_url: str | None,
    network_mode: str | None,
    depends_on: list[str],
    stack_name: str,
    hidden_stack: bool,
) -> ServiceRecord:
    """In the order of `_SERVICE_COLUMNS` and the stack's: asking a row for its names takes longer than reading it."""
    return ServiceRecord(
        id=id,
        stack_id=stack_id,
        stack_name=stack_name,
        project=stack_name,
        name=name,
        image_ref=image_ref,
        image_tag=image_tag,
        created_at=created_at,
        auto_rollback=auto_rollback,
        archived=archived,
        stack_archived=hidden_stack,
        bind_paths=bind_paths,
        volume_names=volume_names,
        repo_url=repo_url,
        network_mode=network_mode,
        depends_on=tuple(told.removesuffix(RESTART) for told in depends_on),
        restarts_after=tuple(told.removesuffix(RESTART) for told in depends_on if told.endswith(RESTART)),
    )


def _project_record(row: ProjectRow) -> ProjectRecord:
    return ProjectRecord(
        project=row.project,
        status=row.status,
        stack_id=row.stack_id,
        config_files=None if row.last_config_files is None else tuple(row.last_config_files),
        last_seen_at=row.last_seen_at,
        last_scan_at=row.last_scan_at,
        last_error=row.last_error,
        hint=row.last_error_hint,
        archived=row.archived,
    )
