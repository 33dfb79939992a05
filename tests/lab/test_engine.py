"""The engine adapter on real engines: API 1.41 and the newest that can be had."""

from __future__ import annotations

import asyncio
import io
import tarfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from app.adapters.engine import (
    ContainerSummary,
    Engine,
    EngineEvent,
    EngineRefused,
    NoSuchContainer,
    NoSuchImage,
    PullFailed,
    PullProgress,
    RegistryAuth,
)
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab

STACK = """
services:
  web:
    image: {image}
    volumes: ["data:/data", "./conf:/conf:ro", "/anonymous"]
    stop_grace_period: 4s
  plain:
    image: {plain}
    network_mode: "service:web"
volumes:
  data:
"""


@pytest.fixture
async def engine(each_lab: Lab) -> AsyncIterator[Engine]:
    client = Engine(each_lab.docker_host, timeout=20)
    yield client
    await client.close()
    assert not [t.name for t in threading.enumerate() if t.name.startswith("engine-")]


@pytest.fixture
async def web(each_lab: Lab, engine: Engine) -> ContainerSummary:
    """A running, healthy service of a stack."""
    samples = each_lab.samples("paperboy")
    each_lab.registry.publish("engine/paperboy", "1.0", samples.good("1.0.0"))
    each_lab.registry.publish("engine/plain", "1.0", samples.no_healthcheck("1.0.0"))
    refs = {name: each_lab.registry.ref(f"engine/{name}", "1.0") for name in ("paperboy", "plain")}
    stack = each_lab.stack("enginelab", STACK.format(image=refs["paperboy"], plain=refs["plain"]))
    stack.write("x", "conf/file")
    stack.up(wait=True)
    (found,) = await engine.containers([f"com.docker.compose.project={stack.name}", "com.docker.compose.service=web"])
    return found


async def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come true"
        await asyncio.sleep(0.02)


async def test_it_speaks_the_engines_own_version(each_lab: Lab, engine: Engine) -> None:
    told = each_lab.docker("version", "--format", "{{.Server.Version}} {{.Server.APIVersion}}").split()
    info = await engine.info()
    assert [info.version, info.api_version] == told
    assert (info.os, bool(info.name)) == ("linux", True)


async def test_list_and_inspection_agree(engine: Engine, web: ContainerSummary) -> None:
    detail = await engine.container(web.id)
    assert (web.health, web.state, web.service) == ("healthy", "running", "web")
    assert (detail.name, detail.image_id, detail.image_ref) == (web.name, web.image_id, web.image)
    assert detail.labels == web.labels
    assert detail.running
    assert not detail.restarting
    assert detail.started_at is not None
    assert detail.finished_at is None
    assert detail.stop_timeout == 4
    assert detail.health is not None
    assert detail.health.status == "healthy"
    assert "paperboy 1.0.0" in detail.health.log[-1].output
    assert detail.health_policy is not None
    assert detail.health_policy.interval == 1.0
    assert {m.destination: (m.type, m.rw) for m in detail.mounts} == {
        "/anonymous": ("volume", True),
        "/data": ("volume", True),
        "/conf": ("bind", False),
    }
    assert detail.ip.count(".") == 3

    mates = await engine.containers([f"com.docker.compose.project={web.project}"])
    (plain,) = [c for c in mates if c.service == "plain"]
    assert plain.network_mode == f"container:{web.id}"
    assert plain.health is None
    details = await engine.containers_detail([plain.id, "0" * 64, web.id])
    assert [d.id for d in details] == [plain.id, web.id]
    assert details[0].health_policy is None


async def test_images_and_tags(each_lab: Lab, engine: Engine, web: ContainerSummary) -> None:
    image = await engine.image(web.image)
    digest = each_lab.registry.digest("engine/paperboy", "1.0")
    assert image.id == web.image_id
    # other tests may have given the same image names of their own
    assert f"{each_lab.registry.host}/engine/paperboy@{digest}" in image.repo_digests
    assert image.labels["org.opencontainers.image.version"] == "1.0.0"
    other = f"{each_lab.registry.host}/engine/other:kept"
    await engine.tag(web.image_id, other)
    assert other in {tag for found in await engine.images() for tag in found.repo_tags}
    with pytest.raises(NoSuchImage):
        await engine.image(f"{each_lab.registry.host}/engine/none:1")
    with pytest.raises(NoSuchImage):
        await engine.tag("sha256:" + "0" * 64, other)


async def test_pulls(each_lab: Lab, engine: Engine) -> None:
    samples, registry = each_lab.samples("paperboy"), each_lab.registry
    digest = registry.publish("engine/pulls", "2.0", samples.big("2.0.0"))
    seen: list[tuple[float | None, int]] = []

    def on_progress(progress: PullProgress) -> None:
        seen.append((progress.fraction, progress.download()["totalLayers"]))

    ref = f"{registry.host}/engine/pulls@{digest}"
    result = await engine.pull(ref, on_progress=on_progress)
    assert (result.digest, result.downloaded) == (digest, True)
    fractions = [fraction for fraction, _ in seen if fraction is not None]
    assert fractions == sorted(fractions)
    assert seen[-1][0] == 1.0
    assert seen[-1][1] >= 2
    assert not (await engine.pull(ref)).downloaded
    with pytest.raises(PullFailed) as caught:
        await engine.pull(registry.ref("engine/pulls", "none"))
    assert (caught.value.reason, caught.value.permanent) == ("not_found", True)


