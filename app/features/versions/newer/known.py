"""What single tags of repositories are, kept in the database and shared by all services of a repository."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col, select

from app.core.clock import Clock
from app.core.db import Database
from app.features.versions.models import RepositoryVersion
from app.features.versions.rules import Known

# A tag that names a version seldom moves; one whose platforms are not known yet is asked again sooner.
TTL: Final = timedelta(days=1)
TTL_INCOMPLETE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Dated:
    """What a tag was at a time."""

    known: Known
    checked_at: datetime

    def fresh(self, now: datetime) -> bool:
        """Whether it is worth no question now."""
        return now - self.checked_at < (TTL if self.known.platforms is not None else TTL_INCOMPLETE)


class KnownVersions:
    """The table `repository_versions`; its key is a tag, or a digest for an image that is known by it alone."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def of(self, repo: str) -> dict[str, Dated]:
        """Everything known of a repository."""
        query = select(RepositoryVersion).where(RepositoryVersion.image_repo == repo)
        async with self._db.session() as session:
            rows = (await session.exec(query)).all()
        return {
            row.reference: Dated(
                Known(
                    row.digest,
                    None if row.platforms is None else tuple(row.platforms),
                    row.published_at,
                    row.detailed,
                ),
                row.checked_at,
            )
            for row in rows
        }

    async def save(self, repo: str, found: Mapping[str, Known]) -> None:
        """Keep what was just found out."""
        if not found:
            return
        now, statement = self._clock.now(), insert(RepositoryVersion)
        names = ("digest", "platforms_json", "published_at", "detailed", "checked_at")
        rows = [
            {
                "image_repo": repo,
                "reference": reference,
                "digest": known.digest,
                "platforms_json": None if known.platforms is None else list(known.platforms),
                "published_at": known.published_at,
                "detailed": known.detailed,
                "checked_at": now,
            }
            for reference, known in found.items()
        ]
        async with self._db.transaction() as session:
            connection = await session.connection()
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["image_repo", "reference"],
                    set_={name: statement.excluded[name] for name in names},
                ),
                rows,
            )

    async def forget(self, repo: str, references: Collection[str]) -> None:
        """Tags that are gone from the registry."""
        if references:
            async with self._db.transaction() as session:
                await session.exec(
                    delete(RepositoryVersion).where(
                        col(RepositoryVersion.image_repo) == repo, col(RepositoryVersion.reference).in_(references)
                    )
                )

    async def purge(self, before: datetime) -> int:
        """Forget what nobody asked for since; returns how many."""
        async with self._db.transaction() as session:
            gone = await session.exec(delete(RepositoryVersion).where(col(RepositoryVersion.checked_at) < before))
        return int(gone.rowcount)
