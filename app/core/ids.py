"""Identifiers: `prefix_` + ULID (26 characters, Crockford base32), as spec'd in the conventions of the contract."""

from __future__ import annotations

import re
from typing import Final, Literal

from ulid import ULID

Prefix = Literal["stk", "svc", "ign", "job", "chk", "dsc", "bkp", "sup", "req", "tok", "psk", "ses", "enr"]

_PATTERN: Final = re.compile(r"[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}")


def new_id(prefix: Prefix) -> str:
    """A fresh, time-ordered id such as `stk_01J…`."""
    return f"{prefix}_{ULID()}"


def is_id(text: str) -> bool:
    """Whether `text` has the shape of any Dockrev id."""
    return _PATTERN.fullmatch(text) is not None
