"""The worker's queue and its ring of events (spec §6.4, §7.6)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
from hypothesis import given
from hypothesis import strategies as st

from app.features.versions.inference.queue import Key, Reason, TaskQueue
from app.features.versions.inference.ring import EventRing

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)


def key(number: int, repo: str = "") -> Key:
    return Key(repo or f"ghcr.io/acme/r{number}", f"sha256:{number:064x}", "linux/amd64")


async def test_the_most_urgent_goes_first_then_the_oldest() -> None:
    queue = TaskQueue()
    for number, reason in enumerate((Reason.WARM_UP, Reason.CACHE_MISS, Reason.FORCE, Reason.CACHE_MISS)):
        await queue.put(key(number), reason, NOW + timedelta(seconds=number))
    order = [(await queue.take()).key for _ in range(4)]
    assert order == [key(2), key(1), key(3), key(0)]


async def test_a_repository_in_work_waits_without_holding_up_others() -> None:
    queue = TaskQueue()
    await queue.put(key(1, "a"), Reason.FORCE, NOW)
    await queue.put(key(2, "a"), Reason.FORCE, NOW)
    await queue.put(key(3, "b"), Reason.WARM_UP, NOW)
    first, second = await queue.take(), await queue.take()
    assert (first.key, second.key) == (key(1, "a"), key(3, "b"))
    waiting = asyncio.create_task(queue.take())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await queue.done(first)
    assert (await asyncio.wait_for(waiting, 1)).key == key(2, "a")


async def test_a_running_task_is_upgraded_to_force_only() -> None:
    queue = TaskQueue()
    await queue.put(key(1), Reason.CACHE_STALE, NOW)
    task = await queue.take()
    assert (await queue.put(key(1), Reason.NEW_VERSION, NOW))[0] == "known"
    assert (await queue.put(key(1), Reason.FORCE, NOW))[0] == "upgraded"
    assert task.reason is Reason.FORCE
    assert queue.counts() == (0, 1)


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(list(Reason))), max_size=40))
def test_each_key_is_worked_on_once_however_often_it_is_asked_for(asked: list[tuple[int, Reason]]) -> None:
    async def run() -> None:
        queue = TaskQueue()
        best: dict[int, Reason] = {}
        ranks = list(Reason)
        for number, reason in asked:
            await queue.put(key(number), reason, NOW)
            best[number] = min(best.get(number, reason), reason, key=ranks.index)
        taken = [await queue.take() for _ in best]
        assert sorted(str(task.key) for task in taken) == sorted(str(key(number)) for number in best)
        assert [ranks.index(task.reason) for task in taken] == sorted(ranks.index(reason) for reason in best.values())

    asyncio.run(run())


async def follow(ring: EventRing, after: int, count: int) -> list[tuple[int, dict[str, Any]]]:
    """The first events of a stream."""
    found: list[tuple[int, dict[str, Any]]] = []
    async with asyncio.timeout(3):
        async for item in ring.follow(after, anyio.Event()):
            found.append(item)
            if len(found) == count:
                break
    return found


async def test_a_stream_resumes_where_it_was() -> None:
    ring = EventRing(10)
    for number in range(5):
        ring.append({"n": number})
    assert [event_id for event_id, _ in await follow(ring, 3, 2)] == [4, 5]
    assert [event_id for event_id, _ in await follow(ring, 0, 5)] == [1, 2, 3, 4, 5]


async def test_a_gap_is_told() -> None:
    ring = EventRing(3)
    for number in range(10):
        ring.append({"n": number})
    [(event_id, event)] = await follow(ring, 4, 1)
    assert (event_id, event) == (
        10,
        {
            "type": "resync_required",
            "requestedAfterId": 4,
            "oldestAvailableId": 8,
            "latestEventId": 10,
            "reason": "buffer_overflow",
        },
    )
    assert [number for number, _ in await follow(ring, 7, 3)] == [8, 9, 10]


async def test_an_id_of_an_earlier_process_is_told_too() -> None:
    ring = EventRing(3)
    ring.append({"n": 1})
    [(event_id, event)] = await follow(ring, 900, 1)
    assert (event_id, event["type"]) == (1, "resync_required")
    fresh = EventRing(3)
    [(_, event)] = await follow(fresh, 900, 1)
    assert (event["type"], event["oldestAvailableId"], event["latestEventId"]) == ("resync_required", 1, 0)


async def test_a_waiting_stream_wakes_at_once_and_ends_with_the_server() -> None:
    ring, closing = EventRing(), anyio.Event()
    found: list[int] = []

    async def listen() -> None:
        async for event_id, _ in ring.follow(0, closing):
            found.append(event_id)

    stream = asyncio.create_task(listen())
    await asyncio.sleep(0.01)
    ring.append({"n": 1})
    await asyncio.sleep(0.01)
    assert found == [1]
    closing.set()
    ring.append({"n": 2})
    await asyncio.wait_for(stream, 2)


@given(st.integers(1, 8), st.integers(0, 30), st.integers(0, 40))
def test_nothing_is_told_twice_and_nothing_is_left_out(size: int, count: int, after: int) -> None:
    ring = EventRing(size)
    for number in range(1, count + 1):
        ring.append({"n": number})
    ids = [event_id for event_id, _ in ring.after(after)]
    assert ids == [number for number in range(1, count + 1) if number > after][-size:]
    if after > 0 and ring.gap(after) is None:
        assert ids == list(range(after + 1, count + 1))
