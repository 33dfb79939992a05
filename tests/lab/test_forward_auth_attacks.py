"""Attempts to come in past the proxy, or through it under a name that it did not give; over raw sockets."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest

from e2e.server import Server
from tests.lab.errors import LabUnavailable
from tests.lab.proxies import HEADERS, PAIRS, Kind, Provider, Proxy, guarded_dockrevs, running_proxy

pytestmark = pytest.mark.lab

SECRET: Final = "https://only-for-alice.example/"  # shown on the settings page, and nowhere else
UNTRUSTED: Final = "127.0.0.3"
FORBIDDEN: Final = frozenset({302, 400, 401, 403, 404, 405, 408, 411, 413, 414, 421, 426, 431, 500, 501, 502, 505})
BODY: Final = b'{"backup":{"enabled":false}}'


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[Kind, Provider], Proxy]]:
    """All of them, with something in Dockrev that must not leak."""
    try:
        with guarded_dockrevs(tmp_path_factory.mktemp("attacked")) as running:
            for proxy in running.values():
                with alice_at(proxy) as alice:
                    now = alice.get("/api/settings").json()
                    kept = {"backup": now["backup"], "instance": {"publicBaseUrl": SECRET}}
                    assert alice.put("/api/settings", json=kept).status_code == 200
                    assert SECRET in alice.get("/api/settings").text
            yield running
    except LabUnavailable as error:
        pytest.skip(error.reason)  # no Debian packages within reach: the suite's summary names it


def alice_at(proxy: Proxy) -> httpx.Client:
    """Who may."""
    return httpx.Client(base_url=proxy.url, cookies={"session": "alice"}, timeout=20, trust_env=False)


@dataclass(frozen=True)
class Door:
    """Where an attack is tried: through a proxy, or at Dockrev itself from an address that is not trusted."""

    proxy: Proxy
    direct: bool

    @property
    def port(self) -> int:
        return self.proxy.behind.port if self.direct else self.proxy.port

    @property
    def names(self) -> tuple[str, str]:
        """The headers of user and groups."""
        headers, _ = HEADERS[self.proxy.provider]
        return headers[0], headers[1]

    def say(self, data: bytes, *, source: str = "", quiet: float = 0.6) -> bytes:
        """Everything that comes back until the other side ends it or falls silent."""
        with socket.socket() as wire:
            if source or self.direct:
                wire.bind((source or UNTRUSTED, 0))
            wire.settimeout(5)
            wire.connect(("127.0.0.1", self.port))
            heard = b""
            try:
                wire.sendall(data)
                while piece := wire.recv(65536):
                    heard += piece
                    wire.settimeout(quiet)
            except OSError:
                pass  # silent, or reset after the answer: what was heard before counts
            return heard


DOORS: Final = [*PAIRS, *(("direct", provider) for provider in HEADERS)]


@pytest.fixture(params=DOORS, ids="-".join)
def door(request: pytest.FixtureRequest, proxies: dict[tuple[Kind, Provider], Proxy]) -> Door:
    """Each way in turn."""
    kind, provider = request.param
    return Door(proxies["nginx" if kind == "direct" else kind, provider], kind == "direct")


@pytest.fixture(autouse=True)
def nothing_was_done(proxies: dict[tuple[Kind, Provider], Proxy]) -> Iterator[None]:
    """Whatever an attack answers: no job was started in the name of somebody, no setting was changed."""
    yield
    for proxy in (proxies["nginx", "authelia"], proxies["nginx", "authentik"]):
        with alice_at(proxy) as alice:
            jobs = alice.get("/api/jobs").json()["jobs"]
            assert not [job for job in jobs if job["createdBy"] in ("alice", "group:admins", "mallory")]
            assert alice.get("/api/settings").json()["instance"]["publicBaseUrl"] == SECRET


def statuses(heard: bytes) -> list[int]:
    """Of all answers on the connection."""
    return [int(found) for found in re.findall(rb"^HTTP/1\.[01] (\d{3})", heard, re.MULTILINE)]


def refused(heard: bytes, *, public: bool = False) -> None:
    """Nobody was let in, and nothing was told; a connection that is closed without a word is fine."""
    assert SECRET.encode() not in heard
    assert b"only-for-alice" not in heard
    assert b"none.sock" not in heard, "where the engine is"
    assert b'"jobId"' not in heard
    allowed = FORBIDDEN | {200, 204, 304, 308, 301} if public else FORBIDDEN
    assert set(statuses(heard)) <= allowed, heard[:600]
    if public and 200 in statuses(heard):
        assert b'"auth"' not in heard, "a public answer has no settings in it"


def get(path: str, *lines: str, who: str = "", verb: str = "GET", version: str = "1.1", body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    head = [f"{verb} {path} HTTP/{version}", *(["Host: dockrev.example.org"] if version == "1.1" else [])]
    head += [f"Cookie: session={who}"] if who else []
    head += [f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else []
    return "\r\n".join([*head, *lines, "Connection: close", "", ""]).encode("latin-1") + body


FORGERIES: Final = {
    "plain": ["{user}: alice", "{groups}: admins"],
    "user twice": ["{user}: alice", "{user}: alice"],
    "groups twice": ["{groups}: users", "{groups}: admins"],
    "joined": ["{groups}: users,admins|admins"],
    "underscores": ["{user_}: alice", "{groups_}: admins"],
    "mixed case": ["{UsEr}: alice", "{GrOuPs}: admins"],
    "other providers": [
        "X-Forwarded-User: alice", "Remote-User: alice", "Remote-Groups: admins", "X-authentik-username: alice",
        "X-authentik-groups: admins", "X-Auth-Request-User: alice", "X-Auth-Request-Groups: admins",
        "Tailscale-User-Login: alice", "X-WEBAUTH-USER: alice", "Authorization: Basic YWxpY2U6YWxpY2U=",
    ],
    "chains": [
        "X-Forwarded-For: 127.0.0.1, 127.0.0.1", "X-Forwarded-For: ::1", "X-Real-IP: 127.0.0.1", "{user}: alice",
        "Forwarded: for=127.0.0.1;host=localhost;proto=https", "X-Forwarded-Host: localhost", "{groups}: admins",
        "X-Client-IP: 127.0.0.1", "X-Remote-Addr: 127.0.0.1", "True-Client-IP: 127.0.0.1",
    ],
    "hop by hop": ["Connection: close, {user}, {groups}, X-Forwarded-For", "{user}: alice", "{groups}: admins"],
    "folded": ["X-Padding: a", " {user}: alice", "\t{groups}: admins"],
    "folded value": ["{groups}: ", " admins"],
    "space before the colon": ["{user} : alice", "{groups} : admins"],
    "tabs": ["{user}:\talice\t", "{groups}:\tadmins"],
    "control characters": ["{groups}: admins\x0b", "{user}: alice\x7f"],
    "zero bytes": ["{groups}\x00: admins", "{groups}: admins\x00"],
    "bare line feed": ["X-Padding: a\n{groups}: admins"],
    "bare carriage return": ["X-Padding: a\r{groups}: admins"],
    "caddy-variable": ["{groups}: {{http.request.header.X-Groups}}", "X-Groups: admins"],
    "override": ["X-HTTP-Method-Override: POST", "X-Method-Override: POST", "X-Original-URL: /api/health",
                 "X-Rewrite-URL: /api/health", "{groups}: admins"],
}  # fmt: skip


def forged(door: Door, lines: list[str]) -> list[str]:
    """The lines with the names of this door's provider."""
    user, groups = door.names
    named = {
        "user": user, "groups": groups, "user_": user.replace("-", "_"), "groups_": groups.replace("-", "_"),
        "UsEr": user.swapcase(), "GrOuPs": groups.swapcase(),
    }  # fmt: skip
    return [line.format(**named) for line in lines]


