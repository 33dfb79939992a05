"""What a service's settings may be (spec §5.5). Pure; every refusal names its field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from app.core.errors import InvalidArgument

MAX_TARGETS: Final = 200
MAX_URL: Final = 2048
_VOLUME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")


class BackupChoice(StrEnum):
    """Whether a backup takes a target along: as the settings say, never, or whatever its size."""

    INHERIT = "inherit"
    SKIP = "skip"
    FORCE = "force"


def check_repo_url(value: str | None) -> str | None:
    """The trimmed URL; None for null and blank. Raises InvalidArgument `invalid repoUrl`."""
    text = (value or "").strip()
    if not text:
        return None
    if len(text) > MAX_URL or not text.isprintable() or " " in text or "\\" in text:
        raise _invalid_url()
    try:
        parts = urlsplit(text)
        port_is_number = parts.port is None or parts.port > 0
    except ValueError as error:
        raise _invalid_url() from error
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or "@" in parts.netloc or not port_is_number:
        raise _invalid_url()
    return text


def _invalid_url() -> InvalidArgument:
    return InvalidArgument(
        "invalid repoUrl",
        hint="A full http or https address without user name and password, such as https://github.com/acme/web.",
        details={"field": "repoUrl"},
    )


def check_bind_paths(choices: Mapping[str, str]) -> dict[str, str]:
    """Absolute, plain paths with a choice each. Raises InvalidArgument."""
    field = "backupTargets.bindPaths"
    _check_size(field, choices)
    for path in choices:
        if not path.startswith("/") or len(path) > 4096 or not path.isprintable() or ".." in path.split("/"):
            raise InvalidArgument(f"{field}: a path must be absolute and without '..'", details={"field": field})
    return _choices(field, choices)


def check_volume_names(choices: Mapping[str, str]) -> dict[str, str]:
    """Names Docker would give a volume, with a choice each. Raises InvalidArgument."""
    field = "backupTargets.volumeNames"
    _check_size(field, choices)
    for name in choices:
        if not _VOLUME.fullmatch(name):
            raise InvalidArgument(f"{field}: this is not the name of a volume", details={"field": field})
    return _choices(field, choices)


def _check_size(field: str, choices: Mapping[str, str]) -> None:
    if len(choices) > MAX_TARGETS:
        raise InvalidArgument(f"{field}: more than {MAX_TARGETS} entries", details={"field": field})


def _choices(field: str, choices: Mapping[str, str]) -> dict[str, str]:
    try:
        return {target: BackupChoice(choice).value for target, choice in choices.items()}
    except ValueError as error:
        raise InvalidArgument(f"{field}: a choice must be inherit, skip or force", details={"field": field}) from error
