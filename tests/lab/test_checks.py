"""Checks, version inference and runtime scans on a real engine and a real registry (spec §7.4 to §7.7)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.errors import NotFound
from app.core.jobs import JobFilter, JobRecord, JobStatus
from app.features.stacks import Discovery
from app.features.versions import Checks, Inference, RuntimeScans, VersionRecord
from tests.lab.families import publish_family
from tests.lab.faults import FaultProxy, RateLimit, Rule
from tests.lab.house import House, house
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

MANIFESTS = r"/manifests/"


@pytest.fixture
async def home(clean_lab: Lab, tmp_path: Path) -> AsyncIterator[House]:
    async with house(clean_lab, tmp_path) as built:
        yield built


async def check(home: House) -> JobRecord:
    """Check everything and wait for the end."""
    job = await home.finished(await home.container.get(Checks).start("all", created_by="tester"))
    assert job.status is JobStatus.SUCCESS, await home.log(job.id)
    return job


async def record(home: House, project: str, name: str) -> VersionRecord:
    """The evidence of a service."""
    service = await home.service(project, name)
    return (await home.versions.records([service.id]))[service.id]


async def infer(home: House) -> None:
    """Run the inference worker until nothing is left to do."""
    inference = home.container.get(Inference)
    worker = asyncio.create_task(inference.run())
    async with asyncio.timeout(60):
        while any(inference.queue.counts()):
            await asyncio.sleep(0.02)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


def sleeper(ref: str) -> str:
    """A service that just stays."""
    return f"{{image: '{ref}', command: [sleep, '36000'], network_mode: none}}"


async def test_a_repeated_check_is_one_conditional_head_per_image(
    clean_lab: Lab, proxy: FaultProxy, tmp_path: Path
) -> None:
    """Also after a restart, and whether there is something newer or not."""
    lab, samples, names = clean_lab, clean_lab.samples("many"), [f"s{number}" for number in range(8)]
    for name in names:
        lab.registry.publish(f"checks/{name}", "1", samples.no_healthcheck("1"))
    services = ", ".join(f"{name}: {sleeper(proxy.ref(f'checks/{name}', '1'))}" for name in names)
    twin = f"twin: {sleeper(proxy.ref('checks/s0', '1'))}"
    lab.stack("many", f"services: {{{services}, {twin}}}").up()
    for name in names[:4]:
        lab.registry.publish(f"checks/{name}", "1", samples.no_healthcheck("2"))
    proxy.latency = 0.05
    async with house(lab, tmp_path) as home:
        await home.container.get(Discovery).scan()
        job = await check(home)
        assert (job.summary["servicesChecked"], job.summary["servicesWithCandidate"]) == (9, 5)
        await infer(home)
        proxy.requests.clear()
        before, began = home.jobs.db.statements, time.monotonic()
        await check(home)
        took, statements = time.monotonic() - began, home.jobs.db.statements - before
    seen = [(entry.method, entry.status) for entry in proxy.requests]
    assert seen == [("HEAD", 304)] * 8
    assert all("if-none-match" in entry.headers for entry in proxy.requests)
    assert statements <= 60
    assert took < 3  # two rounds of 50 ms; the rest is this machine
    proxy.requests.clear()
    async with house(lab, tmp_path) as again:
        await check(again)
    assert [(entry.method, entry.status) for entry in proxy.requests] == [("HEAD", 304)] * 8


async def test_evidence_of_an_index_and_of_a_wrong_architecture(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("multi")
    index = [samples.no_healthcheck("1"), samples.for_arch("1", "arm64")]
    lab.registry.publish_index("checks/multi", "1", index, attestations=True)
    lab.registry.publish("checks/moved", "1", samples.no_healthcheck("1"))
    multi, moved = lab.registry.ref("checks/multi", "1"), lab.registry.ref("checks/moved", "1")
    lab.stack("arch", f"services: {{multi: {sleeper(multi)}, moved: {sleeper(moved)}}}").up()
    await home.container.get(Discovery).scan()
    await check(home)
    same = await record(home, "arch", "multi")
    assert not same.has_candidate
    assert same.current_digest == lab.registry.digest("checks/multi", "1")
    newer = [samples.no_healthcheck("2"), samples.for_arch("2", "arm64")]
    lab.registry.publish_index("checks/multi", "1", newer, attestations=True)
    lab.registry.publish("checks/moved", "1", samples.for_arch("2", "arm64"))
    await check(home)
    fits, wrong = await record(home, "arch", "multi"), await record(home, "arch", "moved")
    assert (fits.candidate_arch_match, fits.candidate_arch) == ("match", ("linux/amd64", "linux/arm64"))
    assert fits.candidate_digest == lab.registry.digest("checks/multi", "1")
    assert (wrong.candidate_arch_match, wrong.candidate_arch) == ("mismatch", ("linux/arm64",))


@pytest.mark.parametrize(
    ("family", "tag", "version"),
    [
        ("semver", "latest", "2.1.0"),
        ("semver", "1", "1.2.1"),
        ("v_prefixed", "v0", "v0.10.0"),
        ("variants", "3-alpine", "3.2.0-alpine"),
        ("calendar", "stable", "2026.1.0"),
    ],
)
async def test_floating_tags_are_named(clean_lab: Lab, home: House, family: str, tag: str, version: str) -> None:
    lab = clean_lab
    publish_family(lab.registry, f"checks/{family}", family, lab.samples(family))  # type: ignore[arg-type]
    ref = lab.registry.ref(f"checks/{family}", tag)
    lab.stack("floating", f"services: {{app: {sleeper(ref)}}}").up()
    await home.container.get(Discovery).scan()
    await check(home)
    await infer(home)
    found = await record(home, "floating", "app")
    assert found.current_resolved_tag == version
    assert version in found.current_resolved_tags


async def test_looking_for_a_version_fetches_no_manifest_of_single_images(
    clean_lab: Lab, proxy: FaultProxy, home: House
) -> None:
    publish_family(clean_lab.registry, "checks/cheap", "semver", clean_lab.samples("cheap"))
    clean_lab.stack("cheap", f"services: {{app: {sleeper(proxy.ref('checks/cheap', '2'))}}}").up()
    await home.container.get(Discovery).scan()
    await check(home)
    proxy.requests.clear()
    await infer(home)
    assert (await record(home, "cheap", "app")).current_resolved_tag == "2.1.0"
    assert proxy.count("GET", MANIFESTS) == 0
    assert proxy.count("HEAD", MANIFESTS) == 12


async def test_bad_days_of_a_registry_erase_nothing(clean_lab: Lab, proxy: FaultProxy, tmp_path: Path) -> None:
    lab, samples = clean_lab, clean_lab.samples("bad")
    lab.registry.publish("checks/bad", "1", samples.no_healthcheck("1"))
    lab.stack("bad", f"services: {{app: {sleeper(proxy.ref('checks/bad', '1'))}}}").up()
    lab.registry.publish("checks/bad", "1", samples.no_healthcheck("2"))
    async with house(lab, tmp_path, registry_retry_base_ms=1, registry_retry_max_ms=2) as home:
        await home.container.get(Discovery).scan()
        await check(home)
        good = await record(home, "bad", "app")
        assert good.has_candidate
        for fault in (Rule(path=MANIFESTS, status=503), Rule(path=MANIFESTS, drop=True)):
            proxy.add(fault)
            job = await check(home)
            kept = await record(home, "bad", "app")
            assert (kept.candidate_digest, kept.checked_at) == (good.candidate_digest, good.checked_at)
            assert kept.last_error
            assert "bad/app: " in await home.log(job.id)
            proxy.clear()
        await check(home)
        assert (await record(home, "bad", "app")).last_error is None


async def test_a_host_that_limits_rests_from_schedules_but_not_from_people(
    clean_lab: Lab, proxy: FaultProxy, tmp_path: Path
) -> None:
    lab, samples = clean_lab, clean_lab.samples("limited")
    lab.registry.publish("checks/limited", "1", samples.no_healthcheck("1"))
    lab.stack("limited", f"services: {{app: {sleeper(proxy.ref('checks/limited', '1'))}}}").up()
    async with house(lab, tmp_path, registry_retry_max_attempts=0) as home:
        await home.container.get(Discovery).scan()
        await check(home)
        limit = proxy.add(Rule(path=MANIFESTS, status=429))
        await check(home)
        asked = limit.hits
        checks = home.container.get(Checks)
        job = await home.finished(await checks.start("all", created_by="schedule", reason="schedule"))
        assert job.status is JobStatus.SUCCESS
        assert limit.hits == asked
        assert "background checks rest until" in await home.log(job.id)
        await check(home)
        assert limit.hits == asked + 1


async def test_unchanged_checks_use_no_pull_quota(clean_lab: Lab, proxy: FaultProxy, tmp_path: Path) -> None:
    lab, samples = clean_lab, clean_lab.samples("quota")
    lab.registry.publish("checks/quota", "1", samples.no_healthcheck("1"))
    lab.stack("quota", f"services: {{app: {sleeper(proxy.ref('checks/quota', '1'))}}}").up()
    proxy.rate_limit = RateLimit(limit=100, remaining=3)
    async with house(lab, tmp_path) as home:
        await home.container.get(Discovery).scan()
        for _ in range(6):
            await check(home)
        assert (await record(home, "quota", "app")).last_error is None
    assert proxy.rate_limit is not None and proxy.rate_limit.remaining == 3


async def test_a_private_registry_is_asked_with_its_credentials(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("private")
    registry = lab.private_registry
    registry.publish("checks/private", ["1", "1.0.0"], samples.no_healthcheck("1"))
    lab.stack("private", f"services: {{app: {sleeper(registry.ref('checks/private', '1'))}}}").up()
    new = registry.publish("checks/private", ["1", "1.1.0"], samples.no_healthcheck("2"))
    await home.container.get(Discovery).scan()
    job = await check(home)
    await infer(home)
    found = await record(home, "private", "app")
    assert (found.candidate_digest, found.candidate_resolved_tag) == (new, "1.1.0")
    assert registry.credentials is not None
    assert registry.credentials.password not in await home.log(job.id)


async def test_what_is_changed_by_hand_is_noticed_from_the_engines_events(clean_lab: Lab, tmp_path: Path) -> None:
    lab, samples = clean_lab, clean_lab.samples("manual")
    lab.registry.publish("checks/manual", "1", samples.no_healthcheck("1"))
    ref = lab.registry.ref("checks/manual", "1")
    stack = lab.stack("manual", f"services: {{app: {sleeper(ref)}}}").up()
    async with house(lab, tmp_path, background=True) as home:
        await _until(lambda: _checked(home), "the new service is looked at by itself")
        new = lab.registry.publish("checks/manual", "1", samples.no_healthcheck("2"))
        await check(home)
        assert (await record(home, "manual", "app")).candidate_digest == new
        await asyncio.to_thread(stack.compose, "pull", "--quiet")
        await asyncio.to_thread(stack.up)
        await _until(lambda: _runs(home, new), "the manual update is noticed")
        jobs = await home.jobs.store.search(JobFilter(types=("runtime_scan",)))
        assert {job.reason for job in jobs} == {"schedule"}
        ended = [await home.finished(job.id) for job in jobs]
        assert {job.status for job in ended} == {JobStatus.SUCCESS}
        found = await record(home, "manual", "app")
        assert not found.has_candidate


async def test_a_scan_on_demand_asks_nobody_when_nothing_drifted(
    clean_lab: Lab, proxy: FaultProxy, tmp_path: Path
) -> None:
    lab = clean_lab
    lab.registry.publish("checks/quiet", "1", lab.samples("quiet").no_healthcheck("1"))
    lab.stack("quiet", f"services: {{app: {sleeper(proxy.ref('checks/quiet', '1'))}}}").up()
    async with house(lab, tmp_path) as home:
        await home.container.get(Discovery).scan()
        await check(home)
        proxy.requests.clear()
        job = await home.finished(await home.container.get(RuntimeScans).start("all", created_by="tester"))
        assert (job.summary["servicesWithRuntimeDigest"], job.summary["servicesDrifted"]) == (1, 0)
        assert proxy.requests == []
        with pytest.raises(NotFound):
            await home.container.get(RuntimeScans).start("stack", stack_id="stk_nobody")


async def _checked(home: House) -> bool:
    return any(found.checked_at for found in (await home.versions.records()).values())


async def _runs(home: House, digest: str) -> bool:
    return any(found.current_digest == digest for found in (await home.versions.records()).values())


async def _until(condition: object, what: str, seconds: float = 30) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)
