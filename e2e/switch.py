"""A wire to the engine that can be cut: a Unix socket of our own in front of the engine's."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from e2e.quiet import join


class Wire:
    """Give `docker_host` to a server, then `cut` and `mend`."""

    def __init__(self, docker_host: str, folder: Path) -> None:
        self._far = docker_host.removeprefix("unix://")
        self._near = folder / "engine.sock"
        self.docker_host = f"unix://{self._near}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    def mend(self) -> None:
        """Connections reach the engine (again)."""
        self._do(self._listen())

    def cut(self) -> None:
        """Open connections break, new ones are refused."""
        self._do(self._close())

    def stop(self) -> None:
        """Cut it for good."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: asyncio.Future[None] | object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._near.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._forward, str(self._near))

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._near.unlink(missing_ok=True)
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._far)
            await join(reader, writer, far_reader, far_writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # cut, as a test wanted it
        finally:
            self._open.discard(task)
            writer.close()
