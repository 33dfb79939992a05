"""From where a request came, as far as that can be believed."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final

from app.core.web.auth import AuthPolicy, Connection, header_values, peer_address

LOCAL: Final = "this machine"


def client_address(connection: Connection, policy: AuthPolicy) -> str:
    """The peer's address; of a trusted proxy the last entry of `X-Forwarded-For`.

    That one is what the proxy itself saw: whatever stands before it may have been written by the client.
    """
    peer = peer_address(connection)
    if policy.trusts(connection) and (told := header_values(connection, "x-forwarded-for")):
        last = told[-1].rpartition(",")[2].strip()
        if (seen := _address(last)) is not None:
            return seen
    return LOCAL if peer is None else str(peer)


def network_of(address: str) -> str:
    """What is limited together: an IPv4 address, or the /64 that one customer has of IPv6."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


def _address(text: str) -> str | None:
    """Without the port that some proxies add."""
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    for candidate in (bare, bare.rpartition(":")[0]):
        try:
            found = ip_address(candidate)
        except ValueError:
            continue
        return str(getattr(found, "ipv4_mapped", None) or found)
    return None
