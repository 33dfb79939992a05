"""How much a pull needs at most, as far as manifests tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.adapters.registry import ImageRef, MemoryStore, RegistryClient, RegistryError
from tests.unit.registry.conftest import MakeClient
from tests.unit.registry.fake_registry import FakeRegistry, Reply

PLATFORMS = ["linux/amd64", "linux/arm64/v8"]


async def test_it_is_told_from_memory_and_asked_for_once(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    digest = registry.index("app", "2", PLATFORMS, layers={"base": 30_000_000, "program": 5_000_000})
    await client.check(app, "2")
    assert await client.download_size(app, digest, ask=False) is None, "of an index only its children are known"
    assert await client.download_size(app, digest, ask=True) == 35_000_000
    registry.requests.clear()
    assert await client.download_size(app, digest.upper().replace("SHA256", "sha256"), ask=False) == 35_000_000
    assert await client.download_size(app, digest, ask=True) == 35_000_000
    assert not registry.requests


async def test_layers_that_run_already_do_not_count(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef
) -> None:
    running = registry.single("app", "1", layers={"base": 30_000_000, "program": 5_000_000})
    wanted = registry.index("app", "2", PLATFORMS, layers={"base": 30_000_000, "program 2": 6_000_000})
    assert await client.download_size(app, wanted, running, ask=True) == 36_000_000, "not known what runs"
    await client.check(app, "1")
    assert await client.download_size(app, wanted, running, ask=False) == 6_000_000


async def test_an_image_for_other_hosts_has_no_size(registry: FakeRegistry, make_client: MakeClient) -> None:
    client = make_client(host_platform="linux/s390x")
    app = ImageRef.parse(f"{registry.host}/app:1")
    assert await client.download_size(app, registry.index("app", "1", PLATFORMS), ask=True) is None


async def test_manifests_kept_before_layers_were_noted_are_fetched_again(
    registry: FakeRegistry, make_client: MakeClient, app: ImageRef
) -> None:
    store = MemoryStore()
    client = make_client(store=store)
    digest = registry.single("app", "1", layers={"all": 7})
    await client.check(app, "1")
    kept = await store.manifest(digest)
    assert kept is not None and kept.config_known
    store.remember_manifest(replace(kept, layers=None))
    assert await client.download_size(app, digest, ask=False) is None
    assert await client.download_size(app, digest, ask=True) == 7
    again = await store.manifest(digest)
    assert again == kept, "nothing else is forgotten"


@pytest.mark.parametrize("size", [-1, "12", None, 1 << 60, 1.5, [], True])
async def test_a_size_that_is_none_is_not_counted(
    registry: FakeRegistry, client: RegistryClient, app: ImageRef, size: object
) -> None:
    digest = registry.single("app", "1", layers={"odd": size, "good": 5})
    assert await client.download_size(app, digest, ask=True) is None


async def test_a_registry_that_fails_is_told(registry: FakeRegistry, client: RegistryClient, app: ImageRef) -> None:
    registry.faults.append(lambda request: Reply(500))
    with pytest.raises(RegistryError):
        await client.download_size(app, registry.single("app", "1"), ask=True)
