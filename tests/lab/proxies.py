"""Debian's Caddy and nginx with the very configurations of docs/forward-auth.md, and an identity provider to ask."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal

from e2e.server import Server
from tests.lab.packages import PROJECT, fetch
from tests.lab.registry import free_port

Kind = Literal["caddy", "nginx"]
Provider = Literal["authelia", "authentik"]
PAIRS: Final[list[tuple[Kind, Provider]]] = [
    ("caddy", "authelia"),
    ("caddy", "authentik"),
    ("nginx", "authelia"),
    ("nginx", "authentik"),
]
LANGUAGES: Final = {"caddy": "caddyfile", "nginx": "nginx"}
READY_SECONDS: Final = 15.0

# Who has a session: user, groups, address, name.
PEOPLE: Final = {
    "alice": ("alice", ("admins", "users"), "alice@example.org", "Alice Jönsson"),
    "mallory": ("mallory", ("users",), "mallory@example.org", "Mallory"),
}
HEADERS: Final[dict[Provider, tuple[tuple[str, ...], str]]] = {
    "authelia": (("Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name"), ","),
    "authentik": (("X-authentik-username", "X-authentik-groups", "X-authentik-email", "X-authentik-name"), "|"),
}


def snippet(kind: Kind, provider: Provider) -> str:
    """The configuration in the documentation."""
    text = (PROJECT / "docs/forward-auth.md").read_text(encoding="utf-8")
    (found,) = (
        block
        for block in re.findall(rf"```{LANGUAGES[kind]}\n(.*?)```", text, re.DOTALL)
        if f"{provider}:" in block  # its address
    )
    return str(found)


class _Provider(BaseHTTPRequestHandler):
    """Answers as Authelia (a bypass rule: strangers pass without a name) and Authentik do (strangers must sign in)."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        provider: Provider = "authentik" if self.path.startswith("/outpost.goauthentik.io/") else "authelia"
        cookie = SimpleCookie(self.headers.get("Cookie", ""))
        person = PEOPLE.get(cookie["session"].value) if "session" in cookie else None
        headers: dict[str, str] = {}
        status = 200
        if person is not None:
            names, separator = HEADERS[provider]
            user, groups, email, name = person
            headers = dict(zip(names, (user, separator.join(groups), email, name), strict=True))
        elif provider == "authentik":
            status = 302 if self.path.endswith("/caddy") else 401
            headers = {"Location": "/outpost.goauthentik.io/start"} if status == 302 else {}
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value.encode().decode("latin-1"))  # UTF-8 on the wire, as both send it
        self.send_header("Content-Length", "0")
        self.end_headers()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # Caddy asks with GET, nginx with the method of the request
            return self.do_GET
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        """Not a line on stderr for each request of a test."""


@contextmanager
def identity_provider() -> Iterator[str]:
    """Its address, while it runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs, and the Dockrev behind it."""

    kind: Kind
    provider: Provider
    port: int
    behind: Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running_proxy(
    kind: Kind, provider: Provider, folder: Path, *, identity: str, dockrev: Server, text: str = ""
) -> Iterator[Proxy]:
    """One in front of `dockrev`, which asks `identity` (host:port); `text` replaces the documented configuration.

    Raises LabUnavailable without packages.
    """
    folder.mkdir(parents=True)
    port = free_port()
    text = re.sub(rf"{provider}:\d+", identity, text or snippet(kind, provider))
    text = text.replace("127.0.0.1:50883", f"127.0.0.1:{dockrev.port}")
    command = _caddy(text, port, folder) if kind == "caddy" else _nginx(text, port, folder)
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=home)
    try:
        _wait(process, port, folder / "log")
        yield Proxy(kind, provider, port, dockrev)
    finally:
        process.kill()  # it holds nothing, and would wait for streams
        process.wait()


@contextmanager
def guarded_dockrevs(folder: Path) -> Iterator[dict[tuple[Kind, Provider], Proxy]]:
    """A Dockrev for each provider's preset, each behind both proxies. Only 127.0.0.1 is trusted, and `admins` allowed.

    Raises LabUnavailable without packages.
    """
    with ExitStack() as stack:
        identity = stack.enter_context(identity_provider())
        servers = {provider: _dockrev(folder / provider, provider) for provider in HEADERS}
        with ThreadPoolExecutor() as together:
            list(together.map(Server.start, servers.values()))
        for server in servers.values():
            stack.callback(server.stop)
        proxies = {}
        for kind, provider in PAIRS:
            place = folder / f"{kind}-{provider}"
            running = running_proxy(kind, provider, place, identity=identity, dockrev=servers[provider])
            proxies[kind, provider] = stack.enter_context(running)
        yield proxies


def _dockrev(folder: Path, provider: Provider) -> Server:
    folder.mkdir()
    return Server(
        folder,
        {
            "DOCKER_HOST": f"unix://{folder}/none.sock",
            "DOCKREV_AUTH_PRESET": provider,
            "DOCKREV_AUTH_ALLOWED_GROUP": "admins",
            "DOCKREV_TRUSTED_PROXIES": "127.0.0.1/32",
        },
    )


def _caddy(text: str, port: int, folder: Path) -> list[str]:
    site = text.replace("dockrev.example.org {", f"http://:{port} {{\n\tbind 127.0.0.1", 1)
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + site)
    program = fetch("caddy") / "usr/bin/caddy"
    return [str(program), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def _nginx(text: str, port: int, folder: Path) -> list[str]:
    temporary = "\n".join(
        f"  {name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    server = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    (folder / "nginx.conf").write_text(
        f"daemon off;\nuser root;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr;\n"
        f"events {{ worker_connections 256; }}\nhttp {{\n  access_log off;\n{temporary}\n{server}}}\n"
    )
    program = fetch("nginx") / "usr/sbin/nginx"
    return [str(program), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the proxy does not listen:\n{log.read_text(errors='replace')[-3000:]}")