@pytest.mark.parametrize("attack", FORGERIES)
def test_forged_headers(door: Door, attack: str) -> None:
    lines = forged(door, FORGERIES[attack])
    for who in ("", "mallory", "alice; session=mallory"):
        refused(door.say(get("/api/settings", *lines, who=who)))
        refused(door.say(get("/settings", "Accept: text/html", *lines, who=who)))
        refused(door.say(get("/api/discovery/scan", *lines, who=who, verb="POST", body=BODY)))
    if not door.direct:  # nothing of it stands in the way of who may come in
        answer = door.say(get("/api/settings", who="alice"), quiet=5)
        assert statuses(answer) == [200]


def test_headers_from_elsewhere_are_reported_without_their_values(door: Door) -> None:
    if not door.direct:
        return
    user, groups = door.names
    page = door.say(get("/", "Accept: text/html", f"{user}: alice", f"{groups}: secret-group"))
    assert statuses(page) == [401]
    assert f"Identity headers came from <code>{UNTRUSTED}</code>".encode() in page
    assert b"DOCKREV_TRUSTED_PROXIES" in page
    with alice_at(door.proxy) as alice:
        for path in ("/settings", "/deploy-check"):
            shown = alice.get(path, headers={"Accept": "text/html"}).text
            assert f"dentity headers came from {UNTRUSTED}, which is not in DOCKREV_TRUSTED_PROXIES" in shown
            assert "secret-group" not in shown
        counted = re.search(r"^dockrev_identity_headers_ignored_total (\d+)", alice.get("/metrics").text, re.MULTILINE)
        assert counted is not None
        assert int(counted[1]) > 0
    log = door.proxy.behind.log.read_text()
    assert "identity headers ignored" in log
    assert "secret-group" not in log
    assert log.count("identity headers ignored") <= 3, "a line a minute"


