"""What is registered: reading it, archiving it, settings of services."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel, col, select

from app.core import changes
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import NotFound
from app.core.events import EntitiesChanged, EventBus
from app.features.stacks import queries, settings_rules
from app.features.stacks.models import ProjectRow, ServiceRow, StackRow
from app.features.stacks.queries import Archived
from app.features.stacks.records import ProjectRecord, ServiceRecord, ServiceSettings, StackRecord

Scope = Literal["service", "stack", "all"]

USER_ARCHIVE = "user_archive"
RESTART_ARCHIVE = "auto_archive_on_restart"
_SETTINGS: Final = {
    "auto_rollback": "autoRollback", "backup_targets_bind_paths": "backupTargets.bindPaths",
    "backup_targets_volume_names": "backupTargets.volumeNames", "repo_url": "repoUrl",
}  # fmt: skip


class KeepUrl:
    """Says that a service's `repoUrl` is not part of the change."""


KEEP_URL = KeepUrl()


class Stacks:
    """Stacks, services and discovery projects. Raises NotFound with the texts of spec §3.6, StorageError."""

    def __init__(self, db: Database, bus: EventBus, clock: Clock) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock

    # ---- reading

    async def stacks(self, archived: Archived = "exclude") -> list[StackRecord]:
        """Stacks newest created first, each with all its services by name (archived services too)."""
        async with self._db.session() as session:
            return await queries.read_stacks(session, archived=archived)

    async def stack(self, stack_id: str) -> StackRecord:
        """One stack. Raises NotFound."""
        async with self._db.session() as session:
            found = await queries.read_stacks(session, ids=[stack_id])
        if not found:
            raise NotFound("stack not found")
        return found[0]

    async def service(self, service_id: str) -> ServiceRecord:
        """One service. Raises NotFound."""
        found = await self._services(col(ServiceRow.id) == service_id)
        if not found:
            raise NotFound("service not found")
        return found[0]

    async def services(self, service_ids: list[str]) -> list[ServiceRecord]:
        """Those of the given services that exist, archived or not."""
        found: list[ServiceRecord] = []
        for start in range(0, len(service_ids), queries.CHUNK):
            found += await self._services(col(ServiceRow.id).in_(service_ids[start : start + queries.CHUNK]))
        return found

    async def select(
        self, scope: Scope, *, stack_id: str | None = None, service_id: str | None = None
    ) -> list[ServiceRecord]:
        """The services a scope means, by stack and name: none that is archived, alone or with its stack.

        Raises NotFound when the stack or service named does not exist.
        """
        if scope == "service":
            service = await self.service(service_id or "")
            return [] if service.hidden else [service]
        if scope == "stack":
            stack = await self.stack(stack_id or "")
            return [service for service in stack.services if not service.hidden]
        return await self._services(col(ServiceRow.archived).is_(False), col(StackRow.archived).is_(False))

    async def projects(self, archived: Archived = "exclude") -> list[ProjectRecord]:
        """Discovery projects by name."""
        async with self._db.session() as session:
            return await queries.read_projects(session, archived=archived)

    async def service_ids(self, projects: Collection[str]) -> dict[tuple[str, str], str]:
        """Ids of the services of these projects, by project and service name."""
        async with self._db.session() as session:
            return await queries.service_ids(session, projects)

    async def _services(self, *wanted: ColumnElement[bool]) -> list[ServiceRecord]:
        async with self._db.session() as session:
            return await queries.read_services(session, wanted)

    # ---- archive and restore: idempotent, no effect on containers, jobs or settings (spec §5.2)

    async def archive_stack(self, stack_id: str) -> None:
        """Hide a stack, and with it its services. Raises NotFound."""
        await self._set_archived(StackRow, col(StackRow.id), stack_id, True, "stack not found")
        self._bus.publish(EntitiesChanged("stacks", frozenset({stack_id})))

    async def restore_stack(self, stack_id: str) -> None:
        """Show a stack again. Raises NotFound."""
        await self._set_archived(StackRow, col(StackRow.id), stack_id, False, "stack not found")
        self._bus.publish(EntitiesChanged("stacks", frozenset({stack_id})))

    async def archive_service(self, service_id: str) -> None:
        """Hide a service. Raises NotFound."""
        await self._set_archived(ServiceRow, col(ServiceRow.id), service_id, True, "service not found")
        self._bus.publish(EntitiesChanged("services", frozenset({service_id})))

    async def restore_service(self, service_id: str) -> None:
        """Show a service again. Raises NotFound."""
        await self._set_archived(ServiceRow, col(ServiceRow.id), service_id, False, "service not found")
        self._bus.publish(EntitiesChanged("services", frozenset({service_id})))

    async def archive_project(self, project: str) -> None:
        """Hide a discovery project; its stack keeps its own flag. Raises NotFound."""
        await self._set_archived(ProjectRow, col(ProjectRow.project), project, True, "project not found")
        self._bus.publish(EntitiesChanged("stacks"))

    async def restore_project(self, project: str) -> None:
        """Show a discovery project again. Raises NotFound."""
        await self._set_archived(ProjectRow, col(ProjectRow.project), project, False, "project not found")
        self._bus.publish(EntitiesChanged("stacks"))

    async def _set_archived(
        self, table: type[SQLModel], key: Mapped[str], value: str, archived: bool, missing: str
    ) -> None:
        """Only a change of the flag is written: archiving twice keeps the first moment."""
        archived_column: Any = getattr(table, "archived")  # noqa: B009  # the three tables share the columns
        async with self._db.transaction() as session:
            flag = (await session.exec(select(archived_column).where(key == value))).first()
            if flag is None:
                raise NotFound(missing)
            if flag != archived:
                changes = archive_values(self._clock.now() if archived else None, USER_ARCHIVE)
                await session.exec(update(table).where(key == value).values(**changes))

    # ---- settings of a service (spec §5.5)

    async def service_settings(self, service_id: str) -> ServiceSettings:
        """What is set for a service. Raises NotFound."""
        service = await self.service(service_id)
        return ServiceSettings(
            auto_rollback=service.auto_rollback,
            bind_paths=service.bind_paths,
            volume_names=service.volume_names,
            repo_url=service.repo_url,
        )

    async def save_service_settings(
        self,
        service_id: str,
        *,
        auto_rollback: bool,
        bind_paths: Mapping[str, str],
        volume_names: Mapping[str, str],
        repo_url: str | KeepUrl | None = KEEP_URL,
    ) -> None:
        """Replace a service's settings. `repo_url` None or blank clears it and stops guessing one.

        Raises InvalidArgument with `details.field`, NotFound.
        """
        values: dict[str, Any] = {
            "auto_rollback": auto_rollback,
            "backup_targets_bind_paths": settings_rules.check_bind_paths(bind_paths),
            "backup_targets_volume_names": settings_rules.check_volume_names(volume_names),
        }
        if not isinstance(repo_url, KeepUrl):
            values["repo_url"] = settings_rules.check_repo_url(repo_url)
            values["repo_url_auto_disabled"] = values["repo_url"] is None
        async with self._db.transaction() as session:
            row = await session.get(ServiceRow, service_id)
            if row is None:
                raise NotFound("service not found")
            before = {wire: getattr(row, name) for name, wire in _SETTINGS.items()}
            if all(getattr(row, name) == value for name, value in values.items()):
                return
            for name, value in values.items():
                setattr(row, name, value)
            row.updated_at = self._clock.now()
            after = {wire: getattr(row, name) for name, wire in _SETTINGS.items()}
        changes.tell(before, after, harmless=("autoRollback",))
        self._bus.publish(EntitiesChanged("services", frozenset({service_id})))

    async def archive_missing_projects(self) -> int:
        """At process start: projects that are still missing leave the list (spec §4); how many did."""
        missing = col(ProjectRow.status) == "missing"
        async with self._db.transaction() as session:
            done = await session.exec(
                update(ProjectRow)
                .where(missing, col(ProjectRow.archived).is_(False))
                .values(**archive_values(self._clock.now(), RESTART_ARCHIVE))
            )
            return done.rowcount


def archive_values(at: datetime | None, reason: str) -> dict[str, Any]:
    """The three columns of an archived row; without a moment those of a row that is not."""
    return {"archived": at is not None, "archived_at": at, "archived_reason": reason if at else None}
