"""Names on their way to a command line or a file: what is let through can be neither an option nor YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from app.adapters.compose.errors import ComposeFileUnreadable, ComposeInvalidName, shown

_SERVICE = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,254}")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,511}")


def service_name(given: str) -> str:
    """Compose's own grammar for services, except a leading `-`. Raises ComposeInvalidName."""
    return _checked(_SERVICE, given, "service")


def service_names(given: Iterable[str]) -> list[str]:
    return [service_name(name) for name in given]


def project_name(given: str) -> str:
    """Raises ComposeInvalidName."""
    return _checked(_PROJECT, given, "project")


def image_name(given: str) -> str:
    """Raises ComposeInvalidName."""
    return _checked(_IMAGE, given, "image")


def file_path(path: Path) -> str:
    """An absolute path as an argument. Raises ComposeFileUnreadable."""
    if not path.is_absolute() or "\0" in str(path) or len(str(path)) > 4096:
        raise ComposeFileUnreadable(Path(shown(path)), "not an absolute path")
    return str(path)


def _checked(grammar: re.Pattern[str], given: str, what: str) -> str:
    if not grammar.fullmatch(given):
        raise ComposeInvalidName(f"{given[:64]!a} cannot be the name of a {what}", details={what: given[:64]})
    return given
