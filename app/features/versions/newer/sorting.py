"""From a cached list of tags to the row of one service."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from app.core.jobs import JobStore
from app.features.versions import rules
from app.features.versions.ignore import IgnoreRules
from app.features.versions.newer.book import PageState
from app.features.versions.newer.held import held_digests
from app.features.versions.newer.known import Dated
from app.features.versions.newer.rows import NewerVersions, packed
from app.features.versions.records import IgnoreRuleRecord, VersionRecord

# Reading so many tags takes long enough for others to notice.
_MANY_TAGS: Final = 500
# Names that lead somewhere: worth a question when somebody looks. Any repository may have hundreds of others.
_NAMES: Final = frozenset({"latest", "stable", "release", "lts", "alpine", "slim", "bookworm", "edge"})


@dataclass(frozen=True, slots=True)
class Basis:
    """What goes into rows beside the tags: the owner's rules and the digests that were taken back, by service."""

    ignore: Mapping[str, Sequence[IgnoreRuleRecord]]
    held: Mapping[str, Collection[str]]

    def of(self, record: VersionRecord, state: PageState | None) -> str:
        """A short text that is the same as long as a row need not be made anew."""
        parts = [
            state.checked_at.isoformat() if state and state.checked_at else "",
            record.image_tag,
            *record.current_resolved_tags,
            *record.digests,
            *sorted(self.held.get(record.service_id, ())),
            *(f"{rule.id}{rule.enabled}" for rule in self.ignore.get(record.service_id, ())),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


class Sorter:
    """Puts the pure rules to work on what is cached; asks no registry."""

    def __init__(self, ignore: IgnoreRules, jobs: JobStore, host_platform: str) -> None:
        self._ignore = ignore
        self._jobs = jobs
        self._host_platform = host_platform

    async def basis(self, service_ids: Collection[str]) -> Basis:
        """Two queries, however many services."""
        return Basis(await self._ignore.active(service_ids), await held_digests(self._jobs))

    def names(self, tags: Collection[str], entries: Iterable[rules.Entry]) -> set[str]:
        """Floating tags that may lead to these versions; whether they do, their digests say."""
        return {*_NAMES.intersection(tags), *(name for entry in entries for name in entry.reached_by)}

    async def row(
        self,
        record: VersionRecord,
        tags: Sequence[str],
        state: PageState | None,
        known: Mapping[str, Dated],
        basis: Basis,
    ) -> tuple[NewerVersions, tuple[str, ...]]:
        """The row of a service, and the tags about which more should be known."""
        running = rules.running_version(record.image_tag, record.current_display, record.current_resolved_tags)
        if len(tags) > _MANY_TAGS:
            found = await asyncio.to_thread(rules.ladder, tags, running, record.image_tag)
        else:
            found = rules.ladder(tags, running, record.image_tag)
        ignore = basis.ignore.get(record.service_id, ())
        sort = partial(
            rules.outlook,
            found,
            {tag: dated.known for tag, dated in known.items()},
            reach=rules.reach(record.image_tag, pinned="@" in record.image_ref),
            own_digests=record.digests,
            ignore=ignore,
            held=basis.held.get(record.service_id, ()),
            host_platform=self._host_platform,
            names=_NAMES,
        )
        # A pattern may take its 50 ms for each version: others go on meanwhile.
        outlook = await asyncio.to_thread(sort) if any(rule.kind == "regex" for rule in ignore) else sort()
        row = NewerVersions(
            image_ref=record.image_ref,
            current=record.current_display,
            summary=outlook.summary,
            packed=packed(outlook.entries),
            basis=basis.of(record, state),
            checked_at=state.checked_at if state else None,
            skipped=_skipped(record, found),
        )
        asked = [*outlook.wanted, *(entry.tag for entry in outlook.entries if entry.state != "ignored")]
        return row, tuple(dict.fromkeys(asked))


def _skipped(record: VersionRecord, found: rules.Ladder) -> int:
    """How many versions the candidate leaps over, where its version is known."""
    if not record.has_candidate or record.candidate_resolved_tag is None:
        return 0
    away = rules.distance(record.current_display, record.candidate_resolved_tag)
    return 0 if away == "unknown" else rules.skipped(found, away, record.candidate_resolved_tag)
