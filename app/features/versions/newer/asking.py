"""Asking a registry what tags are: HEAD first, a manifest only while the host has quota to spare."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from app.adapters.registry import (
    ImageRef,
    ManifestUnknown,
    RegistryClient,
    RegistryCoolingDown,
    RegistryError,
    is_digest,
)
from app.features.versions.inference.tagscan import RecentTags
from app.features.versions.newer.book import TagBook
from app.features.versions.newer.known import Dated, KnownVersions
from app.features.versions.rules import Known

AT_ONCE: Final = 2
TAG_SECONDS: Final = 20.0
# Images that are built to be the same each time carry the first second of some epoch.
_FIRST_YEAR: Final = 2013
_FRACTION: Final = re.compile(r"\.(\d{1,6})\d*")


class Asking:
    """Questions nobody waits for: a host that rests is not asked, and half of a pull quota is left to updates."""

    def __init__(self, client: RegistryClient, recent: RecentTags, known: KnownVersions, book: TagBook) -> None:
        self._client = client
        self._book = book
        self._recent = recent
        self._known = known
        self._pulling: Counter[str] = Counter()

    async def ask(self, ref: ImageRef, tags: Collection[str], names: Collection[str], *, detailed: bool) -> bool:
        """Find out about tags and digests and keep it; False when the registry does not answer: asking on is no use.

        Of `names` only the digest is asked.
        """
        before = await self._known.of(ref.repo)
        found: dict[str, Known] = {}
        gone: list[str] = []
        permits, stop = asyncio.Semaphore(AT_ONCE), asyncio.Event()

        async def one(tag: str) -> None:
            async with permits:
                if stop.is_set():
                    return
                try:
                    async with asyncio.timeout(TAG_SECONDS):
                        now = await self._about(ref, tag, detailed, only_digest=tag not in tags)
                        found[tag] = _with(before.get(tag), now)
                except ManifestUnknown:
                    if is_digest(tag):
                        found[tag] = Known(tag, (), None, True)  # it runs here and is nowhere else any more
                    else:
                        gone.append(tag)
                except RegistryCoolingDown:
                    stop.set()
                except (RegistryError, TimeoutError):
                    return

        async with asyncio.TaskGroup() as group:
            for tag in sorted({*tags, *names}):
                group.create_task(one(tag))
        await self._known.save(ref.repo, found)
        await self._known.forget(ref.repo, gone)
        await self._book.drop(ref.repo, gone)
        return bool(found or gone) and not stop.is_set()

    async def flush(self) -> None:
        """Keep the manifests that were read. Raises StorageError."""
        await self._client.store.flush()

    async def _about(self, ref: ImageRef, tag: str, detailed: bool, *, only_digest: bool) -> Known:
        digest = tag if is_digest(tag) else (await self._recent.resolve(ref, tag, background=True)).digest
        if only_digest:
            return Known(digest)
        platforms: tuple[str, ...] | None = None
        at: str | None = None
        try:
            async with self._pull(ref, digest) as affordable:
                if affordable:
                    seen = await self._client.manifest(ref, digest, background=True)
                    platforms = seen.arch
            if platforms is not None and detailed:
                async with self._pull(
                    ref, seen.platform_digest or min(seen.children.values(), default="")
                ) as affordable:
                    if affordable:
                        at = (await self._client.image_labels(ref, digest, background=True)).created
        except RegistryError as error:
            if not error.permanent:
                raise
            platforms = platforms or ()  # it will not say; asking again tomorrow is soon enough
        return Known(digest, platforms, published_at(at), detailed)

    @asynccontextmanager
    async def _pull(self, ref: ImageRef, digest: str) -> AsyncIterator[bool]:
        """Whether reading a manifest is free (it is known already) or leaves half of the quota for what people do.

        Pulls under way count: the host has not told of them yet.
        """
        if await self._client.store.manifest(digest) is not None:
            yield True
            return
        host = self._client.host(ref.registry)
        spare = None if host.remaining is None else host.remaining - self._pulling[ref.registry]
        affordable = spare is None or spare > (host.limit or 2 * spare) // 2
        self._pulling[ref.registry] += affordable
        try:
            yield affordable
        finally:
            self._pulling[ref.registry] -= affordable


def _with(before: Dated | None, now: Known) -> Known:
    """The new answer, with what an earlier one said about the same image and this one did not ask."""
    if before is None or before.known.digest != now.digest:
        return now
    old = before.known
    platforms = old.platforms if now.platforms is None else now.platforms
    return Known(now.digest, platforms, now.published_at or old.published_at, now.detailed or old.detailed)


def published_at(text: str | None) -> datetime | None:
    """The time in an image's config; None for none, for nonsense, and for the epoch of reproducible builds."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r".\1", text).replace("Z", "+00:00"))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= _FIRST_YEAR else None
