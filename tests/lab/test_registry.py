"""The registry client against a real registry, open and private, and through a proxy with bad days."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from app.adapters.registry import (
    BadManifest,
    Credentials,
    ImageRef,
    ManifestUnknown,
    MemoryStore,
    RateLimited,
    RegistryAuthError,
    RegistryClient,
    RegistryTimeout,
    RegistryUnreachable,
    RetryPolicy,
)
from tests.lab.faults import WRONG_DIGEST, FaultProxy, RateLimit, Rule, TokenServer
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab
REPO = "asked/paperboy"
Make = Callable[..., RegistryClient]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[RegistryClient] = []

    def build(credentials: Credentials | None = None, **changes: Any) -> RegistryClient:
        options: dict[str, Any] = {"store": MemoryStore(), "host_platform": "linux/amd64"} | changes
        client = RegistryClient(credentials or Credentials(), **options)
        made.append(client)
        return client

    yield build
    for client in made:
        await client.aclose()


@pytest.fixture
def client(make: Make) -> RegistryClient:
    return make(retry=RetryPolicy(base_ms=1, max_ms=20))


@pytest.fixture
def digest(lab: Lab) -> str:
    """An index for two platforms, with attestations, under the tag `2`."""
    samples = lab.samples()
    specs = [samples.good("2.0"), samples.for_arch("2.0", "arm64")]
    return lab.registry.publish_index(REPO, "2", specs, attestations=True)


def ref(host: str, repo: str = REPO) -> ImageRef:
    return ImageRef.parse(f"{host}/{repo}")


async def test_an_index_is_known_by_both_digests_and_costs_one_head_afterwards(
    proxy: FaultProxy, client: RegistryClient, digest: str
) -> None:
    state = await client.check(ref(proxy.host), "2")
    assert (state.digest, state.index_digest) == (digest, digest)
    assert state.platform_digest not in (None, digest)
    assert state.arch == ("linux/amd64", "linux/arm64")
    assert [each.method for each in proxy.requests] == ["HEAD", "GET"]
    proxy.requests.clear()
    assert (await client.check(ref(proxy.host), "2")).from_cache
    assert [(each.method, each.status) for each in proxy.requests] == [("HEAD", 304)]


async def test_a_single_image_tells_its_architecture(lab: Lab, client: RegistryClient) -> None:
    digest = lab.registry.publish(REPO, "1.0.0", lab.samples().good("1.0.0"))
    state = await client.check(ref(lab.registry.host), "1.0.0")
    assert (state.digest, state.index_digest, state.platform_digest) == (digest, None, digest)
    assert state.arch == ("linux/amd64",)


async def test_matches_by_index_and_by_platform_digest(lab: Lab, client: RegistryClient, digest: str) -> None:
    image = ref(lab.registry.host)
    platform = (await client.manifest(image, "2")).platform_digest
    assert platform is not None
    lab.registry.publish(REPO, "1.0.0", lab.samples().good("1.0.0"))
    assert await client.match_digest(image, "2", digest)
    assert await client.match_digest(image, "2", platform)
    assert not await client.match_digest(image, "1.0.0", digest)
    assert not await client.match_digest(image, "1.0.0", platform)


async def test_lists_all_pages_of_tags(lab: Lab, proxy: FaultProxy, client: RegistryClient) -> None:
    expected = [f"1.{number}.0" for number in range(305)]
    lab.registry.publish_many("asked/many", expected, lab.samples().good("1"))
    assert await client.tags(ref(lab.registry.host, "asked/many")) == sorted(expected)
    proxy.page_size, proxy.absolute_links = 100, True
    assert await client.tags(ref(proxy.host, "asked/many")) == sorted(expected)
    assert proxy.count("GET", "/tags/list") == 4


async def test_what_is_missing_is_said(lab: Lab, client: RegistryClient, digest: str) -> None:
    with pytest.raises(ManifestUnknown):
        await client.check(ref(lab.registry.host), "3")
    with pytest.raises(ManifestUnknown):
        await client.tags(ref(lab.registry.host, "asked/nobody"))


async def test_a_private_registry_opens_with_the_docker_config(lab: Lab, make: Make) -> None:
    lab.private_registry.publish(REPO, "1.0.0", lab.samples().good("1.0.0"))
    image = ref(lab.private_registry.host)
    client = make(Credentials(lab.docker_config))
    assert (await client.check(image, "1.0.0")).arch == ("linux/amd64",)
    assert client.hosts()[0].auth == "basic"
    with pytest.raises(RegistryAuthError) as caught:
        await make().check(image, "1.0.0")
    assert "docker login" in caught.value.hint


async def test_one_token_for_many_repositories(lab: Lab, proxy: FaultProxy, client: RegistryClient) -> None:
    names = [f"asked/token{number}" for number in range(22)]
    for name in names:
        lab.registry.publish(name, "1", lab.samples().good("1"))
    proxy.tokens = TokenServer()
    client.warm(proxy.host, names)
    await asyncio.gather(*(client.resolve(ref(proxy.host, name), "1") for name in names))
    assert sorted(len(each.scopes) for each in proxy.tokens.requests) == [2, 20]
    assert proxy.count("HEAD") == len(names) + 1


async def test_a_token_server_for_one_scope_and_short_lives(
    lab: Lab, proxy: FaultProxy, client: RegistryClient
) -> None:
    names = [f"asked/token{number}" for number in range(3)]
    for name in names:
        lab.registry.publish(name, "1", lab.samples().good("1"))
    proxy.tokens = TokenServer(max_scopes=1, ttl=0.4, announce_ttl=False, answer_field="access_token")
    client.warm(proxy.host, names)
    for name in names:
        await client.resolve(ref(proxy.host, name), "1")
    await asyncio.sleep(0.5)
    for name in names:  # announced as good for a minute, dead after half a second
        await client.resolve(ref(proxy.host, name), "1")
    assert [len(each.scopes) for each in proxy.tokens.requests] == [3, 1, 1, 1, 1, 1]


async def test_the_quota_is_read_and_heads_are_free(proxy: FaultProxy, client: RegistryClient, digest: str) -> None:
    proxy.rate_limit = RateLimit(limit=100, remaining=1)
    await client.check(ref(proxy.host), "2")
    (state,) = client.hosts()
    assert (state.limit, state.remaining, state.window) == (100, 0, 21600)
    for _ in range(3):
        await client.check(ref(proxy.host), "2", background=True)
    with pytest.raises(RateLimited):
        await client.manifest(ref(proxy.host), WRONG_DIGEST)
    assert client.hosts()[0].cooling_until is not None


async def test_bad_days(lab: Lab, proxy: FaultProxy, client: RegistryClient, digest: str) -> None:
    image = ref(proxy.host)
    proxy.add(Rule(method="HEAD", status=429, headers={"Retry-After": "0"}, times=2))
    assert (await client.resolve(image, "2")).digest == digest
    proxy.add(Rule(drop=True, times=1))
    assert (await client.resolve(image, "2")).digest == digest
    proxy.add(Rule(method="GET", cut_body=40, times=1))
    assert (await client.manifest(image, digest)).index_digest == digest

    other = lab.registry.publish(REPO, "9", lab.samples().good("9"))
    proxy.add(Rule(method="GET", cut_body=40))
    with pytest.raises(RegistryUnreachable):
        await client.manifest(image, other)
    proxy.clear()
    proxy.add(Rule(method="GET", path=other, body=b'{"schemaVersion": 2}'))
    with pytest.raises(BadManifest):
        await client.manifest(image, other)
    proxy.clear()
    proxy.add(Rule(method="HEAD", wrong_digest=True))
    with pytest.raises(ManifestUnknown):
        await client.check(image, "9")
    proxy.clear()
    proxy.add(Rule(remove_headers=("docker-content-digest", "etag")))
    assert (await client.check(image, "9")).digest == other


async def test_an_old_404_does_not_hide_what_is_pushed_later(lab: Lab, client: RegistryClient) -> None:
    image = ref(lab.registry.host, "asked/later")
    with pytest.raises(ManifestUnknown):
        await client.check(image, "1")
    pushed = lab.registry.publish("asked/later", "1", lab.samples().good("1"))
    assert (await client.check(image, "1")).digest == pushed


async def test_slow_headers_time_out(
    proxy: FaultProxy, client: RegistryClient, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.adapters.registry.transport.REQUEST_SECONDS", 0.3)
    proxy.add(Rule(slow_headers=2))
    started = time.monotonic()
    with pytest.raises(RegistryTimeout):
        await client.resolve(ref(proxy.host), "2")
    assert time.monotonic() - started < 1.5


async def test_58_unchanged_images_take_58_conditional_requests(
    lab: Lab, proxy: FaultProxy, client: RegistryClient
) -> None:
    names = [f"asked/app{number}" for number in range(58)]
    for name in names:
        lab.registry.publish(name, "latest", lab.samples().good("1"))
    images = [ref(proxy.host, name) for name in names]
    await asyncio.gather(*(client.check(image, "latest") for image in images))
    proxy.requests.clear()
    proxy.latency = 0.05
    states = await asyncio.gather(*(client.check(image, "latest") for image in images))
    assert all(state.from_cache for state in states)
    assert len(proxy.requests) == proxy.count("HEAD", status=304) == 58
