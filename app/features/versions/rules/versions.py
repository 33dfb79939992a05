"""Image tags as versions: reading, ordering, comparing like with like (spec §7.5, §7.6). Pure.

Neither PEP 440 nor semver knows what people put into tags: a `v`, one to four numbers, a base image behind a dash, a
date. This parser does, and everything it cannot read is simply not a version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

MAX_TAG = 128  # of the distribution specification

_TAG = re.compile(
    r"""
    (?P<word>(?![vV][0-9])(?:[A-Za-z]+[-_.]|[A-Za-z]+[0-9]+[-_]))?    # release-, RELEASE., pg14-
    (?P<v>[vV])?
    (?:
        (?P<dashed>[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)(?![0-9.])
        (?:T(?P<clock>[0-9]{2}-?[0-9]{2}(?:-?[0-9]{2})?)Z?)?
      | (?P<numbers>[0-9]{1,19}(?:\.[0-9]{1,19}){0,3})(?!\.?[0-9])
    )
    (?P<rest>.*)
    """,
    re.VERBOSE | re.ASCII,
)
_STRICT = re.compile(r"[vV]?[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)
_PRE_WORDS = {
    "dev": 0, "nightly": 0, "snapshot": 0, "canary": 0,
    "a": 1, "alpha": 1, "b": 2, "beta": 2, "m": 2, "milestone": 2, "pre": 3, "preview": 3, "ea": 3, "rc": 4, "cr": 4,
}  # fmt: skip
_PRE_NAMES = ("dev", "alpha", "beta", "pre", "rc")
_PRE = re.compile(rf"\.?({'|'.join(sorted(_PRE_WORDS, key=len, reverse=True))})\.?([0-9.]*)", re.ASCII | re.IGNORECASE)
_COMMIT = re.compile(r"(?:g|sha|git)?(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{7,40}", re.ASCII)
_STAMP = re.compile(r"20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[0-9]{4}(?:[0-9]{2})?)?", re.ASCII)
_MOVING_WORDS = ("nightly", "edge", "dev", "snapshot", "canary")

_Pre = tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A tag read as a version.

    `prefix` is what stands before the numbers (``, `v`, `release-`); `numbers` as written, one to four, or the parts
    of a date; `prerelease` ranked words with their numbers; `revision` a bare number behind a dash (`1.2.3-4`);
    `variant` the rest in lower case (`alpine3.19`, `php8.3-apache`).
    """

    text: str
    prefix: str
    numbers: tuple[int, ...]
    prerelease: _Pre = ()
    revision: int = 0
    variant: str = ""
    build: str = ""
    is_calendar: bool = False
    is_stamp: bool = False

    @classmethod
    def parse(cls, tag: str) -> Version | None:
        """Read a tag; None for everything that is not a version. Never raises."""
        return _parse(tag) if 0 < len(tag) <= MAX_TAG else None

    @property
    def precision(self) -> int:
        """How many numbers the tag fixes; a date stamp fixes everything."""
        return max(3, len(self.numbers)) if self.is_stamp else len(self.numbers)

    @property
    def is_prerelease(self) -> bool:
        """Whether the tag says it comes before the release of its numbers."""
        return bool(self.prerelease)

    @property
    def word(self) -> str:
        """The prefix without `v`: what makes `release-1.2` and `1.2` different lines."""
        return self.prefix.rstrip("vV").lower()

    @property
    def variant_words(self) -> tuple[str, ...]:
        """The variant without its numbers: `alpine3.19` and `alpine3.20` are one line."""
        return tuple(word for word in re.split(r"[-_]", re.sub(r"[0-9.]+", "", self.variant)) if word)

    @property
    def variant_numbers(self) -> tuple[int, ...]:
        """The numbers in the variant, in order."""
        return tuple(int(number) for number in re.findall(r"[0-9]+", self.variant))

    @property
    def family(self) -> tuple[str, tuple[str, ...], bool]:
        """Versions are compared only within one family: same prefix word, same variant, both dates or neither."""
        return (self.word, self.variant_words, self.is_calendar)

    @property
    def order(self) -> tuple[object, ...]:
        """A total order: numbers, release after pre-release, revision; then the exacter and the plainer tag first."""
        words, numbers = self.variant_words, self.variant_numbers
        return (
            self.padded,
            (0, *self.prerelease) if self.prerelease else (1,),
            self.revision,
            len(self.numbers),
            -len(words),
            -len(numbers),
            numbers,
            self.text,
        )

    @property
    def padded(self) -> tuple[int, ...]:
        """Four or more numbers, missing ones as 0."""
        return self.numbers + (0,) * (4 - len(self.numbers))


def family(tag: str) -> tuple[str, tuple[str, ...], bool] | None:
    """The family of a tag, None when it is not a version."""
    version = Version.parse(tag)
    return version.family if version else None


def is_strict(tag: str) -> bool:
    """Whether the tag is a full `x.y.z`, pre-release and build allowed: it names its version, nothing to infer."""
    return len(tag) <= MAX_TAG and _STRICT.fullmatch(tag) is not None


def lenient_semver(tag: str) -> tuple[int, int, int, tuple[str, ...]] | None:
    """Major, minor, patch and pre-release for ranges: `1` is 1.0.0; a variant does not count; `latest` is None."""
    version = Version.parse(tag)
    if version is None or version.word or (version.is_stamp and len(version.numbers) > 1):
        return None
    major, minor, patch = version.padded[:3]
    parts: list[str] = []
    for rank, numbers in version.prerelease:
        parts += [_PRE_NAMES[rank], *map(str, numbers)]
    return major, minor, patch, tuple(parts)


def sort_tags(tags: Iterable[str]) -> list[str]:
    """Versions descending, then date stamps descending, then the rest lexicographically descending (spec §5.2)."""
    versions: list[Version] = []
    stamps: list[Version] = []
    rest: list[str] = []
    for tag in set(tags):
        version = Version.parse(tag)
        if version is None:
            rest.append(tag)
        else:
            (stamps if version.is_stamp else versions).append(version)
    versions.sort(key=_order, reverse=True)
    stamps.sort(key=_stamp_order, reverse=True)
    return [v.text for v in versions] + [v.text for v in stamps] + sorted(rest, reverse=True)


def is_downgrade(current: str, candidate: str) -> bool:
    """Whether both display versions can be compared and the candidate is the older one (spec §7.5).

    Only the numbers both of them state count: `1.4` after `1.4.2` is a version not inferred yet, no step back.
    """
    one, other = Version.parse(current), Version.parse(candidate)
    if one is None or other is None or one.family != other.family:
        return False
    if one.precision == other.precision:
        return (_dated(other), *other.order[1:3]) < (_dated(one), *one.order[1:3])
    shared = min(one.precision, other.precision)
    return _dated(other)[:shared] < _dated(one)[:shared]


def _dated(version: Version) -> tuple[int, ...]:
    """Numbers with a compact date stamp taken apart, so that 20240102 and 2024-01-02 compare."""
    if version.is_stamp and len(version.numbers) == 1:
        digits = str(version.numbers[0])
        parts = [digits[:4], digits[4:6], digits[6:8], digits[8:10], digits[10:12], digits[12:14]]
        return tuple(int(part or 0) for part in parts)
    return version.numbers + (0,) * (6 - len(version.numbers))


def _order(version: Version) -> tuple[object, ...]:
    return version.order


def _stamp_order(version: Version) -> tuple[object, ...]:
    return (_dated(version), *version.order[1:])


def numbers_of(version: Version) -> tuple[int, ...]:
    """Six comparable numbers: year, month, day, … of a stamp, else the version's own, padded with 0."""
    return _dated(version)


@lru_cache(maxsize=4096)
def _parse(tag: str) -> Version | None:
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    word, dashed = match["word"] or "", match["dashed"]
    if dashed:
        clock = (match["clock"] or "").replace("-", "")
        parts = [*dashed.split("-"), *(clock[i : i + 2] for i in range(0, len(clock), 2))]
        numbers, stamp = tuple(map(int, parts)), True
        if not (1990 <= numbers[0] <= 2099 and 1 <= numbers[1] <= 12 and (len(numbers) < 3 or 1 <= numbers[2] <= 31)):
            return None
    else:
        numbers = tuple(map(int, match["numbers"].split(".")))
        stamp = len(numbers) == 1 and _STAMP.fullmatch(match["numbers"]) is not None
        if word and len(numbers) == 1 and not stamp:
            return None  # pr-12 and build-7 count things, not versions
    rest = _read_rest(match["rest"])
    if rest is None:
        return None
    prerelease, revision, variant, build = rest
    stamp = stamp or (word.rstrip("-_.").lower() in _MOVING_WORDS and len(numbers) >= 2)
    calendar = stamp or (1990 <= numbers[0] <= 2099 and (len(numbers) < 2 or 1 <= numbers[1] <= 12))
    return Version(
        tag,
        word + (match["v"] or ""),
        numbers,
        prerelease,
        revision,
        variant,
        build,
        is_calendar=calendar,
        is_stamp=stamp,
    )


def _read_rest(rest: str) -> tuple[_Pre, int, str, str] | None:
    """What follows the numbers: pre-release, revision, variant, build; None when letters just run on."""
    if rest and rest[0] not in "-_+" and not _PRE.fullmatch(re.split(r"[-_+]", rest)[0]):
        return None
    rest, _, build = rest.partition("+")
    prerelease: list[tuple[int, tuple[int, ...]]] = []
    revision: int | None = None
    variant: list[str] = []
    for token in re.split(r"[-_]", rest):
        found = None if variant else _PRE.fullmatch(token)
        if found:
            prerelease.append((_PRE_WORDS[found[1].lower()], _ints(found[2])))
        elif not variant and prerelease and not prerelease[-1][1] and token.isdecimal() and token.isascii():
            prerelease[-1] = (prerelease[-1][0], (int(token),))
        elif not variant and revision is None and token.isdecimal() and token.isascii():
            revision = int(token)
        elif _COMMIT.fullmatch(token):
            build = build or token
        elif token:
            variant.append(token.lower())
    return tuple(prerelease), revision or 0, "-".join(variant), build


def _ints(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part)
