"""Presets of identity providers, what of them can be replaced, the way out, and headers that do not count."""

from __future__ import annotations

import re
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.cli.client import Client
from app.core.web.auth import AuthPolicy
from app.core.web.ignored import IgnoredHeaders
from app.core.web.presets import PRESETS
from app.settings import AccessSettings, SettingsError, load_access, project_root


def request(*headers: tuple[str, bytes], peer: str = "127.0.0.1") -> Any:
    """A connection as the policy sees it."""
    wire = [(name.lower().encode(), value) for name, value in headers]
    return SimpleNamespace(scope={"headers": wire, "client": (peer, 1), "http_version": "1.1"})


def policy(monkeypatch: pytest.MonkeyPatch, **environment: str) -> AuthPolicy:
    """As the environment says."""
    for name, value in environment.items():
        monkeypatch.setenv(f"DOCKREV_{name}", value)
    return load_access().auth_policy


def test_nothing_set_is_as_ever() -> None:
    rules = AccessSettings().auth_policy
    assert (rules.user_header, rules.group_header, rules.group_separator) == ("X-Forwarded-User", "Remote-Groups", ",")
    assert (rules.name_header, rules.email_header, rules.logout_url) == ("", "", None)


@pytest.mark.parametrize(
    ("preset", "headers", "user", "groups"),
    [
        ("authelia", {"Remote-User": "al", "Remote-Groups": "a b, c"}, "al", ("a b", "c")),
        ("authentik", {"X-authentik-username": "al", "X-authentik-groups": "a, b|c"}, "al", ("a, b", "c")),
        ("oauth2-proxy", {"X-Auth-Request-User": "al", "X-Auth-Request-Groups": "a,c"}, "al", ("a", "c")),
        ("tailscale", {"Tailscale-User-Login": "al@x", "Remote-Groups": "admins"}, "al@x", ()),
        ("traefik", {"X-Forwarded-User": "al", "Remote-Groups": "admins"}, "al", ()),
    ],
)
def test_presets(
    monkeypatch: pytest.MonkeyPatch, preset: str, headers: dict[str, str], user: str, groups: tuple[str, ...]
) -> None:
    rules = policy(monkeypatch, AUTH_PRESET=f" {preset.title()} ", AUTH_ALLOWED_USER=user)
    sent = [(name, value.encode()) for name, value in headers.items()]
    assert rules.presented(request(*sent)) == (user, groups)
    assert rules.logout_url == PRESETS[preset].logout


def test_what_is_set_by_itself_goes_before_the_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = policy(
        monkeypatch,
        AUTH_PRESET="authentik",
        AUTH_FORWARD_HEADER_NAME="X-Forwarded-User",  # also where that is the usual one
        AUTH_GROUP_SEPARATOR=";",
        AUTH_EMAIL_HEADER_NAME="X-Mail",
        AUTH_LOGOUT_URL="https://id.example/out",
    )
    assert (rules.user_header, rules.group_header) == ("X-Forwarded-User", "X-authentik-groups")
    assert (rules.group_separator, rules.email_header, rules.name_header) == (";", "X-Mail", "X-authentik-name")
    assert rules.logout_url == "https://id.example/out"


def test_an_unknown_preset_stops_the_start_with_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as found:
        policy(monkeypatch, AUTH_PRESET="keycloak")
    assert str(found.value).startswith("DOCKREV_AUTH_PRESET: must be one of")
    assert all(name in str(found.value) for name in PRESETS)


