"""API tokens through real proxies: those of docs/forward-auth.md, and the way past a sign-in page of docs/api.md."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.lab.errors import LabUnavailable
from tests.lab.packages import PROJECT
from tests.lab.proxies import Kind, Provider, Proxy, guarded_dockrevs, identity_provider, running_proxy

pytestmark = pytest.mark.lab

Proxies = dict[tuple[Kind, Provider], Proxy]


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxies]:
    """The documented ones; Caddy before Authentik with the way for scripts."""
    folder = tmp_path_factory.mktemp("proxies")
    text = (PROJECT / "docs/api.md").read_text(encoding="utf-8")
    (for_scripts,) = re.findall(r"```caddyfile\n(.*?)```", text, re.DOTALL)
    try:
        with guarded_dockrevs(folder) as running, identity_provider() as identity:
            dockrev = running["caddy", "authentik"].behind
            place = folder / "scripts"
            with running_proxy(
                "caddy", "authentik", place, identity=identity, dockrev=dockrev, text=for_scripts
            ) as way:
                yield {**running, ("caddy", "authentik"): way}
    except LabUnavailable as error:
        pytest.skip(error.reason)  # no Debian packages within reach: the suite's summary names it


@pytest.fixture(params=[("caddy", "authelia"), ("nginx", "authelia"), ("caddy", "authentik")], ids="-".join)
def proxy(request: pytest.FixtureRequest, proxies: Proxies) -> Proxy:
    """Each of them in turn."""
    return proxies[request.param]


def made(proxy: Proxy, name: str, scope: str) -> str:
    """A token that alice makes in her browser."""
    with httpx.Client(base_url=proxy.url, cookies={"session": "alice"}, timeout=20, trust_env=False) as alice:
        answer = alice.post("/api/tokens", json={"name": f"{name} {proxy.kind}", "scope": scope})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["value"])


def client(proxy: Proxy, token: str, **headers: str) -> httpx.Client:
    """A script without a session."""
    sent = {"Authorization": f"Bearer {token}", **headers}
    return httpx.Client(base_url=proxy.url, headers=sent, timeout=20, trust_env=False)


def test_a_script_reads_starts_and_watches(proxy: Proxy) -> None:
    with client(proxy, made(proxy, "watcher", "check")) as script:
        assert script.get("/api/stacks").status_code == 200
        assert script.get("/metrics").status_code == 200
        job = script.post("/api/discovery/scan").json()["jobId"]
        began = time.monotonic()
        with script.stream("GET", f"/api/jobs/{job}/events") as stream:
            assert stream.status_code == 200 and stream.headers["ratelimit-limit"] == "600"
            told = "".join(part for part in stream.iter_text())
        assert "job_finished" in told and time.monotonic() - began < 15
        assert script.get(f"/api/jobs/{job}").json()["job"]["createdBy"] == f"token:watcher {proxy.kind}"
        assert script.post("/api/updates", json={}).status_code == 403


def test_the_trail_names_the_script_and_where_it_was(proxy: Proxy) -> None:
    with client(proxy, made(proxy, "admin", "admin")) as script:
        script.post("/api/discovery/scan")
        events = script.get("/api/audit", params={"action": "discovery.start", "limit": "1"}).json()["events"]
        assert [(event["principal"], event["means"]) for event in events] == [(f"token:admin {proxy.kind}", "token")]
        assert events[0]["address"] == "127.0.0.1"
        forged = script.get("/api/tokens", headers={"X-Forwarded-For": "1.2.3.4"})
        assert forged.status_code == 200
        assert "1.2.3.4" not in script.get("/api/tokens").text, "what the client says of itself does not count"


def test_what_is_no_token_gets_in_nowhere(proxy: Proxy) -> None:
    names = ("Remote-User", "Remote-Groups", "X-Authentik-Username", "X-Authentik-Groups", "X-authentik-groups")
    forged = dict.fromkeys(names, "admins")
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    for token in ("dkr_no", "x", jwt):
        with client(proxy, token, **forged) as script:
            for path in ("/api/stacks", "/api/tokens", "/metrics", "/settings", "/settings/tokens"):
                answer = script.get(path, headers={"Accept": "application/json"})
                assert answer.status_code in (302, 401, 403), (token, path, answer.status_code)
    with client(proxy, made(proxy, "reader", "read"), **forged) as script:
        assert script.get("/api/stacks").status_code == 200
        assert script.get("/api/tokens").status_code == 403, "the token counts, not what it says besides"
        assert script.get("/settings", headers={"Accept": "application/json"}).status_code in (302, 401, 403)
