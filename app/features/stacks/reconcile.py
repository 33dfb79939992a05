"""Writing what discovery found: one transaction per project that changed, none for the others (spec §7.1.6)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EntitiesChanged, EventBus
from app.core.ids import new_id
from app.features.stacks import queries
from app.features.stacks.events import ServiceAdded, ServiceImageChanged, ServiceRemoved, StackDiscovered
from app.features.stacks.models import ProjectRow, ProjectStatus, ServiceRow, StackRow, told_dependency
from app.features.stacks.records import ProjectRecord, StackRecord
from app.features.stacks.rules import Difference, Problem, ServiceSpec, StackSpec, difference
from app.features.stacks.scan import Action, ScanAction
from app.features.stacks.service import archive_values


@dataclass(slots=True)
class Known:
    """The registered state a scan starts from."""

    stacks: dict[str, StackRecord]
    projects: dict[str, ProjectRecord]


@dataclass(frozen=True, slots=True)
class Model:
    """A project whose files were read. `warning` is what was odd about it, without being wrong; `partial` says that
    there may be services which were not seen, so that none may be taken for gone."""

    spec: StackSpec
    warning: Problem | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A project whose files could not be read; `files` are those its labels name."""

    problem: Problem
    files: tuple[str, ...] = ()


@dataclass(slots=True)
class _Changes:
    """What to tell once a transaction is kept."""

    stack_created: bool = False
    added: list[str] = field(default_factory=list)


