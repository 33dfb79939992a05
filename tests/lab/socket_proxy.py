"""A socket proxy like the one of `docs/deploy`: Debian's HAProxy with a switch for each group of the engine's API.

The well-known image (tecnativa/docker-socket-proxy) is HAProxy with such rules too, and cannot be pulled here: a group
is a path's beginning, after an optional version; what is no GET needs POST besides; everything else is 403.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from tests.lab.debian_image import debian_image
from tests.lab.lab import Lab
from tests.lab.registry import free_port

PATHS = {
    "AUTH": "auth", "BUILD": "build", "COMMIT": "commit", "CONFIGS": "configs", "CONTAINERS": "containers",
    "DISTRIBUTION": "distribution", "EVENTS": "events", "EXEC": "exec", "GRPC": "grpc", "IMAGES": "images",
    "INFO": "info", "NETWORKS": "networks", "NODES": "nodes", "PING": "_ping", "PLUGINS": "plugins",
    "SECRETS": "secrets", "SERVICES": "services", "SESSION": "session", "SWARM": "swarm", "SYSTEM": "system",
    "TASKS": "tasks", "VERSION": "version", "VOLUMES": "volumes",
}  # fmt: skip
GIVEN = {"EVENTS": "1", "PING": "1", "VERSION": "1"}  # what that image allows unless told otherwise


def configuration() -> str:
    """haproxy.cfg."""
    rules = "\n".join(
        f"  http-request allow if {{ path,url_dec -m reg -i ^(/v[0-9.]+)?/{path} }} {{ env({group}) -m bool }}"
        for group, path in PATHS.items()
    )
    return f"""global
  log stdout format raw daemon info
  maxconn 500
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 10m
  timeout server 10m
frontend api
  bind :2375
  http-request deny unless METH_GET || {{ env(POST) -m bool }}
{rules}
  http-request deny
  use_backend stream if {{ path,url_dec -m reg -i ^(/v[0-9.]+)?/events }}
  default_backend engine
backend engine
  server docker unix@/var/run/docker.sock
backend stream
  timeout server 24h
  server docker unix@/var/run/docker.sock
"""


@contextmanager
def socket_proxy(lab: Lab, groups: Mapping[str, str]) -> Iterator[str]:
    """The address of a running one (`tcp://…`) that allows these groups."""
    path = lab.folder / "haproxy.cfg"
    path.write_text(configuration())
    port = free_port()
    given = [part for name, value in (GIVEN | dict(groups)).items() for part in ("--env", f"{name}={value}")]
    container = lab.docker(
        *("run", "--detach", "--publish", f"127.0.0.1:{port}:2375", *given),
        *("--volume", f"{path}:/haproxy.cfg:ro"),
        *("--volume", f"{lab.docker_host.removeprefix('unix://')}:/var/run/docker.sock"),
        *(debian_image(lab), "haproxy", "-db", "-f", "/haproxy.cfg"),
    ).strip()
    try:
        deadline = time.monotonic() + 15
        while not _answers(port):
            assert time.monotonic() < deadline, lab.docker("logs", container)
            time.sleep(0.05)
        yield f"tcp://127.0.0.1:{port}"
    finally:
        lab.docker("rm", "--force", container, check=False)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=2, trust_env=False).status_code == 403
    except httpx.TransportError:
        return False
