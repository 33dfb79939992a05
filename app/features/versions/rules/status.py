"""The state of a row and the place of versions on the rail (spec §11.2; the version rail). Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from app.features.versions.rules.platforms import ArchMatch
from app.features.versions.rules.versions import Version, is_downgrade, numbers_of

RowStatus = Literal["blocked", "ok", "arch_mismatch", "cross_tag", "hint", "updatable", "unknown"]
Distance = Literal["patch", "minor", "major", "unknown"]
Reach = Literal["none", "patch", "minor", "all"]


@lru_cache(maxsize=4096)  # lists ask it of every service for each drawing
def row_status(
    *,
    checked: bool,
    has_candidate: bool,
    tag: str,
    current: str,
    candidate: str | None,
    arch_match: ArchMatch | str | None = None,
    ignored: bool = False,
    runtime_known: bool = True,
) -> RowStatus:
    """The one state of a service's row. `current` and `candidate` are display versions.

    Without a candidate a row is fine only if it was checked and what runs is known; else nobody can tell.
    """
    if ignored:
        return "blocked"
    if not has_candidate:
        return "ok" if checked and runtime_known else "unknown"
    if arch_match == "mismatch":
        return "arch_mismatch"
    if candidate is not None and is_cross_tag(tag, candidate):
        return "cross_tag"
    if arch_match != "match" or candidate is None or not _comparable(current, candidate):
        return "hint"
    return "hint" if is_downgrade(current, candidate) else "updatable"


def is_cross_tag(tag: str, candidate: str) -> bool:
    """Whether the candidate's version lies outside the series the tag names: major, and minor if the tag says it."""
    followed, other = Version.parse(tag), Version.parse(candidate)
    if followed is None or other is None or followed.is_stamp or other.is_stamp:
        return False
    parts = min(len(followed.numbers), 2)
    return other.padded[:parts] != followed.numbers[:parts]


def distance(current: str, candidate: str) -> Distance:
    """How far the candidate is from what runs: the first number that differs. A rebuild counts as a patch.

    A candidate known only by a shorter tag (`1` after `1.4.2`) may be anything in it: unknown.
    """
    one, other = Version.parse(current), Version.parse(candidate)
    if one is None or other is None or not _comparable(current, candidate):
        return "unknown"
    shared = min(one.precision, other.precision)
    pairs = zip(numbers_of(one), numbers_of(other), strict=True)
    place = next((place for place, (a, b) in enumerate(pairs) if a != b), 2)
    if place >= shared and other.precision < one.precision:
        return "unknown"
    steps: tuple[Distance, ...] = ("major", "minor", "patch")
    return steps[min(place, 2)]


def reach(tag: str, *, pinned: bool = False) -> Reach:
    """How far a followed tag moves by itself: `1.2.3` not at all, `1.2` patches, `1` minors, a name anywhere."""
    if pinned:
        return "none"
    version = Version.parse(tag)
    if version is None:
        return "all"
    by_precision: dict[int, Reach] = {1: "minor", 2: "patch"}
    return by_precision.get(version.precision, "none")


def _comparable(current: str, candidate: str) -> bool:
    """Two versions of one line: the variant may differ, since both are names for what one tag pointed to."""
    one, other = Version.parse(current), Version.parse(candidate)
    return one is not None and other is not None and (one.word, one.is_calendar) == (other.word, other.is_calendar)
