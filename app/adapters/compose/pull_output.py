"""The pull progress in the words of the CLI, turned into the engine's messages (spec §7.8, pull progress).

What comes out is shaped like a message of the engine's pull stream, so that one aggregator serves both ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app.adapters.compose.redact import plain

MAX_PENDING_CHARS = 4_096

_UNITS = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}
_SIZE = r"(\d{1,12}(?:\.\d{1,9})?)\s?([kmgt]?i?b)"
_LAYER = re.compile(
    r"\s*([0-9a-f]{12,64})[\s:]+"
    r"(Pulling fs layer|Waiting|Downloading|Verifying Checksum|Download complete|Extracting|Pull complete|"
    r"Already exists|Retrying in \d+ seconds?)\b(.*)",
    re.IGNORECASE,
)
_PAIR = re.compile(rf"{_SIZE}\s?/\s?{_SIZE}", re.IGNORECASE)
_SINGLE = re.compile(rf"(?<![\d/]){_SIZE}", re.IGNORECASE)
_DIGEST = re.compile(r"\s*(Digest: sha256:[0-9a-f]{64}|Status: Image is up to date\b.{0,300})")
_BREAKS = re.compile(r"[\r\n]+")


class PullLines:
    """Feed it text as it comes, in pieces of any size; it yields one message for each complete frame."""

    def __init__(self) -> None:
        self._pending = ""

    def feed(self, text: str) -> Iterator[dict[str, Any]]:
        *frames, rest = _BREAKS.split(self._pending + text)
        self._pending = rest[:MAX_PENDING_CHARS]
        for frame in frames:
            message = pull_message(frame)
            if message is not None:
                yield message

    def end(self) -> Iterator[dict[str, Any]]:
        """The message of a last frame that no line break followed."""
        yield from self.feed("\n")


def pull_message(frame: str) -> dict[str, Any] | None:
    """One frame as `{id, status, progressDetail}`, None when it says nothing about a layer or the result."""
    line = plain(frame[:MAX_PENDING_CHARS])
    match = _LAYER.match(line)
    if match is None:
        digest = _DIGEST.match(line)
        return {"status": digest[1]} if digest else None
    layer, status, rest = match.groups()
    message: dict[str, Any] = {"id": layer.lower()[:12], "status": status, "progressDetail": {}}
    if status.lower() == "downloading":
        message["progressDetail"] = _detail(rest)
    return message


def _detail(rest: str) -> dict[str, int]:
    pair = _PAIR.search(rest)
    if pair is not None:
        return {"current": parse_size(pair[1], pair[2]), "total": parse_size(pair[3], pair[4])}
    single = _SINGLE.search(rest)
    return {"current": parse_size(single[1], single[2])} if single is not None else {}


def parse_size(number: str, unit: str) -> int:
    """`12.5`, `MB` as bytes, with binary multipliers."""
    return int(float(number) * _UNITS[unit.lower().replace("i", "")])
