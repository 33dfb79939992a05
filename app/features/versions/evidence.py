"""Rows of evidence: read in one query, written together in one transaction (spec §4, §7.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import column, delete, table, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.db import Database
from app.core.jobs import Job, JobTarget
from app.features.versions.models import NewVersionDiscovery, ServiceVersion, StackCheck
from app.features.versions.records import Discovery, NewVersion, VersionRecord

# The stacks room's table, read only to tell whether a row is still about the image its service declares.
SERVICES: Final = table("services", column("id"), column("image_ref"))
_IN_LIST: Final = 500
_SCAN: Final = "runtime_scan"
_UPDATE: Final = "update"
_COLUMNS: Final = (  # in the order of VersionRecord's fields
    "service_id", "image_ref", "image_repo", "image_tag", "revision", "current_digest", "current_resolved_tag",
    "current_resolved_tags", "candidate_tag", "candidate_resolved_tag", "candidate_digest", "candidate_arch_match",
    "candidate_arch", "ignore_rule_id", "ignore_reason", "checked_at", "last_error", "last_error_at",
)  # fmt: skip
_TUPLES: Final = tuple(_COLUMNS.index(name) for name in ("current_resolved_tags", "candidate_arch"))
RECORD_COLUMNS: Final = tuple(getattr(ServiceVersion, name) for name in _COLUMNS)


@dataclass(slots=True)
class Findings:
    """What a check found out about the services of some stacks, to be written together.

    `changed` are complete new records (their `revision` is the one that was read); `confirmed` are services whose
    evidence stands as it is, of which only the time of the check changes; `failed` keep theirs, time included.
    """

    at: datetime
    stack_ids: list[str] = field(default_factory=list)
    changed: list[VersionRecord] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    new_versions: list[NewVersion] = field(default_factory=list)


class Evidence:
    """The table `service_versions` and its neighbours."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def records(self, service_ids: Collection[str] | None = None) -> dict[str, VersionRecord]:
        """Valid evidence by service, in one query; services that were never checked are not in it."""
        query = select(*RECORD_COLUMNS).join(SERVICES, same_image())
        ids = None if service_ids is None else set(service_ids)
        if ids is not None and len(ids) <= _IN_LIST:
            query = query.where(col(ServiceVersion.service_id).in_(ids))
        async with self._db.session() as session:
            rows = (await session.exec(query)).all()
        found = {row[0]: record_of(row) for row in rows}
        return found if ids is None or len(ids) <= _IN_LIST else {key: found[key] for key in ids if key in found}

    async def of_repo(self, image_repo: str) -> list[VersionRecord]:
        """Evidence of every service that uses a repository."""
        query = select(*RECORD_COLUMNS).join(SERVICES, same_image()).where(ServiceVersion.image_repo == image_repo)
        async with self._db.session() as session:
            return [record_of(row) for row in (await session.exec(query)).all()]

    async def last_checks(self, stack_ids: Collection[str] | None = None) -> dict[str, datetime]:
        """When each stack was checked last; never checked ones are not in it."""
        query = select(StackCheck.stack_id, StackCheck.last_check_at)
        if stack_ids is not None and len(stack_ids) <= _IN_LIST:
            query = query.where(col(StackCheck.stack_id).in_(stack_ids))
        async with self._db.session() as session:
            return dict((await session.exec(query)).all())

    async def discoveries(self, service_id: str, limit: int) -> list[Discovery]:
        """Candidates first seen for a service, newest first."""
        query = (
            select(NewVersionDiscovery)
            .where(NewVersionDiscovery.service_id == service_id)
            .order_by(col(NewVersionDiscovery.id).desc())
            .limit(limit)
        )
        async with self._db.session() as session:
            rows = (await session.exec(query)).all()
        return [Discovery(**{name: getattr(row, name) for name in Discovery.__dataclass_fields__}) for row in rows]

    async def found_by_scans(self, service_ids: Collection[str]) -> set[str]:
        """Those of these services whose present candidate was first seen by a scan of what runs, without those that
        somebody tried to update since: who did so has seen it."""
        later = aliased(Job)
        tried = (
            select(JobTarget.job_id)
            .join(later, col(later.id) == col(JobTarget.job_id))
            .where(
                col(JobTarget.service_id) == col(NewVersionDiscovery.service_id),
                col(later.type) == _UPDATE,
                col(later.created_at) > col(NewVersionDiscovery.discovered_at),
            )
        )
        query = (
            select(NewVersionDiscovery.service_id)
            .join(Job, col(Job.id) == col(NewVersionDiscovery.source_job_id))
            .join(ServiceVersion, col(ServiceVersion.service_id) == col(NewVersionDiscovery.service_id))
            .where(
                col(NewVersionDiscovery.service_id).in_(service_ids),
                col(NewVersionDiscovery.image_ref) == col(ServiceVersion.image_ref),
                col(NewVersionDiscovery.candidate_digest) == col(ServiceVersion.candidate_digest),
                col(Job.type) == _SCAN,
                ~tried.exists(),
            )
        )
        async with self._db.session() as session:
            return set((await session.exec(query)).all())

    async def purge_discoveries(self, before: datetime) -> int:
        """Forget what was first seen before a moment; returns how many lines."""
        async with self._db.transaction() as session:
            gone = await session.exec(
                delete(NewVersionDiscovery).where(col(NewVersionDiscovery.discovered_at) < before)
            )
        return int(gone.rowcount)

    async def save(self, found: Findings, *, job_id: str | None) -> list[VersionRecord]:
        """Write findings in one transaction; returns the records really written.

        The stacks in `stack_ids` count as checked at `at`. Left out are services that vanished or got another image
        meanwhile, and those about which somebody (an update, another check) found something newer since the reading.
        """
        async with self._db.transaction() as session:
            written = await self._save_changed(session, found.changed)
            if found.confirmed:
                await session.exec(
                    update(ServiceVersion)
                    .where(col(ServiceVersion.service_id).in_(found.confirmed))
                    .values(checked_at=found.at, last_error=None, last_error_at=None)
                )
            if found.failed:
                await self._save_failures(session, found)
            if found.stack_ids:
                rows = [{"stack_id": stack_id, "last_check_at": found.at} for stack_id in found.stack_ids]
                await (await session.connection()).execute(_upsert_stack_check(), rows)
            ids = {record.service_id for record in written}
            if new := [version for version in found.new_versions if version.service_id in ids]:
                await self._save_discoveries(session, new, found.at, job_id)
        return written

    async def _save_changed(self, session: AsyncSession, changed: Sequence[VersionRecord]) -> list[VersionRecord]:
        if not changed:
            return []
        ids = [record.service_id for record in changed]
        # A row about another image counts as none here too.
        current = select(SERVICES.c.id, SERVICES.c.image_ref, ServiceVersion.revision).join_from(
            SERVICES, ServiceVersion, same_image(), isouter=True
        )
        rows = (await session.exec(current.where(SERVICES.c.id.in_(ids)))).all()
        known = {row[0]: (row[1], row[2] or 0) for row in rows}
        wanted = [r for r in changed if _still_true(r, known.get(r.service_id))]
        written = [replace(record, revision=known[record.service_id][1] + 1) for record in wanted]
        if written:
            connection = await session.connection()
            await connection.execute(_upsert_record(), [_row(record) for record in written])
        return written

    async def _save_failures(self, session: AsyncSession, found: Findings) -> None:
        table_ = ServiceVersion.__table__  # type: ignore[attr-defined]
        for text in set(found.failed.values()):
            ids = [service_id for service_id, said in found.failed.items() if said == text]
            await session.exec(
                update(table_).where(table_.c.service_id.in_(ids)).values(last_error=text[:500], last_error_at=found.at)
            )

    async def _save_discoveries(
        self, session: AsyncSession, new: Iterable[NewVersion], at: datetime, job_id: str | None
    ) -> None:
        connection = await session.connection()
        await connection.execute(
            insert(NewVersionDiscovery).on_conflict_do_nothing(),
            [
                {
                    "service_id": version.service_id,
                    "image_ref": version.image_ref,
                    "current_digest": version.current_digest or "",
                    "candidate_tag": version.candidate_tag,
                    "candidate_digest": version.candidate_digest,
                    "source_job_id": job_id,
                    "discovered_at": at,
                }
                for version in new
            ],
        )


