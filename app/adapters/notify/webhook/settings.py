"""Which addresses a webhook may have."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from app.adapters.notify.errors import NotConfigured

_MAX: Final = 2000


def check_webhook_url(url: str) -> str:
    """The address, trimmed. Raises NotConfigured naming what is wrong, never the address itself."""
    text = url.strip()
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, usable = None, False
    if parts is None or parts.scheme not in ("http", "https") or not usable:
        raise NotConfigured("the webhook must be an absolute http or https URL", hint="Like https://ntfy.example/topic")
    if len(text) > _MAX or not text.isprintable() or " " in text:
        raise NotConfigured("the webhook has characters that no URL has, or too many of them")
    return text


def host_of(url: str) -> str:
    """What may be told about it: host and port."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
