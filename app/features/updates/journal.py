"""What is half done, on disk before it is begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.db import Database
from app.features.updates.models import UpdateJournal
from app.features.updates.records import Change, Dependent, Housemate, project_document, project_from
from app.features.updates.rules.recovery import Step


class Journal:
    """Every method returns when it is on disk."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def open(self, change: Change) -> None:
        """Before the first step."""
        now = self._clock.now()
        row = UpdateJournal(
            job_id=change.job_id,
            service_id=change.service_id,
            stack_id=change.stack_id,
            service_name=change.service,
            project=project_document(change.project),
            step=change.step,
            configured_ref=change.configured_ref,
            target_ref=change.target_ref,
            target_tag=change.target_tag,
            old_image_id=change.old_image_id,
            was_unhealthy=change.was_unhealthy,
            containers=change.containers,
            new_image_id=change.new_image_id,
            override_path=change.override_path,
            config_folder=change.config_folder,
            lodgers=[*(mate.document() for mate in change.housemates), *(one.document() for one in change.dependents)],
            created_at=now,
            updated_at=now,
        )
        async with self._db.transaction() as session:
            session.add(row)

    async def move(self, change: Change, step: Step, **facts: Any) -> None:
        """Before the next step."""
        async with self._db.transaction() as session:
            row = await session.get_one(UpdateJournal, (change.job_id, change.service_id))
            row.step, row.updated_at = step, self._clock.now()
            for name, value in facts.items():
                setattr(row, name, value)

    async def owe(self, change: Change, dependents: Sequence[Dependent]) -> None:
        """The service is settled, these restarts are still to come."""
        await self.move(change, Step.RESTARTS, lodgers=[one.document() for one in dependents])

    async def paid(self, job_id: str, stack_id: str) -> None:
        """The restarts that the services of this stack owed were made, or were not needed."""
        async with self._db.transaction() as session:
            await session.exec(
                delete(UpdateJournal).where(
                    col(UpdateJournal.job_id) == job_id,
                    col(UpdateJournal.stack_id) == stack_id,
                    col(UpdateJournal.step) == Step.RESTARTS,
                )
            )

    async def close(self, change: Change) -> None:
        """The service is settled, or there is nothing Dockrev can do about it any more."""
        async with self._db.transaction() as session:
            await session.exec(
                delete(UpdateJournal).where(
                    col(UpdateJournal.job_id) == change.job_id, col(UpdateJournal.service_id) == change.service_id
                )
            )

    async def all(self) -> list[Change]:
        """Everything that is half done, oldest first."""
        async with self._db.session() as session:
            return await self.inside(session)

    async def inside(self, session: AsyncSession) -> list[Change]:
        """The same in the caller's transaction."""
        rows = await session.exec(select(UpdateJournal).order_by(col(UpdateJournal.created_at)))
        return [_change(row) for row in rows]


def _change(row: UpdateJournal) -> Change:
    return Change(
        job_id=row.job_id,
        stack_id=row.stack_id,
        service_id=row.service_id,
        service=row.service_name,
        project=project_from(row.project),
        configured_ref=row.configured_ref,
        target_ref=row.target_ref,
        target_tag=row.target_tag,
        old_image_id=row.old_image_id,
        was_unhealthy=row.was_unhealthy,
        containers=row.containers,
        housemates=tuple(Housemate.of(item) for item in row.lodgers if "restart" not in item),
        dependents=tuple(Dependent.of(item) for item in row.lodgers if "restart" in item),
        new_image_id=row.new_image_id,
        step=row.step,
        override_path=row.override_path,
        config_folder=row.config_folder,
    )
