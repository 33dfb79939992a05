"""A small HTTP engine on a unix socket, for what a real one does not do on demand: hang, cut, refuse, change."""

from __future__ import annotations

import json
import socket
import socketserver
import tempfile
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; the methods an answer needs."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def json(self, value: Any, status: int = 200) -> None:
        self.body(json.dumps(value).encode(), status, "application/json")

    def body(self, content: bytes, status: int = 200, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def begin_chunks(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query)

    def _serve(self) -> None:
        engine = self.server.engine
        path = urlsplit(self.path).path
        prefix = f"/v{engine.api_version}"
        engine.seen.append(f"{self.command} {self.path}")
        if path.startswith("/v1.") and not path.startswith(f"{prefix}/"):
            asked = path.split("/")[1].removeprefix("v")
            self.json({"message": f"client version {asked} is too new. Maximum supported API version is 1"}, 400)
            return
        path = path.removeprefix(prefix)
        answer = engine.answers.get(path)
        try:
            if answer is not None:
                answer(self)
            elif path == "/version":
                told = {"Version": "1.0", "ApiVersion": engine.api_version, "Os": "linux", "Arch": "amd64"}
                self.json(told)
            else:
                self.json({"message": f"no such thing: {path}"}, 404)
        except OSError:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815  # the names http.server looks for

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr for each request."""


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    engine: FakeEngine

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        self.engine.connections += 1
        self.engine.open.add(request)
        return request, ("local", 0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """No traceback for clients that leave, which is what many tests are about."""


class FakeEngine:
    """`answers` by path without the version; `seen` holds every request line; `connections` counts sockets."""

    def __init__(self, api_version: str = "1.47") -> None:
        self.api_version = api_version
        self.answers: dict[str, Answer] = {}
        self.seen: list[str] = []
        self.connections = 0
        self.open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.released = threading.Event()
        # A socket's path may not be longer than 108 bytes; a test's own folder can be.
        self._folder = tempfile.TemporaryDirectory(prefix="fe-")
        self.socket = Path(self._folder.name) / "engine.sock"

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    def hang(self, request: Request) -> None:
        """Say nothing until the test is over."""
        self.released.wait(20)

    def start(self) -> None:
        self._server = _Server(str(self.socket), Request)
        self._server.engine = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.socket.unlink(missing_ok=True)

    def __enter__(self) -> FakeEngine:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.stop()
        self._folder.cleanup()
