"""Cached answers to "which tags have this digest": read, written, aged (spec §7.6)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import delete
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.db import Database
from app.features.versions.inference.queue import Key
from app.features.versions.models import DigestTagsSnapshot
from app.features.versions.records import ScanCounts, Snapshot

TTL: Final = timedelta(days=7)
RETRY_FAILED_AFTER: Final = timedelta(minutes=10)
RETENTION: Final = timedelta(days=30)
_IN_LIST: Final = 500
_AGE_COLUMNS: Final[tuple[Any, ...]] = (
    DigestTagsSnapshot.image_repo,
    DigestTagsSnapshot.digest,
    DigestTagsSnapshot.host_platform,
    DigestTagsSnapshot.checked_at,
    DigestTagsSnapshot.updated_at,
    DigestTagsSnapshot.all_failed,
)


class SnapshotAge(NamedTuple):
    """A snapshot without its tags: enough to tell whether it is still good."""

    key: Key
    checked_at: datetime
    updated_at: datetime
    all_failed: bool

    def fresh(self, now: datetime) -> bool:
        """Good for 7 days; one that found nothing because everything failed, for 10 minutes."""
        return is_fresh(self.checked_at, self.all_failed, now)


def is_fresh(checked_at: datetime, all_failed: bool, now: datetime) -> bool:
    """The rule of spec §7.6."""
    return now - checked_at < (RETRY_FAILED_AFTER if all_failed else TTL)


class Snapshots:
    """The table `image_digest_tags_snapshots`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def get(self, key: Key) -> Snapshot | None:
        """The cached answer, however old."""
        async with self._db.session() as session:
            row = await session.get(DigestTagsSnapshot, (key.image_repo, key.digest, key.host_platform))
        return None if row is None else _snapshot(row)

    async def many(self, keys: Collection[Key]) -> dict[Key, Snapshot]:
        """Several at once, in one query per 500 digests."""
        found: dict[Key, Snapshot] = {}
        for condition in _conditions(keys):
            async with self._db.session() as session:
                for row in await session.exec(select(DigestTagsSnapshot).where(condition)):
                    snapshot = _snapshot(row)
                    found[Key(row.image_repo, row.digest, row.host_platform)] = snapshot
        return {key: found[key] for key in keys if key in found}

    async def ages(self, keys: Collection[Key] | None = None) -> dict[Key, SnapshotAge]:
        """How old snapshots are, of some keys or of all, in one query and without reading their tags."""
        few = keys is not None and len(keys) <= _IN_LIST
        conditions: list[Any] = _conditions(keys) if keys is not None and few else [True]
        found: dict[Key, SnapshotAge] = {}
        for condition in conditions:
            query = select(*_AGE_COLUMNS)
            if condition is not True:
                query = query.where(condition)
            async with self._db.session() as session:
                for repo, digest, platform, checked_at, updated_at, all_failed in (await session.exec(query)).all():
                    key = Key(repo, digest, platform)
                    found[key] = SnapshotAge(key, checked_at, updated_at, all_failed)
        return found if keys is None else {key: found[key] for key in keys if key in found}

    async def save(self, session: AsyncSession, snapshot: Snapshot) -> None:
        """Write inside the caller's transaction, so that snapshot and folded versions appear together."""
        document = {"digest": snapshot.digest, "tags": list(snapshot.tags), "scan": snapshot.scan.document()}
        statement = insert(DigestTagsSnapshot)
        values = {
            "image_repo": snapshot.image_repo,
            "digest": snapshot.digest,
            "host_platform": snapshot.host_platform,
            "snapshot_json": document,
            "all_failed": snapshot.all_failed,
            "checked_at": snapshot.checked_at,
            "updated_at": snapshot.checked_at,
        }
        names = ("snapshot_json", "all_failed", "checked_at", "updated_at")
        connection = await session.connection()
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["image_repo", "digest", "host_platform"],
                set_={name: statement.excluded[name] for name in names},
            ),
            [values],
        )

    async def purge(self, cutoff: datetime) -> int:
        """Delete snapshots older than a moment; returns how many."""
        async with self._db.transaction() as session:
            gone = await session.exec(delete(DigestTagsSnapshot).where(col(DigestTagsSnapshot.checked_at) < cutoff))
        return int(gone.rowcount)


def _conditions(keys: Collection[Key]) -> list[Any]:
    digests = sorted({key.digest for key in keys})
    return [
        col(DigestTagsSnapshot.digest).in_(digests[start : start + _IN_LIST])
        & col(DigestTagsSnapshot.image_repo).in_(sorted({key.image_repo for key in keys}))
        if len(keys) <= _IN_LIST
        else col(DigestTagsSnapshot.digest).in_(digests[start : start + _IN_LIST])
        for start in range(0, len(digests), _IN_LIST)
    ]


def _snapshot(row: DigestTagsSnapshot) -> Snapshot:
    document = row.snapshot
    return Snapshot(
        image_repo=row.image_repo,
        digest=row.digest,
        host_platform=row.host_platform,
        tags=tuple(document.get("tags", ())),
        scan=ScanCounts.of(document.get("scan", {})),
        checked_at=row.checked_at,
        all_failed=row.all_failed,
    )