def test_a_group_that_nobody_sends_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="DOCKREV_AUTH_ALLOWED_GROUP: tailscale sends no groups"):
        policy(monkeypatch, AUTH_PRESET="tailscale", AUTH_ALLOWED_GROUP="admins")
    rules = policy(monkeypatch, AUTH_GROUP_HEADER_NAME="X-Groups")
    assert rules.group_header == "X-Groups"


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("/outpost.goauthentik.io/sign_out", True),
        ("https://auth.example.org/logout?rd=https%3A%2F%2Fx", True),
        ("http://192.168.1.2:9091/logout", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("java\tscript:alert(1)", False),
        ("data:text/html,x", False),
        ("//evil.example/x", False),
        ("/\\evil.example", False),
        ("\\\\evil.example", False),
        ("https:evil", False),
        ("https://", False),
        ("https://[", False),
        ("logout", False),
        ("/a b", False),
        ("/" + "x" * 3000, False),
    ],
)
def test_the_way_out(monkeypatch: pytest.MonkeyPatch, url: str, good: bool) -> None:
    if good:
        assert policy(monkeypatch, AUTH_LOGOUT_URL=url).logout_url == url
    else:
        with pytest.raises(SettingsError, match="DOCKREV_AUTH_LOGOUT_URL: must be"):
            policy(monkeypatch, AUTH_LOGOUT_URL=url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_FORWARD_HEADER_NAME", "Remote User"),
        ("AUTH_GROUP_HEADER_NAME", "Remote-Groups:"),
        ("AUTH_NAME_HEADER_NAME", "Ñame"),
        ("AUTH_GROUP_SEPARATOR", ", "),
        ("AUTH_GROUP_SEPARATOR", "a"),
    ],
)
def test_impossible_values_stop_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"DOCKREV_{name}: must be"):
        policy(monkeypatch, **{name: value})


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("Jörg".encode(), "Jörg"),
        ("Jörg".encode("latin-1"), "Jörg"),
        (b"=?utf-8?q?J=C3=B6rg?=", "Jörg"),  # Tailscale
        (b"=?no-such-charset?q?x?=", "=?no-such-charset?q?x?="),
        (b"{http.reverse_proxy.header.Tailscale-User-Name}", ""),  # Caddy before 2.9
    ],
)
def test_names_are_read_as_people_write_them(monkeypatch: pytest.MonkeyPatch, sent: bytes, name: str) -> None:
    rules = policy(monkeypatch, AUTH_PRESET="tailscale", AUTH_ALLOWED_USER="jörg@x")
    identity = rules.identify(request(("Tailscale-User-Login", "jörg@x".encode()), ("Tailscale-User-Name", sent)))
    assert (identity.user, identity.name, identity.email) == ("jörg@x", name, "")


@pytest.mark.parametrize(
    ("headers", "version", "inside"),
    [
        ((("Host", b"127.0.0.1"),), "1.1", True),
        ((("Host", b"127.0.0.1"),), "1.0", False),
        ((("Host", b"localhost"), ("X-Forwarded-Proto", b"https")), "1.1", False),
        ((("Host", b"localhost"), ("Via", b"1.1 x")), "1.1", False),
        ((("Host", b"["),), "1.1", False),
        ((("Host", b"localhost"), ("X-Forwarded-User", b"porter")), "1.1", True),
    ],
)
def test_a_proxy_is_not_this_machine(headers: tuple[tuple[str, bytes], ...], version: str, inside: bool) -> None:
    from app.core.errors import AuthRequired

    asked = request(*headers)
    asked.scope["http_version"] = version
    if inside:
        assert AuthPolicy().identify(asked).matched_by == "anonymous_dev"
    else:
        with pytest.raises(AuthRequired):
            AuthPolicy().identify(asked)


def test_the_command_line_speaks_under_the_presets_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKREV_AUTH_PRESET", "authentik")
    with closing(Client("http://127.0.0.1:1", user="alice")) as client:
        assert client._http.headers["X-authentik-username"] == "alice"
    monkeypatch.setenv("DOCKREV_AUTH_FORWARD_HEADER_NAME", "X-Own")
    with closing(Client("http://127.0.0.1:1", user="alice")) as client:
        assert client._http.headers["X-Own"] == "alice"
        assert "X-authentik-username" not in client._http.headers


@pytest.mark.parametrize("name", ["docs/forward-auth.md", "templates/errors/_remedies.html"])
def test_every_example_names_every_header_of_its_preset(name: str) -> None:
    """A header that the proxy does not know of is one that a client may send."""
    text = (project_root() / name).read_text(encoding="utf-8")
    found = 0
    for block in re.findall(r"```\w+\n(.*?)```|(?s:{% macro .*?%}(.*?){%- endmacro)", text, re.DOTALL):
        example = "".join(block).lower()
        for preset, mark in (("authelia", "authelia:9091"), ("authentik", "outpost.goauthentik.io")):
            if mark in example:
                known = PRESETS[preset]
                sent = (known.user, known.groups, known.email, known.name)
                assert not [header for header in sent if header.lower() not in example], example
                found += 1
    assert found >= 4


def test_ignored_headers_are_counted_and_logged_once_a_minute() -> None:
    now, calls = [0.0], []
    ignored = IgnoredHeaders(now=lambda: now[0])
    ignored.counted = lambda: calls.append(1)
    with capture_logs() as logged:
        for _ in range(5):
            ignored.note("10.0.0.9", ["Remote-User"])
        now[0] = 61
        ignored.note("10.0.0.8", ["Remote-Groups"])
    assert (ignored.total, len(calls)) == (6, 6)
    assert [(line["sender"], line["since_last_line"]) for line in logged] == [("10.0.0.9", 0), ("10.0.0.8", 4)]
    assert ignored.last is not None
    assert ignored.last.told == "identity headers came from 10.0.0.8, which is not in DOCKREV_TRUSTED_PROXIES: ignored"
