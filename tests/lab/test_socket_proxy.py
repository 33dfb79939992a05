"""Behind a socket proxy: what works with the groups of `docs/deploy/compose.yaml`, what stops without each."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from app.adapters.engine import EngineError
from app.core.errors import Conflict, DockrevError
from app.core.jobs import JobStatus
from tests.lab.house import House, house
from tests.lab.lab import Lab
from tests.lab.packages import PROJECT
from tests.lab.socket_proxy import PATHS, socket_proxy

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300), pytest.mark.usefixtures("debian")]

COMPOSE = (PROJECT / "docs/deploy/compose.yaml").read_text(encoding="utf-8")
GROUPS = dict.fromkeys(re.findall(r"^      ([A-Z]+): 1$", COMPOSE, re.MULTILINE), "1")


def stack_with_an_update(lab: Lab, name: str) -> None:
    samples = lab.samples(name)
    lab.registry.publish(f"sp/{name}", "1", samples.good("1.0.0"))
    ref = lab.registry.ref(f"sp/{name}", "1")
    web = f"{{image: '{ref}', volumes: ['data:/data']}}"
    lab.stack(name, f"services: {{web: {web}}}\nvolumes: {{data: {{}}}}").up(wait=True)
    lab.registry.publish(f"sp/{name}", "1", samples.good("2.0.0"))


async def test_with_these_groups_everything_works(clean_lab: Lab, tmp_path: Path) -> None:
    lab = clean_lab
    stack_with_an_update(lab, "all")
    with socket_proxy(lab, GROUPS) as address:
        async with house(lab, tmp_path, docker_host=address, background=True) as home:
            await home.look()
            web = await home.only("all", "web")
            lab.docker("exec", web.id, "sh", "-c", "echo precious > /data/notes")
            job = await home.update("all", "web", backupMode="force")
            assert job.status is JobStatus.SUCCESS, await home.log(job.id)
            backup = job.summary["stacks"][0]["backup"]
            assert backup["status"] == "success"

            web = await home.only("all", "web")
            lab.docker("exec", web.id, "sh", "-c", "echo ruined > /data/notes")
            done = await home.finished(await home.restores.start(backup["backupId"], "tester"))
            assert done.status is JobStatus.SUCCESS, await home.log(done.id)
            assert lab.docker("exec", web.id, "cat", "/data/notes").strip() == "precious"

            lab.registry.publish("sp/all", "1", lab.samples("all").never_healthy("3.0.0"))
            await home.look()
            job = await home.update("all", "web")
            assert job.status is JobStatus.ROLLED_BACK, await home.log(job.id)
            web = await home.only("all", "web")
            assert lab.docker("exec", web.id, "cat", "/app/version").strip() == "2.0.0"

            assert "2.0.0 ready" in await home.engine.logs(web.id, tail=50)
            await hears_of_a_restart(home, lab, web.id)


async def hears_of_a_restart(home: House, lab: Lab, container: str) -> None:
    """The engine's events come through, at once."""
    heard: list[str] = []

    async def listen() -> None:
        async with aclosing(home.engine.events()) as events:
            async for event in events:
                heard.append(str(event))

    listener = asyncio.create_task(listen())
    await asyncio.sleep(0.5)
    lab.docker("restart", "--time", "1", container)
    began = time.monotonic()
    while not any(container[:12] in event for event in heard):
        assert time.monotonic() - began < 10, heard
        await asyncio.sleep(0.05)
    listener.cancel()
    await asyncio.wait([listener])


# What docs/deploy/README.md says, by where an update ends.
WITHOUT = {
    "VERSION": "no look",
    "CONTAINERS": "no look",
    "IMAGES": "no candidate",
    "POST": "failed",
    "NETWORKS": "rolled_back",
    "VOLUMES": "rolled_back",
    "PING": "rolled_back",
    "EVENTS": "success",
    "INFO": "success",
}


@pytest.mark.parametrize("group", sorted(GROUPS))
async def test_without_one_group(clean_lab: Lab, tmp_path: Path, group: str) -> None:
    lab, name = clean_lab, f"no-{group.lower()}"
    stack_with_an_update(lab, name)
    running = lab.stacks[0].container_ids("web")
    with socket_proxy(lab, GROUPS | {group: "0"}) as address:
        async with house(lab, tmp_path, docker_host=address) as home:
            ended = await where_it_ends(home, name)
            if group == "INFO":
                assert (await home.engine.info()).root_dir == ""
            if group == "EVENTS":
                with pytest.raises(DockrevError):
                    async with aclosing(home.engine.events()) as events:
                        await anext(events)
    assert ended == WITHOUT[group]
    if ended != "success":
        assert lab.stacks[0].container_ids("web") == running, "what cannot be updated is left as it was"
        assert lab.docker("exec", running[0], "cat", "/app/version").strip() == "1.0.0"


async def where_it_ends(home: House, name: str) -> str:
    try:
        await home.look()
    except EngineError:
        return "no look"
    try:
        return (await home.update(name, "web")).status.value
    except Conflict:
        return "no candidate"


def test_the_proxy_of_the_tests_has_the_groups() -> None:
    assert set(GROUPS) - {"POST"} <= set(PATHS)
    assert set(GROUPS) == set(WITHOUT)