def same_image() -> Any:
    """Joins a row of evidence with its service, as long as that declares the image the row is about."""
    return (SERVICES.c.id == ServiceVersion.service_id) & (SERVICES.c.image_ref == ServiceVersion.image_ref)


def _still_true(record: VersionRecord, known: tuple[str, int] | None) -> bool:
    return known is not None and known[0] == record.image_ref and known[1] == record.revision


def record_of(row: Sequence[Any]) -> VersionRecord:
    """A record from the values of `RECORD_COLUMNS`."""
    values = list(row)
    for place in _TUPLES:
        values[place] = tuple(values[place] or ())
    return VersionRecord(*values)


def _row(record: VersionRecord) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in _COLUMNS}
    values["current_resolved_tags_json"] = list(values.pop("current_resolved_tags")) or None
    values["candidate_arch_json"] = list(values.pop("candidate_arch")) or None
    return values


def _upsert_record() -> Any:
    statement = insert(ServiceVersion)
    names = [name for name in ServiceVersion.__table__.columns.keys() if name != "service_id"]  # type: ignore[attr-defined]  # noqa: SIM118
    return statement.on_conflict_do_update(
        index_elements=["service_id"], set_={name: statement.excluded[name] for name in names}
    )


def _upsert_stack_check() -> Any:
    statement = insert(StackCheck)
    return statement.on_conflict_do_update(
        index_elements=["stack_id"], set_={"last_check_at": statement.excluded.last_check_at}
    )
