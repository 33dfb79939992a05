"""What a request changed, told by who stores it: names of fields, and values of those that are harmless.

Rooms tell it wherever they change settings; whoever keeps the record of a request collects it. Outside of a request
nobody listens, and nothing happens.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextvars import ContextVar
from typing import Any, Final

Change = dict[str, Any]
MOST: Final = 40
LENGTH: Final = 120
_collected: ContextVar[list[Change] | None] = ContextVar("changes", default=None)


def collect() -> list[Change]:
    """From here on what this request changes comes into the list."""
    changes: list[Change] = []
    _collected.set(changes)
    return changes


def tell(before: Mapping[str, Any], after: Mapping[str, Any], *, harmless: Collection[str]) -> None:
    """Compare settings by their names in the API. Only of `harmless` fields is said what they were and what they are,
    of all others only that they changed: secrets are compared and nothing else is done with them."""
    changes = _collected.get()
    if changes is None:
        return
    for field, value in after.items():
        if before.get(field) == value or len(changes) >= MOST:
            continue
        change: Change = {"field": field}
        if field in harmless:
            change |= {"from": _bounded(before.get(field)), "to": _bounded(value)}
        changes.append(change)


def _bounded(value: Any) -> bool | int | float | str | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:LENGTH].encode(errors="replace").decode()
