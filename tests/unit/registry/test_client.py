"""Manifests, digests, tags: what is asked, and what is made of the answers."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.adapters.registry import (
    BadManifest,
    ImageRef,
    InvalidReference,
    ManifestUnknown,
    MemoryStore,
    RegistryClient,
    RegistryRefused,
    RegistryUnreachable,
    StoredManifest,
)
from tests.unit.registry.conftest import MakeClient
from tests.unit.registry.fake_registry import INDEX, FakeRegistry, Reply, Request

PLATFORMS = ["linux/amd64", "linux/arm64/v8", "linux/arm/v7"]


async def test_an_unchanged_tag_costs_one_conditional_head(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    digest = registry.index("app", "1", PLATFORMS)
    first = await client.check(app, "1")
    assert (first.digest, first.index_digest) == (digest, digest)
    assert first.platform_digest == registry.child(digest, "linux/amd64")
    assert first.arch == ("linux/amd64", "linux/arm/v7", "linux/arm64/v8")
    assert not first.from_cache
    assert [r.method for r in registry.requests] == ["HEAD", "GET"]

    registry.requests.clear()
    again = await client.check(app, "1")
    (request,) = registry.requests
    assert request.method == "HEAD"
    assert request.headers["if-none-match"] == f'"{digest}"'
    assert again.from_cache
    assert (again.digest, again.arch) == (first.digest, first.arch)


async def test_the_quoted_digest_serves_where_the_registry_gave_no_etag(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    registry.send_etag = False
    digest = registry.index("app", "1", PLATFORMS)
    await client.resolve(app, "1")
    assert (await client.resolve(app, "1")).from_cache
    assert registry.requests[-1].headers["if-none-match"] == f'"{digest}"'


async def test_a_moved_tag_is_seen_and_only_the_new_manifest_is_fetched(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    old = registry.index("app", "1", PLATFORMS)
    await client.check(app, "1")
    new = registry.index("app", "1", PLATFORMS, salt="new")
    registry.requests.clear()
    state = await client.check(app, "1")
    assert state.digest == new != old
    assert not state.from_cache
    assert [r.method for r in registry.requests] == ["HEAD", "GET"]


async def test_a_running_digest_that_still_holds_needs_no_manifest(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    digest = registry.index("app", "1", PLATFORMS)
    state = await client.check(app, "1", running=digest)
    assert registry.count("GET") == 0
    assert state.matches(digest)
    moved = await client.check(app, "1", running=registry.child(digest, "linux/amd64"))
    assert moved.matches(registry.child(digest, "linux/amd64"))
    assert not moved.matches(registry.child(digest, "linux/arm/v7"))


async def test_without_a_digest_header_the_body_is_hashed(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    registry.send_digest = False
    digest = registry.index("app", "1", PLATFORMS)
    assert (await client.check(app, "1")).digest == digest
    assert [r.method for r in registry.requests] == ["HEAD", "GET"]


async def test_head_not_allowed_falls_back_to_get(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    registry.faults.append(lambda r: Reply(405) if r.method == "HEAD" else None)
    assert (await client.resolve(app, "1") if registry.index("app", "1", PLATFORMS) else None) is not None


async def test_a_304_for_another_digest_is_asked_again(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    registry.index("app", "1", PLATFORMS)
    await client.resolve(app, "1")
    new = registry.index("app", "1", PLATFORMS, salt="new")
    lie = {"Docker-Content-Digest": new}
    registry.faults.append(lambda r: Reply(304, lie) if "if-none-match" in r.headers else None)
    assert (await client.resolve(app, "1")).digest == new


async def test_a_wrong_digest_once_remembered_is_found_out(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    digest = registry.index("app", "1", PLATFORMS)
    wrong = {"Docker-Content-Digest": "sha256:" + "0" * 64, "ETag": f'"{digest}"'}
    registry.faults.append(lambda r: Reply(200, wrong) if r.method == "HEAD" else None)
    with pytest.raises(ManifestUnknown):
        await client.check(app, "1")
    registry.faults.clear()
    registry.send_digest = False  # so that the 304 confirms what is remembered
    assert (await client.check(app, "1")).digest == digest
    assert (await client.check(app, "1")).from_cache


async def test_a_single_manifest_gets_its_platform_from_the_config_blob_once(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    digest = registry.single("app", "1", arch="arm", variant="v7")
    seen = await client.manifest(app, "1")
    assert (seen.index_digest, seen.platform_digest, seen.arch) == (None, digest, ("linux/arm/v7",))
    before = len(registry.requests)
    await client.manifest(app, digest)
    assert len(registry.requests) == before


async def test_an_unreadable_config_blob_leaves_the_architecture_unknown(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    digest = registry.single("app", "1")
    registry.faults.append(lambda r: Reply(500) if "/blobs/" in r.path else None)
    assert (await client.check(app, "1")).arch == ()
    registry.faults.clear()
    assert (await client.check(app, "1")).arch == ("linux/amd64",)
    assert (await client.manifest(app, digest)).config_digest


@pytest.mark.parametrize(
    ("host", "listed", "expected"),
    [
        ("linux/arm64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm64/v8", ["linux/arm64"], "linux/arm64"),
        ("linux/arm", ["linux/arm/v7"], "linux/arm/v7"),
        ("linux/arm", ["linux/arm/v6", "linux/arm/v7"], None),
        ("linux/arm/v7", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/riscv64", ["linux/amd64"], None),
    ],
)
async def test_chooses_the_child_for_the_host(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef, host: str, listed: list[str], expected: str | None
) -> None:
    digest = registry.index("app", "1", listed)
    seen = await make_client(host_platform=host).manifest(app, "1")
    assert seen.platform_digest == (registry.child(digest, expected) if expected else None)


async def test_one_get_however_many_ask_at_once(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    digest = registry.index("app", "1", PLATFORMS)
    registry.latency = 0.02
    await asyncio.gather(*(client.manifest(app, digest) for _ in range(12)))
    assert registry.count("GET") == 1


async def test_at_most_seven_requests_at_a_time(registry: FakeRegistry, client: RegistryClient) -> None:
    for number in range(30):
        registry.single(f"app{number}", "1")
    registry.latency = 0.02
    refs = [ImageRef.parse(f"{registry.host}/app{number}") for number in range(30)]
    await asyncio.gather(*(client.resolve(ref, "1") for ref in refs))
    assert registry.most_busy == 7


async def test_content_that_does_not_match_its_digest_is_refused(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    digest = registry.index("app", "1", PLATFORMS)
    registry.blobs[digest] = (INDEX, b'{"manifests":[]}')
    with pytest.raises(BadManifest, match="does not match"):
        await client.manifest(app, digest)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nope", b"{}", b'{"schemaVersion":1,"fsLayers":[]}', b"[" * 200_000, b'{"manifests":3}']
)
async def test_a_strange_manifest_is_an_error_not_a_crash(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef, body: bytes
) -> None:
    registry.repos["app"] = {"1": registry.put("application/json", body)}
    with pytest.raises(BadManifest):
        await client.check(app, "1")


async def test_hostile_children_are_left_out(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    entries = [
        {"digest": "sha256:x", "platform": {"os": "linux", "architecture": "amd64"}}, 7, {"platform": {}},
        {"digest": "sha256:" + "0" * 64, "platform": {"os": "<b>", "architecture": "amd64"}},
        {"digest": "sha256:" + "0" * 64, "platform": {"os": "linux", "architecture": ["x"]}},
    ]  # fmt: skip
    body = json.dumps({"mediaType": INDEX, "manifests": entries}).encode()
    registry.repos["app"] = {"1": registry.put(INDEX, body)}
    assert (await client.check(app, "1")).arch == ()


async def test_a_body_over_four_megabytes_is_not_read_on(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    registry.repos["app"] = {"1": registry.put(INDEX, b" " * (5 * 1024 * 1024))}
    with pytest.raises(BadManifest, match="larger"):
        await client.manifest(app, "1")


async def test_a_packed_answer_is_refused(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    digest = registry.index("app", "1", PLATFORMS)
    registry.faults.append(lambda r: Reply(200, {"Content-Encoding": "gzip"}, b"x") if r.method == "GET" else None)
    with pytest.raises(BadManifest, match="packed"):
        await client.manifest(app, digest)


async def test_a_cut_off_body_is_tried_once_more(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    digest = registry.index("app", "1", PLATFORMS)
    cut = Reply(200, body=b'{"manif', declared_length=5000)
    faults = [cut]
    registry.faults.append(lambda r: faults.pop() if r.method == "GET" and faults else None)
    assert (await client.manifest(app, digest)).index_digest == digest

    registry.faults[:] = [lambda r: cut]
    with pytest.raises(RegistryUnreachable, match="cut off") as caught:
        await client.manifest(app, registry.single("app", "2"))
    assert not caught.value.permanent


async def test_what_does_not_exist_is_named(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    registry.index("app", "1", PLATFORMS)
    with pytest.raises(ManifestUnknown, match="has no 9"):
        await client.resolve(app, "9")
    with pytest.raises(ManifestUnknown):
        await client.tags(ImageRef.parse(f"{registry.host}/nothing"))
    for bad in ("../x", "a b", ""):
        with pytest.raises(InvalidReference):
            await client.resolve(app, bad)


async def test_matching_a_digest_looks_at_children_only_when_it_must(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    wanted = registry.index("app", "1.2", PLATFORMS)
    registry.repos["app"]["1"] = wanted
    for number in range(5):
        registry.index("app", f"0.{number}", PLATFORMS, salt=str(number))
    tags = sorted(registry.repos["app"])
    matching = [tag for tag in tags if await client.match_digest(app, tag, wanted)]
    assert matching == ["1", "1.2"]
    assert (registry.count("HEAD"), registry.count("GET")) == (7, 1)

    child = registry.child(wanted, "linux/amd64")
    assert [tag for tag in tags if await client.match_digest(app, tag, child.upper().replace("SHA", "sha"))] == matching
    assert not await client.match_digest(app, "1", registry.child(wanted, "linux/arm/v7"))
    gone = "sha256:" + "9" * 64
    assert not await client.match_digest(app, "1", gone)


async def test_tags_follow_pages_and_drop_what_is_no_tag(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    registry.page_size = 10
    registry.repos["app"] = {f"1.{number}": "" for number in range(35)} | {"bad tag<script>": ""}
    tags = await client.tags(app)
    assert tags == sorted(f"1.{number}" for number in range(35))
    assert registry.count("GET") == 4


async def test_tags_without_paging(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    registry.paging = False
    registry.repos["app"] = {"b": "", "a": ""}
    assert await client.tags(app) == ["a", "b"]


@pytest.mark.parametrize(
    "link",
    ["<http://evil.example/v2/app/tags/list>; rel=next", "</admin?x=1>; rel=next", "<//evil.example/v2/>;rel=next"],
)
async def test_a_next_page_elsewhere_is_refused(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef, link: str
) -> None:
    registry.faults.append(lambda r: Reply(200, {"Link": link}, b'{"tags":["1"]}'))
    with pytest.raises(RegistryRefused, match="somewhere else"):
        await client.tags(app)


async def test_an_absolute_next_page_keeps_our_scheme_and_port(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    def page(request: Request) -> Reply:
        if "last" in request.query:
            return Reply(200, {}, b'{"tags":["2"]}')
        link = '<https://127.0.0.1/v2/app/tags/list?last=1>; rel="next"'
        return Reply(200, {"Link": link}, b'{"tags":["1"]}')

    registry.faults.append(page)
    assert await client.tags(app) == ["1", "2"]


async def test_pages_that_never_end_do(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    def endless(request: Request) -> Reply:
        page = int(request.query.get("page", ["0"])[0]) + 1
        return Reply(200, {"Link": f"</v2/app/tags/list?page={page}>; rel=next"}, b'{"tags":["t%d"]}' % page)

    registry.faults.append(endless)
    assert len(await client.tags(app)) == 100
    registry.faults[:] = [lambda r: Reply(200, {"Link": "</v2/app/tags/list?p=1>; rel=next"}, b'{"tags":null}')]
    before = len(registry.requests)
    assert await client.tags(app) == []
    assert len(registry.requests) - before <= 3


async def test_a_tag_list_with_an_etag_is_confirmed_not_sent_again(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    def listing(request: Request) -> Reply:
        if request.headers.get("if-none-match") == '"v1"':
            return Reply(304)
        return Reply(200, {"ETag": '"v1"'}, b'{"tags":["2","1"]}')

    registry.faults.append(listing)
    first = await client.tags(app)
    first.append("changed by the caller")
    assert await client.tags(app) == ["1", "2"]
    assert registry.requests[-1].headers["if-none-match"] == '"v1"'


async def test_labels_come_from_the_hosts_child_and_are_read_once(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    source = {"org.opencontainers.image.version": "1.2.3", "org.opencontainers.image.source": "https://x", "n": "v"}
    single = registry.single("app", "1", labels=source)
    labels = await client.image_labels(app, single)
    assert (labels.version, labels.source, labels.created) == ("1.2.3", "https://x", "2026-01-02T03:04:05Z")
    assert labels.all == source
    index = registry.index("app", "2", ["linux/arm64"])
    assert (await client.image_labels(app, index)).version is None
    before = len(registry.requests)
    await client.image_labels(app, single)
    await client.image_labels(app, index)
    assert len(registry.requests) == before


async def test_what_was_learnt_survives_in_the_store(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef
) -> None:
    store = MemoryStore()
    digest = registry.index("app", "1", PLATFORMS)
    await make_client(store=store).check(app, "1")
    kept = await store.manifest(digest)
    assert kept is not None
    assert StoredManifest.from_json(digest, json.loads(json.dumps(kept.to_json()))) == kept
    registry.requests.clear()
    assert (await make_client(store=store).check(app, "1")).from_cache
    assert [r.method for r in registry.requests] == ["HEAD"]


async def test_blob_redirects_do_not_carry_the_authorization_away(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef, tmp_path: object
) -> None:
    from tests.unit.registry.fake_registry import running

    async with running() as storage:
        registry.auth = "bearer"
        digest = registry.single("app", "1")
        storage.blobs, storage.repos = registry.blobs, registry.repos

        def redirect(request: Request) -> Reply | None:
            if "/blobs/" not in request.path:
                return None
            return Reply(307, {"Location": f"http://{storage.host}{request.path}"})

        registry.faults.append(redirect)
        assert (await make_client().manifest(app, digest)).arch == ("linux/amd64",)
        (elsewhere,) = storage.requests
        assert "authorization" not in elsewhere.headers
        assert "authorization" in registry.requests[-1].headers
