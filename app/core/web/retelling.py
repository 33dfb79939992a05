"""Sentences that were stored in English, told in the reader's language (docs/languages.md).

What is kept (by jobs, by the outbox) is English, for whoever reads it later may speak anything. A room lists the texts
that its pages show; they are found again by their form, and what is in a hole (a name, another sentence) is told in its
turn. A text that nobody listed stays as it is: commands, what the engine or a mail server said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from app.core.web.languages import N_, _, spoken

_HOLE: Final = re.compile(r"%\((\w+)\)s")
_LONGEST: Final = 1000
_DEPTH: Final = 3


class Retelling:
    """`sentences` are whole texts, `forms` have holes: the first that fits counts, so the longer of two goes first."""

    def __init__(self, sentences: Sequence[N_], forms: Sequence[N_]) -> None:
        self._whole = frozenset(each.message for each in sentences)
        self._forms = tuple(each.message for each in forms)
        self._patterns: list[re.Pattern[str]] = []  # made when somebody reads another language than English

    def __call__(self, text: str, depth: int = _DEPTH) -> str:
        """`text` in the reader's language, or as it is."""
        if spoken() == "en" or not text:
            return text
        if text in self._whole:
            return _(text)
        if not depth or len(text) > _LONGEST:
            return text
        if not self._patterns:
            self._patterns = [_pattern(form) for form in self._forms]
        for form, pattern in zip(self._forms, self._patterns, strict=True):
            if found := pattern.fullmatch(text):
                return _(form, **{name: self(value, depth - 1) for name, value in found.groupdict().items()})
        first, full_stop, rest = text.partition(". ")
        return _("%(told)s. %(hint)s", told=self(first, depth - 1), hint=self(rest, depth - 1)) if full_stop else text


def _pattern(form: str) -> re.Pattern[str]:
    parts = _HOLE.split(form)  # text and names by turns
    source = "".join(f"(?P<{part}>.+?)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
    return re.compile(source, re.DOTALL)
