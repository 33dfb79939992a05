"""A network of the browser's own that never changes.

Chromium drops its connections (ERR_NETWORK_CHANGED) whenever the machine gets or loses a network interface, and every
container that starts or stops does that. So Chromium runs in an empty network namespace; all it can reach is a SOCKS
proxy there, whose connections travel through a Unix socket to this process and from here to the loopback address.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

PORT = 1080


class QuietNetwork:
    """A context manager; `wrapper` is a program that runs Chromium inside."""

    def __init__(self, chromium: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="quiet-"))
        self._socket = self._folder / "proxy"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()
        self._inside: subprocess.Popen[bytes] | None = None
        self.wrapper = self._folder / "chromium"
        self._chromium = chromium

    @staticmethod
    def possible() -> bool:
        """Whether this machine lets us make a namespace."""
        if os.geteuid() != 0 or not all(shutil.which(name) for name in ("unshare", "nsenter", "ip")):
            return False
        return (
            subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False, timeout=10).returncode == 0
        )

    def __enter__(self) -> QuietNetwork:
        self._thread.start()
        self._ready.wait(10)
        self._inside = subprocess.Popen(
            ["unshare", "--net", sys.executable, __file__, str(self._socket)], stdout=subprocess.PIPE
        )
        assert self._inside.stdout is not None
        assert self._inside.stdout.readline().strip() == b"ready", "the browser's network did not come up"
        self.wrapper.write_text(
            f'#!/bin/sh\nexec nsenter --net=/proc/{self._inside.pid}/ns/net "{self._chromium}" "$@"\n'
        )
        self.wrapper.chmod(0o755)
        return self

    def __exit__(self, *_: object) -> None:
        if self._inside is not None:
            self._inside.kill()
            self._inside.wait()
            assert self._inside.stdout is not None
            self._inside.stdout.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_unix_server(_socks, str(self._socket)))
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()


async def _socks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """SOCKS 5 without sign-in, for names and IPv4 addresses; only the loopback address is reached."""
    try:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        await reader.readexactly(4 if kind == 1 else 16 if kind == 4 else (await reader.readexactly(1))[0])
        port = int.from_bytes(await reader.readexactly(2), "big")
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.write(b"\x05\x05\x00\x01" + bytes(6))
            return
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await join(reader, writer, far_reader, far_writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the browser left in the middle
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()


async def join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    """Pass bytes both ways until one side ends."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()

    tasks = {asyncio.ensure_future(pump(reader, far_writer)), asyncio.ensure_future(pump(far_reader, writer))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(OSError, RuntimeError):
            far_writer.close()


async def _inside(path: str) -> None:
    """In the namespace: every connection to the SOCKS port goes to the Unix socket."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(path)
        await join(reader, writer, far_reader, far_writer)
        writer.close()

    server = await asyncio.start_server(forward, "127.0.0.1", PORT)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    for command in (
        "link set lo up",
        # without an interface that has an address and a route, a browser takes itself for offline
        "link add quiet0 type veth peer name quiet1",
        "addr add 192.0.2.2/24 dev quiet0",
        "link set quiet0 up",
        "link set quiet1 up",
        "route add default via 192.0.2.1",
    ):
        subprocess.run(["ip", *command.split()], check=True, timeout=10)
    asyncio.run(_inside(sys.argv[1]))
