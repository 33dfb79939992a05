"""What was kept in English, in the language of the reader: jobs and rules write English, a page tells it again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from app.core.web.languages import N_, gettext, spoken

_HOLE = re.compile(r"%\((\w+)\)s")


def retold(told: str, texts: Iterable[N_]) -> str:
    """`told` is one of `texts` with its `%(name)s` filled in; what is none of them stays as it is."""
    if spoken() == "en":
        return told
    for text in texts:
        found = _pattern(text.message).fullmatch(told)
        if found is not None:
            return gettext(text.message, **found.groupdict())
    return told


@cache
def _pattern(message: str) -> re.Pattern[str]:
    pieces = _HOLE.split(message.replace("%%", "%"))
    made = [re.escape(piece) if at % 2 == 0 else f"(?P<{piece}>.+?)" for at, piece in enumerate(pieces)]
    return re.compile("".join(made), re.S)
