"""Runs an application under uvicorn."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.exits import Exit, Failure

if TYPE_CHECKING:
    from litestar import Litestar
    from starlette.applications import Starlette

GRACE_SECONDS = 2
LONGEST_HEAD = 65_536
"""Bytes of a head, or of fields after a body. The parser has no limit of its own and keeps all of it, before anybody is
asked who he is."""
_TOO_LONG = (
    b'{"error":{"code":"invalid_argument","message":"the head of the request is too long",'
    b'"details":{"hint":"Send fewer or shorter header fields; long cookies count too."}}}'
)
TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_TOO_LONG), _TOO_LONG)
)  # RFC 6585 §5
SETTLE_SECONDS = 1.0


@contextmanager
def listen(host: str, port: int, *, variable: str) -> Iterator[socket.socket]:
    """A listening socket. Raises Failure: 4 when the port is taken, 2 when the address is not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(host, port, variable, error) from error
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(address)
            listener.listen(256)
        except OSError as error:
            raise _cannot_listen(host, port, variable, error) from error
        yield listener


@contextmanager
def own(path: Path) -> Iterator[socket.socket]:
    """A socket for the process that started this one; both end together."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(16)
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
        yield listener


def _end_with_parent() -> None:
    while os.read(0, 100):
        pass  # what the parent writes does not matter; that it has closed the pipe does
    os.kill(os.getpid(), signal.SIGTERM)


def _cannot_listen(host: str, port: int, variable: str, error: OSError) -> Failure:
    if error.errno == errno.EADDRINUSE:
        return Failure(
            f"port {port} of {host} is in use",
            exit_code=Exit.CONFLICT,
            hint=f"Is Dockrev running already? Another port: {variable}={host}:{port + 1}",
            code="conflict",
        )
    return Failure(
        f"cannot listen at {host}:{port}: {error.strerror or error}",
        exit_code=Exit.USAGE,
        hint=f"{variable} names the address; ports below 1024 need more rights.",
        code="invalid_settings",
    )


def shown_url(listener: socket.socket) -> str:
    """The address to type into a browser on this machine."""
    if listener.family == socket.AF_UNIX:
        return "a private socket"
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  only compared
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(application: Litestar | Starlette, listener: socket.socket, ready: str) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is printed when the first request can be answered.

    Ends within a few seconds also with streams open. No `Forwarded` header is believed here: who may speak for others
    is decided by forward auth.
    """
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    from app.cli.memory import settle

    class Protocol(HttpToolsProtocol):
        _unused = 0  # bytes that came since the last one that was of any use; the parser keeps them
        _in_head = True

        def data_received(self, data: bytes) -> None:
            self._unused += len(data)
            super().data_received(data)
            if self._unused > LONGEST_HEAD and not self.transport.is_closing():
                if self._in_head and (self.cycle is None or self.cycle.response_complete):  # one answer to a request
                    self.transport.write(TOO_LONG)
                self.transport.close()

        def on_message_begin(self) -> None:
            self._unused, self._in_head = 0, True
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._unused, self._in_head = 0, False
            # Fields after the body go to the same list: without a copy, a trailer would count as an identity header
            # although the proxy has replaced those of the head only.
            self.scope["headers"] = list(self.headers)
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._unused = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._unused = 0
            super().on_message_complete()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                click.echo(f"{ready}  (Ctrl-C stops it)" if sys.stdout.isatty() else ready)
                sys.stdout.flush()
                asyncio.get_running_loop().call_later(SETTLE_SECONDS, settle)  # not before the first answer

    config = uvicorn.Config(
        application,
        loop="asyncio",
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    signal.signal(signal.SIGTERM, _end)  # uvicorn repeats the signal when it has stopped; that is a good end
    try:
        Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        click.echo("", err=True)


def _end(number: int, frame: Any) -> None:
    sys.exit(Exit.OK)
