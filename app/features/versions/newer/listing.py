"""The versions of one service as the API and its page tell them: from the cache, never asking while somebody waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from app.adapters.registry import ImageRef, InvalidReference
from app.core.clock import Clock
from app.core.errors import InvalidArgument
from app.core.jobs import JobStore
from app.features.stacks import ServiceRecord, Stacks
from app.features.versions import rules
from app.features.versions.evidence import Evidence
from app.features.versions.newer.book import TagBook
from app.features.versions.newer.held import held_digests
from app.features.versions.newer.known import Dated, KnownVersions
from app.features.versions.newer.rows import NewerRows, NewerVersions
from app.features.versions.newer.worker import Newer, is_detailed, is_fresh
from app.features.versions.records import VersionRecord

ListedState = Literal["current", "candidate", "other_series", "ignored", "arch_mismatch", "held"]
RETRY_AFTER_MS = 800


@dataclass(frozen=True, slots=True)
class Listed:
    """One version. `version` is None when only the digest is known; `tag` is one that leads exactly there.

    `distance` is now, patch, minor, major or unknown; `reached_by` are all tags known to lead there, `follow` the one
    to write into the Compose file. `more` are older versions of the same distance that are not listed.
    """

    state: ListedState
    distance: str
    version: str | None = None
    tag: str | None = None
    inferred: bool = False
    in_reach: bool = False
    digest: str | None = None
    platforms: tuple[str, ...] | None = None
    published_at: datetime | None = None
    reached_by: tuple[str, ...] = ()
    follow: str | None = None
    rule_id: str | None = None
    more: int = 0


@dataclass(frozen=True, slots=True)
class VersionList:
    """What is known. `checked_at` is the time of the tag list; `stale`: an old list, a new one is being fetched."""

    service: ServiceRecord
    image_repo: str
    reach: rules.Reach
    versions: tuple[Listed, ...]
    checked_at: datetime | None = None
    stale: bool = False
    refreshing: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NotYet:
    """Nothing to tell yet. `reason` is `not_checked` (what runs is not known) or `cache_miss` (being looked up)."""

    service_id: str
    reason: Literal["not_checked", "cache_miss"]
    retry_after_ms: int = RETRY_AFTER_MS


class VersionLists:
    """Answers for one service at a time. It informs only: an update never leaves the followed tag (spec §5.3)."""

    def __init__(
        self,
        stacks: Stacks,
        evidence: Evidence,
        book: TagBook,
        known: KnownVersions,
        rows: NewerRows,
        newer: Newer,
        jobs: JobStore,
        clock: Clock,
    ) -> None:
        self._stacks = stacks
        self._evidence = evidence
        self._book = book
        self._known = known
        self._rows = rows
        self._newer = newer
        self._jobs = jobs
        self._clock = clock

    async def of(self, service_id: str) -> VersionList | NotYet:
        """The versions of a service. What is missing or old is looked up in the background because of this read.

        Raises NotFound for an unknown service, InvalidArgument when its image is no reference.
        """
        service = await self._stacks.service(service_id)
        try:
            repo = ImageRef.parse(service.image_ref).repo
        except InvalidReference as error:
            raise InvalidArgument(error.message, hint=error.hint, details={"field": "image"}) from error
        record = (await self._evidence.records([service_id])).get(service_id)
        if record is None or record.current_digest is None:
            return NotYet(service_id, "not_checked")
        # Asked before reading: what ends in between is told by the next answer, not missed by this one.
        pending = self._newer.pending(repo)
        row = (await self._rows.of([service_id])).get(service_id)
        state = (await self._book.states([repo])).get(repo)
        fresh = is_fresh(state, self._clock.now())
        if row is None or not row.about(record):
            self._newer.wish(repo, detailed=True, urgent=True)
            return NotYet(service_id, "cache_miss")
        known = await self._known.of(repo)
        if not fresh:
            self._newer.wish(repo, detailed=True, urgent=True)
        elif self._lacks_details(record, row, known) and not (state and state.error):
            self._newer.wish_details(repo)
        held = (await held_digests(self._jobs)).get(service_id, set())
        return VersionList(
            service=service,
            image_repo=repo,
            reach=rules.reach(service.image_tag, pinned="@" in service.image_ref),
            versions=tuple(listed(record, row.entries, known, held)),
            checked_at=state.checked_at if state else None,
            stale=not fresh,
            refreshing=pending or self._newer.pending(repo),
            error=state.error if state else None,
        )

    def _lacks_details(self, record: VersionRecord, row: NewerVersions, known: Mapping[str, Dated]) -> bool:
        now = self._clock.now()
        told = [*record.digests, *(entry.tag for entry in row.entries if entry.state != "ignored")]
        return any(not is_detailed(known.get(reference), now) for reference in told)


def listed(
    record: VersionRecord, entries: Sequence[rules.Entry], known: Mapping[str, Dated], held: Iterable[str]
) -> list[Listed]:
    """What runs, then the candidate, then the others by distance. Pure."""
    found = [_current(record, known)]
    if record.has_candidate:
        found.append(_candidate(record, known, set(held)))
    found += [
        Listed(
            state=entry.state,
            distance=entry.step,
            version=entry.tag,
            tag=entry.tag,
            in_reach=entry.in_reach,
            digest=entry.digest,
            platforms=entry.platforms,
            published_at=entry.published_at,
            reached_by=tuple(dict.fromkeys((entry.tag, *entry.reached_by))),
            follow=entry.follow or entry.tag,
            rule_id=entry.rule_id,
            more=entry.more,
        )
        for entry in entries
        if not _is_candidate(record, entry)
    ]
    return found


def _is_candidate(record: VersionRecord, entry: rules.Entry) -> bool:
    """Whether a version is the candidate itself: by its digest, or, until that is known, by its tag."""
    if not record.has_candidate:
        return False
    if entry.digest is None:
        return entry.tag == record.candidate_resolved_tag
    return entry.digest == record.candidate_digest


def _current(record: VersionRecord, known: Mapping[str, Dated]) -> Listed:
    version = record.current_display if rules.Version.parse(record.current_display) else None
    tags = dict.fromkeys(record.current_resolved_tags)
    if not record.has_candidate:
        tags.setdefault(record.image_tag)
    one = Listed(
        state="current",
        distance="now",
        version=version,
        tag=record.current_resolved_tag or record.image_tag,
        inferred=version is not None and version != record.image_tag,
        in_reach=True,
        digest=record.current_digest,
        reached_by=tuple(tags),
    )
    return _with_facts(one, known)


def _candidate(record: VersionRecord, known: Mapping[str, Dated], held: set[str]) -> Listed:
    shown = record.candidate_display or ""
    version = shown if rules.Version.parse(shown) else None
    state: ListedState = "candidate"
    if record.ignore_rule_id is not None:
        state = "ignored"
    elif record.candidate_arch_match == "mismatch":
        state = "arch_mismatch"
    elif record.candidate_digest in held:
        state = "held"
    one = Listed(
        state=state,
        distance=rules.distance(record.current_display, shown),
        version=version,
        tag=record.candidate_resolved_tag or record.candidate_tag,
        inferred=version is not None and version != record.image_tag,
        in_reach=True,
        digest=record.candidate_digest,
        platforms=record.candidate_arch or None,
        reached_by=tuple(dict.fromkeys(filter(None, (record.candidate_resolved_tag, record.candidate_tag)))),
        follow=record.image_tag,
        rule_id=record.ignore_rule_id,
    )
    return _with_facts(one, known)


def _with_facts(one: Listed, known: Mapping[str, Dated]) -> Listed:
    """What is known of the same image under any tag."""
    for dated in known.values():
        fact = dated.known
        if fact.digest == one.digest:
            one = replace(
                one, platforms=one.platforms or fact.platforms, published_at=one.published_at or fact.published_at
            )
    return one
