"""Which tags have this digest: asked now, or read from the cache (spec §5.2)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.adapters.registry import ImageRef, InvalidReference, RegistryClient, RegistryTimeout
from app.core.clock import Clock
from app.core.errors import Internal, InvalidArgument, NotFound
from app.features.stacks import ServiceRecord, Stacks
from app.features.versions import rules
from app.features.versions.evidence import Evidence
from app.features.versions.inference.fold import merge_tags
from app.features.versions.inference.queue import Key, Reason
from app.features.versions.inference.tagscan import DigestMatcher, RecentTags, ScanLimits, TagScan, scan_tags
from app.features.versions.inference.worker import Inference
from app.features.versions.records import ScanCounts, Snapshot

LISTING_SECONDS: Final = 8.0
LIVE: Final = ScanLimits(concurrency=10, per_tag=6.0, total=40.0)
RETRY_AFTER_MS: Final = 800
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class DigestTagsNow:
    """The answer of the live look-up. `checked_at` is set when the tags come from a fresh snapshot."""

    digest: str
    tags: tuple[str, ...]
    repo_tags: tuple[str, ...]
    scan: ScanCounts
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Nothing to show yet: ask again after `retry_after_ms`."""

    digest: str
    retry_after_ms: int = RETRY_AFTER_MS


@dataclass(frozen=True, slots=True)
class RefreshAccepted:
    """A forced look-up is queued (`force`), or one was there before (`running`)."""

    service_id: str
    key: Key
    reason: str


def normal_digest(text: str | None) -> str:
    """Trimmed, lower case, with `sha256:` where no algorithm was given; "" for nothing. Raises InvalidArgument."""
    digest = (text or "").strip().lower()
    if len(digest) > _LONGEST or not digest.isprintable():
        raise InvalidArgument("digest is not valid", details={"field": "digest"})
    return digest if not digest or ":" in digest else f"sha256:{digest}"


class DigestTags:
    """Live and cached answers for one service's image."""

    def __init__(
        self, stacks: Stacks, evidence: Evidence, inference: Inference, client: RegistryClient, clock: Clock
    ) -> None:
        self._stacks = stacks
        self._evidence = evidence
        self._inference = inference
        self._client = client
        self._clock = clock

    async def live(self, service_id: str, digest: str | None) -> DigestTagsNow:
        """List the repository's tags and compare each one, at most 8 s and 40 s; a fresh snapshot spares the latter.

        Raises NotFound, InvalidArgument (the reference is no image reference), Internal `registry timeout`, and the
        RegistryError tree when the tags cannot be listed.
        """
        wanted = normal_digest(digest)
        service = await self._stacks.service(service_id)
        ref = _reference(service)
        listed = await self._list(ref)
        if not wanted:
            return DigestTagsNow("", (), tuple(listed), ScanCounts(repo_tags_total=len(listed)))
        key = self._inference.key(ref.repo, wanted)
        cached = (await self._inference.fresh([key])).get(key)
        if cached is not None and not cached.scan.failures:
            return DigestTagsNow(wanted, cached.tags, tuple(listed), cached.scan, cached.checked_at)
        # Tags of this very second: nothing remembered from the worker's last round.
        matcher = DigestMatcher(
            self._client, RecentTags(self._client, self._clock), ref, wanted, background=False, young=0.0
        )
        scan = await scan_tags(rules.sort_tags(listed), matcher.matches, LIVE, total=len(listed))
        await self._client.store.flush()
        return await self._answer(service, key, scan, listed)

    async def _list(self, ref: ImageRef) -> list[str]:
        try:
            async with asyncio.timeout(LISTING_SECONDS):
                return await self._client.tags(ref)
        except (TimeoutError, RegistryTimeout) as error:
            raise Internal("registry timeout", details={"op": "list_tags"}) from error

    async def _answer(self, service: ServiceRecord, key: Key, scan: TagScan, listed: list[str]) -> DigestTagsNow:
        """The live answer; what was found about a digest in use is worth keeping."""
        tags = tuple(rules.sort_tags(scan.tags))
        record = (await self._evidence.records([service.id])).get(service.id)
        if record is not None and key.digest in record.digests and scan.counts.manifests_ok:
            before = await self._inference.snapshots.get(key)
            await self._inference.keep(
                Snapshot(
                    image_repo=key.image_repo,
                    digest=key.digest,
                    host_platform=key.host_platform,
                    tags=merge_tags(tags, before, scan.counts),
                    scan=scan.counts,
                    checked_at=self._clock.now(),
                )
            )
        return DigestTagsNow(key.digest, tags, tuple(listed), scan.counts)

    async def cached(self, service_id: str, digest: str | None) -> Snapshot | Pending:
        """The snapshot, however old, without asking a registry; missing and old ones are looked up in the background.

        Raises InvalidArgument `digest is required`, NotFound for an unknown service or a digest that is not its own.
        """
        key = await self._own_key(service_id, digest)
        task = self._inference.queue.get(key)
        snapshot = await self._inference.snapshots.get(key)
        if snapshot is None:
            if task is None:
                await self._inference.request(key, Reason.API_SNAPSHOT_READ_MISS)
            return Pending(key.digest)
        if task is not None and task.reason is Reason.FORCE:
            return Pending(key.digest)
        await self._inference.refresh_missing({key: None})
        return snapshot

    async def refresh(self, service_id: str, digest: str | None) -> RefreshAccepted:
        """Look a digest up again, before everything else. Raises as `cached` does."""
        key = await self._own_key(service_id, digest)
        outcome = await self._inference.request(key, Reason.FORCE)
        return RefreshAccepted(service_id, key, "running" if outcome == "running" else "force")

    async def _own_key(self, service_id: str, digest: str | None) -> Key:
        wanted = normal_digest(digest)
        if not wanted:
            raise InvalidArgument("digest is required", details={"field": "digest"})
        service = await self._stacks.service(service_id)
        record = (await self._evidence.records([service.id])).get(service.id)
        if record is None or wanted not in (known.lower() for known in record.digests):
            raise NotFound("digest snapshot not found", details={"field": "digest"})
        return self._inference.key(record.image_repo, wanted)


def _reference(service: ServiceRecord) -> ImageRef:
    try:
        return ImageRef.parse(service.image_ref)
    except InvalidReference as error:
        raise InvalidArgument(error.message, hint=error.hint, details={"field": "image"}) from error
