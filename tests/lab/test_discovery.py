"""Discovery and the runtime view on a real engine with real Compose (spec §7.1, §7.4)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.adapters.compose import Compose
from app.adapters.engine import Engine
from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.core.events.bus import Event, Subscription
from app.core.jobs import JobEngine
from app.features.stacks import Discovery, ProjectStatus, Runtime, StackRecord, Stacks
from app.features.stacks.effective import ModelReader
from app.features.stacks.events import RuntimeChanged
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab


@dataclass
class Room:
    """The stacks room on the lab's engine, its loops running."""

    stacks: Stacks
    runtime: Runtime
    discovery: Discovery
    heard: Subscription

    async def stack(self, name: str) -> StackRecord:
        """A stack by name."""
        return next(stack for stack in await self.stacks.stacks("include") if stack.name == name)

    async def status(self, project: str) -> ProjectStatus:
        """How discovery stands with a project."""
        return next(row.status for row in await self.stacks.projects("include") if row.project == project)


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.05)


async def hears(heard: Subscription, wanted: Callable[[Event], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while (event := await heard.next(seconds)) is None or not wanted(event):
            pass  # others come in between


@pytest.fixture
async def room(clean_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    for name, value in clean_lab.env().items():
        monkeypatch.setenv(name, value)
    db, bus, clock = Database(tmp_path / "dockrev.sqlite3"), EventBus(), Clock()
    await db.create_all()
    engine = Engine(clean_lab.docker_host)
    compose = Compose(str(clean_lab.compose_bin), docker_host=clean_lab.docker_host)
    stacks = Stacks(db, bus, clock)
    runtime = Runtime(engine, stacks, bus, clock)
    jobs = JobEngine(db, bus, clock)
    discovery = Discovery(
        db=db,
        bus=bus,
        clock=clock,
        jobs=jobs,
        runtime=runtime,
        models=ModelReader(compose, clock),
        interval_seconds=60,
        max_actions=200,
    )
    loops = [asyncio.ensure_future(loop()) for loop in (runtime.watch, runtime.follow, discovery.react)]
    with bus.subscribe(5000) as heard:
        yield Room(stacks, runtime, discovery, heard)
    for loop in loops:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
    await jobs.stop(1)
    await bus.settle()
    await engine.close()
    await db.close()


@pytest.fixture
def paperboy(lab: Lab) -> str:
    """A reference to a published image that gets healthy."""
    lab.registry.publish("stacks/paperboy", "1.4", lab.samples("paperboy").good("1.4.0"))
    return lab.registry.ref("stacks/paperboy", "1.4")


async def test_a_project_is_found_by_its_start_and_lives_through_its_changes(
    room: Room, clean_lab: Lab, paperboy: str
) -> None:
    repo, _, _ = paperboy.rpartition(":")
    stack = clean_lab.stack(
        "found",
        f"services:\n  web:\n    image: {repo}:$TAG\n    depends_on: [db]\n  db:\n    image: {paperboy}\n"
        f"  later:\n    image: {paperboy}\n    profiles: [extra]\n",
        files={".env": "TAG=1.4\n"},
    )
    await until(lambda: asyncio.sleep(0, room.runtime.engine.connected))
    await asyncio.to_thread(stack.up)

    async def found() -> bool:
        return any(known.name == "found" for known in await room.stacks.stacks())

    await until(found)  # by the engine's events alone: nobody asked for a scan
    registered = await room.stack("found")
    assert registered.compose_files == (str(stack.file),)
    assert registered.env_file == str(stack.folder / ".env")
    assert [(s.name, s.image_ref, s.depends_on) for s in registered.services] == [
        ("db", paperboy, ()),
        ("later", paperboy, ()),
        ("web", paperboy, ("db",)),
    ]
    digests = await room.runtime.running_digests(registered.services)
    published = clean_lab.registry.digest("stacks/paperboy", "1.4")
    assert {s.name: digests[s.id].digest for s in registered.services} == {
        "db": published,
        "later": None,
        "web": published,
    }
    assert digests[registered.services[1].id].reason == "no_container"

    await asyncio.to_thread(stack.compose, "stop", "--timeout", "1")
    await room.discovery.scan()
    assert await room.status("found") is ProjectStatus.MISSING
    assert room.runtime.service("found", "web").state == "stopped"
    assert (await room.stack("found")).id == registered.id
    await asyncio.to_thread(stack.up)
    await room.discovery.scan()
    assert await room.status("found") is ProjectStatus.ACTIVE

    stack.write(f"services:\n  web:\n    image: {paperboy}\n")
    result = await room.discovery.scan()
    # "skipped" when the scan that the start's events asked for has come in between and seen the new file
    assert [action.project for action in result.actions] == ["found"]
    assert result.actions[0].action.value in ("updated", "skipped")
    assert [service.name for service in (await room.stack("found")).services] == ["web"]


async def test_health_is_told_and_a_killed_container_is_seen_at_once(room: Room, clean_lab: Lab, paperboy: str) -> None:
    stack = clean_lab.stack("quick", f"services: {{web: {{image: '{paperboy}'}}}}\n")
    await asyncio.to_thread(stack.up, wait=True)
    await room.discovery.scan()
    await asyncio.sleep(1)
    assert room.runtime.service("quick", "web").health == "healthy"
    (container,) = stack.container_ids("web")
    room.heard.drain()
    stopping = asyncio.ensure_future(asyncio.to_thread(clean_lab.docker, "kill", container))
    await hears(room.heard, lambda event: event == RuntimeChanged("quick", frozenset({"web"})), 2)
    assert room.runtime.service("quick", "web").state == "stopped"
    await stopping


async def test_several_files_overrides_and_conflicts(room: Room, clean_lab: Lab, paperboy: str) -> None:
    stack = clean_lab.stack(
        "several",
        f"services:\n  web: {{image: '{paperboy}'}}\n  db: {{image: '{paperboy}'}}\n",
        files={"pin.yaml": f"services: {{web: {{image: '{paperboy}'}}}}\n"},
    )
    await asyncio.to_thread(stack.up, files=("compose.yaml",))
    await asyncio.to_thread(
        stack.compose, "up", "-d", "--no-deps", "--force-recreate", "web", files=("compose.yaml", "pin.yaml")
    )
    await room.discovery.scan()
    both = (str(stack.file), str(stack.folder / "pin.yaml"))
    assert (await room.stack("several")).compose_files == both
    stack.write("services: {web: {environment: {A: b}}}\n", "pin.yaml")
    result = await room.discovery.scan()
    assert result.actions[0].reason == "config_files_conflict"
    assert (await room.stack("several")).compose_files == both


async def test_included_files_are_followed_and_a_broken_model_keeps_the_stack(
    room: Room, clean_lab: Lab, paperboy: str
) -> None:
    version = await Compose(str(clean_lab.compose_bin)).version()
    if (version.major, version.minor) < (2, 20):
        # Debian's packaged Compose may be older; both lab flavours bring one that knows it, a host's engine may not.
        pytest.skip("this Compose does not know `include`")
    stack = clean_lab.stack(
        "included",
        f"include: [more.yaml]\nservices: {{web: {{image: '{paperboy}'}}}}\n",
        files={"more.yaml": f"services: {{db: {{image: '{paperboy}'}}}}\n"},
    )
    await asyncio.to_thread(stack.up)
    await room.discovery.scan()
    before = await room.stack("included")
    assert [service.name for service in before.services] == ["db", "web"]
    (stack.folder / "more.yaml").unlink()
    await room.discovery.scan()
    (project,) = [row for row in await room.stacks.projects() if row.project == "included"]
    assert (project.last_error or "").startswith("compose_config_unresolved")
    assert "more.yaml" in (project.hint or "")
    assert (await room.stack("included")).services == before.services
    stack.write("services: [oops\n")
    result = await room.discovery.scan()
    assert result.actions[0].reason == f"compose_file_invalid: {stack.file}"
    os.rename(stack.file, stack.folder / "elsewhere.yaml")
    result = await room.discovery.scan()
    assert result.actions[0].reason == f"compose_file_unreadable: {stack.file}"
    assert (await room.stack("included")).services == before.services


async def test_stacks_on_either_engine_are_found(each_lab: Lab, tmp_path: Path) -> None:
    each_lab.registry.publish("stacks/either", "1", each_lab.samples("either").good("1.0"))
    ref = each_lab.registry.ref("stacks/either", "1")
    stack = each_lab.stack("either", f"services: {{web: {{image: '{ref}'}}}}\n")
    await asyncio.to_thread(stack.up, wait=True)
    db, bus, clock = Database(tmp_path / "dockrev.sqlite3"), EventBus(), Clock()
    await db.create_all()
    engine = Engine(each_lab.docker_host)
    stacks = Stacks(db, bus, clock)
    runtime = Runtime(engine, stacks, bus, clock)
    compose = Compose(str(each_lab.compose_bin), docker_host=each_lab.docker_host)
    discovery = Discovery(
        db=db,
        bus=bus,
        clock=clock,
        jobs=JobEngine(db, bus, clock),
        runtime=runtime,
        models=ModelReader(compose, clock),
        interval_seconds=60,
        max_actions=200,
    )
    await discovery.scan()
    (registered,) = await stacks.stacks()
    found = await runtime.running_digests(registered.services)
    assert found[registered.services[0].id].digest == each_lab.registry.digest("stacks/either", "1")
    state = runtime.service("either", "web")
    assert (state.state, state.health) == ("running", "healthy")
    assert runtime.engine.connected
    assert runtime.engine.version
    await bus.settle()
    await engine.close()
    await db.close()
