"""What a candidate has to download: nobody waits for it, and pages hear of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from app.adapters.registry import RegistryUnreachable
from app.core.events import EntitiesChanged
from tests.fakes.registry import digest_of
from tests.unit.versions.room import Room
from tests.unit.versions.test_service import RECORD

NEW = digest_of("new")


async def test_a_page_is_told_later(room: Room) -> None:
    room.registry.sizes[NEW] = 12_000_000
    assert await room.versions.download_size(RECORD) is None
    assert room.registry.asked == [], "a list asks nobody"
    with room.bus.subscribe() as inbox:
        sizes = [await room.versions.download_size(RECORD, ask=True) for _ in range(3)]
        event = await inbox.next(2)
    assert sizes == [None, None, None]
    assert event == EntitiesChanged("services", frozenset({"svc_1"}))
    assert await room.versions.download_size(RECORD, ask=True) == 12_000_000
    assert len(room.registry.asked) == 1


async def test_a_registry_that_is_away_is_asked_again_by_the_next_page(room: Room) -> None:
    room.registry.failing["ghcr.io/acme/web"] = RegistryUnreachable("away")
    assert await room.versions.download_size(RECORD, ask=True) is None
    await asyncio.sleep(0.05)
    del room.registry.failing["ghcr.io/acme/web"]
    room.registry.sizes[NEW] = 5
    assert await room.versions.download_size(RECORD, ask=True) is None
    await asyncio.sleep(0.05)
    assert await room.versions.download_size(RECORD) == 5


async def test_no_candidate_or_a_reference_nobody_can_read_has_no_size(room: Room) -> None:
    assert await room.versions.download_size(replace(RECORD, candidate_digest=None), ask=True) is None
    assert await room.versions.download_size(replace(RECORD, image_ref="///"), ask=True) is None
    await asyncio.sleep(0.05)
    assert room.registry.asked == []
