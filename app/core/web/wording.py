"""Texts with values in them, found again in what was said with them: `%(name)s has no image` in `web has no image`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_HOLE: Final = re.compile(r"%\((\w+)\)s|%%")


class Form:
    """A text with holes. Looking is linear in what is looked at, which comes from anywhere."""

    __slots__ = ("_names", "_parts", "weight")

    def __init__(self, text: str) -> None:
        parts, names, at = [""], [], 0
        for hole in _HOLE.finditer(text):
            parts[-1] += text[at : hole.start()]
            at = hole.end()
            if hole[1] is None:
                parts[-1] += "%"
            else:
                names.append(hole[1])
                parts.append("")
        parts[-1] += text[at:]
        self._parts, self._names = tuple(parts), tuple(names)
        self.weight = sum(map(len, parts))
        """How much of it is said by itself: of two forms that fit, the heavier says more."""

    def values(self, told: str) -> dict[str, str] | None:
        """What stands in its holes, at least a character in each; None when `told` is something else."""
        first, *others = self._parts
        if not told.startswith(first):
            return None
        if not others:
            return {} if told == first else None
        found, at = [], len(first)
        for part in others[:-1]:
            end = told.find(part, at + 1)
            if end < 0:
                return None
            found.append(told[at:end])
            at = end + len(part)
        end = len(told) - len(others[-1])
        if end <= at or not told.endswith(others[-1]):
            return None
        return dict(zip(self._names, (*found, told[at:end]), strict=True))


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with its holes filled; a value is never read as a text with holes."""
    return _HOLE.sub(lambda hole: "%" if hole[1] is None else values[hole[1]], text)
