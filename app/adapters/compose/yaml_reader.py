"""Compose files as plain values: YAML of strangers, bounded in size, nodes and depth, aliases counted as written out.

Built on the parser's events instead of the library's constructor: the limits hold while reading, not afterwards,
and Compose's own tags keep their meaning. Text of the file never gets into an error.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.adapters.compose.errors import ComposeFileInvalid, ComposeFileUnreadable

MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_NODES = 20_000
MAX_DEPTH = 64

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Replace:
    """A value tagged `!override`: takes the place of what earlier files said instead of being merged with it."""

    value: Any


class Reset:
    """A value tagged `!reset`: removes what earlier files said."""


RESET = Reset()


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence under construction."""

    line: int
    tag: str
    anchor: str | None
    before: int
    items: list[Any] | None = None
    pairs: dict[str, Any] = field(default_factory=dict)
    merged: list[dict[str, Any]] = field(default_factory=list)
    key: str | None = None

    def result(self) -> Any:
        if self.items is not None:
            return self.items
        inherited: dict[str, Any] = {}
        for base in reversed(self.merged):
            inherited.update(base)
        return {**inherited, **self.pairs}


def read_text(path: Path, limit: int = MAX_FILE_BYTES) -> str:
    """The text of a regular file. Raises ComposeFileUnreadable; ComposeFileInvalid when it is too big."""
    try:
        # Without O_NONBLOCK the name of a pipe would hold the thread for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ComposeFileUnreadable(path, "it is not a regular file")
            content = file.read(limit + 1)
    except OSError as exc:
        raise ComposeFileUnreadable(path, (exc.strerror or "it cannot be read").lower()) from exc
    except ValueError as exc:
        raise ComposeFileUnreadable(path, "its name is impossible") from exc
    if len(content) > limit:
        raise ComposeFileInvalid(path, 0, f"it is larger than {limit // 1024} kB")
    return content.decode("utf-8-sig", errors="replace")


def read_documents(path: Path) -> list[Any]:
    """The documents of a YAML file. Raises ComposeFileUnreadable and ComposeFileInvalid."""
    return parse_documents(read_text(path), path)


def parse_documents(text: str, path: Path) -> list[Any]:
    """The documents of a YAML text; `path` is for messages. Raises ComposeFileInvalid."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    builder = _Builder(path)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        raise ComposeFileInvalid(path, mark.line + 1 if mark else 0, _words(exc.problem)) from None
    except YAMLError:
        raise ComposeFileInvalid(path, 0, "it has characters that YAML forbids") from None
    except (ValueError, RecursionError, OverflowError):
        raise ComposeFileInvalid(path, 0, "it is no YAML") from None
    return builder.documents


def _words(problem: object) -> str:
    # What the parser quotes of the file may be part of a secret.
    told = re.sub(r"(['\"]).*?\1", "…", str(problem or "it is no YAML"))
    return "".join(c for c in told if c.isprintable())[:200]


class _Builder:
    """Values from events, with an own stack: no recursion that a file could drive too deep."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0
        self.documents: list[Any] = []

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        line = event.start_mark.line + 1 if event.start_mark else 0
        if kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._open(event, line, [] if kind == "SequenceStartEvent" else None)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._close()
        elif kind == "ScalarEvent":
            self._count(1, line)
            value = _scalar(event)
            self._remember(event.anchor, value, 1)
            self._add(value, str(event.value), line)
        elif kind == "AliasEvent":
            if event.anchor not in self._anchors:
                raise self._invalid(line, "an alias refers to nothing, or to what it is part of")
            value, weight = self._anchors[event.anchor]
            self._count(weight, line)
            self._add(value, value if isinstance(value, str) else None, line)
        elif kind == "DocumentStartEvent":
            self._anchors.clear()

    def _open(self, event: Any, line: int, items: list[Any] | None) -> None:
        self._count(1, line)
        if len(self._stack) >= MAX_DEPTH:
            raise self._invalid(line, f"it is nested deeper than {MAX_DEPTH} levels")
        self._stack.append(_Frame(line, _tag(event), event.anchor, self._nodes - 1, items))

    def _close(self) -> None:
        frame = self._stack.pop()
        value = _tagged(frame.tag, frame.result())
        self._remember(frame.anchor, value, self._nodes - frame.before)
        self._add(value, None, frame.line)

    def _remember(self, anchor: str | None, value: Any, weight: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, weight)

    def _add(self, value: Any, as_key: str | None, line: int) -> None:
        if not self._stack:
            self.documents.append(value)
            return
        frame = self._stack[-1]
        if frame.items is not None:
            frame.items.append(value)
        elif frame.key is None:
            if as_key is None:
                raise self._invalid(line, "a key is not a text")
            if as_key in frame.pairs:
                raise self._invalid(line, "a key is given twice")
            frame.key = as_key
        elif frame.key == "<<":
            frame.merged += self._bases(value, line)
            frame.key = None
        else:
            frame.pairs[frame.key] = value
            frame.key = None

    def _bases(self, value: Any, line: int) -> list[dict[str, Any]]:
        bases = value if isinstance(value, list) else [value]
        if not all(isinstance(base, dict) for base in bases):
            raise self._invalid(line, "a merge key needs a mapping")
        return bases

    def _count(self, weight: int, line: int) -> None:
        self._nodes += weight
        if self._nodes > MAX_NODES:
            raise self._invalid(line, f"it has more than {MAX_NODES} nodes, aliases written out")

    def _invalid(self, line: int, reason: str) -> ComposeFileInvalid:
        return ComposeFileInvalid(self._path, line, reason)


def _tag(event: Any) -> str:
    return str(event.tag or "")


def _tagged(tag: str, value: Any) -> Any:
    if tag == "!reset":
        return RESET
    return Replace(value) if tag == "!override" else value


def _scalar(event: Any) -> Any:
    tag, text = _tag(event), str(event.value)
    if tag in ("!reset", "!override"):
        return _tagged(tag, text)
    if not event.implicit[0] and not tag.endswith((":int", ":bool", ":null", ":float")):
        return text  # quoted, or said to be a text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    return int(text) if _INTEGER.fullmatch(text) else text
