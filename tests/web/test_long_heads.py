"""Heads without end, from anybody who reaches the port: refused before they cost memory (RFC 6585 §5)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from app.cli.server import LONGEST_HEAD
from tests.web.test_server import Server

GET = b"GET /api/version HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /api/checks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"a" * 65_536
MUCH = 600  # pieces: 39 MB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("heads"))
    made.wait()
    yield made
    made.stop()


def memory(server: Server) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096


def flood(server: Server, begin: bytes, piece: bytes = PIECE, count: int = MUCH) -> tuple[bytes, int]:
    """Send a beginning and then pieces until the server has enough; its answer and how many pieces it took."""
    parts = urlsplit(server.url)
    with closing(socket.create_connection((str(parts.hostname), parts.port or 0), timeout=30)) as there:
        there.sendall(begin)
        taken = 0
        try:
            while taken < count:
                there.sendall(piece)
                taken += 1
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has closed: what the test wants to see
        answer = b""
        try:
            while more := there.recv(65_536):
                answer += more
        except ConnectionResetError:
            pass  # there was more on its way when it closed
        return answer, taken


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (GET + b"X-Long: ", PIECE),
        (GET, b"X-Many: " + b"a" * 2000 + b"\r\n"),
        (GET + b"N", PIECE),
        (b"GET /", PIECE),
        (POST + b"2\r\n{}\r\n0\r\nX-Trailer: ", PIECE),
        (POST + b"2\r\n{}\r\n0\r\n", b"X-Trailer: " + b"a" * 2000 + b"\r\n"),
    ],
    ids=["value", "fields", "name", "address", "trailer", "trailers"],
)
def test_what_does_not_end_is_refused_and_not_kept(server: Server, begin: bytes, piece: bytes) -> None:
    httpx.get(f"{server.url}/api/version")
    before = memory(server)
    answer, taken = flood(server, begin, piece, MUCH * len(PIECE) // len(piece))
    assert taken * len(piece) < MUCH * len(PIECE), "it closes"
    assert memory(server) - before < 16_000_000
    assert answer.count(b"HTTP/1.1 ") <= 1, "one answer to one request"
    if answer and begin.startswith(b"GET"):  # of the others the body may have been answered by then
        assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")), answer[:200]
    assert httpx.get(f"{server.url}/api/version").status_code == 200


def test_it_says_why(server: Server) -> None:
    answer, _ = flood(server, GET + b"X-Long: ", b"a" * LONGEST_HEAD, 8)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ") and b"Connection: close" in head
    assert json.loads(body)["error"]["code"] == "invalid_argument"


def test_what_is_long_for_a_reason_still_comes_in(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for _ in range(3):  # one connection: each request counts anew
            assert client.get("/api/version", headers={"Cookie": "a=" + "b" * 30_000}).status_code == 200
        pieces = (b" " for _ in range(30_000))
        drops = client.post("/api/checks", content=pieces, headers={"Content-Type": "application/json"})
        assert drops.status_code == 400 and drops.json()["error"]["code"] == "invalid_argument"
        large = client.post(
            "/api/checks", content=b" " * 900_000 + b'{"scope": "all"}', headers={"Content-Type": "application/json"}
        )
        assert large.status_code == 200 and large.json()["checkId"], large.text
        assert client.get("/api/version").status_code == 200
