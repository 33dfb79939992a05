"""From where a request came: the peer, or what a trusted proxy saw itself."""

from __future__ import annotations

from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.web.auth import AuthPolicy
from app.features.access.addresses import client_address, network_of

POLICY = AuthPolicy(trusted_proxies=(ip_network("172.18.0.0/16"),))


def came(peer: str | None, *forwarded: str) -> Any:
    headers = [(b"X-Forwarded-For", text.encode()) for text in forwarded]
    return SimpleNamespace(scope={"client": None if peer is None else (peer, 4000), "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("10.0.0.1",), "203.0.113.9"),
        ("172.18.0.4", ("192.168.1.20",), "192.168.1.20"),
        ("172.18.0.4", ("1.2.3.4, 192.168.1.20",), "192.168.1.20"),
        ("172.18.0.4", ("1.2.3.4", "192.168.1.20"), "192.168.1.20"),
        ("172.18.0.4", ("192.168.1.20:51234",), "192.168.1.20"),
        ("172.18.0.4", ("[2001:db8::7]:443",), "2001:db8::7"),
        ("172.18.0.4", ("::ffff:192.168.1.20",), "192.168.1.20"),
        ("172.18.0.4", ("<script>",), "172.18.0.4"),
        ("172.18.0.4", ("",), "172.18.0.4"),
        (None, (), "this machine"),
    ],
)
def test_where_it_came_from(peer: str | None, forwarded: tuple[str, ...], address: str) -> None:
    assert client_address(came(peer, *forwarded), POLICY) == address


def test_what_one_customer_has_of_ipv6_is_limited_together() -> None:
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("192.0.2.7") == "192.0.2.7" and network_of("this machine") == "this machine"
