"""Sentences that were stored in English, told in the reader's language (docs/languages.md).

What is kept (by jobs, by the outbox) is English, for whoever reads it later may speak anything. A room lists the texts
that its pages show; they are found again by their form, and what is in a hole (a name, another sentence) is told in its
turn. What errors say needs no list. A text that is in none stays as it is: commands, what the engine or a mail server
said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.core.web.languages import N_, TWO_SENTENCES, _, retold, spoken, told
from app.core.web.wording import Form

_LONGEST: Final = 1000
_DEPTH: Final = 3


class Retelling:
    """`sentences` are whole texts, `forms` have holes: the first that fits counts, so the longer of two goes first."""

    def __init__(self, sentences: Sequence[N_], forms: Sequence[N_]) -> None:
        self._whole = frozenset(each.message for each in sentences)
        self._forms = tuple(each.message for each in forms)
        self._read: list[Form] = []  # made when somebody reads another language than English

    def __call__(self, text: str, depth: int = _DEPTH) -> str:
        """`text` in the reader's language, or as it is."""
        if spoken() == "en" or not text:
            return text
        if text in self._whole:
            return _(text)
        if not depth or len(text) > _LONGEST:
            return text
        if not self._read:
            self._read = [Form(form) for form in self._forms]
        for text_of, form in zip(self._forms, self._read, strict=True):
            if (values := form.values(text)) is not None:
                return _(text_of, **{name: self(value, depth - 1) for name, value in values.items()})
        if (found := retold(text, lambda value: self(value, depth - 1))) is not None:
            return found
        first, full_stop, rest = text.partition(". ")
        if not full_stop:
            return told(text)
        return _(TWO_SENTENCES.message, told=self(first, depth - 1), hint=self(rest, depth - 1))
