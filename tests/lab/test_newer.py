"""Newer versions under other tags, on a real registry with the ways real projects tag (issue 3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.registry import ImageRef, RateLimited, RegistryClient, RegistryCoolingDown
from app.core.errors import Conflict, InvalidArgument
from app.features.catalog.rows import service_row
from app.features.catalog.schemas import PointKind, ServiceState
from app.features.stacks import Discovery
from app.features.versions import Inference, Newer, VersionList, VersionLists
from tests.lab.families import FamilyName, publish_family
from tests.lab.faults import FaultProxy, RateLimit
from tests.lab.house import House, house
from tests.lab.lab import Lab
from tests.lab.test_checks import check, infer, sleeper

pytestmark = pytest.mark.lab


@pytest.fixture
async def home(clean_lab: Lab, tmp_path: Path) -> AsyncIterator[House]:
    async with house(clean_lab, tmp_path) as built:
        yield built


async def look(home: House, project: str, name: str = "web") -> VersionList:
    """What is told of a service once nothing is left to look up."""
    newer, lists = home.container.get(Newer), home.container.get(VersionLists)
    service = await home.service(project, name)
    await infer(home)
    await newer.everything()
    worker = asyncio.create_task(newer.run())
    async with asyncio.timeout(60):
        while not isinstance(found := await lists.of(service.id), VersionList) or found.refreshing:
            await asyncio.sleep(0.05)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    return found


def told(found: VersionList) -> list[tuple[str, str | None, str]]:
    return [(one.distance, one.version, one.state) for one in found.versions]


@pytest.mark.parametrize(
    ("family", "tag", "expected"),
    [
        ("semver", "1.0.0", [("minor", "1.2.1"), ("major", "2.1.0")]),
        ("semver", "1.2", [("major", "2.1.0")]),
        ("semver", "2.0.0-rc.1", [("patch", "2.0.0"), ("minor", "2.1.0")]),
        ("v_prefixed", "v0.9.0", [("patch", "v0.9.1"), ("minor", "v0.10.0"), ("major", "v1.0.0")]),
        ("variants", "3.1.0-alpine", [("minor", "3.2.0-alpine")]),
        ("calendar", "2025.9.0", [("minor", "2025.12.0"), ("major", "2026.1.1")]),
        ("nightly", "nightly-20260103", [("patch", "nightly-20260105")]),
        ("semver", "latest", []),
    ],
)
async def test_the_newest_at_each_distance_of_every_family(
    clean_lab: Lab, home: House, family: FamilyName, tag: str, expected: list[tuple[str, str]]
) -> None:
    lab = clean_lab
    digests = publish_family(lab.registry, f"newer/{family}", family, lab.samples(family))
    lab.stack("newer", f"services: {{web: {sleeper(lab.registry.ref(f'newer/{family}', tag))}}}").up()
    await home.container.get(Discovery).scan()
    await check(home)
    found = await look(home, "newer")
    assert told(found)[1:] == [(distance, version, "other_series") for distance, version in expected]
    current, *others = found.versions
    assert current.digest == digests[tag]
    assert [one.digest for one in others] == [digests[version] for _, version in expected]
    assert all(one.platforms == ("linux/amd64",) for one in others)
    assert all(one.published_at is not None for one in found.versions), found.versions


async def test_rail_and_state_from_the_registry_to_the_row(clean_lab: Lab, home: House) -> None:
    """An index that fits, one for other hosts only, and a floating tag that says where it leads."""
    lab, samples = clean_lab, clean_lab.samples("rail")
    lab.registry.publish("newer/rail", "1.0.0", samples.no_healthcheck("1.0.0"))
    lab.registry.publish("newer/rail", "1.1.0", samples.for_arch("1.1.0", "arm64"))
    both = [samples.no_healthcheck("2.0.0"), samples.for_arch("2.0.0", "arm64")]
    lab.registry.publish_index("newer/rail", "2.0.0", both, attestations=True)
    for name in ("2", "latest"):
        lab.registry.retag("newer/rail", "2.0.0", name)
    lab.stack("newer", f"services: {{web: {sleeper(lab.registry.ref('newer/rail', '1.0.0'))}}}").up()
    await home.container.get(Discovery).scan()
    await check(home)
    found = await look(home, "newer")
    assert told(found)[1:] == [("minor", "1.1.0", "arch_mismatch"), ("major", "2.0.0", "other_series")]
    assert found.versions[2].platforms == ("linux/amd64", "linux/arm64")
    assert found.versions[2].reached_by == ("2.0.0", "2", "latest")
    service = await home.service("newer", "web")
    records, newer = await home.versions.records_and_newer()
    row = service_row(service, records[service.id], None, newer[service.id])
    assert [point.kind for point in row.rail.points] == [PointKind.NOW, PointKind.ARCH, PointKind.HINT]
    assert (row.state, row.reason) == (ServiceState.CROSS_TAG, "2.0.0 under another tag")


async def test_it_informs_only_an_update_never_leaves_the_followed_tag(clean_lab: Lab, home: House) -> None:
    lab = clean_lab
    digests = publish_family(lab.registry, "newer/only", "semver", lab.samples("only"))
    lab.stack("newer", f"services: {{web: {sleeper(lab.registry.ref('newer/only', '1.0.0'))}}}").up()
    await home.container.get(Discovery).scan()
    await check(home)
    assert len((await look(home, "newer")).versions) == 3
    for target in ("1.2.1", "2.1.0"):
        with pytest.raises(InvalidArgument, match="cross-tag"):
            await home.update("newer", "web", targetTag=target, targetDigest=digests[target])
    with pytest.raises(Conflict, match="rescan"):
        await home.update("newer", "web", targetDigest=digests["2.1.0"])


async def test_questions_are_few_and_none_the_second_time(clean_lab: Lab, proxy: FaultProxy, tmp_path: Path) -> None:
    lab = clean_lab
    publish_family(lab.registry, "newer/few", "semver", lab.samples("few"))
    services = ", ".join(f"s{number}: {sleeper(proxy.ref('newer/few', '1.0.0'))}" for number in range(4))
    lab.stack("newer", f"services: {{{services}}}").up()
    async with house(lab, tmp_path) as home:
        await home.container.get(Discovery).scan()
        await check(home)
        proxy.requests.clear()
        newer = home.container.get(Newer)
        await newer.everything()
        await newer.refresh(f"{proxy.host}/newer/few")
        assert proxy.count("GET", r"/tags/list") == 1
        assert proxy.count("HEAD", r"/manifests/") == 2, "1.2.1 and 2.1.0, for four services"
        assert proxy.count() == 1 + 2 + 2 * 2  # and of each the manifest and its config
    proxy.requests.clear()
    async with house(lab, tmp_path) as again:
        await check(again)
        await again.container.get(Newer).everything()
        assert again.container.get(Newer).counts() == (0, 0)
        assert not [one for one in proxy.requests if "/manifests/1.0.0" not in one.path]


async def test_a_registry_that_rests_is_left_alone_also_after_a_restart(
    clean_lab: Lab, proxy: FaultProxy, tmp_path: Path
) -> None:
    lab = clean_lab
    publish_family(lab.registry, "newer/rest", "semver", lab.samples("rest"))
    lab.stack("newer", f"services: {{web: {sleeper(proxy.ref('newer/rest', '1.0.0'))}}}").up()
    async with house(lab, tmp_path, registry_retry_base_ms=1, registry_retry_max_ms=2) as home:
        await home.container.get(Discovery).scan()
        await check(home)
        proxy.rate_limit = RateLimit(limit=100, remaining=60)
        newer = home.container.get(Newer)
        await newer.refresh(f"{proxy.host}/newer/rest")
        assert proxy.count("GET", r"/manifests/") >= 2, "there is more than half of the quota"
        proxy.rate_limit.remaining = 0
        reference = home.container.get(RegistryClient)
        with pytest.raises(RateLimited):
            await reference.manifest(ImageRef.parse(f"{proxy.host}/newer/rest"), "sha256:" + "0" * 64)
    proxy.requests.clear()
    async with house(lab, tmp_path) as again:
        (host,) = again.container.get(RegistryClient).hosts()
        assert host.cooling_until is not None
        assert host.quota_at is not None
        assert host.cooling_until - host.quota_at > timedelta(hours=5)
        assert host.remaining == 0
        with pytest.raises(RegistryCoolingDown):
            await again.container.get(RegistryClient).tags(ImageRef.parse(f"{proxy.host}/newer/rest"), background=True)
        await again.container.get(Newer).refresh(f"{proxy.host}/newer/rest")
        assert not proxy.requests
        assert again.container.get(Inference).queue.counts() == (0, 0)
