"""The client against an engine that hangs, cuts, refuses and changes."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from app.adapters.engine import (
    Engine,
    EngineRefused,
    EngineUnreachable,
    NoSuchContainer,
    PullFailed,
    PullProgress,
    RegistryAuth,
)
from tests.unit.engine.fake_engine import FakeEngine, Request


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    with FakeEngine() as running:
        yield running


@pytest.fixture
async def engine(fake: FakeEngine) -> AsyncIterator[Engine]:
    client = Engine(fake.host, timeout=5)
    yield client
    await client.close()


def engine_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("engine") and t.is_alive()]


async def gone(seconds: float = 2.0) -> bool:
    """Whether all threads of the adapter end within `seconds`."""
    until = time.monotonic() + seconds
    while engine_threads() and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return not engine_threads()


def archive(*sizes: int) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number, size in enumerate(sizes):
            entry = tarfile.TarInfo(f"data/{'long' * 60}/{number}")
            entry.size = size
            tar.addfile(entry, io.BytesIO(b"x" * size))
    return target.getvalue()


def test_constructing_imports_and_connects_nothing() -> None:
    code = (
        "import sys; from app.adapters.engine import Engine; Engine('tcp://192.0.2.1:2375');"
        "sys.exit('docker' in sys.modules or 'requests' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


async def test_one_connection_serves_many_calls(fake: FakeEngine, engine: Engine) -> None:
    fake.answers["/containers/json"] = lambda r: r.json([])
    for number in range(20):
        fake.answers[f"/containers/{number}/json"] = lambda r: r.json({})
        await engine.container(str(number))
        await engine.containers(["a=b", "c"], all=True)
    assert fake.connections == 1
    assert [line for line in fake.seen if "/version" in line] == ["GET /version"]
    assert "all=1" in fake.seen[-1]
    assert "a%3Db" in fake.seen[-1]


@pytest.mark.parametrize("api_version", ["1.41", "1.44", "1.51", "1.59"])
async def test_the_version_is_negotiated(fake: FakeEngine, engine: Engine, api_version: str) -> None:
    fake.api_version = api_version
    fake.answers["/info"] = lambda r: r.json({"Name": "host"})
    info = await engine.info()
    assert (info.api_version, info.name, info.platform) == (api_version, "host", "linux/amd64")


async def test_a_forbidden_info_leaves_the_name_out(fake: FakeEngine, engine: Engine) -> None:
    fake.answers["/info"] = lambda r: r.body(b"<html>403 Forbidden</html>", 403)
    assert (await engine.info()).name == ""


async def test_too_old_an_engine_is_refused_with_a_remedy(fake: FakeEngine, engine: Engine) -> None:
    fake.api_version = "1.39"
    with pytest.raises(EngineRefused) as caught:
        await engine.ping()
    assert "20.10" in caught.value.hint


async def test_an_engine_of_another_version_is_negotiated_anew(fake: FakeEngine, engine: Engine) -> None:
    fake.answers["/containers/json"] = lambda r: r.json([])
    await engine.containers()
    fake.api_version = "1.41"  # a downgrade that the connection survives
    await engine.containers()
    assert fake.seen[-1].startswith("GET /v1.41/")


async def test_calls_come_back_after_the_engine_was_away(fake: FakeEngine, engine: Engine) -> None:
    fake.answers["/containers/json"] = lambda r: r.json([])
    await engine.containers()
    fake.stop()
    with pytest.raises(EngineUnreachable) as caught:
        await engine.containers()
    assert caught.value.details["reason"] == "no_such_file"
    fake.api_version = "1.41"
    fake.start()
    await engine.containers()
    assert fake.seen[-1].startswith("GET /v1.41/")


async def test_a_silent_engine_is_unreachable_in_time(fake: FakeEngine) -> None:
    fake.answers["/containers/json"] = fake.hang
    engine = Engine(fake.host, timeout=0.3)
    with pytest.raises(EngineUnreachable) as caught:
        await engine.containers()
    assert caught.value.details["reason"] == "timeout"
    await engine.close()


async def test_no_engine_names_the_path(tmp_path: object) -> None:
    engine = Engine(f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineUnreachable) as caught:
        await engine.ping()
    assert f"{tmp_path}/none.sock" in caught.value.message
    assert "no such file" in caught.value.message
    await engine.close()


async def test_credentials_of_the_endpoint_stay_hidden() -> None:
    assert Engine("tcp://bob:hunter2@engine.example:2375").endpoint == "tcp://engine.example:2375"


async def test_closing_ends_calls_and_streams_that_hang(fake: FakeEngine) -> None:
    fake.answers["/containers/json"] = fake.hang
    fake.answers["/events"] = fake.hang
    engine = Engine(fake.host, timeout=30)
    call = asyncio.create_task(engine.containers())

    async def watch() -> None:
        async with aclosing(engine.events()) as events:
            async for _ in events:
                pass  # none comes; to hang here is what is tested

    stream = asyncio.create_task(watch())
    while not any("/events" in line for line in fake.seen) or not any("/json" in line for line in fake.seen):
        await asyncio.sleep(0.01)
    began = time.monotonic()
    await engine.close()
    results = await asyncio.gather(call, stream, return_exceptions=True)
    assert time.monotonic() - began < 10
    assert all(isinstance(result, EngineUnreachable) for result in results)
    assert await gone()
    with pytest.raises(EngineUnreachable):
        await engine.containers()


async def test_events_are_filtered_parsed_and_end_in_an_error(fake: FakeEngine, engine: Engine) -> None:
    def events(r: Request) -> None:
        r.begin_chunks()
        r.chunk(b'{"Type":"container","Action":"exec_create: sh","Actor":{"ID":"a"},"timeNano":1}\n')
        r.chunk(b'{"Type":"container","Action":"health_status: unhealthy","Actor":{"ID":"a"},"timeNano":2}\n')
        r.chunk(b"")
        r.close_connection = True

    fake.answers["/events"] = events
    got = []
    with pytest.raises(EngineUnreachable) as caught:
        async with aclosing(engine.events(since=1_700_000_000_000_000_005)) as stream:
            async for event in stream:
                got.append((event.action, event.health, event.id))
    assert got == [("health_status", "unhealthy", "a")]
    assert caught.value.details["reason"] == "lost"
    request = next(line for line in fake.seen if "/events" in line)
    assert "since=1700000000.000000005" in request
    assert "exec" not in request
    assert await gone() or all(not t.name.startswith("engine-") for t in engine_threads())


async def test_a_proxy_that_forbids_events_is_no_lost_connection(fake: FakeEngine, engine: Engine) -> None:
    fake.answers["/events"] = lambda r: r.body(b"<html><body><h1>403 Forbidden</h1></body></html>", 403)
    with pytest.raises(EngineRefused) as caught:
        async for _ in engine.events():
            pass  # the first step raises
    assert "EVENTS" in caught.value.hint


@pytest.mark.parametrize("after_headers", [True, False])
async def test_cancelling_a_pull_ends_its_thread(fake: FakeEngine, engine: Engine, after_headers: bool) -> None:
    def create(r: Request) -> None:
        if after_headers:
            r.begin_chunks()
            r.chunk(b'{"status":"Pulling fs layer","id":"aaa"}\n')
        fake.hang(r)

    fake.answers["/images/create"] = create
    task = asyncio.create_task(engine.pull("x:1"))
    while not any("/images/create" in line for line in fake.seen):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone()


async def test_a_pull_takes_no_longer_than_its_time(fake: FakeEngine, engine: Engine) -> None:
    fake.answers["/images/create"] = fake.hang
    with pytest.raises(PullFailed) as caught:
        await engine.pull("x:1", timeout=0.2)
    assert caught.value.reason == "timeout"
    assert not caught.value.permanent
    assert await gone()


async def test_a_pull_reports_progress_and_its_digest(fake: FakeEngine, engine: Engine) -> None:
    def create(r: Request) -> None:
        r.begin_chunks()
        for current in range(0, 101, 10):
            r.chunk(b'{"status":"Downloading","id":"aaa","progressDetail":{"current":%d,"total":100}}\r\n' % current)
        r.chunk(b'{"status":"Digest: sha256:feed"}\r\n{"status":"Status: Downloaded newer image for x:1"}\r\n')
        r.chunk(b"")

    fake.answers["/images/create"] = create
    seen: list[float | None] = []

    async def on_progress(progress: PullProgress) -> None:
        seen.append(progress.fraction)

    auth = RegistryAuth("alice", "hunter22", server="r.example")
    result = await engine.pull("r.example/x:1@sha256:ff", auth=auth, on_progress=on_progress)
    assert (result.digest, result.downloaded) == ("sha256:feed", True)
    assert seen[-1] == 1.0
    request = next(line for line in fake.seen if "/images/create" in line)
    assert "tag=sha256%3Aff" in request
    assert "fromImage=r.example%2Fx&" in f"{request.split()[1]}&"
    assert "hunter22" not in request


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, '{"errorDetail":{"message":"toomanyrequests: slow"},"error":"toomanyrequests: slow"}', "rate_limited"),
        (404, '{"message":"manifest for x:1 not found: manifest unknown"}', "not_found"),
        (404, '{"message":"pull access denied for x, repository does not exist"}', "auth"),
        (500, '{"message":"toomanyrequests: You have reached your pull rate limit"}', "rate_limited"),
        (500, '{"message":"no space left on device"}', "no_space"),
        (404, '{"message":"No such image: x:1"}', "not_found"),
    ],
)  # fmt: skip
async def test_failed_pulls_say_why(fake: FakeEngine, engine: Engine, status: int, body: str, reason: str) -> None:
    def create(r: Request) -> None:
        if status != 200:
            return r.body(body.encode(), status, "application/json")
        r.begin_chunks()
        r.chunk(body.encode() + b"\r\n")
        return r.chunk(b"")

    fake.answers["/images/create"] = create
    with pytest.raises(PullFailed) as caught:
        await engine.pull("x:1")
    assert caught.value.reason == reason


async def test_logs_are_demultiplexed_and_bounded(fake: FakeEngine, engine: Engine) -> None:
    def frame(kind: int, text: bytes) -> bytes:
        return bytes([kind, 0, 0, 0]) + len(text).to_bytes(4, "big") + text

    def logs(r: Request) -> None:
        r.begin_chunks()
        for _ in range(40):
            r.chunk(frame(1, b"o" * 16_384))
        r.chunk(frame(2, b"\x1b[31mlast\x1b[0m\n"))
        r.chunk(b"")

    fake.answers["/containers/abc/json"] = lambda r: r.json({"Config": {"Tty": False}})
    fake.answers["/containers/abc/logs"] = logs
    text = await engine.logs("abc", tail=50)
    assert text.endswith("o\x1b[31mlast\x1b[0m\n")
    assert len(text) == 256 * 1024
    assert any("tail=50" in line for line in fake.seen)


async def test_logs_of_a_terminal_are_taken_as_they_are(fake: FakeEngine, engine: Engine) -> None:
    def logs(r: Request) -> None:
        r.begin_chunks()
        r.chunk(b"plain \x1b[1mterminal\r\n")
        r.chunk(b"")

    fake.answers["/containers/abc/json"] = lambda r: r.json({"Config": {"Tty": True}})
    fake.answers["/containers/abc/logs"] = logs
    assert await engine.logs("abc") == "plain \x1b[1mterminal\r\n"


async def test_sizes_come_from_the_archives_headers(fake: FakeEngine, engine: Engine) -> None:
    tar = archive(1_000, 0, 70_000, 3)

    def get(r: Request) -> None:
        r.begin_chunks()
        for start in range(0, len(tar), 10_000):
            r.chunk(tar[start : start + 10_000])
        r.chunk(b"")

    fake.answers["/containers/abc/archive"] = get
    assert await engine.path_size("abc", "/data") == 71_003
    assert await engine.path_size("abc", "/data", limit=500) == 1_000


async def test_a_size_that_takes_too_long_is_given_up(fake: FakeEngine, engine: Engine) -> None:
    def get(r: Request) -> None:
        r.begin_chunks()
        r.chunk(archive(5)[:600])
        fake.hang(r)

    fake.answers["/containers/abc/archive"] = get
    with pytest.raises(EngineRefused) as caught:
        await engine.path_size("abc", "/data", timeout=0.2)
    assert not caught.value.permanent
    assert await gone()


async def test_an_unread_archive_waits_and_a_left_one_ends(fake: FakeEngine, engine: Engine) -> None:
    sent = 0

    def get(r: Request) -> None:
        nonlocal sent
        r.begin_chunks()
        for _ in range(400):
            r.chunk(b"x" * 262_144)
            sent += 1

    fake.answers["/containers/abc/archive"] = get
    async with aclosing(engine.read_archive("abc", "/data")) as chunks:
        async for _ in chunks:
            await asyncio.sleep(0.3)
            break
    assert 0 < sent < 40, "the thread must not read ahead of its reader"
    assert await gone()


async def test_what_is_written_arrives_whole(fake: FakeEngine, engine: Engine) -> None:
    received = bytearray()

    def put(r: Request) -> None:
        while (size := int(r.rfile.readline(), 16)) > 0:
            received.extend(r.rfile.read(size))
            r.rfile.readline()
        r.rfile.readline()
        r.body(b"")

    fake.answers["/containers/abc/archive"] = put

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(50):
            yield bytes([number]) * 1_000
            await asyncio.sleep(0)

    await engine.write_archive("abc", "/data", chunks())
    assert bytes(received) == b"".join(bytes([n]) * 1_000 for n in range(50))
    assert await gone()


async def test_a_source_that_fails_never_looks_like_the_whole(fake: FakeEngine, engine: Engine) -> None:
    ended_well = threading.Event()

    def put(r: Request) -> None:
        while (size := int(r.rfile.readline() or b"-1", 16)) > 0:
            r.rfile.read(size + 2)
        if size == 0:
            ended_well.set()

    fake.answers["/containers/abc/archive"] = put

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 1_000
        raise RuntimeError("the disk failed")

    with pytest.raises(RuntimeError, match="disk"):
        await engine.write_archive("abc", "/data", chunks())
    assert await gone()
    assert not ended_well.wait(0.2)


async def test_vanished_containers_are_left_out(fake: FakeEngine, engine: Engine) -> None:
    for name in ("aa", "cc"):
        fake.answers[f"/containers/{name}/json"] = lambda r, name=name: r.json({"Id": name})  # type: ignore[misc]
    fake.answers["/containers/bb/json"] = lambda r: r.json({"message": "No such container: bb"}, 404)
    assert [found.id for found in await engine.containers_detail(["aa", "bb", "cc"])] == ["aa", "cc"]
    with pytest.raises(NoSuchContainer):
        await engine.container("bb")


async def test_stopping_waits_as_long_as_the_container_asks(fake: FakeEngine, engine: Engine) -> None:
    fake.answers["/containers/abc/json"] = lambda r: r.json({"Config": {"StopTimeout": 77}})
    fake.answers["/containers/abc/stop"] = lambda r: r.body(b"", 204)
    fake.answers["/containers/abc/restart"] = lambda r: r.body(b"", 204)
    await engine.stop("abc")
    assert fake.seen[-1].endswith("/stop?t=77")
    await engine.restart("abc", grace=3)
    assert fake.seen[-1].endswith("/restart?t=3")


async def test_changes_are_not_repeated_when_the_connection_breaks(fake: FakeEngine, engine: Engine) -> None:
    def cut(r: Request) -> None:
        r.close_connection = True

    fake.answers["/containers/abc/start"] = cut
    fake.answers["/containers/json"] = lambda r: r.json([])
    await engine.containers()
    with pytest.raises(EngineUnreachable):
        await engine.start("abc")
    assert sum("/start" in line for line in fake.seen) == 1