class Reconciler:
    """Turns the finding about one project into rows and events."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock

    async def known(self) -> Known:
        """Everything registered: three statements, whatever the number."""
        async with self._db.session() as session:
            stacks = await queries.read_stacks(session)
            projects = await queries.read_projects(session)
        return Known({stack.project: stack for stack in stacks}, {row.project: row for row in projects})

    async def apply(self, project: str, found: Model | Failure, known: Known) -> ScanAction:
        """Make the database say what was found about a project that runs."""
        if isinstance(found, Failure):
            return await self._failed(project, found, known)
        stack = known.stacks.get(project)
        return await (self._create(project, found) if stack is None else self._sync(stack, found, known))

    async def mark_missing(self, project: str, known: Known) -> ScanAction:
        """A known project has no running container; its stack and all data stay."""
        row = known.projects[project]
        async with self._db.transaction() as session:
            await session.exec(
                update(ProjectRow).where(col(ProjectRow.project) == project).values(status=ProjectStatus.MISSING)
            )
        self._tell_stack(row.stack_id)
        return ScanAction(project, Action.MARKED_MISSING, row.stack_id)

    async def touch(self, seen: Collection[str], at: datetime) -> None:
        """Note when projects were looked for, and when seen: one transaction for all."""
        names = sorted(seen)
        async with self._db.transaction() as session:
            await session.exec(update(ProjectRow).values(last_scan_at=at))
            for start in range(0, len(names), queries.CHUNK):
                wanted = col(ProjectRow.project).in_(names[start : start + queries.CHUNK])
                await session.exec(update(ProjectRow).where(wanted).values(last_seen_at=at))

    # ---- one project

    async def _failed(self, project: str, found: Failure, known: Known) -> ScanAction:
        row, problem = known.projects.get(project), found.problem
        news = row is None or (row.status, row.last_error) != (ProjectStatus.INVALID, problem.reason)
        values = {
            "status": ProjectStatus.INVALID,
            "last_error": problem.reason,
            "last_error_hint": problem.hint,
            "last_config_files": list(found.files),
        }
        if news or row is None or (row.hint, row.config_files) != (problem.hint, found.files):
            async with self._db.transaction() as session:
                await self._put_project(session, project, row, values)
            self._tell_stack(row.stack_id if row else None)
        return ScanAction(
            project,
            Action.FAILED,
            row.stack_id if row else None,
            problem.reason,
            {"hint": problem.hint, **problem.details},
            news,
        )

    async def _create(self, project: str, found: Model) -> ScanAction:
        spec, now, stack_id, changes = found.spec, self._clock.now(), new_id("stk"), _Changes(stack_created=True)
        async with self._db.transaction() as session:
            session.add(
                StackRow(
                    id=stack_id,
                    name=project,
                    compose_files=list(spec.compose_files),
                    env_file=spec.env_file,
                    working_dir=spec.working_dir,
                    created_at=now,
                    updated_at=now,
                )
            )
            await session.flush()
            self._insert(session, stack_id, spec.services, changes)
            row = await session.get(ProjectRow, project)
            await self._put_project(session, project, row, _active(stack_id, found))
        self._tell(stack_id, Difference(), changes)
        return ScanAction(project, Action.CREATED, stack_id, details=_warned(found))

    async def _sync(self, stack: StackRecord, found: Model, known: Known) -> ScanAction:
        row, difference_ = known.projects.get(stack.project), difference(stack, found.spec, partial=found.partial)
        values, changes = _active(stack.id, found), _Changes()
        same_row = row is not None and (row.status, row.stack_id, row.last_error, row.hint, row.config_files) == (
            ProjectStatus.ACTIVE,
            stack.id,
            values["last_error"],
            values["last_error_hint"],
            found.spec.compose_files,
        )
        if difference_.nothing and same_row:
            return ScanAction(stack.project, Action.SKIPPED, stack.id, details=_warned(found), news=False)
        async with self._db.transaction() as session:
            if not difference_.nothing:
                await self._write(session, stack.id, found.spec, difference_, changes)
            await self._put_project(session, stack.project, row, values)
        self._tell(stack.id, difference_, changes)
        if difference_.nothing:
            return ScanAction(stack.project, Action.SKIPPED, stack.id, details=_warned(found), news=False)
        details = {"changes": difference_.words, **_warned(found)}
        return ScanAction(stack.project, Action.UPDATED, stack.id, details=details)

    async def _write(
        self, session: AsyncSession, stack_id: str, spec: StackSpec, diff: Difference, changes: _Changes
    ) -> None:
        now = self._clock.now()
        stack_values: dict[str, Any] = {"updated_at": now}
        if diff.files:
            stack_values |= {
                "compose_files": list(spec.compose_files),
                "env_file": spec.env_file,
                "working_dir": spec.working_dir,
            }
        await session.exec(update(StackRow).where(col(StackRow.id) == stack_id).values(**stack_values))
        for service_id, service in diff.changed:
            values = {**_declared(service), "updated_at": now}
            await session.exec(update(ServiceRow).where(col(ServiceRow.id) == service_id).values(**values))
        for start in range(0, len(diff.removed), queries.CHUNK):
            gone = col(ServiceRow.id).in_(diff.removed[start : start + queries.CHUNK])
            await session.exec(delete(ServiceRow).where(gone))
        self._insert(session, stack_id, diff.added, changes)

    def _insert(
        self, session: AsyncSession, stack_id: str, services: Collection[ServiceSpec], changes: _Changes
    ) -> None:
        now = self._clock.now()
        rows = [
            ServiceRow(id=new_id("svc"), stack_id=stack_id, created_at=now, updated_at=now, **_declared(service))
            for service in services
        ]
        session.add_all(rows)
        changes.added += [row.id for row in rows]

    async def _put_project(
        self, session: AsyncSession, project: str, before: ProjectRecord | ProjectRow | None, values: dict[str, Any]
    ) -> None:
        """Insert or update; a project that comes back from being missing leaves the archive (spec §5.3)."""
        if before is None:
            session.add(ProjectRow(project=project, **values))
            return
        if before.status is ProjectStatus.MISSING and before.archived:
            values = {**values, **archive_values(None, "")}
        await session.exec(update(ProjectRow).where(col(ProjectRow.project) == project).values(**values))

    # ---- telling

    def _tell(self, stack_id: str, diff: Difference, changes: _Changes) -> None:
        if changes.stack_created:
            self._bus.publish(StackDiscovered(stack_id))
        for service_id in changes.added:
            self._bus.publish(ServiceAdded(service_id, stack_id))
        for service_id in sorted(diff.new_images):
            self._bus.publish(ServiceImageChanged(service_id))
        for service_id in diff.removed:
            self._bus.publish(ServiceRemoved(service_id))
        touched = frozenset([*changes.added, *(service_id for service_id, _ in diff.changed), *diff.removed])
        if touched:
            self._bus.publish(EntitiesChanged("services", touched))
        self._tell_stack(stack_id)

    def _tell_stack(self, stack_id: str | None) -> None:
        self._bus.publish(EntitiesChanged("stacks", frozenset({stack_id} if stack_id else ())))


def _declared(service: ServiceSpec) -> dict[str, Any]:
    return {
        "name": service.name,
        "image_ref": service.image_ref,
        "image_tag": service.image_tag,
        "network_mode": service.network_mode,
        "depends_on": [told_dependency(name, name in service.restarts_after) for name in service.depends_on],
    }


def _active(stack_id: str, found: Model) -> dict[str, Any]:
    return {
        "stack_id": stack_id,
        "status": ProjectStatus.ACTIVE,
        "last_error": found.warning.reason if found.warning else None,
        "last_error_hint": found.warning.hint if found.warning else None,
        "last_config_files": list(found.spec.compose_files),
    }


def _warned(found: Model) -> dict[str, Any]:
    return {"warning": f"{found.warning.reason}. {found.warning.hint}"} if found.warning else {}
