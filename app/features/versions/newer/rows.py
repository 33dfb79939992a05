"""The newer versions of each service, ready to be drawn: one row per service, read together with its evidence."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col, select

from app.core.clock import Clock, rfc3339
from app.core.db import Database
from app.features.versions.evidence import RECORD_COLUMNS, SERVICES, record_of, same_image
from app.features.versions.models import ServiceNewerVersions
from app.features.versions.records import VersionRecord
from app.features.versions.rules import Entry

_IN_LIST: Final = 500


@dataclass(frozen=True, slots=True)
class NewerVersions:
    """What is newer than a service's running version. Entries are unpacked only for who draws them.

    `skipped` versions lie between what runs and the candidate.
    """

    image_ref: str
    current: str
    summary: str
    packed: str
    basis: str
    checked_at: datetime | None
    skipped: int = 0

    def about(self, record: VersionRecord) -> bool:
        """Whether it was made for what runs now; else it says nothing."""
        return self.image_ref == record.image_ref and self.current == record.current_display

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Nearest distance first."""
        return _unpacked(self.packed) if self.packed != "[]" else ()


def packed(entries: Iterable[Entry]) -> str:
    """Entries as they are kept; members that say nothing are left out."""
    documents = [
        {key: value for key, value in asdict(entry).items() if value not in (None, (), "", 0, False)}
        for entry in entries
    ]
    for document in documents:
        if "published_at" in document:
            document["published_at"] = rfc3339(document["published_at"])
        if "platforms" in document:
            document["platforms"] = list(document["platforms"])
    return json.dumps(documents, separators=(",", ":"), ensure_ascii=False)


@lru_cache(maxsize=128)  # a page draws the same rows again whenever something moves
def _unpacked(text: str) -> tuple[Entry, ...]:
    return tuple(_entry(document) for document in json.loads(text))


def _entry(document: dict[str, Any]) -> Entry:
    at, platforms = document.get("published_at"), document.get("platforms")
    return Entry(
        **{
            **document,
            "published_at": datetime.fromisoformat(at) if at else None,
            "platforms": tuple(platforms) if platforms is not None else None,
            "reached_by": tuple(document.get("reached_by", ())),
        }
    )


_COLUMNS: Final[tuple[Any, ...]] = (
    ServiceNewerVersions.image_ref,
    ServiceNewerVersions.current,
    ServiceNewerVersions.summary,
    ServiceNewerVersions.entries,
    ServiceNewerVersions.basis,
    ServiceNewerVersions.checked_at,
    ServiceNewerVersions.skipped,
)


class NewerRows:
    """The table `service_newer_versions`."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def of(self, service_ids: Collection[str]) -> dict[str, NewerVersions]:
        """Rows by service, in one query per 500."""
        found: dict[str, NewerVersions] = {}
        ordered = sorted(set(service_ids))
        for start in range(0, len(ordered), _IN_LIST):
            wanted = col(ServiceNewerVersions.service_id).in_(ordered[start : start + _IN_LIST])
            async with self._db.session() as session:
                for row in (await session.exec(select(ServiceNewerVersions.service_id, *_COLUMNS).where(wanted))).all():
                    found[row[0]] = NewerVersions(*row[1:])
        return found

    async def with_records(self) -> tuple[dict[str, VersionRecord], dict[str, NewerVersions]]:
        """The evidence of every service and what is newer, in one query; rows about something else are left out."""
        query = (
            select(*RECORD_COLUMNS, *_COLUMNS)
            .join(SERVICES, same_image())
            .outerjoin(ServiceNewerVersions, col(ServiceNewerVersions.service_id) == SERVICES.c.id)
        )
        async with self._db.session() as session:
            found = (await session.exec(query)).all()
        split = len(RECORD_COLUMNS)
        records = {values[0]: record_of(values[:split]) for values in found}
        newer = {values[0]: NewerVersions(*values[split:]) for values in found if values[split] is not None}
        return records, {key: row for key, row in newer.items() if row.about(records[key])}

    async def save(self, rows: dict[str, NewerVersions]) -> None:
        """Write rows by service. Raises StorageError."""
        if not rows:
            return
        now, statement = self._clock.now(), insert(ServiceNewerVersions)
        names = ("image_ref", "current", "summary", "entries_json", "basis", "checked_at", "skipped", "computed_at")
        values = [
            {
                "service_id": service_id,
                "image_ref": row.image_ref,
                "current": row.current,
                "summary": row.summary,
                "entries_json": row.packed,
                "basis": row.basis,
                "checked_at": row.checked_at,
                "skipped": row.skipped,
                "computed_at": now,
            }
            for service_id, row in rows.items()
        ]
        async with self._db.transaction() as session:
            connection = await session.connection()
            # A service may have gone since its evidence was read; its row would have nothing to belong to.
            services = (await session.exec(select(SERVICES.c.id).where(SERVICES.c.id.in_(list(rows))))).all()
            there = set(services)
            kept = [value for value in values if value["service_id"] in there]
            if kept:
                await connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["service_id"], set_={name: statement.excluded[name] for name in names}
                    ),
                    kept,
                )
