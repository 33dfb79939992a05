"""Newer versions under other tags: the newest at patch, minor and major distance in the running version's family. Pure.

A family is one way of tagging one thing: the same prefix (`v1.2.3` is no successor of `1.2.2`), the same variant
(`-alpine` stays with `-alpine`), calendar versions among themselves, pre-releases only for who runs one. The tags come
from a registry, so anything may be in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.features.versions.rules.versions import Version, numbers_of

Step = Literal["patch", "minor", "major"]
STEPS: Final[tuple[Step, ...]] = ("patch", "minor", "major")
KEPT_PER_STEP: Final = 6
_PLACES: Final[tuple[Step, ...]] = ("major", "minor", "patch")
# Above this a first number counts builds or days: `20241` is no major release of 16.
_MOST_MAJORS: Final = 100


@dataclass(frozen=True, slots=True)
class Rung:
    """One newer version: its own tag, how far it is, the floating tags whose series it is the newest of.

    `follow` is the tag to write into the Compose file to go on in the manner of now: as floating as the followed one.
    """

    tag: str
    step: Step
    series_tags: tuple[str, ...] = ()
    follow: str = ""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Newer versions by distance, newest first and at most six; `counts` has all of them."""

    rungs: Mapping[Step, tuple[Rung, ...]]
    counts: Mapping[Step, int]

    @property
    def empty(self) -> bool:
        """Whether nothing is newer."""
        return not any(self.rungs.values())


NOTHING: Final = Ladder({}, {})


def running_version(followed: str, display: str, aliases: Iterable[str]) -> Version | None:
    """What runs, as a version, in the manner of the followed tag where the digest has such a name.

    `latest` that is both `1.4.2` and `v1.4.2` may be either; `v1` that is both is `v1.4.2`.
    """
    own, shown = Version.parse(followed), Version.parse(display)
    if own is None or shown is None:
        return shown
    names = [shown, *(version for tag in aliases if (version := Version.parse(tag)))]
    alike = [
        version
        for version in names
        if _line(version) == _line(own) and len(version.numbers) >= max(len(own.numbers), len(shown.numbers))
    ]
    return alike[0] if alike else shown


def ladder(tags: Collection[str], running: Version | None, followed: str) -> Ladder:
    """The versions among `tags` that are newer than what runs.

    What runs may be known only as far as its floating tag says (`1.22`): then only other series are newer for sure.
    """
    if running is None:
        return NOTHING
    family = [version for tag in tags if (version := Version.parse(tag)) and _line(version) == _line(running)]
    wanted = _wanted_variant(running, followed)
    found: dict[Step, dict[tuple[object, ...], Version]] = {step: {} for step in STEPS}
    for version in family:
        step = step_to(running, version)
        if step is None:
            continue
        same = found[step].get(_release(version))
        if same is None or _preference(version, wanted) > _preference(same, wanted):
            found[step][_release(version)] = version
    floating = [version for version in family if _may_float(version)]
    rungs: dict[Step, tuple[Rung, ...]] = {}
    for step, releases in found.items():
        ordered = [releases[key] for key in sorted(releases, reverse=True)][:KEPT_PER_STEP]
        every = [version for other in found.values() for version in other.values()]
        rungs[step] = tuple(_rung(version, step, floating, every, followed) for version in ordered)
    return Ladder(rungs, {step: len(releases) for step, releases in found.items()})


def step_to(running: Version, other: Version) -> Step | None:
    """How far a version of the same family is ahead; None when it is not, or when nobody can tell.

    `1.4` may be anything in its series, so it is never ahead of `1.4.2`; a build number is no major release.
    """
    if other.precision < running.precision or (other.is_prerelease and not running.is_prerelease):
        return None
    if not running.is_calendar and other.numbers[0] > 10 * running.numbers[0] + _MOST_MAJORS:
        return None
    mine, theirs = numbers_of(running), numbers_of(other)
    known = len(mine) if running.is_stamp else min(len(running.numbers), len(mine))
    for place in range(known):
        if mine[place] != theirs[place]:
            return _PLACES[min(place, 2)] if theirs[place] > mine[place] else None
    if other.precision == running.precision and other.order[1:3] > running.order[1:3]:
        return "patch"  # the release after its candidate, or the next revision of one packaging
    return None


def skipped(ladder_: Ladder, step: Step, tag: str) -> int:
    """How many versions of that distance lie between what runs and this one, as far as they are listed."""
    tags = [rung.tag for rung in ladder_.rungs.get(step, ())]
    return ladder_.counts[step] - 1 - tags.index(tag) if tag in tags else 0


def _line(version: Version) -> tuple[object, ...]:
    """What versions must share to be compared: spelling of the prefix, variant words, kind of numbers."""
    return (version.prefix.lower(), version.variant_words, version.is_calendar, version.is_stamp)


def _release(version: Version) -> tuple[object, ...]:
    """What two tags of one release share; their variants may differ in numbers (`alpine3.19`, `alpine3.20`)."""
    return (numbers_of(version), *version.order[1:3])


def _wanted_variant(running: Version, followed: str) -> str:
    """The variant in the followed tag's own words: `16-alpine` goes on as `17-alpine`, not as `17-alpine3.20`."""
    own = Version.parse(followed)
    return own.variant if own is not None and own.variant_words == running.variant_words else running.variant


def _preference(version: Version, wanted: str) -> tuple[object, ...]:
    return (version.variant == wanted, version.order)


def _may_float(version: Version) -> bool:
    return not version.is_stamp and not version.is_prerelease and len(version.numbers) < 3


def _rung(version: Version, step: Step, floating: Sequence[Version], every: Sequence[Version], followed: str) -> Rung:
    if version.is_stamp or version.is_prerelease:
        return Rung(version.text, step, (), version.text)
    names = [
        name
        for name in floating
        if len(name.numbers) < len(version.numbers)
        and name.variant == _wanted_variant(version, followed)
        and _in_series(version, name)
        and not any(_in_series(other, name) and _ahead(other, version) for other in every)
    ]
    names.sort(key=lambda name: len(name.numbers), reverse=True)
    own = Version.parse(followed)
    like = [name.text for name in names if own is not None and len(name.numbers) == len(own.numbers)]
    return Rung(version.text, step, tuple(name.text for name in names), like[0] if like else version.text)


def _in_series(version: Version, name: Version) -> bool:
    return version.numbers[: len(name.numbers)] == name.numbers


def _ahead(one: Version, other: Version) -> bool:
    return not one.is_prerelease and _order(one) > _order(other)


def _order(version: Version) -> tuple[tuple[int, ...], object]:
    return (numbers_of(version), version.order[1:3])
