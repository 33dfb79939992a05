"""The event bus: nobody waits for anybody, slow listeners are cut off, a failing one harms nobody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.core.background import Background, every
from app.core.events import EntitiesChanged, Event, EventBus


@dataclass(frozen=True, slots=True)
class Happened(Event):
    number: int


async def test_reactions_run_apart_from_each_other() -> None:
    bus, seen = EventBus(), []

    async def broken(_: Happened) -> None:
        raise RuntimeError("no")

    async def fine(event: Happened) -> None:
        await asyncio.sleep(0)
        seen.append(event.number)

    bus.on(Happened, broken)
    bus.on(Happened, fine)
    for number in range(3):
        bus.publish(Happened(number))
    await bus.settle()
    assert seen == [0, 1, 2]


async def test_a_slow_listener_is_dropped_not_buffered() -> None:
    bus = EventBus()
    with bus.subscribe(maxsize=3) as slow, bus.subscribe(maxsize=50) as fast:
        assert bus.listeners == 2
        for number in range(10):
            bus.publish(EntitiesChanged("jobs", frozenset({str(number)})))
        assert slow.lost
        assert len(slow.drain()) == 3
        assert not fast.lost
        assert len(fast.drain()) == 10
    assert bus.listeners == 0


async def test_next_gives_up_after_a_while() -> None:
    bus = EventBus()
    with bus.subscribe() as inbox:
        assert await inbox.next(0.01) is None
        bus.publish(Happened(1))
        assert await inbox.next(1) == Happened(1)


async def test_loops_are_started_again_and_stopped_together() -> None:
    background, runs = Background(), []

    async def dies_once() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise RuntimeError("no")
        await asyncio.sleep(60)

    ticks = []

    async def tick() -> None:
        ticks.append(1)
        raise RuntimeError("one failure does not end the rhythm")

    background.keep("dies", dies_once)
    background.keep("ticks", lambda: every(0.01, tick))
    background.start()
    await asyncio.sleep(1.3)
    assert len(runs) == 2
    assert len(ticks) > 3
    await background.stop()
    count = len(ticks)
    await asyncio.sleep(0.05)
    assert len(ticks) == count


async def test_who_comes_a_moment_late_hears_of_it_too() -> None:
    bus = EventBus()
    bus.publish(EntitiesChanged("jobs"))
    with bus.subscribe(since=5.0) as late, bus.subscribe() as punctual:
        bus.publish(EntitiesChanged("hooks"))
        assert late.drain() == [EntitiesChanged("jobs"), EntitiesChanged("hooks")]
        assert punctual.drain() == [EntitiesChanged("hooks")]
    for number in range(100):
        bus.publish(EntitiesChanged(str(number)))
    with bus.subscribe(since=5.0) as late:
        assert len(late.drain()) == 50 and not late.lost
