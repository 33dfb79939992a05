"""What newer versions mean for one service: which of them its owner could take, and why not the others. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from app.features.versions.rules.ignores import Rule, first_match
from app.features.versions.rules.newer import STEPS, Ladder, Rung, Step
from app.features.versions.rules.platforms import arch_match
from app.features.versions.rules.status import Reach, RowStatus

EntryState = Literal["other_series", "ignored", "arch_mismatch", "held"]
Summary = Literal["", "hint", "arch", "blocked"]
LOOKED_AT: Final = 3
"""Versions of one distance that are asked about, newest first, until one of them could be taken."""

_WITHIN: Final[Mapping[Reach, tuple[Step, ...]]] = {
    "none": (),
    "patch": ("patch",),
    "minor": ("patch", "minor"),
    "all": STEPS,
}
_MEANS: Final[Mapping[str, RowStatus]] = {"hint": "cross_tag", "arch": "arch_mismatch", "blocked": "blocked"}


@dataclass(frozen=True, slots=True)
class Known:
    """What a tag is: its digest, its platforms (None: not asked yet), when it was made (None: not told).

    `detailed`: the time was asked for.
    """

    digest: str
    platforms: tuple[str, ...] | None = None
    published_at: datetime | None = None
    detailed: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One newer version under another tag.

    `in_reach`: the followed tag could move there by itself and did not (yet). `reached_by` are floating tags that lead
    there, `follow` is the tag to write into the Compose file. `more` are older versions of the same distance; the last
    entry of a distance speaks for those.
    """

    tag: str
    step: Step
    state: EntryState
    in_reach: bool = False
    digest: str | None = None
    platforms: tuple[str, ...] | None = None
    published_at: datetime | None = None
    reached_by: tuple[str, ...] = ()
    follow: str = ""
    rule_id: str | None = None
    more: int = 0


@dataclass(frozen=True, slots=True)
class Outlook:
    """All of them, nearest distance first; `wanted` are tags whose digest or platforms would tell more."""

    entries: tuple[Entry, ...] = ()
    wanted: tuple[str, ...] = ()

    @property
    def summary(self) -> Summary:
        """What a row without a candidate comes to: the best that a version outside the tag's reach has to offer."""
        states = {entry.state for entry in drawn(self.entries)}
        if "other_series" in states:
            return "hint"
        return "arch" if "arch_mismatch" in states else "blocked" if "held" in states else ""


def outlook(
    found: Ladder,
    known: Mapping[str, Known],
    *,
    reach: Reach,
    own_digests: Collection[str],
    ignore: Iterable[Rule],
    held: Collection[str],
    host_platform: str,
    names: Collection[str] = (),
) -> Outlook:
    """Sort the versions of a ladder out.

    `own_digests` are the running image and the candidate: what is the same image is no other version. `names` are
    tags such as `latest`, which lead to a version only if their digest says so.
    """
    entries: list[Entry] = []
    wanted: list[str] = []
    ignore = list(ignore)
    for step in STEPS:
        within, told, tries, first = step in _WITHIN[reach], False, 0, len(entries)
        for place, rung in enumerate(found.rungs.get(step, ())):
            fact = known.get(rung.tag)
            if fact is not None and fact.digest in own_digests:
                continue
            entry = _entry(rung, fact, within, found.counts[step] - 1 - place, known, names)
            if (rule := first_match(ignore, rung.tag)) is not None:
                if not told:  # the newest of the ignored stands for all of them
                    entries.append(replace(entry, state="ignored", rule_id=getattr(rule, "id", None)))
                    told = True
                continue
            if fact is None or fact.platforms is None:
                wanted.append(rung.tag)
            state = _state(fact, held, host_platform)
            entries.append(replace(entry, state=state))
            tries += 1
            if state == "other_series" or tries == LOOKED_AT:
                break
        entries[first:-1] = [replace(entry, more=0) for entry in entries[first:-1]]
    return Outlook(tuple(entries), tuple(wanted))


def drawn(entries: Iterable[Entry]) -> list[Entry]:
    """One entry per distance, for the rail: outside the tag's reach, rather one that could be taken than another."""
    rank: Mapping[EntryState, int] = {"other_series": 0, "arch_mismatch": 1, "held": 2, "ignored": 3}
    best: dict[Step, Entry] = {}
    for entry in entries:
        if not entry.in_reach and (entry.step not in best or rank[entry.state] < rank[best[entry.step].state]):
            best[entry.step] = entry
    return [best[step] for step in STEPS if step in best]


def with_newer(status: RowStatus, summary: str) -> RowStatus:
    """The state of a row whose tag has nothing new, when other tags have: the rail and the state say the same."""
    return _MEANS.get(summary, status) if status == "ok" else status


def _state(fact: Known | None, held: Collection[str], host_platform: str) -> EntryState:
    if fact is None:
        return "other_series"
    if fact.platforms is not None and arch_match(fact.platforms, host_platform) == "mismatch":
        return "arch_mismatch"
    return "held" if fact.digest in held else "other_series"


def _entry(
    rung: Rung, fact: Known | None, within: bool, more: int, known: Mapping[str, Known], names: Collection[str]
) -> Entry:
    reached = list(rung.series_tags)
    if fact is not None:
        reached = [tag for tag in reached if tag not in known or known[tag].digest == fact.digest]
        reached += [name for name in sorted(names) if name in known and known[name].digest == fact.digest]
    return Entry(
        tag=rung.tag,
        step=rung.step,
        state="other_series",
        in_reach=within,
        digest=fact.digest if fact else None,
        platforms=fact.platforms if fact else None,
        published_at=fact.published_at if fact else None,
        reached_by=tuple(dict.fromkeys(reached)),
        follow=rung.follow,
        more=more,
    )
