"""The view in memory: events within a second, the engine's coming and going, one call for everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from app.adapters.engine import EngineUnreachable
from app.core.events import EntitiesChanged
from app.core.events.bus import Event
from app.features.stacks import runtime as module
from app.features.stacks.events import EngineConnected, EngineLost, ProjectsRelabelled, RuntimeChanged
from tests.fakes.engine import compose_container, image
from tests.unit.stacks.conftest import Room

DIGEST = "sha256:" + "a" * 64


async def until(true: Callable[[], bool], seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def hears(room: Room, wanted: Event, seconds: float = 3.0) -> None:
    """Wait until the event is published; what comes before it is dropped."""
    async with asyncio.timeout(seconds):
        while await room.heard.next(seconds) != wanted:
            pass  # dropped


@pytest.fixture
async def loops(room: Room, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    """The room with both loops of its runtime view running, faster than in earnest where it waits after a loss."""
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.02, 0.04, 0.05))
    tasks = [asyncio.ensure_future(room.runtime.watch()), asyncio.ensure_future(room.runtime.follow())]
    yield room
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_before_the_first_reading_everything_is_unknown(room: Room) -> None:
    assert room.runtime.service("shop", "web").state == "unknown"
    status = room.runtime.engine
    assert (status.connected, status.checked_at, status.error) == (False, None, None)


async def test_a_reading_tells_services_and_the_engine(room: Room) -> None:
    room.engine.listed.append(compose_container("shop", "web", health="healthy"))
    await room.runtime.refresh()
    web = room.runtime.service("shop", "web")
    assert (web.state, web.health, len(web.containers)) == ("running", "healthy", 1)
    assert web.as_of is not None
    assert room.runtime.service("shop", "gone").state == "missing"
    status = room.runtime.engine
    assert (status.connected, status.version, status.api_version) == (True, "28.5.1", "1.51")
    assert status.endpoint == "unix:///nowhere/docker.sock"
    assert room.events(EngineConnected) == [EngineConnected("28.5.1")]


async def test_a_lost_engine_is_told_once_with_its_remedy_and_nothing_is_invented(room: Room) -> None:
    room.engine.listed.append(compose_container("shop", "web"))
    await room.runtime.refresh()
    room.engine.down()
    for _ in range(2):
        with pytest.raises(EngineUnreachable):
            await room.runtime.refresh()
    assert len(room.events(EngineLost)) == 1
    status = room.runtime.engine
    assert not status.connected
    assert "cannot be reached" in (status.error or "")
    assert "systemctl" in (status.hint or "")
    web = room.runtime.service("shop", "web")
    assert (web.state, web.health, len(web.containers)) == ("unknown", None, 1)
    room.engine.up()
    await room.runtime.refresh()
    assert room.runtime.service("shop", "web").state == "running"
    assert (room.runtime.engine.error, room.runtime.engine.hint) == (None, None)


async def test_digests_of_any_number_of_services_cost_two_calls(room: Room) -> None:
    stored = image("nginx", digests=[DIGEST])
    room.engine.stored.append(stored)
    for number in range(20):
        room.run(f"p{number}")
    for container in list(room.engine.listed):
        room.engine.replace(container, image_id=stored.id)
    await room.discovery.scan()
    services = await room.stacks.select("all")
    room.engine.calls.clear()
    found = await room.runtime.running_digests(services)
    assert {digest.digest for digest in found.values()} == {DIGEST}
    assert set(found) == {service.id for service in services}
    assert room.engine.calls == {"containers": 1, "images": 1}
    room.engine.down()
    assert {digest.reason for digest in (await room.runtime.running_digests(services)).values()} == {
        "engine_unreachable"
    }


async def test_an_event_changes_the_view_within_a_second_and_names_the_service(loops: Room) -> None:
    loops.run("shop")
    await loops.discovery.scan()
    service = (await loops.stack("shop")).services[0]
    await until(lambda: loops.engine.listeners == 1)
    await asyncio.sleep(1)
    loops.heard.drain()
    before = loops.engine.calls["containers"]
    container = loops.engine.replace(loops.engine.listed[0], health="unhealthy")
    for _ in range(50):  # a storm is one reading
        loops.engine.tell("health_status", container, detail="unhealthy")
    await hears(loops, RuntimeChanged("shop", frozenset({"web"})), 1.0)
    assert loops.runtime.service("shop", "web").health == "unhealthy"
    await hears(loops, EntitiesChanged("services", frozenset({service.id})), 1.0)
    assert loops.engine.calls["containers"] - before <= 2


async def test_probes_and_networks_do_not_cause_readings(loops: Room) -> None:
    loops.engine.listed.append(compose_container("shop", "web"))
    await until(lambda: loops.engine.listeners == 1)
    await asyncio.sleep(1)
    before = loops.engine.calls["containers"]
    loops.engine.tell("exec_start", loops.engine.listed[0])
    loops.engine.tell("connect", loops.engine.listed[0], type="network")
    await asyncio.sleep(0.4)
    assert loops.engine.calls["containers"] == before


async def test_the_engine_comes_back_by_itself(loops: Room) -> None:
    loops.engine.listed.append(compose_container("shop", "web"))
    await until(lambda: loops.engine.listeners == 1)
    loops.engine.down()
    await until(lambda: not loops.runtime.engine.connected)
    loops.heard.drain()
    loops.engine.up()
    await until(lambda: loops.runtime.engine.connected and loops.engine.listeners == 1)
    assert loops.events(EngineConnected)
    assert loops.runtime.service("shop", "web").state == "running"


async def test_a_stream_that_ends_is_no_lost_engine(loops: Room) -> None:
    await until(lambda: loops.engine.listeners == 1)
    loops.heard.drain()
    loops.engine.down()  # ends the stream
    loops.engine.up()
    await until(lambda: loops.engine.calls["events"] == 2)
    assert loops.events(EngineLost) == []


async def test_new_projects_and_other_configurations_call_for_discovery(loops: Room) -> None:
    await until(lambda: loops.runtime.engine.connected)
    reacting = asyncio.ensure_future(loops.discovery.react())
    try:
        loops.run("shop")
        loops.engine.tell("start", loops.engine.listed[0])
        await until(lambda: loops.discovery.last is not None and loops.discovery.last.projects_seen == 1)
        assert (await loops.stack("shop")).name == "shop"
        loops.heard.drain()
        old = loops.engine.listed[0]
        loops.engine.replace(old, labels={**old.labels, "com.docker.compose.config-hash": "x"})
        loops.engine.tell("start", loops.engine.listed[0])
        await hears(loops, ProjectsRelabelled(frozenset({"shop"})))
    finally:
        reacting.cancel()
