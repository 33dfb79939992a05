"""The proxy's connections to the registry behind it: kept open, one request at a time on each."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

from tests.lab.httpwire import HOP_BY_HOP, Answer, Closed, Request, read_answer
from tests.lab.registry import Registry

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Lease:
    """One answer's hold on a connection."""

    def __init__(self, idle: list[_Connection], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._idle = idle
        self._connection: _Connection | None = (reader, writer)

    async def read(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for part in stream:
            yield part
        if self._connection:
            self._idle.append(self._connection)
            self._connection = None

    def end(self) -> None:
        """Give up a connection whose answer was not read to the end."""
        if self._connection:
            self._connection[1].close()
            self._connection = None


class Upstream:
    """Passes requests on to a registry, with the registry's credentials."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._idle: list[_Connection] = []

    async def ask(self, request: Request) -> Answer:
        """The registry's answer. Its stream, read to the end, frees the connection for others;
        its `finish` has to be called in any case."""
        while self._idle:
            reader, writer = self._idle.pop()
            try:
                return await self._exchange(request, reader, writer)
            except (Closed, ConnectionError):  # the registry had closed it meanwhile
                writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._registry.port)
        return await self._exchange(request, reader, writer)

    async def _exchange(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer:
        writer.write(self._bytes(request))
        await writer.drain()
        answer = await read_answer(reader, request.method)
        assert answer.stream
        lease = _Lease(self._idle, reader, writer)
        answer.stream = lease.read(answer.stream)
        answer.finish = lease.end
        return answer

    def _bytes(self, request: Request) -> bytes:
        dropped = HOP_BY_HOP | {"content-length", "authorization", "accept-encoding"}
        lines = [f"{name}: {value}" for name, value in request.headers.items() if name not in dropped]
        if credentials := self._registry.credentials:
            token = base64.b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
            lines.append(f"authorization: Basic {token}")
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            lines.append(f"content-length: {len(request.body)}")
        head = "\r\n".join([f"{request.method} {request.target} HTTP/1.1", *lines])
        return head.encode("latin-1") + b"\r\n\r\n" + request.body

    def close(self) -> None:
        """Close what is idle."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()
