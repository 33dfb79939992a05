"""Text for a terminal: made safe, aligned, short."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

_SEQUENCES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?", re.DOTALL)
# C0 and C1 controls, and the marks that turn the direction of writing
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: object, limit: int = 4000) -> str:
    """Text from outside without anything a terminal would act on; line breaks and tabs stay."""
    cleaned = _CONTROLS.sub("", _SEQUENCES.sub("", str(text)))
    return cleaned if len(cleaned) <= limit else cleaned[:limit] + "…"


def one_line(text: object, limit: int = 400) -> str:
    """`plain` on a single line."""
    return " ".join(plain(text, limit).split())


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Aligned lines, the head first; nothing at all without rows."""
    if not rows:
        return []
    cells = [list(head), *[[one_line(cell, 120) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def short_digest(digest: object) -> str:
    """`sha256:0123456789ab` of a whole digest."""
    text = one_line(digest or "")
    algorithm, colon, value = text.partition(":")
    return f"{algorithm}:{value[:12]}" if colon else text[:12]


def ago(moment: object) -> str:
    """How long ago an RFC 3339 moment was: `3 min`, `2 h`, `5 d`."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(str(moment))).total_seconds()
    except (ValueError, TypeError):
        return ""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def clock_time(moment: object) -> str:
    """The local time of day of an RFC 3339 moment."""
    try:
        return datetime.fromisoformat(str(moment)).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return ""


def human_bytes(number: Any) -> str:
    """`12.3 MB`; empty when unknown."""
    if not isinstance(number, int | float):
        return ""
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
