"""Schemes, tokens, and where credentials do and do not go."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import httpx
import pytest
import respx

from app.adapters.registry import ImageRef, RegistryAuthError, RegistryClient, RegistryError
from tests.unit.registry.conftest import MakeClient, Time
from tests.unit.registry.fake_registry import FakeRegistry, Reply, Request


@pytest.fixture
def login(registry: FakeRegistry, tmp_path: Path) -> Path:
    """Alice is logged in."""
    auth = base64.b64encode(":".join(registry.user).encode()).decode()
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {f"http://{registry.host}/v2/": {"auth": auth}}}))
    return path


def refs(registry: FakeRegistry, count: int) -> list[ImageRef]:
    for number in range(count):
        registry.single(f"acme/app{number}", "1")
    return [ImageRef.parse(f"{registry.host}/acme/app{number}") for number in range(count)]


async def check_all(client: RegistryClient, images: list[ImageRef]) -> None:
    await asyncio.gather(*(client.resolve(ref, "1") for ref in images))


async def test_basic_only_after_the_registry_asked_for_it(
    registry: FakeRegistry, make_client: MakeClient, login: Path
) -> None:
    registry.auth = "basic"
    images = refs(registry, 8)
    client = make_client(login)
    await check_all(client, images)
    without = [r for r in registry.requests if "authorization" not in r.headers]
    assert len(without) == 1
    assert registry.requests[0] is without[0]
    assert client.hosts()[0].auth == "basic"


async def test_an_open_registry_never_sees_the_password(
    registry: FakeRegistry, make_client: MakeClient, login: Path
) -> None:
    client = make_client(login)
    await check_all(client, refs(registry, 3))
    assert all("authorization" not in r.headers for r in registry.requests)
    assert client.hosts()[0].auth == "anonymous"


async def test_bearer_one_challenge_one_token_per_repository(
    registry: FakeRegistry, make_client: MakeClient, login: Path
) -> None:
    registry.auth, registry.anonymous_tokens = "bearer", False
    client = make_client(login)
    images = refs(registry, 5)
    await check_all(client, images)
    await check_all(client, images)
    statuses = registry.count("HEAD")
    assert (statuses, registry.count(path="/token")) == (11, 5)
    token_calls = [r for r in registry.requests if r.path == "/token"]
    assert token_calls[0].query["service"] == ["lab"]
    assert token_calls[0].query["scope"] == ["repository:acme/app0:pull"]
    assert client.hosts()[0].auth == "token"


async def test_a_token_without_credentials_counts_as_anonymous(registry: FakeRegistry, client: RegistryClient) -> None:
    registry.auth = "bearer"
    await check_all(client, refs(registry, 1))
    assert client.hosts()[0].auth == "anonymous"


async def test_one_token_for_many_repositories(registry: FakeRegistry, client: RegistryClient) -> None:
    registry.auth = "bearer"
    images = refs(registry, 25)
    client.warm(registry.host, [ref.name for ref in images])
    await check_all(client, images)
    calls = [r for r in registry.requests if r.path == "/token"]
    assert sorted(len(call.query["scope"]) for call in calls) == [5, 20]
    assert registry.count("HEAD") == 26


async def test_a_server_that_grants_only_one_scope_is_remembered(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    registry.auth, registry.multi_scope = "bearer", False
    images = refs(registry, 4)
    client.warm(registry.host, [ref.name for ref in images])
    for ref in images:
        await client.resolve(ref, "1")
    scopes = [len(r.query["scope"]) for r in registry.requests if r.path == "/token"]
    assert scopes == [4, 1, 1, 1]


async def test_a_refused_batch_request_falls_back_to_single_scopes(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    registry.auth = "bearer"
    images = refs(registry, 3)
    client.warm(registry.host, [ref.name for ref in images])
    registry.faults.append(lambda r: Reply(403) if len(r.query.get("scope", [])) > 1 else None)
    for ref in images:
        await client.resolve(ref, "1")
    assert [len(r.query["scope"]) for r in registry.requests if r.path == "/token"] == [3, 1, 1, 1]


async def test_one_forbidden_repository_does_not_end_sharing(registry: FakeRegistry, client: RegistryClient) -> None:
    registry.auth, registry.forbidden = "bearer", {"acme/app0"}
    images = refs(registry, 4)
    client.warm(registry.host, [ref.name for ref in images])
    with pytest.raises(RegistryAuthError, match="acme/app0"):
        await client.resolve(images[0], "1")
    for ref in images[1:]:
        await client.resolve(ref, "1")
    scopes = [len(r.query["scope"]) for r in registry.requests if r.path == "/token"]
    assert scopes[0] == 4
    assert scopes[1:].count(1) == len(scopes) - 1 <= 2


async def test_an_expired_token_is_replaced_before_use(
    registry: FakeRegistry, client: RegistryClient, time: Time
) -> None:
    registry.auth = "bearer"
    images = refs(registry, 1)
    await check_all(client, images)
    time.seconds += 295
    await check_all(client, images)
    assert registry.count(path="/token") == 2
    assert registry.count("HEAD") == 3


async def test_a_token_that_died_early_is_refreshed_once(registry: FakeRegistry, client: RegistryClient) -> None:
    registry.auth = "bearer"
    images = refs(registry, 1)
    await check_all(client, images)
    registry.tokens.clear()
    await check_all(client, images)
    assert registry.count(path="/token") == 2

    registry.requests.clear()
    registry.faults.append(
        lambda r: (
            Reply(401, {"WWW-Authenticate": f'Bearer realm="http://{registry.host}/token"'})
            if r.path != "/token"
            else None
        )
    )
    with pytest.raises(RegistryAuthError, match="refused a new token"):
        await check_all(client, images)
    assert registry.count(path="/token") == 1
    assert registry.count("HEAD") == 2
    assert client.hosts()[0].last_error


async def test_insufficient_scope_of_a_fresh_token_ends_it(registry: FakeRegistry, client: RegistryClient) -> None:
    images = refs(registry, 1)
    challenge = f'Bearer realm="http://{registry.host}/token",error="insufficient_scope"'
    registry.faults.append(lambda r: Reply(401, {"WWW-Authenticate": challenge}) if r.path != "/token" else None)
    with pytest.raises(RegistryAuthError, match="refused a new token") as caught:
        await check_all(client, images)
    assert "docker login" in caught.value.hint
    assert registry.count(path="/token") == 1


async def test_an_identity_token_is_exchanged_by_post(
    registry: FakeRegistry, make_client: MakeClient, tmp_path: Path
) -> None:
    registry.auth, registry.anonymous_tokens = "bearer", False
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {registry.host: {"identitytoken": "idtok"}}}))
    await check_all(make_client(path), refs(registry, 1))
    (exchange,) = [r for r in registry.requests if r.path == "/token"]
    assert exchange.method == "POST"
    assert b"grant_type=refresh_token" in exchange.body
    assert exchange.query == {}


async def test_wrong_credentials_say_so_without_repeating_them(
    registry: FakeRegistry, make_client: MakeClient, login: Path
) -> None:
    registry.auth = "basic"
    images = refs(registry, 1)
    client = make_client(login)
    registry.user = ("alice", "changed")
    with pytest.raises(RegistryAuthError) as caught:
        await check_all(client, images)
    text = f"{caught.value.message} {caught.value.hint} {caught.value.details}"
    assert "still valid" in text
    assert "s3cret" not in text
    assert registry.count() == 2


@pytest.mark.parametrize("status", [401, 403])
async def test_no_way_in_is_an_auth_error(registry: FakeRegistry, client: RegistryClient, status: int) -> None:
    registry.faults.append(lambda r: Reply(status, {"WWW-Authenticate": "Negotiate"}))
    with pytest.raises(RegistryAuthError):
        await check_all(client, refs(registry, 1))
    assert registry.count() == 1


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"token":""}', b'{"token":"a\\nb"}', b'{"token":7}', b'{"token":"' + b"x" * 20_000 + b'"}']
)
async def test_a_bad_token_answer_is_an_error(registry: FakeRegistry, client: RegistryClient, body: bytes) -> None:
    registry.auth = "bearer"
    registry.faults.append(lambda r: Reply(200, {}, body) if r.path == "/token" else None)
    with pytest.raises(RegistryError, match="token"):
        await check_all(client, refs(registry, 1))


@pytest.mark.parametrize(
    "realm", ["http://auth.example/token", "ftp://x/", "https://user:pw@auth.example/t", "/token", "", "javascript:1"]
)
async def test_credentials_never_go_to_an_unsafe_realm(make_client: MakeClient, tmp_path: Path, realm: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {"reg.example": {"username": "alice", "password": "s3cret"}}}))
    with respx.mock(assert_all_called=True) as mock:
        mock.head("https://reg.example/v2/app/manifests/1").mock(
            return_value=httpx.Response(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'})
        )
        with pytest.raises(RegistryAuthError, match="not safe"):
            await make_client(path).resolve(ImageRef.parse("reg.example/app"), "1")
        assert len(mock.calls) == 1


async def test_https_never_redirects_to_http(client: RegistryClient) -> None:
    with respx.mock:
        respx.head("https://reg.example/v2/app/manifests/1").mock(
            return_value=httpx.Response(302, headers={"Location": "http://169.254.169.254/latest"})
        )
        with pytest.raises(RegistryError, match="not https"):
            await client.resolve(ImageRef.parse("reg.example/app"), "1")


async def test_docker_hub_is_asked_at_its_api_host_and_shown_by_its_name(client: RegistryClient) -> None:
    digest = "sha256:" + "1" * 64
    quota = {
        "ratelimit-limit": "100;w=21600",
        "ratelimit-remaining": "76;w=21600",
        "docker-ratelimit-source": "1.2.3.4",
    }
    with respx.mock:
        url = "https://registry-1.docker.io/v2/library/nginx/manifests/1"
        challenge = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"'
        respx.head(url, headers={"Authorization": "Bearer t0k"}).mock(
            return_value=httpx.Response(200, headers={"Docker-Content-Digest": digest} | quota)
        )
        respx.head(url).mock(return_value=httpx.Response(401, headers={"WWW-Authenticate": challenge}))
        token = respx.get("https://auth.docker.io/token").mock(return_value=httpx.Response(200, json={"token": "t0k"}))
        assert (await client.resolve(ImageRef.parse("nginx"), "1")).digest == digest
        assert token.call_count == 1
    (state,) = client.hosts()
    assert (state.host, state.remaining, state.limit, state.window) == ("docker.io", 76, 100, 21600)
    assert state.quota_source == "1.2.3.4"


async def test_nothing_that_can_be_printed_shows_a_secret(
    registry: FakeRegistry, make_client: MakeClient, login: Path
) -> None:
    registry.auth = "bearer"
    client = make_client(login)
    seen: list[Request] = registry.requests
    await check_all(client, refs(registry, 1))
    credential = await client.credentials.for_registry(registry.host)
    printed = repr(client.credentials) + repr(credential) + repr(vars(client.credentials)) + repr(client.hosts())
    assert "s3cret" not in printed
    assert base64.b64encode(b"alice:s3cret").decode() not in printed
    assert seen
