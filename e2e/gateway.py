"""What stands in front of Dockrev and its supervisor: one address, two programs, told apart by the path."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress


class Gateway:
    """Sends `/supervisor…` to one port of this machine and everything else to another; a dead one is a 502."""

    def __init__(self, main: int, supervisor: int) -> None:
        self._ports: Mapping[bool, int] = {True: supervisor, False: main}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """What the browser opens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Gateway:
        """Listen on a free port."""
        self._thread.start()
        self._ready.wait(5)
        return self

    def stop(self) -> None:
        """Close it with all its connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        # A connection that was accepted in the last moment is not ours yet, and asyncio forgets to close its socket
        # when the server is stopped before it is: nothing more is accepted, all becomes ours, then all is closed.
        for listening in server.sockets:
            self._loop.remove_reader(listening.fileno())
        self._loop.run_until_complete(asyncio.sleep(0.1))
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        server.close()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)  # the loop itself would forget it
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request per connection: what follows it on the same one would go to the same program."""
        out: asyncio.StreamWriter | None = None
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            path = head[0].split(b" ")[1]
            kept = [line for line in head[1:-2] if not line.lower().startswith((b"connection:", b"keep-alive:"))]
            to, out = await asyncio.open_connection("127.0.0.1", self._ports[path.startswith(b"/supervisor")])
            out.write(b"\r\n".join([head[0], *kept, b"Connection: close", b"", b""]))
            there = asyncio.ensure_future(_pipe(reader, out))
            try:
                await _pipe(to, writer)
            finally:
                there.cancel()
        except asyncio.CancelledError:
            return
        except (OSError, asyncio.IncompleteReadError, IndexError):
            with suppress(OSError):
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        finally:
            writer.close()
            if out is not None:
                out.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
