"""`docs/deploy/compose.yaml` on the lab; what cannot be pulled is replaced by the same programs of Debian."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.lab.debian_image import debian_image
from tests.lab.lab import Lab
from tests.lab.packages import PROJECT
from tests.lab.socket_proxy import configuration
from tests.lab.stacks import Stack

DEPLOY = PROJECT / "docs/deploy"
# The line that `htpasswd -nbB -C 4 alice correct-horse` writes.
HTPASSWD = "alice:$2y$04$foBP9GOpQX9vkD83slP9RuxJNiBnni1xug/O5WWgDFOVgcR2qjf8C\n"
ALICE = "Basic " + base64.b64encode(b"alice:correct-horse").decode()

_OVERRIDE = """
services:
  gateway:
    command: [nginx, "-g", "daemon off;"]
  docker-socket-proxy:
    command: [haproxy, -db, -f, /haproxy.cfg]
    volumes: !override
      - {socket}:/var/run/docker.sock
      - ./haproxy.cfg:/haproxy.cfg:ro
"""


@contextmanager
def deployment(
    lab: Lab,
    image: str,
    port: int,
    variables: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Up and healthy behind its gateway at `port` of 127.0.0.1, where alice may come in; `more` are files beside it."""
    repository, _, tag = image.rpartition(":")
    known = {
        "IMAGE": repository,
        "TAG": tag,
        "GATEWAY_IMAGE": debian_image(lab),
        "SOCKET_PROXY_IMAGE": debian_image(lab),
        "STACKS": str(lab.folder / "stacks"),
        "ALLOWED_USER": "alice",
        "LISTEN": f"127.0.0.1:{port}",
        **(variables or {}),
    }
    files = {
        ".env": "".join(f"{name}={value}\n" for name, value in known.items()),
        "gateway.conf": (DEPLOY / "gateway.conf").read_text(encoding="utf-8"),
        "htpasswd": HTPASSWD,
        "haproxy.cfg": configuration(),
        "compose.override.yaml": _OVERRIDE.format(socket=lab.docker_host.removeprefix("unix://")),
        **(more or {}),
    }
    stack = lab.stack("dockrev", (DEPLOY / "compose.yaml").read_text(encoding="utf-8"), files)
    lab.stacks.remove(stack)  # it outlives the tests that clean up after themselves
    try:
        stack.up(wait=True)
        yield stack
    finally:
        stack.down()
