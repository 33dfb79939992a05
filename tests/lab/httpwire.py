"""Just enough HTTP/1.1 to sit between a client and a registry: read requests, write answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization te trailers transfer-encoding upgrade".split()  # noqa: SIM905
)
TLS_HELLO = b"\x16"


class Closed(Exception):
    """The other side closed the connection where a message should begin."""


@dataclass(frozen=True)
class Request:
    """One request, its body read completely. Header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)


@dataclass
class Answer:
    """An answer made here, or one passed on from upstream (then `stream` gives its body)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    finish: Callable[[], None] = lambda: None
    """Called when the answer is done with, whether its stream was read or not."""


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str]]]:
    try:
        head = await reader.readexactly(1)
        if head == TLS_HELLO:  # engines try TLS first; unanswered, they would wait ten seconds
            raise Closed
        head += await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise Closed from error
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    return first, [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]


async def read_request(reader: asyncio.StreamReader) -> Request:
    """The next request of a connection. Raises `Closed` when there is none."""
    first, lines = await _read_head(reader)
    method, target, _ = first.split(" ", 2)
    headers: dict[str, str] = {}
    for name, value in lines:  # engines send one Accept line per media type
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    body = b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b"".join([part async for part in _read_chunks(reader)])
    elif length := int(headers.get("content-length", "0")):
        body = await reader.readexactly(length)
    return Request(method, target, headers, body)


async def read_answer(reader: asyncio.StreamReader, method: str) -> Answer:
    """An answer's head; its `stream` gives the body and has to be read to the end before the next request.

    Raises `Closed` when the connection ended before it.
    """
    first, lines = await _read_head(reader)
    status = int(first.split(" ", 2)[1])
    kinds = {name.lower(): value for name, value in lines}
    answer = Answer(status, {name: value for name, value in lines if name.lower() not in HOP_BY_HOP})
    if method == "HEAD" or status in (204, 304):
        answer.stream = _read_length(reader, 0)
    elif kinds.get("transfer-encoding", "").lower() == "chunked":
        answer.stream = _read_chunks(reader)
    else:
        answer.stream = _read_length(reader, int(kinds.get("content-length", "0")))
    return answer


async def _read_length(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    while length:
        part = await reader.read(min(length, 65536))
        if not part:
            raise Closed
        length -= len(part)
        yield part


async def _read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readline()).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        pass  # trailers, which nobody here sends


def head_bytes(answer: Answer, *, keep_alive: bool) -> bytes:
    """Status line and headers. A streamed answer without a length is sent in chunks."""
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
    named = {name.lower() for name in headers}
    if answer.stream is None and "content-length" not in named and answer.status != HTTPStatus.NOT_MODIFIED:
        headers["Content-Length"] = str(len(answer.body))
    if is_chunked(answer):
        headers["Transfer-Encoding"] = "chunked"
    headers["Connection"] = "keep-alive" if keep_alive else "close"
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def is_chunked(answer: Answer) -> bool:
    """Whether a body, when the method allows one, has to be sent in chunks."""
    if answer.stream is None or answer.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return False
    return "content-length" not in {name.lower() for name in answer.headers}
