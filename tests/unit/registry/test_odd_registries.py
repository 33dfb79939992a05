"""Registries that do things their own way, and what must outlive a restart about them."""

from __future__ import annotations

import json
import time as real_time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.registry import (
    BadManifest,
    ImageRef,
    ManifestUnknown,
    MemoryStore,
    RateLimited,
    RegistryAuthError,
    RegistryClient,
    RegistryCoolingDown,
    RegistryError,
    RetryPolicy,
    StoredHost,
)
from tests.unit.registry.conftest import MakeClient, Time
from tests.unit.registry.fake_registry import FakeRegistry, Reply, Request

QUOTA = {
    "ratelimit-limit": "100;w=21600",
    "ratelimit-remaining": "76;w=21600",
    "docker-ratelimit-source": "198.51.100.7",
}


async def limited(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    """Run into the registry's limit."""
    registry.faults.append(lambda request: Reply(429))
    with pytest.raises(RateLimited):
        await client.resolve(app, "1")
    registry.faults.clear()


async def test_a_resting_host_rests_on_after_a_restart(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef, time: Time
) -> None:
    registry.single("app", "1")
    store = MemoryStore()
    await limited(registry, make_client(store=store), app)
    asked = registry.count()
    again = make_client(store=store)
    with pytest.raises(RegistryCoolingDown):
        await again.resolve(app, "1", background=True)
    assert registry.count() == asked
    time.seconds += 21601
    await again.resolve(app, "1", background=True)
    assert again.hosts()[0].cooling_until is None


async def test_a_restarted_client_tells_of_hosts_before_it_asks_them(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef, time: Time
) -> None:
    registry.single("app", "1")
    registry.quota = dict(QUOTA)
    store = MemoryStore()
    await make_client(store=store).resolve(app, "1")
    read_at = time.now()
    time.seconds += 600
    again = make_client(store=store)
    assert again.hosts() == []
    await again.restore()
    (known,) = again.hosts()
    assert (known.host, known.remaining, known.limit, known.quota_at) == (registry.host, 76, 100, read_at)
    assert known.quota_source == "198.51.100.7"
    assert known.last_ok_at is None
    time.seconds += 21600
    assert again.hosts() == [], "a quota says nothing once its window is over"


async def test_a_useful_answer_ends_the_remembered_rest_for_good(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef
) -> None:
    registry.single("app", "1")
    store = MemoryStore()
    await limited(registry, make_client(store=store), app)
    again = make_client(store=store)
    await again.resolve(app, "1")  # by hand
    await make_client(store=store).resolve(app, "1", background=True)
    (host,) = await store.hosts()
    assert host.cooling_until is None


async def test_the_begin_of_a_rest_is_written_at_once(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef
) -> None:
    class Counting(MemoryStore):
        flushes = 0

        async def flush(self) -> None:
            self.flushes += 1

    registry.single("app", "1")
    store = Counting()
    client = make_client(store=store)
    await limited(registry, client, app)
    await limited(registry, client, app)
    assert store.flushes == 1


async def test_what_is_learnt_now_counts_more_than_what_was_stored(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef, time: Time
) -> None:
    registry.single("app", "1")
    registry.quota = dict(QUOTA)
    store = MemoryStore()
    store.remember_host(StoredHost(registry.host, None, 1, 100, 21600, None, time.now() - timedelta(hours=1)))
    client = make_client(store=store)
    await client.resolve(app, "1")
    assert client.host(registry.host).remaining == 76


async def test_where_head_is_not_allowed_an_unchanged_tag_has_no_body_either(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    digest = registry.index("app", "1", ["linux/amd64"])
    registry.faults.append(lambda request: Reply(405) if request.method == "HEAD" else None)
    assert not (await client.resolve(app, "1")).from_cache
    assert (await client.resolve(app, "1")).from_cache
    last = registry.requests[-1]
    assert (last.method, last.headers["if-none-match"]) == ("GET", f'"{digest}"')
    moved = registry.index("app", "1", ["linux/amd64"], salt="new")
    assert (await client.resolve(app, "1")).digest == moved


async def test_neither_digest_header_nor_etag(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    registry.send_digest = registry.send_etag = False
    digest = registry.index("app", "1", ["linux/amd64", "linux/arm64"])
    for _ in range(2):
        state = await client.check(app, "1")
        assert (state.digest, state.arch) == (digest, ("linux/amd64", "linux/arm64"))
    assert not any("if-none-match" in request.headers for request in registry.requests[:1])


async def test_a_schema_1_manifest_is_named_not_guessed(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    old = {"schemaVersion": 1, "name": "app", "tag": "1", "architecture": "amd64", "fsLayers": [], "signatures": []}
    registry.repos["app"] = {
        "1": registry.put("application/vnd.docker.distribution.manifest.v1+prettyjws", json.dumps(old).encode())
    }
    state = await client.check(app, "1", running=registry.repos["app"]["1"])
    assert state.matches(registry.repos["app"]["1"]), "what runs is still recognised"
    with pytest.raises(BadManifest, match="does not read"):
        await client.check(app, "1")


async def test_a_refused_config_blob_leaves_the_platform_unknown(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    digest = registry.single("app", "1")
    registry.faults.append(lambda request: Reply(403) if "/blobs/" in request.path else None)
    state = await client.check(app, "1")
    assert (state.digest, state.arch) == (digest, ())


async def test_a_deleted_tag_is_unknown_whatever_was_known_before(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    registry.single("app", "1")
    await client.resolve(app, "1")
    del registry.repos["app"]["1"]
    with pytest.raises(ManifestUnknown) as gone:
        await client.resolve(app, "1")
    assert gone.value.permanent
    assert gone.value.hint


@pytest.mark.parametrize("absolute", [True, False])
async def test_pages_are_followed_however_the_link_is_written(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef, absolute: bool
) -> None:
    registry.repos["app"] = {f"1.{number}": "x" for number in range(7)}

    def page(request: Request) -> Reply | None:
        last = int(request.query.get("last", ["0"])[0])
        tags = [f"1.{number}" for number in range(7)][last : last + 3]
        link = f"{'http://' + registry.host if absolute else ''}/v2/app/tags/list?n=3&last={last + 3}"
        more = {"Link": f'<{link}>; rel="next"'} if last + 3 < 7 else {}
        return Reply(200, more, json.dumps({"tags": tags}).encode())

    registry.faults.append(page)
    assert await client.tags(app) == [f"1.{number}" for number in range(7)]


@pytest.mark.parametrize(
    "link", ["http://evil.example/v2/app/tags/list?last=1", "//evil.example/v2/app/tags/list", "http://127.0.0.2/v2/x"]
)
async def test_credentials_do_not_follow_a_link_to_another_host(
    registry: FakeRegistry, make_client: MakeClient, tmp_path: Path, app: ImageRef, link: str
) -> None:
    registry.auth = "basic"
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {registry.host: {"username": "alice", "password": "s3cret"}}}))
    body = json.dumps({"tags": ["1"]}).encode()

    def page(request: Request) -> Reply | None:
        signed = "authorization" in request.headers and request.path.endswith("/tags/list")
        return Reply(200, {"Link": f'<{link}>; rel="next"'}, body) if signed else None

    registry.repos["app"] = {"1": "x"}
    registry.faults.append(page)
    with pytest.raises(RegistryError, match="somewhere else"):
        await make_client(path).tags(app)
    assert registry.count() == 2


async def test_ten_thousand_tags_and_hostile_ones(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    good = [f"1.{number}.0" for number in range(10_000)]
    hostile: list[Any] = [
        "<script>alert(1)</script>",
        "../../etc",
        "a b",
        "\x1b[31m",
        "-x",
        "",
        None,
        7,
        {"a": 1},
        "x" * 200,
    ]
    registry.repos["app"] = {}
    body = json.dumps({"name": "app", "tags": [*good, *hostile, *good[:5]]}).encode()
    registry.faults.append(lambda request: Reply(200, {}, body))
    began = real_time.perf_counter()
    assert await client.tags(app) == sorted(good)
    assert real_time.perf_counter() - began < 5


async def test_an_access_token_that_lives_for_seconds(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef, time: Time
) -> None:
    registry.auth = "bearer"
    registry.single("app", "1")

    def token(request: Request) -> Reply | None:
        if request.path != "/token":
            return None
        registry.tokens["short"] = {"app"}
        return Reply(200, {}, b'{"access_token":"short","expires_in":2}')

    registry.faults.append(token)
    await client.resolve(app, "1")
    await client.resolve(app, "1")
    assert registry.count(path="/token") == 1
    time.seconds += 1.5
    await client.resolve(app, "1")
    assert registry.count(path="/token") == 2


async def test_an_identity_token_does_not_follow_a_redirect_to_another_host(
    registry: FakeRegistry, make_client: MakeClient, tmp_path: Path, app: ImageRef
) -> None:
    registry.auth = "bearer"
    registry.single("app", "1")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {registry.host: {"identitytoken": "idtok"}}}))
    elsewhere = f"http://localhost:{registry.port}/stolen"
    registry.faults.append(lambda r: Reply(307, {"Location": elsewhere}) if r.path == "/token" else None)
    with pytest.raises(RegistryError, match="another host"):
        await make_client(path).resolve(app, "1")
    assert registry.count(path="/stolen") == 0


async def test_a_rest_until_a_date(registry: FakeRegistry, make_client: MakeClient, app: ImageRef, time: Time) -> None:
    registry.single("app", "1")
    client = make_client(retry=RetryPolicy(max_attempts=1, cooldown_seconds=60))
    at = time.now() + timedelta(hours=2)
    registry.faults.append(lambda request: Reply(429, {"Retry-After": f"{at:%a, %d %b %Y %H:%M:%S} GMT"}))
    with pytest.raises(RateLimited):
        await client.resolve(app, "1")
    assert time.slept == [2.0], "the date is honoured by the rest; a request does not wait for two hours"
    until = client.host(registry.host).cooling_until
    assert until is not None
    assert abs(until - at) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("realm", "safe"),
    [
        ("http://{host}/token", True),
        ("http://localhost:{port}/token", True),
        ("http://auth.example/token", False),
        ("http://127.0.0.1.evil.example/token", False),
        ("http://evil.example@127.0.0.1/token", False),
    ],
)
async def test_a_plain_registry_cannot_send_credentials_over_plain_http_to_anybody(
    registry: FakeRegistry, make_client: MakeClient, tmp_path: Path, app: ImageRef, realm: str, safe: bool
) -> None:
    registry.auth = "bearer"
    registry.single("app", "1")
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {registry.host: {"username": "alice", "password": "s3cret"}}}))
    told = realm.format(host=registry.host, port=registry.port)
    challenge = {"WWW-Authenticate": f'Bearer realm="{told}",service="lab",scope="repository:app:pull"'}
    registry.faults.append(
        lambda r: None if r.path == "/token" or "authorization" in r.headers else Reply(401, challenge)
    )
    client = make_client(path)
    if safe:
        await client.resolve(app, "1")
    else:
        with pytest.raises(RegistryAuthError, match="not safe"):
            await client.resolve(app, "1")
