"""Reading WWW-Authenticate (RFC 7235): text in, challenges out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_MAX_HEADER = 8192
_NEXT = re.compile(
    r"""[\s,]*(?:
        (?P<key>[A-Za-z0-9_-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]*))
      | (?P<scheme>[A-Za-z][A-Za-z0-9_-]*)(?=[\s,]|$)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way the server would accept. `scheme` and the keys of `params` are lower-case."""

    scheme: str
    params: dict[str, str] = field(default_factory=dict)


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Every challenge of all WWW-Authenticate headers, in order; what cannot be read ends that header."""
    found: list[Challenge] = []
    for header in headers:
        text, position = header[:_MAX_HEADER], 0
        while match := _NEXT.match(text, position):
            position = match.end()
            if scheme := match.group("scheme"):
                found.append(Challenge(scheme.lower()))
            elif found:
                quoted = match.group("quoted")
                value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match.group("plain")
                found[-1].params.setdefault(match.group("key").lower(), value)
    return found
