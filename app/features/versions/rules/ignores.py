"""Ignore rules: which candidate tags the owner does not want (spec §7.5). Pure.

Rules come from people and are asked about tags from registries, so neither may hang or crash a check: a bad pattern
or range never matches, and a pattern gets 50 ms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from app.core.web.languages import N_
from app.features.versions.rules.versions import MAX_TAG, lenient_semver

if TYPE_CHECKING:
    from semantic_version import SimpleSpec

KINDS = ("exact", "prefix", "regex", "semver")
MAX_VALUE = 256
# The library looks at the clock now and then only: what is given 15 ms ends within 50.
_REGEX_SECONDS = 0.015
# The regex library writes required repeats out while compiling, nested ones multiplied: a{99} five deep needs 100 GB.
_MAX_REPEATS = 10_000
_LEAST = re.compile(r"\{([^,}]*)")
_OPERATOR_GAP = re.compile(r"([<>=!^~])\s+")


BAD_KIND = N_("match kind must be one of %(kinds)s")
NO_VALUE = N_("match value must not be empty")
LONG_VALUE = N_("match value must not be longer than %(characters)s characters")
BAD_PATTERN = N_("match value is not a valid regular expression")
BAD_RANGE = N_("match value is not a version range such as >=2.0.0, <3")
PROBLEMS = (BAD_KIND, NO_VALUE, LONG_VALUE, BAD_PATTERN, BAD_RANGE)


class Rule(Protocol):
    """What a rule must have to be asked."""

    @property
    def enabled(self) -> bool:
        """Whether it counts at all."""

    @property
    def kind(self) -> str:
        """How `value` is meant: exact, prefix, regex, semver."""

    @property
    def value(self) -> str:
        """What the tag is held against."""


R = TypeVar("R", bound=Rule)


def first_match(rules: Iterable[R], tag: str) -> R | None:
    """The first enabled rule that matches the candidate's tag."""
    return next((rule for rule in rules if rule.enabled and matches(rule.kind, rule.value, tag)), None)


def matches(kind: str, value: str, tag: str) -> bool:
    """Whether a rule matches a tag. Never raises; an invalid rule matches nothing."""
    if len(tag) > MAX_TAG or not value or len(value) > MAX_VALUE:
        return False
    if kind == "exact":
        return tag == value
    if kind == "prefix":
        return tag.startswith(value)
    if kind == "regex":
        return _regex_matches(value, tag)
    return kind == "semver" and _range_contains(value, tag)


def validate(kind: str, value: str) -> str | None:
    """Why a rule cannot be kept, one of PROBLEMS in words for the API; None when it can."""
    if kind not in KINDS:
        return BAD_KIND.message % {"kinds": ", ".join(KINDS)}
    if not value.strip():
        return NO_VALUE.message
    if len(value) > MAX_VALUE:
        return LONG_VALUE.message % {"characters": MAX_VALUE}
    if kind == "regex" and _compiled(value) is None:
        return BAD_PATTERN.message
    if kind == "semver" and _range(value) is None:
        return BAD_RANGE.message
    return None


def _regex_matches(pattern: str, tag: str) -> bool:
    compiled = _compiled(pattern)
    if compiled is None:
        return False
    try:
        return compiled.search(tag, timeout=_REGEX_SECONDS) is not None
    except (TimeoutError, MemoryError, RecursionError):
        return False


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    if prod(_at_least(count) for count in _LEAST.findall(pattern)) > _MAX_REPEATS:
        return None
    import regex  # 1 MB, and most owners have no such rule

    try:
        return regex.compile(pattern)
    except (regex.error, ValueError, OverflowError, MemoryError, RecursionError, IndexError, KeyError):
        return None


def _at_least(count: str) -> int:
    """The number in `{n`, whatever a verbose pattern puts between its digits; at least 1."""
    digits = "".join(c for c in count if c.isdecimal())
    return max(1, int(digits[:9] or 1))


def _range_contains(value: str, tag: str) -> bool:
    parsed, wanted = lenient_semver(tag), _range(value)
    if parsed is None or wanted is None:
        return False
    from semantic_version import Version

    major, minor, patch, prerelease = parsed
    return bool(wanted.match(Version(major=major, minor=minor, patch=patch, prerelease=prerelease, build=())))


@lru_cache(maxsize=256)
def _range(value: str) -> SimpleSpec | None:
    from semantic_version import SimpleSpec

    if any(len(number) > 18 for number in re.findall(r"[0-9]+", value)):
        return None
    try:
        return SimpleSpec(_OPERATOR_GAP.sub(r"\1", value.strip()).replace(" ", ""))
    except ValueError:
        return None