async def test_pulls_with_a_login(each_lab: Lab, engine: Engine) -> None:
    registry = each_lab.private_registry
    registry.publish("engine/private", "1", each_lab.samples("vault").good("1"))
    ref = registry.ref("engine/private", "1")
    with pytest.raises(PullFailed) as caught:
        await engine.pull(ref)
    assert caught.value.reason == "auth"
    assert registry.credentials is not None
    auth = RegistryAuth(registry.credentials.user, registry.credentials.password, server=registry.host)
    assert (await engine.pull(ref, auth=auth)).downloaded
    each_lab.docker("image", "rm", ref)
    with_config = Engine(each_lab.docker_host, docker_config=each_lab.docker_config / "config.json")
    assert (await with_config.pull(ref)).downloaded
    await with_config.close()


async def test_events_come_within_a_second(each_lab: Lab, engine: Engine, web: ContainerSummary) -> None:
    events: list[tuple[float, EngineEvent]] = []

    async def watch(since: int | None = None) -> None:
        async with aclosing(engine.events(since)) as stream:
            async for event in stream:
                events.append((time.time(), event))

    def saw(action: str) -> Callable[[], bool]:
        return lambda: any(e.action == action and e.id == web.id for _, e in events)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.3)
    await engine.stop(web.id, grace=1)
    await engine.start(web.id)
    await eventually(saw("start"))
    await eventually(saw("health_status"))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert all(seen - event.time_ns / 1e9 < 1 for seen, event in events)
    assert saw("die")()
    healthy = next(e for _, e in events if e.action == "health_status")
    assert healthy.health == "healthy"
    assert healthy.attributes["com.docker.compose.service"] == "web"
    assert not any(e.action.startswith("exec") for _, e in events), "health checks must not flood the stream"

    started = next(e for _, e in events if e.action == "start")
    events.clear()
    watching = asyncio.create_task(watch(started.time_ns))
    await eventually(saw("health_status"))
    assert saw("start")(), "what happened since then is told again"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_logs_and_life_cycle(engine: Engine, web: ContainerSummary) -> None:
    assert await engine.logs(web.id) == "paperboy 1.0.0 starting\npaperboy 1.0.0 ready\n"
    assert await engine.logs(web.id, tail=1) == "paperboy 1.0.0 ready\n"
    followed = engine.follow_logs(web.id)
    lines = b""

    async def follow() -> None:
        nonlocal lines
        async with aclosing(followed) as chunks:
            async for chunk in chunks:
                lines += chunk

    following = asyncio.create_task(follow())
    await eventually(lambda: b"ready" in lines)
    await engine.stop(web.id)
    await asyncio.wait_for(following, 10)
    assert b"stopping" in lines
    await engine.stop(web.id)
    assert (await engine.container(web.id)).finished_at is not None
    await engine.start(web.id)
    await engine.start(web.id)
    await engine.restart(web.id, grace=1)
    assert (await engine.container(web.id)).running
    with pytest.raises(EngineRefused):
        await engine.remove(web.id)
    await engine.remove(web.id, force=True)
    for call in (engine.container(web.id), engine.start(web.id), engine.logs(web.id), engine.remove(web.id)):
        with pytest.raises(NoSuchContainer):
            await call


async def test_archives_out_and_in(each_lab: Lab, engine: Engine, web: ContainerSummary) -> None:
    fill = "mkdir /data/deep; echo hello >/data/deep/file; dd if=/dev/zero of=/data/big bs=1024 count=3000 2>/dev/null"
    each_lab.docker("exec", web.id, "sh", "-c", fill)
    assert await engine.path_size(web.id, "/data") == 3000 * 1024 + 6
    assert await engine.path_size(web.id, "/data", limit=10) >= 6
    tree = b"".join([chunk async for chunk in engine.read_archive(web.id, "/data")])
    with tarfile.open(fileobj=io.BytesIO(tree)) as tar:
        assert {"data/deep/file", "data/big"} <= set(tar.getnames())

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(tree), 65_536):
            yield tree[start : start + 65_536]

    each_lab.docker("exec", web.id, "sh", "-c", "rm -r /data/deep /data/big")
    await engine.stop(web.id, grace=1)
    await engine.write_archive(web.id, "/", chunks())
    await engine.start(web.id)
    assert each_lab.docker("exec", web.id, "cat", "/data/deep/file") == "hello\n"

    for call in (engine.path_size(web.id, "/none"), engine.write_archive(web.id, "/none", chunks())):
        with pytest.raises(EngineRefused) as caught:
            await call
        assert caught.value.http_status == 404
    for call in (engine.path_size("none", "/data"), engine.write_archive("none", "/", chunks())):
        with pytest.raises(NoSuchContainer):
            await call


async def test_a_twin_shows_the_same_data_and_locks_nobody_out(
    each_lab: Lab, engine: Engine, web: ContainerSummary
) -> None:
    each_lab.docker("exec", web.id, "sh", "-c", "dd if=/dev/urandom of=/data/big bs=1048576 count=30 2>/dev/null")
    async with engine.twin(web.id) as twin, aclosing(engine.read_archive(twin, "/data")) as chunks:
        await anext(chunks)
        async with asyncio.timeout(5):
            assert (await engine.container(web.id)).running
            assert "ready" in await engine.logs(web.id)
        assert twin not in {c.id for c in await engine.containers()}, "a twin never runs"
    with pytest.raises(NoSuchContainer):
        await engine.container(twin)
    volumes = each_lab.docker("volume", "ls", "-q").split()
    async with engine.twin(web.id) as twin:
        assert (await engine.container(twin)).project == ""
        assert await engine.path_size(twin, "/data") == 30 * 1024 * 1024
        assert await engine.remove_twins() == 1
    assert each_lab.docker("exec", web.id, "ls", "/data") == "big\n"
    assert each_lab.docker("volume", "ls", "-q").split() == volumes
