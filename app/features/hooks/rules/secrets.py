"""Masks, and what "not given" means (spec §3.7); the webhook secret."""

from __future__ import annotations

import base64
import secrets
from typing import Final

from app.core.errors import InvalidArgument

MASK: Final = "******"
BULLETS: Final = "•" * 16
MAX_TOKEN: Final = 512


def masked(stored: str | None) -> str | None:
    """What is told of a secret: that there is one."""
    return MASK if stored else None


def kept_token(given: str | None, stored: str | None) -> str | None:
    """The token to store: nothing, blank and a mask keep what is stored. Raises for what cannot be a token."""
    text = (given or "").strip()
    if text in ("", MASK, BULLETS):
        return stored
    if len(text) > MAX_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
        raise InvalidArgument(
            "pat is no token of GitHub", hint="Copy it again; it has letters, digits and _.", details={"field": "pat"}
        )
    return text


def new_secret() -> str:
    """32 random bytes, base64 without padding."""
    return base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
