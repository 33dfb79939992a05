"""How calls and streams of the engine reach threads, and how they end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from app.adapters.engine.connection import Connection, Wire
from app.adapters.engine.errors import EngineRefused, EngineUnreachable, translate, version_refused
from app.adapters.engine.streams import Outflow, Streams

if TYPE_CHECKING:
    from docker.api.client import APIClient

T = TypeVar("T")

THREADS = 8
CHUNKS_AHEAD = 4
DEFAULT_TIMEOUT_SECONDS = 30.0
CLOSE_WAIT_SECONDS = 2.0


class Plumbing:
    """A pool of eight threads for short calls, a thread and a client of its own for each stream."""

    def __init__(
        self,
        host: str | None = None,
        *,
        docker_config: Path | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self._connection = Connection(host, docker_config, timeout)
        self._streams = Streams()
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._shared: dict[str, tuple[str, ...]] = {}  # by container, see `shared_by`

    @property
    def endpoint(self) -> str:
        """Where the engine is looked for, without credentials."""
        return self._connection.endpoint

    async def close(self) -> None:
        """End all streams and calls under way and the threads with them. The engine object is of no use after."""
        self._closed = True
        threads = self._streams.cut()
        self._connection.cut()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(_join, threads)

    async def _call(self, verb: Callable[[APIClient], T], *, about: str = "", again: bool = True) -> T:
        """Run `verb` in a thread of the pool; `again` allows a second try when a kept connection turns out dead."""
        if self._closed:
            raise EngineUnreachable("Dockrev is shutting down", permanent=True)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="engine")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._perform, verb, about, again)

    def _perform(self, verb: Callable[[APIClient], T], about: str, again: bool) -> T:
        for last in (False, True):
            client, fresh = self._connection.shared()
            try:
                return verb(client)
            except Exception as exc:
                error = translate(exc, endpoint=self.endpoint, about=about)
                lost, outdated = isinstance(error, EngineUnreachable), version_refused(error)
                if lost or outdated:
                    self._connection.drop(client)
                stale = outdated or (lost and again and error.details["reason"] == "lost")
                if last or fresh or self._closed or not stale:
                    raise error from exc
        raise AssertionError("unreachable")

    async def _stream(
        self, name: str, open_stream: Callable[[Any], Iterable[T]], ahead: int, *, about: str = ""
    ) -> AsyncGenerator[list[T], None]:
        """Batches from a stream of the engine, read by a thread with a client of its own."""
        if self._closed:
            raise EngineUnreachable("Dockrev is shutting down", permanent=True)

        def produce(wire: Wire) -> Iterator[T]:
            client = None
            try:
                client = self._connection.for_stream(wire)
                yield from open_stream(client)
            except Exception as exc:
                error = translate(exc, endpoint=self.endpoint, about=about)
                if isinstance(error, EngineUnreachable) or version_refused(error):
                    self._connection.drop()
                raise error from exc
            finally:
                if client is not None:
                    client.close()
                wire.close()

        async with aclosing(self._streams.read(name, produce, ahead)) as batches:
            async for batch in batches:
                yield batch

    async def _send(
        self,
        name: str,
        consume: Callable[[Any, Iterator[bytes]], None],
        chunks: AsyncIterator[bytes],
        timeout: float,
        *,
        about: str,
    ) -> None:
        """Let a thread send `chunks` to the engine; an end before the last chunk never looks like the whole."""
        wire, outflow = Wire(), Outflow[bytes](CHUNKS_AHEAD)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def send() -> None:
            error: BaseException | None = None
            try:
                client = self._connection.for_stream(wire)
                client.timeout = int(timeout) or 1
                consume(client, iter(outflow))
            except BaseException as exc:
                error = translate(exc, endpoint=self.endpoint, about=about)
            wire.close()
            outflow.stop_reading()
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, done, error)

        self._streams.start(name, send, wire)
        sent = False
        try:
            async with asyncio.timeout(timeout) as limit:
                async for chunk in chunks:
                    if not await outflow.put(chunk):
                        break
                sent = True
                outflow.end()
                await done
        except TimeoutError:
            if not limit.expired():
                raise
            raise too_slow("Writing into the container", timeout) from None
        finally:
            outflow.end(aborted=not sent)
            wire.cut()


def too_slow(what: str, timeout: float) -> EngineRefused:
    return EngineRefused(f"{what} took longer than {timeout:g} s", permanent=False)


def _settle(done: asyncio.Future[None], error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
        done.exception()  # whoever aborted does not wait for it


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(CLOSE_WAIT_SECONDS / max(1, len(threads)))
