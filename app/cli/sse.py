"""Reads server-sent events: bytes in, events out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

LINE_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `id` is empty when the server gave none."""

    name: str
    data: str
    id: str = ""

    def document(self) -> dict[str, Any]:
        """The data as a JSON object; `{}` when it is not one."""
        try:
            found = json.loads(self.data)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def events(lines: Iterable[str]) -> Iterator[Event]:
    """Events from the lines of a stream; comments are left out, an unfinished event at the end is dropped."""
    name, last_id = "", ""
    data: list[str] = []
    for raw in lines:
        line = raw.rstrip("\r\n")[:LINE_LIMIT]
        if not line:
            if data:
                yield Event(name or "message", "\n".join(data), last_id)
            name, data = "", []
            continue
        member, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if member == "event":
            name = value
        elif member == "data":
            data.append(value)
        elif member == "id" and "\0" not in value:
            last_id = value
