"""`${VARIABLES}` of compose files, and the `.env` files they come from; Dockrev's own environment plays no part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from app.adapters.compose.yaml_reader import read_text

MAX_ENV_BYTES = 256 * 1024
MAX_RESULT_CHARS = 64 * 1024
MAX_NESTING = 16

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_ENTRY = re.compile(
    r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*[=:][ \t]*"
    r"('[^']*'|\"(?:\\.|[^\"\\])*\"|[^\n]*)",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*$")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


class InterpolationFailed(Exception):
    """A required variable is missing or a brace is not closed; the text says which."""


def read_env(path: Path) -> dict[str, str]:
    """The variables of an env file. Raises ComposeFileUnreadable and ComposeFileInvalid (too big)."""
    return parse_env(read_text(path, MAX_ENV_BYTES))


def parse_env(text: str) -> dict[str, str]:
    """The variables of an env text; a later entry may use earlier ones, except in single quotes."""
    variables: dict[str, str] = {}
    for name, raw in _ENTRY.findall(text.replace("\r\n", "\n")):
        variables[name] = _env_value(raw, variables)[:MAX_RESULT_CHARS]
    return variables


def _env_value(raw: str, known: Mapping[str, str]) -> str:
    if raw.startswith("'") and raw.endswith("'") and len(raw) > 1:
        return raw[1:-1]
    if raw.startswith('"') and raw.endswith('"') and len(raw) > 1:
        text = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), raw[1:-1], flags=re.DOTALL)
    else:
        text = _COMMENT.sub("", raw).strip()
    try:
        return interpolate(text, known)
    except InterpolationFailed:
        return text


def interpolate(text: str, variables: Mapping[str, str], _depth: int = 0) -> str:
    """`text` with `$NAME`, `${NAME}`, `:-` `-` `:?` `?` `:+` `+` and `$$` worked out as Compose does; unknown names
    are empty. Raises InterpolationFailed."""
    if "$" not in text:
        return text
    if _depth > MAX_NESTING:
        raise InterpolationFailed("variables are nested too deeply")
    parts: list[str] = []
    size = at = 0
    while at < len(text):
        dollar = text.find("$", at)
        end = len(text) if dollar < 0 else dollar
        parts.append(text[at:end])
        at = end
        if dollar >= 0:
            value, at = _expand(text, dollar, variables, _depth)
            parts.append(value)
            size += len(value)
            if size > MAX_RESULT_CHARS:
                raise InterpolationFailed("a value becomes too long")
    return "".join(parts)


def _expand(text: str, dollar: int, variables: Mapping[str, str], depth: int) -> tuple[str, int]:
    """The value of what begins at `dollar`, and where the text goes on."""
    after = dollar + 1
    if text.startswith("$", after):
        return "$", after + 1
    if text.startswith("{", after):
        end = _closing(text, after)
        return _braced(text[after + 1 : end], variables, depth), end + 1
    name = _NAME.match(text, after)
    return ("$", after) if name is None else (variables.get(name[0], ""), name.end())


def _closing(text: str, brace: int) -> int:
    depth = 0
    for at in range(brace, len(text)):
        if text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
        elif text[at] == "{" and text[at - 1] == "$":
            depth += 1
    raise InterpolationFailed("a `${` is not closed")


def _braced(inner: str, variables: Mapping[str, str], depth: int) -> str:
    name = _NAME.match(inner)
    operator = _OPERATOR.match(inner, name.end()) if name else None
    if name is None or (operator is None and name.end() != len(inner)):
        raise InterpolationFailed("a `${…}` is malformed")
    value = variables.get(name[0])
    if operator is None:
        return value or ""
    given = bool(value) if operator[0].startswith(":") else value is not None
    rest = inner[operator.end() :]
    if operator[0].endswith("+"):
        return interpolate(rest, variables, depth + 1) if given else ""
    if given:
        return value or ""
    if operator[0].endswith("-"):
        return interpolate(rest, variables, depth + 1)
    raise InterpolationFailed(f"the variable {name[0][:100]} is required and not set")
