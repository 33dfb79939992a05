"""A device's subscription, and where pushes may be sent.

An endpoint is whatever a browser, or somebody who claims to be one, handed in. So pushes go to https addresses in the
public internet only; other origins (a push service of the owner's own) have to be allowed by a setting.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from app.adapters.notify.errors import NotConfigured, Refused, Unreachable

MAX_ENDPOINT: Final = 2048


@dataclass(frozen=True, slots=True)
class Device:
    """Where one browser's push service takes messages, and the keys they are encrypted with (base64url)."""

    endpoint: str
    p256dh: str
    auth: str


@dataclass(frozen=True, slots=True)
class WebPushSettings:
    """Who is sending (VAPID, RFC 8292). `allowed_origins` are taken in spite of the rules of this module."""

    public_key: str
    private_key: str
    subject: str
    allowed_origins: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, public_key: str | None, private_key: str | None, subject: str, allowed_origins: Collection[str]
    ) -> WebPushSettings:
        """Raises NotConfigured when the keys are missing."""
        if not public_key or not private_key:
            raise NotConfigured("the VAPID keys are missing", hint="Make a pair of keys in the notification settings.")
        return cls(public_key, private_key, subject, frozenset(allowed_origins))


def origin_of(endpoint: str) -> str:
    """`https://host[:port]`. Raises ValueError for what is no URL."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}{f':{parts.port}' if parts.port else ''}"


def check_endpoint(endpoint: str, allowed_origins: Collection[str]) -> str:
    """The endpoint, trimmed. Raises NotConfigured when pushes must not go there; asks no name server."""
    text = endpoint.strip()
    try:
        parts, origin = urlsplit(text), origin_of(text)
    except ValueError as error:
        raise NotConfigured("the endpoint is not a URL") from error
    if not text.isascii() or not text.isprintable() or " " in text or len(text) > MAX_ENDPOINT:
        raise NotConfigured("the endpoint has characters that no URL has, or too many of them")
    if origin in allowed_origins:
        return text
    host = parts.hostname or ""
    if parts.scheme != "https" or not host or "@" in parts.netloc:
        raise NotConfigured("the endpoint must be an absolute https URL without credentials")
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")) or _is_inside(host):
        raise NotConfigured(
            "the endpoint is not in the public internet",
            hint="A push service of your own has to be named in DOCKREV_PUSH_ALLOWED_ORIGINS.",
        )
    return text


def require_public(endpoint: str, allowed_origins: Collection[str]) -> None:
    """The name of the endpoint leads to public addresses only. Blocking: asks the name server.

    Raises Refused, and Unreachable when the name cannot be looked up now.
    """
    check_endpoint(endpoint, allowed_origins)
    if origin_of(endpoint) in allowed_origins:
        return
    parts = urlsplit(endpoint)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unreachable(f"{parts.hostname} cannot be looked up") from error
    if any(_is_inside(str(address[0]).partition("%")[0]) for *_, address in found):
        raise Refused(f"{parts.hostname} leads into a private network, nothing was sent there")


def _is_inside(text: str) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_global or address.is_multicast