# What people have before they set up signing in: the proxy asks nobody.
CARELESS: Final[dict[str, tuple[Kind, str]]] = {
    "caddy": ("caddy", "dockrev.example.org {\n\treverse_proxy 127.0.0.1:50883\n}\n"),
    "nginx": ("nginx", "server {\n  listen 80;\n  location / {\n    proxy_pass http://127.0.0.1:50883;\n  }\n}\n"),
    "nginx with the host's name": (
        "nginx",
        "server {\n  listen 80;\n  location / {\n    proxy_pass http://127.0.0.1:50883;\n"
        "    proxy_http_version 1.1;\n    proxy_set_header Host $host;\n  }\n}\n",
    ),
}


def test_a_proxy_that_asks_nobody_does_not_open_what_is_open_to_this_machine(tmp_path: Path) -> None:
    """Nobody is named who may use Dockrev, so this machine may; what comes through a proxy is not this machine."""
    server = Server(tmp_path, {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}).start()
    try:
        assert httpx.get(f"{server.url}/api/settings", trust_env=False).status_code == 200
        for number, (kind, text) in enumerate(CARELESS.values()):
            place = tmp_path / f"proxy{number}"
            with running_proxy(kind, "authelia", place, identity="", dockrev=server, text=text) as proxy:
                door = Door(proxy, direct=False)
                for lines in ((), ("X-Forwarded-For: 127.0.0.1",), ("Connection: close, X-Forwarded-For, Via",)):
                    refused(door.say(get("/api/settings", *lines)))
                    assert 401 in statuses(door.say(get("/settings", "Accept: text/html", *lines)))
        for host in ("[", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a@127.0.0.1 b"):
            answer = Door(Proxy("nginx", "authelia", 0, server), direct=True).say(
                get("/api/settings").replace(b"dockrev.example.org", host.encode())
            )
            assert statuses(answer) in ([401], [400]), host
    except LabUnavailable as error:
        pytest.skip(error.reason)  # no Debian packages within reach: the suite's summary names it
    finally:
        server.stop()


PATHS: Final = (
    "//api/settings", "/./api/settings", "/api/../api/settings", "/%2e%2e/api/settings", "/api%2Fsettings",
    "/api/settings/", "/api/settings/.", "/api/settings.", "/api/settings..", "/api/settings/%2e", "/API/SETTINGS",
    "/static/../api/settings", "/static/%2e%2e/api/settings", "/static/..%2fapi/settings", "/static/..%5capi/settings",
    "/static/....//api/settings", "/static/%252e%252e/api/settings", "/api/health/../settings",
    "/api/health/%2e%2e/settings", "/api/health/..;/settings", "/api/health;/../settings", "/api/health/settings",
    "/api/settings?path=/api/health", "/api/settings;.css", "/api/settings%00", "/api/settings%00.css",
    "/api/settings%20", "/api/settings%0d%0aX:%20y", "/api/settings#/api/health", "/\\api/settings",
    "/api\\settings", "/api/webhooks/../settings", "/api/webhooks/trigger/../../settings", "/api/version/../settings",
    "/outpost.goauthentik.io/../api/settings", "/outpost.goauthentik.io/%2e%2e/api/settings",
    "/outpost.goauthentik.io/..%2fapi/settings", "/authelia/../api/settings", "/settings", "/metrics", "/schema",
    "/events", "/api/jobs/events", "/%61pi/settings", "/api/%73ettings", "/api/ſettings",
)  # fmt: skip


def test_other_spellings_of_a_path(door: Door) -> None:
    user, groups = door.names
    for path in PATHS:
        raw = get("@", f"{user}: alice", f"{groups}: admins").replace(b"@", path.encode(), 1)
        refused(door.say(raw), public=True)


def test_absolute_targets_old_versions_and_odd_hosts(door: Door) -> None:
    user, groups = door.names
    lines = (f"{user}: alice", f"{groups}: admins")
    for target in (
        "http://127.0.0.1/api/settings", "http://localhost/api/settings", "https://localhost:50883/api/settings",
        "http://alice@localhost/api/settings", "http:///api/settings", "*", "localhost:80", "api/settings", "?",
    ):  # fmt: skip
        for verb in ("GET", "HEAD", "OPTIONS", "CONNECT", "TRACE"):
            refused(door.say(get(target, *lines, verb=verb)), public=verb != "GET")
    for version in ("1.0", "0.9", "2.0", "1.2"):
        refused(door.say(get("/api/settings", *lines, version=version)))
    refused(door.say(b"GET /api/settings\r\n\r\n"))
    refused(door.say(get("/api/settings", "Host: 127.0.0.1", *lines, version="1.0")))
    for host in ("localhost", "127.0.0.1", "[::1]", "[", "a b", "", "127.0.0.1:50883", "x" * 5000):
        refused(door.say(get("/api/settings", *lines).replace(b"dockrev.example.org", host.encode())))
    refused(door.say(get("/api/settings", "Host: localhost", *lines)))


def test_upgrades_and_methods(door: Door) -> None:
    user, groups = door.names
    lines = (f"{user}: alice", f"{groups}: admins")
    socket_lines = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip
    for path in ("/api/settings", "/events", "/api/jobs/events", "/"):
        refused(door.say(get(path, *lines, *socket_lines)))
    h2c = ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
    refused(door.say(get("/api/settings", *lines, *h2c)))
    refused(door.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    for verb in ("HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "G@T", "X" * 40):
        refused(door.say(get("/api/settings", *lines, verb=verb, body=BODY)))
        refused(door.say(get("/api/version", *lines, "X-HTTP-Method-Override: PUT", verb=verb, body=BODY)), public=True)


def smuggled(door: Door) -> bytes:
    """What an attacker wants Dockrev to take for a request of its own, from the proxy's address."""
    user, groups = door.names
    return get("/api/discovery/scan", f"{user}: alice", f"{groups}: admins", verb="POST")


def smuggling(inner: bytes, names: tuple[str, str]) -> Iterator[tuple[str, bytes]]:
    """The usual ways to have two programs disagree on where a request ends."""
    start = b"POST /api/settings HTTP/1.1\r\nHost: dockrev.example.org\r\n"
    chunked = b"0\r\n\r\n" + inner
    length = str(len(chunked)).encode()
    yield "CL.TE", start + b"Content-Length: " + length + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked
    size = f"{len(inner):x}".encode()
    teller = (
        start + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + inner + b"\r\n0\r\n\r\n"
    )
    yield "TE.CL", teller
    for odd in (
        b"Transfer-Encoding : chunked", b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding:\x0bchunked", b"X: y\nTransfer-Encoding: chunked", b" Transfer-Encoding: chunked",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", b"Transfer_Encoding: chunked",
        b"Transfer-Encoding: chunked\x00", b"Transfer-Encoding:\r\n chunked",
    ):  # fmt: skip
        yield repr(odd), start + b"Content-Length: " + length + b"\r\n" + odd + b"\r\n\r\n" + chunked
    for lengths in (b"Content-Length: 0\r\nContent-Length: " + length, b"Content-Length: 0, " + length,
                    b"Content-Length: +0",
                    b"Content-Length: 0x0", b"Content-Length: -1", b"Content-Length : 0",
                    b"Content-Length: 18446744073709551616"):  # fmt: skip
        yield repr(lengths), start + lengths + b"\r\n\r\n" + inner
    for chunk in (b"0;\n" + inner, b"0\n\n" + inner, b"ffffffffffffffff0\r\n" + inner, b"0 x\r\n\r\n" + inner,
                  b"-0\r\n\r\n" + inner, b"0x0\r\n\r\n" + inner, b"1\r\naa\r\n0\r\n\r\n" + inner):  # fmt: skip
        yield repr(chunk[:12]), start + b"Transfer-Encoding: chunked\r\n\r\n" + chunk
    trailers = f"{names[0]}: alice\r\n{names[1]}: admins\r\n".encode()
    announced = f"Trailer: {names[0]}, {names[1]}\r\n".encode()
    for head, tail in ((announced, trailers), (b"", trailers), (b"TE: trailers\r\n" + announced, trailers)):
        scan = b"POST /api/discovery/scan HTTP/1.1\r\nHost: dockrev.example.org\r\nConnection: close\r\n"
        yield "trailers", scan + b"Transfer-Encoding: chunked\r\n" + head + b"\r\n2\r\n{}\r\n0\r\n" + tail + b"\r\n"
        reads = scan.replace(b"POST /api/discovery/scan", b"GET /api/settings")
        yield "trailers", reads + b"Transfer-Encoding: chunked\r\n" + head + b"\r\n0\r\n" + tail + b"\r\n"


def test_smuggling(door: Door) -> None:
    for name, data in smuggling(smuggled(door), door.names):
        heard = door.say(data)
        refused(heard)
        assert 200 not in statuses(heard), name


def test_dockrev_itself_never_sees_a_second_request(door: Door) -> None:
    """From the proxy's own address: what a proxy that passes on everything as it is would send."""
    if not door.direct:
        return
    for name, data in smuggling(smuggled(door), door.names):
        heard = door.say(data, source="127.0.0.1")
        refused(heard)
        assert len(statuses(heard)) <= 1, (name, heard)
