"""Each fault reaches the client the way a real registry would show it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.lab.builder import OCI_INDEX
from tests.lab.faults import WRONG_DIGEST, FaultProxy, RateLimit, Rule, TokenServer
from tests.lab.lab import Lab
from tests.lab.registry import ACCEPT

pytestmark = pytest.mark.lab
REPO = "faults/paperboy"
MANIFEST = f"/v2/{REPO}/manifests/1.0.0"


@pytest.fixture
def client(lab: Lab, proxy: FaultProxy) -> Iterator[httpx.Client]:
    lab.registry.publish(REPO, "1.0.0", lab.samples().good("1.0.0"))
    with httpx.Client(base_url=proxy.url, headers={"Accept": ACCEPT}, trust_env=False, timeout=10) as made:
        yield made


def test_without_rules_it_passes_everything_on(lab: Lab, proxy: FaultProxy, client: httpx.Client) -> None:
    digest = lab.registry.digest(REPO, "1.0.0")
    head, got = client.head(MANIFEST), client.get(MANIFEST)
    assert head.headers["Docker-Content-Digest"] == got.headers["Docker-Content-Digest"] == digest
    assert head.content == b"" and got.content == lab.registry.get_manifest(REPO, digest)[0]
    assert client.head(MANIFEST, headers={"If-None-Match": f'"{digest}"'}).status_code == 304
    assert client.get(f"/v2/{REPO}/manifests/none").status_code == 404
    assert [each.status for each in proxy.requests] == [200, 200, 304, 404]
    assert (proxy.count("HEAD"), proxy.count("GET", "manifests"), proxy.count(status=404)) == (2, 2, 1)
    assert proxy.requests[0].headers["accept"] == ACCEPT
    assert proxy.connections == 1


def test_too_many_requests_as_often_as_said(proxy: FaultProxy, client: httpx.Client) -> None:
    rule = proxy.add(Rule(path="/manifests/", method="HEAD", status=429, headers={"Retry-After": "2"}, times=2, skip=1))
    answers = [client.head(MANIFEST) for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 429, 429, 200]
    assert answers[1].headers["Retry-After"] == "2"
    assert rule.hits == 2
    assert client.get(MANIFEST).status_code == 200


def test_server_errors_have_the_registry_form(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.add(Rule(status=503))
    assert client.get(MANIFEST).json()["errors"][0]["code"] == "UNKNOWN"
    proxy.clear()
    assert client.get(MANIFEST).status_code == 200


def test_a_dropped_connection(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.add(Rule(drop=True, times=1))
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(MANIFEST)
    assert proxy.requests[0].status == 0


def test_a_body_that_is_cut_off(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.add(Rule(cut_body=100, times=1))
    with pytest.raises(httpx.RemoteProtocolError, match="received 100 bytes, expected"):
        client.get(MANIFEST)
    assert client.get(MANIFEST).status_code == 200


def test_other_bodies_digests_and_headers(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.add(Rule(method="HEAD", wrong_digest=True, remove_headers=("ETag",)))
    proxy.add(Rule(method="GET", body=b"<html>", headers={"Content-Type": "text/html"}))
    head = client.head(MANIFEST)
    assert head.headers["Docker-Content-Digest"] == WRONG_DIGEST and "ETag" not in head.headers
    got = client.get(MANIFEST)
    assert (got.content, got.headers["Content-Type"]) == (b"<html>", "text/html")


def test_slow_headers(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.add(Rule(slow_headers=0.3))
    started = time.monotonic()
    assert client.get(MANIFEST).status_code == 200
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("absolute", [False, True])
def test_tag_lists_come_in_pages(lab: Lab, proxy: FaultProxy, client: httpx.Client, absolute: bool) -> None:
    lab.registry.publish_many("faults/many", [f"1.{n}.0" for n in range(25)], lab.samples().good("1"))
    proxy.page_size, proxy.absolute_links = 10, absolute
    found: list[str] = []
    url = "/v2/faults/many/tags/list?n=1000"
    for _ in range(3):
        answer = client.get(url)
        found += answer.json()["tags"]
        url = answer.links.get("next", {}).get("url", "")
        assert not url or url.startswith("http") == absolute
    assert url == ""
    assert found == lab.registry.tags("faults/many") and len(found) == 25


def test_a_quota_counts_pulls_not_heads(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.rate_limit = RateLimit(limit=100, remaining=1, retry_after=7)
    assert client.head(MANIFEST).headers["ratelimit-remaining"] == "1;w=21600"
    assert client.get(MANIFEST).headers["ratelimit-remaining"] == "0;w=21600"
    refused = client.get(MANIFEST)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert refused.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert client.head(MANIFEST).status_code == 200


def test_one_token_for_many_repositories(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.tokens = TokenServer(ttl=60)
    challenge = client.head(MANIFEST)
    assert challenge.status_code == 401
    assert challenge.headers["WWW-Authenticate"] == (
        f'Bearer realm="{proxy.url}/token",service="lab registry",scope="repository:{REPO}:pull"'
    )
    scopes = [f"repository:{REPO}:pull", "repository:faults/many:pull"]
    content = client.get("/token", params={"service": "lab registry", "scope": scopes}).json()
    bearer = {"Authorization": f"Bearer {content['token']}"}
    assert content["expires_in"] == 60
    assert client.head(MANIFEST, headers=bearer).status_code == 200
    assert client.get("/v2/faults/many/tags/list", headers=bearer).status_code == 200
    refused = client.head("/v2/faults/other/manifests/1", headers=bearer)
    assert refused.status_code == 401 and "insufficient_scope" in refused.headers["WWW-Authenticate"]
    assert proxy.tokens.requests[0].scopes == tuple(scopes)
    proxy.tokens.revoke_all()
    assert "invalid_token" in client.head(MANIFEST, headers=bearer).headers["WWW-Authenticate"]


def test_a_token_server_with_passwords_short_lives_and_one_scope(proxy: FaultProxy, client: httpx.Client) -> None:
    proxy.tokens = TokenServer(ttl=0.2, credentials=("ada", "s3cret"), max_scopes=1, answer_field="access_token")
    scopes = {"scope": ["repository:a/b:pull", f"repository:{REPO}:pull"]}
    assert client.get("/token", params=scopes).status_code == 401
    limited = client.get("/token", params=scopes, auth=("ada", "s3cret")).json()["access_token"]
    assert client.head(MANIFEST, headers={"Authorization": f"Bearer {limited}"}).status_code == 401
    good = client.get("/token", params={"scope": scopes["scope"][1]}, auth=("ada", "s3cret")).json()["access_token"]
    bearer = {"Authorization": f"Bearer {good}"}
    assert client.head(MANIFEST, headers=bearer).status_code == 200
    time.sleep(0.25)
    assert client.head(MANIFEST, headers=bearer).status_code == 401
    assert [each.user for each in proxy.tokens.requests] == [None, "ada", "ada"]


def test_a_private_registry_behind_it(lab: Lab) -> None:
    lab.private_registry.publish(REPO, "1.0.0", lab.samples().good("1.0.0"))
    lab.private_registry.publish_index(REPO, "2", [lab.samples().good("2")])
    with FaultProxy(lab.private_registry) as proxy:
        answer = httpx.head(f"{proxy.url}/v2/{REPO}/manifests/2", headers={"Accept": ACCEPT}, trust_env=False)
    assert answer.headers["Content-Type"] == OCI_INDEX


async def test_the_latency_asked_for_on_seven_connections_at_once(lab: Lab, proxy: FaultProxy) -> None:
    lab.registry.publish(REPO, "1.0.0", lab.samples().good("1.0.0"))
    proxy.latency = 0.05
    request = f"HEAD {MANIFEST} HTTP/1.1\r\nHost: {proxy.host}\r\nAccept: {ACCEPT}\r\n\r\n".encode()
    seconds: list[float] = []

    async def ask(times: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        for _ in range(times):
            started = time.perf_counter()
            writer.write(request)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            seconds.append(time.perf_counter() - started)
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(ask(10) for _ in range(7)))
    assert min(seconds) >= 0.05
    # The quickest shows what the proxy itself adds; the others may have waited for a busy machine.
    assert min(seconds) < 0.2
    assert time.perf_counter() - began < 70 * 0.05, "seven connections are served side by side"
    assert (proxy.connections, proxy.count()) == (7, 70)
