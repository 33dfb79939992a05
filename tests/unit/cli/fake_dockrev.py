"""A Dockrev of a few lines for the command line's tests: real HTTP on loopback, answers as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

STACK = "stk_01J0000000000000000000NEWS"
WEB, CACHE = "svc_01J0000000000000000000000WEB", "svc_01J00000000000000000000CACHE"


def service(identity: str, name: str, tag: str, **members: Any) -> dict[str, Any]:
    """A service's document."""
    image = {"ref": f"localhost/homelab/{name}:{tag}", "tag": tag, "digest": "sha256:" + "a" * 64}
    return {"id": identity, "name": name, "image": image, "archived": False, **members}


def candidate(version: str, **members: Any) -> dict[str, Any]:
    """A candidate's document."""
    return {"tag": "1", "resolvedTag": version, "digest": "sha256:" + "b" * 64, "archMatch": "match", **members}


@dataclass
class FakeDockrev:
    """Give it stacks, events and answers; read what was asked."""

    services: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    status: str = "success"
    result_reason: dict[str, Any] | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    refuse: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    cut_after: int | None = None
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    url: str = ""

    def posts(self, path: str) -> list[Any]:
        """Bodies posted to a path."""
        return [body for method, asked, body in self.asked if (method, asked) == ("POST", path)]

    def job(self, job_id: str) -> dict[str, Any]:
        """The one job there is, under whatever id."""
        document = {
            "id": job_id,
            "type": "update",
            "scope": "service",
            "status": self.status,
            "createdBy": "alice",
            "createdAt": "2026-05-01T10:00:00Z",
            "summary": self.summary,
            "logsLastId": 0,
            "logs": [{"ts": "2026-05-01T10:00:00Z", "level": "info", "msg": "hello \x1b[31mred\x1b[0m"}],
        }
        return {**document, **({"resultReason": self.result_reason} if self.result_reason else {})}

    def answer(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        """Status and document."""
        if self.refuse.get(path):
            status, document = self.refuse[path].pop(0)
            return status, {"error": document}
        if method == "POST":
            return 200, {"jobId": "job_1", "checkId": "chk_1"}
        if path == "/api/version":
            return 200, {"version": "1.2.3"}
        if path == "/api/stacks":
            return 200, {"stacks": [{"id": STACK, "name": "news"}]}
        if path == f"/api/stacks/{STACK}":
            return 200, {"stack": {"id": STACK, "name": "news", "services": self.services}}
        if path == "/api/jobs":
            return 200, {"jobs": [self.job("job_1")]}
        if path.startswith("/api/jobs/"):
            return 200, {"job": self.job(path.rsplit("/", 1)[1])}
        return 404, {"error": {"code": "not_found", "message": "there is nothing at this address", "details": {}}}


def _handler(fake: FakeDockrev) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve("GET", None)

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length", 0))
            self._serve("POST", json.loads(self.rfile.read(size) or b"{}"))

        def _serve(self, method: str, body: Any) -> None:
            parts = urlsplit(self.path)
            fake.asked.append((method, parts.path, body if method == "POST" else parse_qs(parts.query)))
            fake.headers.append(dict(self.headers))
            if parts.path.endswith("/events"):
                self._stream()
                return
            status, document = fake.answer(method, parts.path, body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self) -> None:
            after = self.headers.get("Last-Event-ID", "")
            fake.resumed.append(after)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b": keep-alive\n\n")
            for number, (name, document) in enumerate(fake.events, start=1):
                if number <= int(after or 0):
                    continue
                if fake.cut_after is not None and number > fake.cut_after:
                    fake.cut_after = None
                    return
                self.wfile.write(f"id: {number}\nevent: {name}\ndata: {json.dumps(document)}\n\n".encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    return Handler


@contextmanager
def running(fake: FakeDockrev) -> Iterator[FakeDockrev]:
    """Serve it on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
