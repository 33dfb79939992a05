"""Taking secrets out of texts before anybody sees or keeps them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote, urlsplit

HIDDEN: Final = "******"
_SHORTEST: Final = 4  # what is shorter would tear ordinary words apart
_BOT: Final = re.compile(r"\b(bot)?\d{6,12}:[A-Za-z0-9_-]{30,}")
_LOGIN: Final = re.compile(r"(?<=://)[^/\s@]+(?=@)")


def redact(text: str, secrets: Iterable[str | None] = ()) -> str:
    """`text` without the given secrets, in any spelling a URL has, and without what looks like one."""
    spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, HIDDEN)
    return _LOGIN.sub(HIDDEN, _BOT.sub(HIDDEN, text))


def _spellings(secret: str) -> set[str]:
    parts = {secret}
    try:
        url = urlsplit(secret)
    except ValueError:
        url = None
    if url is not None and url.scheme and url.netloc:
        parts |= {url.password or "", url.path if len(url.path) > 8 else "", url.query if len(url.query) > 8 else ""}
    found = {spelling for part in parts for spelling in (part, unquote(part), quote(part, safe=""))}
    return {spelling for spelling in found if len(spelling) >= _SHORTEST}
