"""Clients of the SDK: made late, with a negotiated API version, and with sockets that can be cut from outside."""

from __future__ import annotations

import os
import re
import socket
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.adapters.engine.errors import translate

if TYPE_CHECKING:
    from docker.api.client import APIClient

DEFAULT_ENDPOINT = "unix:///var/run/docker.sock"
CONNECT_TIMEOUT_SECONDS = 10
LOWEST_API_VERSION = "1.41"
KEEPALIVE_IDLE_SECONDS = 60


class Wire:
    """The sockets one client opens. `cut` ends whatever reads from or writes to them, now and later.

    Closing a response from another thread does not wake its reader, and before the headers are here there is no
    response to close; shutting the socket down works at every moment.
    """

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()
        self.is_cut = False

    def remember(self, sock: socket.socket) -> None:
        _keep_alive(sock)
        with self._lock:
            self._sockets.add(sock)
            if self.is_cut:
                _shut(sock)

    def cut(self) -> None:
        with self._lock:
            self.is_cut = True
            for sock in self._sockets:
                _shut(sock)

    def close(self) -> None:
        """Give the sockets back, by the thread that used them and is done: an answer read half keeps its own."""
        with self._lock:
            for sock in self._sockets:
                handle = sock.detach()
                if handle >= 0:
                    os.close(handle)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _keep_alive(sock: socket.socket) -> None:
    """An event stream may be silent for hours: only the kernel can notice that a remote engine is gone."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)


def _watch(client: APIClient, wire: Wire) -> None:
    """Report each socket that `client` opens to `wire`, and bound the time it may take to open one."""
    adapter: Any = client.get_adapter(client.base_url)
    find_pool = adapter.get_connection_with_tls_context

    def watched_pool(*args: Any, **kwargs: Any) -> Any:
        # The SDK's adapter for sockets keeps a pool per address asked for: no two inspects would share a connection.
        unix = hasattr(adapter, "socket_path")
        pool = adapter.get_connection(client.base_url) if unix else find_pool(*args, **kwargs)
        if not getattr(pool, "watched", False):
            pool.watched = True
            make = pool._new_conn
            pool._new_conn = lambda: _watched_connection(make(), wire)
        return pool

    adapter.get_connection_with_tls_context = watched_pool


def _watched_connection(connection: Any, wire: Wire) -> Any:
    connect: Callable[[], None] = connection.connect

    def watched_connect() -> None:
        wanted = connection.timeout
        if not isinstance(wanted, int | float) or wanted > CONNECT_TIMEOUT_SECONDS:
            connection.timeout = CONNECT_TIMEOUT_SECONDS
        try:
            if hasattr(connection, "unix_socket"):
                connection.sock = _open_unix(connection.unix_socket, connection.timeout)
            else:
                connect()
        finally:
            connection.timeout = wanted
        connection.sock.settimeout(wanted if isinstance(wanted, int | float) else None)
        wire.remember(connection.sock)

    connection.connect = watched_connect
    return connection


def _open_unix(path: str, timeout: float) -> socket.socket:
    """A connected socket. The SDK's own code leaves it to the garbage collector when nobody listens."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


class Connection:
    """One shared client for the calls, a client of its own for each stream. Making a Connection connects nothing.

    Blocking throughout: only for threads. The API version is negotiated with the first client, used for those
    after it, and forgotten by `drop` (the engine may have been replaced by another version).
    """

    def __init__(self, host: str | None, docker_config: Path | None, timeout: float) -> None:
        self._host = host
        self._docker_config = docker_config
        self._timeout = timeout
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._shared: APIClient | None = None
        self._wire = Wire()
        self._version: str | None = None
        self.endpoint = _shown(host or os.environ.get("DOCKER_HOST") or DEFAULT_ENDPOINT)

    def shared(self) -> tuple[APIClient, bool]:
        """The client for short calls and whether it was made just now. Raises EngineUnreachable."""
        with self._making:
            with self._lock:
                if self._shared is not None:
                    return self._shared, False
                wire = self._wire
            client = self._make(wire, None)
            with self._lock:
                self._shared, self._version = client, client.api_version
            return client, True

    def for_stream(self, wire: Wire) -> APIClient:
        """A client of its own, its sockets on `wire`. Raises EngineUnreachable."""
        return self._make(wire, self._version)

    def drop(self, client: APIClient | None = None) -> None:
        """Forget the shared client (only if it is still `client`) and the version negotiated with it."""
        with self._lock:
            if self._shared is None or (client is not None and self._shared is not client):
                return
            shared, self._shared, self._version = self._shared, None, None
        shared.close()

    def cut(self) -> None:
        """End all calls under way and let none begin, for shutdown."""
        self._wire.cut()
        self.drop()

    def _make(self, wire: Wire, version: str | None) -> APIClient:
        """A client that speaks `version`, or with None what it agrees on with the engine."""
        client: Any = None
        try:
            from docker.api.client import APIClient
            from docker.constants import MINIMUM_DOCKER_API_VERSION
            from docker.errors import InvalidVersion
            from docker.utils import compare_version

            # The SDK would negotiate in its constructor, where nobody could cut the connection.
            client = APIClient(version=version or MINIMUM_DOCKER_API_VERSION, **self._settings())
            _watch(client, wire)
            if version is None:
                spoken = str(client.version(api_version=False)["ApiVersion"])
                if compare_version(LOWEST_API_VERSION, spoken) < 0:
                    raise InvalidVersion(f"The engine speaks API {spoken}")
                client._version = spoken
            if self._docker_config is not None:
                client.reload_config(dockercfg_path=str(self._docker_config))
        except Exception as exc:
            if client is not None:
                client.close()
            raise translate(exc, endpoint=self.endpoint) from exc
        made: APIClient = client
        return made

    def _settings(self) -> dict[str, Any]:
        from docker.utils import kwargs_from_env

        env = {**os.environ, "DOCKER_HOST": self._host} if self._host else dict(os.environ)
        if env.get("DOCKER_HOST", DEFAULT_ENDPOINT).startswith("unix:"):
            # A unix socket speaks no TLS, whatever the variables for another endpoint say.
            env = {k: v for k, v in env.items() if k not in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")}
        return {**kwargs_from_env(environment=env), "timeout": self._timeout}


def _shown(endpoint: str) -> str:
    return re.sub(r"(?<=://)[^/@]*@", "", endpoint)[:200]
