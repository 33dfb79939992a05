"""The scan itself: limits are kept, nothing is guessed (spec §5.2, §7.6)."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.adapters.registry import RegistryTimeout, RegistryUnreachable
from app.features.versions.inference.tagscan import ScanLimits, scan_tags

TAGS = [f"1.{number}" for number in range(12)]


async def test_every_tag_is_counted_once() -> None:
    async def matches(tag: str) -> bool:
        if tag == "1.3":
            raise RegistryUnreachable("answered 503")
        if tag == "1.4":
            raise RegistryTimeout("took too long")
        return tag in ("1.1", "1.9")

    seen: list[tuple[int, int]] = []
    scan = await scan_tags(
        TAGS, matches, ScanLimits(4, 1, 5), total=300, progress=lambda assigned, done: seen.append((assigned, done))
    )
    assert sorted(scan.tags) == ["1.1", "1.9"]
    assert scan.counts.document() == {
        "repoTagsTotal": 300,
        "repoTagsConsidered": 12,
        "manifestsOk": 10,
        "manifestsTimeout": 1,
        "manifestsError": 1,
    }
    assert not scan.counts.complete
    assert scan.warning == "answered 503"
    assert seen[-1] == (12, 12)


async def test_no_more_than_allowed_at_once_and_no_longer_than_allowed() -> None:
    now = most = 0

    async def matches(tag: str) -> bool:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        try:
            await asyncio.sleep(0.02 if tag in ("1.0", "1.1") else 60)
        finally:
            now -= 1
        return True

    began = time.monotonic()
    scan = await scan_tags(TAGS, matches, ScanLimits(3, 5.0, 0.3), total=12)
    assert time.monotonic() - began < 10
    assert most == 3
    assert now == 0
    assert scan.counts.manifests_ok + scan.counts.manifests_timeout == 12
    assert set(scan.tags) == {"1.0", "1.1"}


async def test_one_slow_tag_costs_its_own_time_only() -> None:
    async def matches(tag: str) -> bool:
        await asyncio.sleep(60 if tag == "1.0" else 0)
        return False

    scan = await scan_tags(TAGS, matches, ScanLimits(1, 0.05, 10), total=12)
    assert (scan.counts.manifests_timeout, scan.counts.manifests_ok) == (1, 11)


async def test_nothing_to_ask_is_complete() -> None:
    async def matches(_: str) -> bool:
        raise AssertionError

    scan = await scan_tags([], matches, ScanLimits(4, 1, 1), total=0)
    assert (scan.tags, scan.counts.complete) == ((), True)


async def test_a_mistake_of_ours_is_not_hidden() -> None:
    async def matches(_: str) -> bool:
        raise ZeroDivisionError

    with pytest.raises(BaseExceptionGroup):
        await scan_tags(TAGS, matches, ScanLimits(4, 1, 1), total=12)
