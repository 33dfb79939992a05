"""Which tags of a repository are this digest: the asking itself, within its limits (spec §5.2, §7.6)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.adapters.registry import ImageRef, ManifestUnknown, RegistryClient, RegistryError, RegistryTimeout, Resolved
from app.core.clock import Clock
from app.features.versions.records import ScanCounts

REMEMBERED_SECONDS: Final = 120.0
REMEMBERED_TAGS: Final = 1000


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """Seconds per tag and for all of them, and how many are asked at once."""

    concurrency: int
    per_tag: float
    total: float


@dataclass(frozen=True, slots=True)
class TagScan:
    """What a scan found: tags that are the digest (unsorted) and how far it came. `warning` is the first error."""

    tags: tuple[str, ...]
    counts: ScanCounts
    warning: str = ""


class RecentTags:
    """What tags pointed to within the last two minutes: two digests of one repository share their questions."""

    def __init__(self, client: RegistryClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], tuple[float, Resolved]] = OrderedDict()

    async def resolve(
        self, ref: ImageRef, tag: str, *, background: bool, young: float = REMEMBERED_SECONDS
    ) -> Resolved:
        """What the tag points to; the registry is asked unless an answer younger than `young` seconds is there."""
        key, now = (ref.repo, tag), self._clock.monotonic()
        seen = self._seen.get(key)
        if seen is not None and now - seen[0] < min(young, REMEMBERED_SECONDS):
            return seen[1]
        resolved = await self._client.resolve(ref, tag, background=background)
        self._seen[key] = (now, resolved)
        self._seen.move_to_end(key)
        while len(self._seen) > REMEMBERED_TAGS:
            self._seen.popitem(last=False)
        return resolved


@dataclass(slots=True)
class DigestMatcher:
    """Compares tags with one digest, asking for as little as possible.

    Answers younger than `young` seconds are taken as they are. Only when the digest is no index can it be the host's
    child of one; then, and only then, are indexes read.
    """

    client: RegistryClient
    recent: RecentTags
    ref: ImageRef
    digest: str
    background: bool = True
    young: float = REMEMBERED_SECONDS
    _may_be_child: bool | None = field(default=None, init=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def matches(self, tag: str) -> bool:
        """Whether the tag is the digest. Raises the RegistryError tree."""
        resolved = await self.recent.resolve(self.ref, tag, background=self.background, young=self.young)
        if resolved.digest == self.digest:
            return True
        if resolved.is_index is False or not await self._child_possible():
            return False
        manifest = await self.client.manifest(self.ref, resolved.digest, background=self.background)
        return manifest.matches(self.digest)

    async def _child_possible(self) -> bool:
        async with self._asking:
            if self._may_be_child is None:
                try:
                    wanted = await self.client.manifest(self.ref, self.digest, background=self.background)
                    self._may_be_child = wanted.index_digest is None
                except ManifestUnknown:
                    self._may_be_child = False  # what the registry no longer has is no part of what it serves
            return self._may_be_child


Progress = Callable[[int, int], None]


async def scan_tags(
    tags: Sequence[str],
    matches: Callable[[str], Awaitable[bool]],
    limits: ScanLimits,
    *,
    total: int,
    progress: Progress | None = None,
) -> TagScan:
    """Ask about each tag within the limits; `progress(handed out, finished)` follows.

    A tag that failed or was not reached in time is counted, never guessed. `total` is the size of the repository.
    """
    found: list[str] = []
    ok = timeouts = errors = assigned = 0
    warning = ""
    pending = iter(tags)

    async def worker() -> None:
        nonlocal ok, timeouts, errors, assigned, warning
        for tag in pending:
            assigned += 1
            try:
                async with asyncio.timeout(limits.per_tag):
                    hit = await matches(tag)
            except (TimeoutError, RegistryTimeout):
                timeouts += 1
            except RegistryError as error:
                errors += 1
                warning = warning or error.message
            else:
                ok += 1
                if hit:
                    found.append(tag)
            if progress is not None:
                progress(assigned, ok + timeouts + errors)

    try:
        async with asyncio.timeout(limits.total):
            await _together(worker() for _ in range(min(limits.concurrency, len(tags))))
    except TimeoutError:
        timeouts = len(tags) - ok - errors
    counts = ScanCounts(
        repo_tags_total=total,
        repo_tags_considered=len(tags),
        manifests_ok=ok,
        manifests_timeout=timeouts,
        manifests_error=errors,
    )
    return TagScan(tuple(found), counts, warning)


async def _together(jobs: Iterable[Awaitable[None]]) -> None:
    """All of them; when one fails or the caller gives up, the others stop too."""
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(_run(job))


async def _run(job: Awaitable[None]) -> None:
    await job
