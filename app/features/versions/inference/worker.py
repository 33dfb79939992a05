"""The version inference worker: digests in, readable versions out, never in anybody's way (spec §7.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import structlog

from app.adapters.registry import ImageRef, RegistryClient, RegistryError
from app.core.clock import Clock, rfc3339
from app.core.db import Database
from app.core.errors import DockrevError
from app.core.events import EntitiesChanged, EventBus
from app.features.versions import rules
from app.features.versions.evidence import Evidence
from app.features.versions.inference.events import Reporter
from app.features.versions.inference.fold import folded, keys_of, merge_tags, write_versions
from app.features.versions.inference.queue import Key, Reason, ScanProgress, Task, TaskQueue
from app.features.versions.inference.ring import EventRing
from app.features.versions.inference.snapshots import RETENTION, SnapshotAge, Snapshots, is_fresh
from app.features.versions.inference.tagscan import DigestMatcher, RecentTags, ScanLimits, TagScan, scan_tags
from app.features.versions.newer.book import JUST_NOW, TagBook
from app.features.versions.records import ScanCounts, Snapshot, VersionRecord

log = structlog.get_logger(__name__)

WORKERS: Final = 2
SCAN_CONCURRENCY: Final = 4
TAG_SECONDS: Final = 12.0
LISTING_SECONDS: Final = 60.0
READ_AGAIN_SECONDS: Final = 60.0  # a page that is polled asks about freshness once a minute, not each time
LABEL_SECONDS: Final = 12.0
_CAME_UP: Final = (Reason.NEW_VERSION, Reason.UPDATE_DIGEST_CHANGED, Reason.RUNTIME_SCAN_DIGEST_CHANGED)


class Inference:
    """Queue, worker and snapshots. Whatever it does is advisory: no check, update or page waits for it."""

    def __init__(
        self,
        db: Database,
        bus: EventBus,
        clock: Clock,
        client: RegistryClient,
        evidence: Evidence,
        book: TagBook | None = None,
    ) -> None:
        self.ring = EventRing()
        self.queue = TaskQueue()
        self.snapshots = Snapshots(db)
        self.gc: dict[str, Any] = {}
        self._db = db
        self._bus = bus
        self._clock = clock
        self._client = client
        self._evidence = evidence
        self.recent = RecentTags(client, clock)
        self._book = book or TagBook(db, clock, client)
        self._reporter = Reporter(self.ring, bus, clock)
        self._read: dict[Key, float] = {}
        self._pending_reads: set[Key] = set()
        self._reading: asyncio.Task[None] | None = None

    @property
    def host_platform(self) -> str:
        """The platform snapshots are about."""
        return self._client.host_platform

    def key(self, image_repo: str, digest: str) -> Key:
        """The key of a digest on this host."""
        return Key(image_repo, digest, self.host_platform)

    # ---- asking

    async def request(self, key: Key, reason: Reason) -> Literal["queued", "running"]:
        """Look a digest up in the background; `running` when that was queued or under way already."""
        task = self.queue.get(key)
        before = task.reason.value if task else ""
        outcome, task = await self.queue.put(key, reason, self._clock.now())
        if outcome == "queued":
            self._reporter.enqueued(task)
            return "queued"
        if outcome == "upgraded":
            self._reporter.upgraded(task, before)
        return "running"

    async def refresh_missing(
        self, keys: Mapping[Key, Reason | None], *, stale: Reason = Reason.CACHE_STALE
    ) -> dict[Key, Reason]:
        """Queue those keys whose snapshot is missing or old, in one query; returns what was queued and why.

        The reason given with a key counts when there is no snapshot; None stands for `cache_miss`.
        """
        ages, now = await self.snapshots.ages(list(keys)), self._clock.now()
        wanted: dict[Key, Reason] = {}
        for key, missing in keys.items():
            age = ages.get(key)
            if age is None:
                wanted[key] = missing or Reason.CACHE_MISS
            elif not age.fresh(now):
                wanted[key] = Reason.ALL_FAILED if age.all_failed else stale
        for key, reason in wanted.items():
            await self.request(key, reason)
        return wanted

    def note_read(self, records: Iterable[VersionRecord]) -> None:
        """Somebody looks at these services: versions that are missing or old are looked up, at low priority.

        Returns at once; never raises.
        """
        now = self._clock.monotonic()
        for record in records:
            for key in keys_of(record, self.host_platform):
                if now - self._read.get(key, -READ_AGAIN_SECONDS) >= READ_AGAIN_SECONDS:
                    self._read[key] = now
                    self._pending_reads.add(key)
        if self._pending_reads and (self._reading is None or self._reading.done()):
            self._reading = asyncio.get_running_loop().create_task(self._refresh_read())

    async def _refresh_read(self) -> None:
        keys, self._pending_reads = self._pending_reads, set()
        if len(self._read) > 10_000:
            self._read.clear()
        try:
            await self.refresh_missing(dict.fromkeys(keys))
        except DockrevError as error:
            log.warning("versions could not be refreshed after reading", cause=error.message)

    # ---- working

    async def run(self) -> None:
        """The worker: two tasks at a time, for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._loop())

    async def _loop(self) -> None:
        while True:
            task = await self.queue.take()
            task.started_at = task.updated_at = self._clock.now()
            try:
                self._reporter.started(task)
                await self._work(task)
            except Exception as error:
                cause = error.message if isinstance(error, DockrevError) else type(error).__name__
                log.exception("version inference failed", key=str(task.key))
                self._reporter.broken(task, cause)
            finally:
                await self.queue.done(task)

    async def _work(self, task: Task) -> None:
        key = task.key
        self._progress(task, "prepare", "reading what is known")
        before = await self.snapshots.get(key)
        users = await self._evidence.of_repo(key.image_repo)
        scan, error = await self._scan(task, users)
        self._progress(task, "persist", "keeping the result")
        failed = not scan.tags and scan.counts.manifests_ok == 0 and scan.counts.failures > 0
        snapshot = Snapshot(
            image_repo=key.image_repo,
            digest=key.digest,
            host_platform=key.host_platform,
            tags=merge_tags(scan.tags, before, scan.counts),
            scan=scan.counts,
            checked_at=self._clock.now(),
            all_failed=failed,
        )
        await self.keep(snapshot)
        await self._client.store.flush()
        self._reporter.finished(task, snapshot, error)

    def _young(self, task: Task) -> timedelta:
        """How old answers may be. One from before a digest came up cannot tell of the tag it came with."""
        if task.reason is Reason.FORCE:
            return timedelta()
        return self._clock.now() - task.enqueued_at if task.reason in _CAME_UP else JUST_NOW

    async def _scan(self, task: Task, users: Iterable[VersionRecord]) -> tuple[TagScan, str]:
        """The scan, and the error that stopped it before the first tag."""
        ref, forced = ImageRef.parse(task.key.image_repo), task.reason is Reason.FORCE
        young = self._young(task)
        self._progress(task, "listing_tags", "listing the tags of the repository")
        try:
            async with asyncio.timeout(LISTING_SECONDS):
                listed = await self._book.tags(ref, background=not forced, not_older_than=young)
        except (RegistryError, TimeoutError) as error:
            text = error.message if isinstance(error, RegistryError) else "the list of tags did not come in time"
            return TagScan((), ScanCounts(manifests_error=1), text), text
        anchors = sorted({user.image_tag for user in users})
        tags = rules.consider_tags(listed, anchors)
        matcher = DigestMatcher(self._client, self.recent, ref, task.key.digest, not forced, young.total_seconds())
        limits = ScanLimits(SCAN_CONCURRENCY, TAG_SECONDS, rules.budget_seconds(len(tags)))

        def progress(assigned: int, finished: int) -> None:
            self._progress(task, "scanning", "comparing tags", len(tags), assigned, finished)

        progress(0, 0)
        scan = await scan_tags(tags, matcher.matches, limits, total=len(listed), progress=progress)
        return await self._with_label(matcher, scan, tags, listed), ""

    async def _with_label(
        self, matcher: DigestMatcher, scan: TagScan, asked: Iterable[str], listed: Iterable[str]
    ) -> TagScan:
        """Where no version was among the tags asked, the image's own label may name a tag that was left out.

        The label is only a hint which tag to compare; it never becomes a version by itself.
        """
        if rules.resolved_tags(scan.tags) or scan.counts.manifests_ok == 0:
            return scan
        try:
            async with asyncio.timeout(LABEL_SECONDS):
                labels = await self._client.image_labels(matcher.ref, matcher.digest, background=matcher.background)
                named = {labels.version, f"v{labels.version}"} & set(listed) - set(asked) if labels.version else set()
                hits = [tag for tag in sorted(filter(None, named)) if await matcher.matches(tag)]
        except (RegistryError, TimeoutError):
            return scan
        return TagScan((*scan.tags, *hits), scan.counts, scan.warning)

    async def keep(self, snapshot: Snapshot) -> None:
        """Persist an answer and fold it into the evidence, together; pages are told what changed."""
        users = await self._evidence.of_repo(snapshot.image_repo)
        new = [(user, folded(user, {snapshot.digest: snapshot})) for user in users]
        changed = [after for before, after in new if after != before]
        async with self._db.transaction() as session:
            await self.snapshots.save(session, snapshot)
            await write_versions(session, changed)
        if changed:
            self._bus.publish(EntitiesChanged("services", frozenset(record.service_id for record in changed)))

    def _progress(
        self, task: Task, phase: str, message: str, total: int = 0, assigned: int = 0, finished: int = 0
    ) -> None:
        task.updated_at = self._clock.now()
        task.progress = ScanProgress(phase, message, total, assigned, finished, task.updated_at)
        self._reporter.progress(task)

    # ---- upkeep

    async def warm_up(self) -> int:
        """Queue, at the lowest priority, every version in use that is missing or old; returns how many."""
        records = await self._evidence.records()
        keys = {key: Reason.WARM_UP for record in records.values() for key in keys_of(record, self.host_platform)}
        return len(await self.refresh_missing(keys, stale=Reason.WARM_UP))

    async def collect_garbage(self) -> None:
        """Forget snapshots older than 30 days; tells `gc_ran`."""
        started, cutoff = self._clock.monotonic(), self._clock.now() - RETENTION
        deleted, problem = 0, ""
        try:
            deleted = await self.snapshots.purge(cutoff)
        except DockrevError as error:
            problem = error.message
        took = round((self._clock.monotonic() - started) * 1000)
        self.gc = {"lastRunAt": rfc3339(self._clock.now()), "lastDeleted": deleted, "lastDurationMs": took}
        document: dict[str, Any] = {"cutoff": rfc3339(cutoff), "deleted": deleted, "durationMs": took}
        if problem:
            self.gc["lastError"] = document["error"] = problem
        self._reporter.gc_ran({**document, "ok": not problem})

    async def fresh(self, keys: Collection[Key]) -> dict[Key, Snapshot]:
        """Those snapshots that are there and not too old."""
        now = self._clock.now()
        found = await self.snapshots.many(keys)
        return {key: item for key, item in found.items() if is_fresh(item.checked_at, item.all_failed, now)}

    async def ages(self) -> dict[Key, SnapshotAge]:
        """All snapshots without their tags."""
        return await self.snapshots.ages()

    def now(self) -> datetime:
        """The worker's clock."""
        return self._clock.now()
