"""The tags of repositories, kept in the database: whoever wants a list first looks here, then asks."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from weakref import WeakValueDictionary

from sqlalchemy import delete
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col, select

from app.adapters.registry import ImageRef, RegistryClient, RegistryError
from app.core.clock import Clock
from app.core.db import Database
from app.features.versions import rules
from app.features.versions.models import RepositoryTags

JUST_NOW: Final = timedelta(minutes=10)
KEPT_TAGS: Final = 10_000
_IN_LIST: Final = 500


@dataclass(frozen=True, slots=True)
class PageState:
    """A list without its tags: when it was read, and why the last try brought none."""

    checked_at: datetime | None
    tried_at: datetime
    error: str | None


class TagBook:
    """The table `repository_tags`."""

    def __init__(self, db: Database, clock: Clock, client: RegistryClient) -> None:
        self._db = db
        self._clock = clock
        self._client = client
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def tags(self, ref: ImageRef, *, background: bool, not_older_than: timedelta = JUST_NOW) -> list[str]:
        """All tags of a repository, from the registry unless a list that young is there; one request for all who ask.

        Raises the RegistryError tree; the tags known before stay.
        """
        lock = self._locks.setdefault(ref.repo, asyncio.Lock())
        async with lock:
            if not_older_than:
                known, state = await self.cached(ref.repo)
                if state and state.checked_at and self._clock.now() - state.checked_at < not_older_than:
                    return known
            try:
                listed = await self._client.tags(ref, background=background)
            except RegistryError as error:
                await self._write(ref.repo, None, error.message[:500])
                raise
            await self._write(ref.repo, listed, None)
            return listed

    async def cached(self, repo: str) -> tuple[list[str], PageState | None]:
        """The tags as last read, however old, without asking anybody."""
        async with self._db.session() as session:
            row = await session.get(RepositoryTags, repo)
        return ([], None) if row is None else (row.tags, PageState(row.checked_at, row.tried_at, row.error))

    async def states(self, repos: Collection[str]) -> dict[str, PageState]:
        """How old the lists of some repositories are, in one query per 500, without reading the tags."""
        found: dict[str, PageState] = {}
        ordered = sorted(set(repos))
        query = select(
            RepositoryTags.image_repo, RepositoryTags.checked_at, RepositoryTags.tried_at, RepositoryTags.error
        )
        for start in range(0, len(ordered), _IN_LIST):
            wanted = col(RepositoryTags.image_repo).in_(ordered[start : start + _IN_LIST])
            async with self._db.session() as session:
                for repo, checked_at, tried_at, error in (await session.exec(query.where(wanted))).all():
                    found[repo] = PageState(checked_at, tried_at, error)
        return found

    async def drop(self, repo: str, gone: Collection[str]) -> None:
        """Take tags out of a list that the registry turned out not to have any more."""
        if gone:
            async with self._db.transaction() as session:
                row = await session.get(RepositoryTags, repo)
                if row is not None:
                    row.tags = [tag for tag in row.tags if tag not in gone]

    async def purge(self, before: datetime) -> int:
        """Forget lists nobody asked for since; returns how many."""
        async with self._db.transaction() as session:
            gone = await session.exec(delete(RepositoryTags).where(col(RepositoryTags.tried_at) < before))
        return int(gone.rowcount)

    async def _write(self, repo: str, tags: list[str] | None, error: str | None) -> None:
        now = self._clock.now()
        kept = tags if tags is None or len(tags) <= KEPT_TAGS else rules.sort_tags(tags)[:KEPT_TAGS]
        statement = insert(RepositoryTags)
        names = ("error", "tried_at") if kept is None else ("tags_json", "checked_at", "error", "tried_at")
        row = {
            "image_repo": repo,
            "tags_json": kept or [],
            "checked_at": None if kept is None else now,
            "error": error,
            "tried_at": now,
        }
        async with self._db.transaction() as session:
            connection = await session.connection()
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["image_repo"], set_={name: statement.excluded[name] for name in names}
                ),
                [row],
            )
