"""Dockrev behind real proxies with the configurations of the documentation: pages, API, streams, uploads."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.lab.errors import LabUnavailable
from tests.lab.proxies import PAIRS, Kind, Provider, Proxy, guarded_dockrevs

pytestmark = pytest.mark.lab

LIMIT = 1_000_000
HEARTBEAT_SECONDS = 15
METHODS = ("HEAD", "OPTIONS", "GET", "DELETE", "PATCH")


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[Kind, Provider], Proxy]]:
    """All of them."""
    try:
        with guarded_dockrevs(tmp_path_factory.mktemp("proxies")) as running:
            yield running
    except LabUnavailable as error:
        pytest.skip(error.reason)  # no Debian packages within reach: the suite's summary names it


@pytest.fixture(params=PAIRS, ids="-".join)
def proxy(request: pytest.FixtureRequest, proxies: dict[tuple[Kind, Provider], Proxy]) -> Proxy:
    """Each of them in turn."""
    return proxies[request.param]


def as_person(proxy: Proxy, name: str = "alice", **options: Any) -> httpx.Client:
    """A browser or script with this one's session."""
    return httpx.Client(base_url=proxy.url, cookies={"session": name}, timeout=20, trust_env=False, **options)


def test_pages_and_api_know_who_asks(proxy: Proxy) -> None:
    with as_person(proxy) as alice:
        page = alice.get("/settings", headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert "Alice Jönsson" in page.text
        assert "alice@example.org" in page.text
        leave = 'href="/outpost.goauthentik.io/sign_out"'
        assert (leave in page.text) == (proxy.provider == "authentik")
        told = alice.get("/api/settings").json()["auth"]
        assert (told["currentUser"], told["matchedBy"], len(told["currentGroups"])) == ("alice", "group", 2)
        job = alice.post("/api/discovery/scan").json()["jobId"]
        assert alice.get(f"/api/jobs/{job}").json()["job"]["createdBy"] == "alice"
        form = {"csrf": alice.cookies["dockrev_csrf"], "neverAutoOpen": "true"}
        posted = alice.post("/deploy-welcome", data=form, headers={"Origin": proxy.url, "Accept": "text/html"})
        assert posted.status_code in (200, 303), "the proxy keeps the host's name, so the form is from the same site"


def test_who_is_known_but_not_allowed_is_told_so(proxy: Proxy) -> None:
    with as_person(proxy, "mallory") as mallory:
        answer = mallory.get("/api/settings")
        assert answer.status_code == 401
        details = answer.json()["error"]["details"]
        assert (details["reason"], details["currentUser"]) == ("authz_no_match", "mallory")
        page = mallory.get("/", headers={"Accept": "text/html"})
        assert page.status_code == 401
        assert "You are not on the list" in page.text
        assert ("/outpost.goauthentik.io/sign_out" in page.text) == (proxy.provider == "authentik")


def test_strangers(proxy: Proxy) -> None:
    with httpx.Client(base_url=proxy.url, trust_env=False) as stranger:
        answer = stranger.get("/api/settings")
        if proxy.provider == "authentik":
            assert answer.status_code == 302
            assert "/outpost.goauthentik.io/start" in answer.headers["location"]
        else:
            assert answer.status_code == 401
            details = answer.json()["error"]["details"]
            assert details["reason"] == "identity_missing", details  # Caddy's own `{http.…}` is no name


def test_methods(proxy: Proxy) -> None:
    with as_person(proxy) as alice:
        for method, path in itertools.product(METHODS, ("/", "/api/settings", "/api/health")):
            answer = alice.request(method, path)
            assert answer.status_code in (200, 204, 405), (method, path, answer.status_code)
            if method == "HEAD":
                assert answer.content == b""


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Events of a stream with their ids; comments are events without data."""
    event: dict[str, Any] = {}
    for line in lines:
        if not line:
            if event:
                yield event
            event = {}
        elif line.startswith(":"):
            event["comment"] = line[1:].strip()
        else:
            key, _, value = line.partition(":")
            event[key] = json.loads(value) if key == "data" else value.strip()


def test_streams_are_not_buffered_and_resume(proxy: Proxy) -> None:
    with as_person(proxy) as alice, as_person(proxy) as other:
        with alice.stream("GET", "/api/jobs/events", headers={"Accept": "text/event-stream"}) as stream:
            assert stream.status_code == 200
            assert stream.headers["content-type"].startswith("text/event-stream")
            told = events(stream.iter_lines())
            assert "comment" in next(told), "something comes at once, so that the browser knows that it is connected"
            ids = []
            for _ in range(2):  # the second job is started only after the first one was heard of
                started = time.monotonic()
                job = other.post("/api/discovery/scan").json()["jobId"]
                heard = next(event for event in told if event.get("data", {}).get("jobId") == job)
                assert time.monotonic() - started < 5
                ids.append(int(heard["id"]))
        resumed = {"Accept": "text/event-stream", "Last-Event-ID": str(ids[0])}
        with other.stream("GET", "/api/jobs/events", headers=resumed) as stream:
            first = next(event for event in events(stream.iter_lines()) if "id" in event)
            assert ids[0] < int(first["id"]) <= ids[1]


def test_quiet_streams_stay_open(proxies: dict[tuple[Kind, Provider], Proxy]) -> None:
    def wait(proxy: Proxy) -> list[str]:
        with as_person(proxy) as alice, alice.stream("GET", "/api/version-inference/events") as stream:
            assert stream.status_code == 200
            started, heard = time.monotonic(), []
            for line in stream.iter_lines():
                heard.append(line)
                if line.startswith(":") and time.monotonic() - started > HEARTBEAT_SECONDS - 2:
                    break
            return heard

    with ThreadPoolExecutor() as together:
        for heard in together.map(wait, proxies.values()):
            assert any(line.startswith(":") for line in heard)


def settings_body(alice: httpx.Client, size: int) -> bytes:
    """What is set now, as a body of exactly this many bytes."""
    now = json.dumps({"backup": alice.get("/api/settings").json()["backup"]}).encode()
    return now[:-1] + b" " * (size - len(now)) + b"}"


@pytest.mark.parametrize("chunked", [False, True])
def test_uploads_up_to_the_limit(proxy: Proxy, chunked: bool) -> None:
    def pieces(body: bytes) -> Iterator[bytes]:
        for at in range(0, len(body), 100_000):
            yield body[at : at + 100_000]
            time.sleep(0.01)

    with as_person(proxy) as alice:
        headers = {"Content-Type": "application/json"}
        body = settings_body(alice, LIMIT - 1)
        answer = alice.put("/api/settings", content=pieces(body) if chunked else body, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"ok": True})
        body = settings_body(alice, LIMIT + 1000)
        with suppress(httpx.RemoteProtocolError):  # Caddy may give up when the answer comes before the body has ended
            answer = alice.put("/api/settings", content=pieces(body) if chunked else body, headers=headers)
            assert answer.status_code in (400, 413), "refused while it is being sent"


def test_many_requests_on_one_connection(proxy: Proxy) -> None:
    with as_person(proxy, limits=httpx.Limits(max_connections=1)) as alice:
        for number in range(20):
            answer = alice.get("/api/settings" if number % 2 else "/static/app.css")
            assert answer.status_code in (200, 404)
        alice.cookies.set("session", "mallory")
        assert alice.get("/api/settings").status_code == 401, "the connection is kept, the identity is not"
