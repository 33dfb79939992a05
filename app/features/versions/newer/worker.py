"""Looks for newer versions under other tags in the background: one list per repository, few questions, no hurry.

    evidence changes ──▶ catch_up: what is cached is sorted out anew, without a request
                             │ list missing or old
                             ▼
    somebody looks ────▶ queue of repositories ──▶ refresh: list, HEAD, manifest as far as the quota allows

Nothing waits for it. It yields to jobs, to version inference (whose answers it shares), to a registry that rests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from app.adapters.registry import ImageRef, InvalidReference, RegistryError
from app.core.clock import Clock
from app.core.errors import DockrevError
from app.core.events import EntitiesChanged, EventBus
from app.core.jobs import JobEngine
from app.features.versions.evidence import Evidence
from app.features.versions.newer.asking import Asking
from app.features.versions.newer.book import JUST_NOW, PageState, TagBook
from app.features.versions.newer.held import UPDATES
from app.features.versions.newer.known import Dated, KnownVersions
from app.features.versions.newer.rows import NewerRows, NewerVersions
from app.features.versions.newer.sorting import Basis, Sorter
from app.features.versions.records import VersionRecord

log = structlog.get_logger(__name__)

CHECK: Final = "check"
WORKERS: Final = 2
TTL: Final = timedelta(hours=6)
RETRY_AFTER: Final = timedelta(minutes=30)
RETENTION: Final = timedelta(days=30)
DEBOUNCE_SECONDS: Final = 1.0
YIELD_SECONDS: Final = 0.3
READ_AGAIN_SECONDS: Final = 60.0
ROUNDS: Final = 4  # a version that turns out to be for other hosts only makes room for the one before it


@dataclass(slots=True)
class Questions:
    """Tags (and digests) of which more should be known, and floating tags of which only the digest matters."""

    tags: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def __sub__(self, other: Questions) -> Questions:
        return Questions(self.tags - other.tags, self.names - other.names)

    def __ior__(self, other: Questions) -> Questions:
        return Questions(self.tags | other.tags, self.names | other.names)

    def __bool__(self) -> bool:
        return bool(self.tags or self.names)


@dataclass(slots=True)
class Wish:
    """A repository to look at. `detailed`: somebody looks at it, so the times of publication are asked for too.

    `renew`: a list of ten minutes is old already.
    """

    detailed: bool = False
    urgent: bool = False
    renew: bool = False


def is_fresh(state: PageState | None, now: datetime, ttl: timedelta = TTL) -> bool:
    """Whether a list needs no request: good for six hours; after a failure, left alone for half an hour."""
    if state is None:
        return False
    if state.error is not None and now - state.tried_at < RETRY_AFTER:
        return True
    return state.checked_at is not None and now - state.checked_at < ttl


class Newer:
    """Queue and workers."""

    def __init__(
        self,
        *,
        bus: EventBus,
        clock: Clock,
        jobs: JobEngine,
        evidence: Evidence,
        book: TagBook,
        known: KnownVersions,
        rows: NewerRows,
        sorter: Sorter,
        asking: Asking,
        active: Callable[[], Awaitable[Collection[str]]],
        busy: Callable[[str], bool],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._jobs = jobs
        self._evidence = evidence
        self._book = book
        self._known = known
        self._rows = rows
        self._sorter = sorter
        self._asking = asking
        self._active = active
        self._busy = busy
        self._sleep = sleep
        self._wishes: dict[str, Wish] = {}
        self._working: set[str] = set()
        self._more = asyncio.Event()
        self._looked_at: dict[str, float] = {}
        self._dirty: set[str] = set()
        self._moved_jobs: set[str] = set()
        self._everything = False
        self._noted = asyncio.Event()

    # ---- hearing

    async def note(self, event: EntitiesChanged) -> None:
        """Evidence, rules or jobs changed: what newer versions mean may be something else now. Asks nobody."""
        if event.domain == "services":
            self._dirty |= event.ids
            self._everything = self._everything or not event.ids
        elif event.domain == "jobs":
            self._moved_jobs |= event.ids
        else:
            return
        self._noted.set()

    async def _of_ended(self, job_ids: Iterable[str]) -> set[str]:
        """Services whose rows a job that ended may have changed.

        An update may have been taken back, and holds its digest then. A check of one service by hand also wants a
        new list of its tags.
        """
        found: set[str] = set()
        for job_id in job_ids:
            job = await self._jobs.store.get(job_id)
            if job is None or not job.status.final:
                continue
            if job.type in UPDATES:
                found |= {str(entry.get("key")) for entry in job.summary.get("timeline", ())}
            elif job.type == CHECK and job.scope == "service" and job.reason == "ui" and job.service_id:
                for record in (await self._evidence.records([job.service_id])).values():
                    self.wish(record.image_repo, urgent=True, renew=True)
        return found

    async def follow(self) -> None:
        """Sort out anew what changed, a second after the first note, for ever."""
        while True:
            await self._noted.wait()
            await self._sleep(DEBOUNCE_SECONDS)
            self._noted.clear()
            dirty, self._dirty = self._dirty, set()
            jobs, self._moved_jobs = self._moved_jobs, set()
            everything, self._everything = self._everything, False
            try:
                dirty |= await self._of_ended(jobs)
                await self.catch_up(None if everything else dirty)
            except DockrevError as error:
                log.warning("newer versions could not be sorted out", cause=error.message)

    async def everything(self) -> None:
        """Look whether anything is missing or old."""
        await self.catch_up(None)

    async def catch_up(self, service_ids: set[str] | None) -> None:
        """Bring rows in line with the evidence from what is cached; lists that are missing or old are queued."""
        if service_ids is not None and not service_ids:
            return
        records = await self._evidence.records(service_ids)
        active = await self._active()
        records = {key: record for key, record in records.items() if record.current_digest and key in active}
        if not records:
            return
        rows = await self._rows.of(records)
        states = await self._book.states({record.image_repo for record in records.values()})
        basis = await self._sorter.basis(records)
        now, moved = self._clock.now(), dict[str, list[VersionRecord]]()
        for service_id, record in records.items():
            state, row = states.get(record.image_repo), rows.get(service_id)
            if not is_fresh(state, now):
                self.wish(record.image_repo)
            elif row is None or not row.about(record) or row.basis != basis.of(record, state):
                moved.setdefault(record.image_repo, []).append(record)
        for repo, members in moved.items():
            if await self._sort(repo, members, rows, basis):
                self.wish(repo)

    # ---- asking

    def wish(self, repo: str, *, detailed: bool = False, urgent: bool = False, renew: bool = False) -> None:
        """Queue a repository. Returns at once."""
        wish = self._wishes.setdefault(repo, Wish())
        wish.detailed |= detailed
        wish.urgent |= urgent
        wish.renew |= renew
        self._more.set()

    def wish_details(self, repo: str) -> None:
        """Queue a repository because somebody looks at it; a page that is polled does so once a minute."""
        now = self._clock.monotonic()
        if now - self._looked_at.get(repo, float("-inf")) >= READ_AGAIN_SECONDS:
            if len(self._looked_at) > 10_000:
                self._looked_at.clear()
            self._looked_at[repo] = now
            self.wish(repo, detailed=True, urgent=True)

    def pending(self, repo: str) -> bool:
        """Whether a repository is queued or being looked at."""
        return repo in self._wishes or repo in self._working

    def counts(self) -> tuple[int, int]:
        """How many repositories are queued and how many are being looked at."""
        return len(self._wishes), len(self._working)

    async def run(self) -> None:
        """Two repositories at a time, for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._loop())

    async def _loop(self) -> None:
        while True:
            if not self._wishes:
                self._more.clear()
                await self._more.wait()
            if (taken := self._take()) is None:
                await self._sleep(YIELD_SECONDS)
                continue
            repo, wish = taken
            self._working.add(repo)
            try:
                await self.refresh(repo, detailed=wish.detailed, renew=wish.renew)
            except DockrevError as error:
                log.warning("newer versions could not be looked up", repo=repo, cause=error.message)
            except Exception:
                log.exception("looking up newer versions failed", repo=repo)
            finally:
                self._working.discard(repo)

    def _take(self) -> tuple[str, Wish] | None:
        """The next repository that version inference is not asking about: it goes first, its answers are shared.

        While a job runs, only what somebody looks at: checks and updates have the registries to themselves.
        """
        calm = not self._jobs.running
        free = [
            repo
            for repo, wish in self._wishes.items()
            if (calm or wish.urgent) and repo not in self._working and not self._busy(repo)
        ]
        if not free:
            return None
        repo = min(free, key=lambda repo: not self._wishes[repo].urgent)
        return repo, self._wishes.pop(repo)

    async def refresh(self, repo: str, *, detailed: bool = False, renew: bool = False) -> None:
        """One repository: list its tags if the list is old, then ask about the tags that would tell more.

        A registry that refuses leaves what was known; the reason is kept with the list.
        """
        try:
            ref = ImageRef.parse(repo)
        except InvalidReference:
            return
        records = [record for record in await self._evidence.of_repo(repo) if record.current_digest]
        if not records:
            return
        state = (await self._book.states([repo])).get(repo)
        if not is_fresh(state, self._clock.now(), JUST_NOW if renew else TTL):
            try:
                await self._book.tags(ref, background=True)
            except RegistryError as error:
                log.info("the tags of a repository could not be listed", repo=repo, cause=error.message)
        asked = Questions()
        for _ in range(ROUNDS):
            rows = await self._rows.of([record.service_id for record in records])
            basis = await self._sorter.basis({record.service_id: record for record in records})
            wanted = await self._sort(repo, records, rows, basis, detailed=detailed) - asked
            if not wanted:
                break
            asked |= wanted
            if not await self._asking.ask(ref, wanted.tags, wanted.names, detailed=detailed):
                break
        await self._asking.flush()

    async def _sort(
        self,
        repo: str,
        records: list[VersionRecord],
        rows: dict[str, NewerVersions],
        basis: Basis,
        *,
        detailed: bool = False,
    ) -> Questions:
        """Rows of a repository's services from what is cached; returns what is worth a question."""
        tags, state = await self._book.cached(repo)
        known = await self._known.of(repo)
        now = self._clock.now()
        changed: dict[str, NewerVersions] = {}
        wanted = Questions()
        for record in records:
            row, questions = await self._sorter.row(record, tags, state, known, basis)
            if row != rows.get(record.service_id):
                changed[record.service_id] = row
            wanted.tags |= _worth_asking(questions, row, known, now)
            if detailed:
                told = [*record.digests, *(entry.tag for entry in row.entries if entry.state != "ignored")]
                wanted.tags |= {each for each in told if not is_detailed(known.get(each), now)}
                names = self._sorter.names(tags, row.entries)
                wanted.names |= {name for name in names if name not in known or not known[name].fresh(now)}
        await self._rows.save(changed)
        shown = {key for key, row in changed.items() if (old := rows.get(key)) is None or old.packed != row.packed}
        if shown:
            self._bus.publish(EntitiesChanged("services", frozenset(shown)))
        return wanted

    # ---- upkeep

    async def collect_garbage(self) -> None:
        """Forget lists and versions that nobody asked for in 30 days."""
        before = self._clock.now() - RETENTION
        await self._book.purge(before)
        await self._known.purge(before)


def is_detailed(dated: Dated | None, now: datetime) -> bool:
    """Whether all there is to know about a tag or digest was asked for, not too long ago."""
    return dated is not None and dated.known.detailed and dated.fresh(now)


def _worth_asking(questions: Iterable[str], row: NewerVersions, known: dict[str, Dated], now: datetime) -> set[str]:
    """Tags whose answer is missing or old, without what the followed tag reaches by itself: no list draws that."""
    quiet = {entry.tag for entry in row.entries if entry.in_reach}
    return {tag for tag in questions if tag not in known or not known[tag].fresh(now)} - quiet
