"""Dockrev upgrades itself, with images of this tree behind the deployed gateway: outage, sizes, supervisor's memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import httpx

from tests.bench.figures import Figure
from tests.lab.deployment import ALICE, deployment
from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.own_image import own_images, sizes
from tests.lab.registry import free_port
from tests.lab.stacks import Stack

VERSIONS: Final = ("0.2.0", "0.1.0", "0.2.0", "0.1.0", "0.2.0")
OUTAGE_GOAL: Final = 5.0
"""Seconds beyond what the new container takes for its own start."""
IMAGE_MB_GOAL: Final = 160.0
SUPERVISOR_MB_GOAL: Final = 45.0
SETTLED_SECONDS: Final = 3.0
_READ_MEMORY: Final = """
import glob, os
for file in glob.glob("/proc/[0-9]*/status"):
    if f"/{os.getpid()}/" not in file:
        print(open(file).read().partition("VmRSS:")[2].split()[0])
"""


def figures(lab: Lab) -> list[Figure]:
    """Upgrades there and back, watched through the gateway."""
    images, port = own_images(lab), free_port()
    megabytes = sizes(lab)
    outages: list[float] = []
    beyond: list[float] = []
    with (
        deployment(lab, images["0.1.0"], port) as stack,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20, headers={"Authorization": ALICE}
        ) as console,
    ):
        memory = _supervisor_memory(lab, stack, console)
        for version in VERSIONS:
            with _answers(console) as good:
                _upgrade(console, version)
                time.sleep(0.5)
            last, first = max(pairwise(good), key=lambda gap: gap[1] - gap[0])
            outages.append(first - last)
            beyond.append(_started(lab, stack) - last)
    return [
        Figure("console away while Dockrev upgrades itself", tuple(outages), "s"),
        Figure("of it before the new container is started", tuple(beyond), "s", OUTAGE_GOAL),
        Figure("supervisor's memory, once looked at (RSS)", (memory,), "MB", SUPERVISOR_MB_GOAL, digits=0),
        Figure("image without docker CLI and Compose", (megabytes["slim"],), "MB", IMAGE_MB_GOAL, digits=0),
        Figure("image with them", (megabytes["full"],), "MB", digits=0),
    ]


def _supervisor_memory(lab: Lab, stack: Stack, console: httpx.Client) -> float:
    console.get("/supervisor/", headers={"Accept": "text/html"}).raise_for_status()
    console.get("/supervisor/self-upgrade").raise_for_status()
    time.sleep(SETTLED_SECONDS)
    (container,) = stack.container_ids("supervisor")
    # The engine has processes of its own, and the first one of the container is its init.
    told = lab.docker("exec", container, "python3", "-c", _READ_MEMORY)
    return max(int(line) for line in told.splitlines()) * 1024 / 1e6


def _started(lab: Lab, stack: Stack) -> float:
    (container,) = stack.container_ids("dockrev")
    text = lab.docker("inspect", "--format", "{{.State.StartedAt}}", container).strip()
    return datetime.fromisoformat(text[:26] + "+00:00").timestamp()


def _upgrade(console: httpx.Client, version: str) -> None:
    body = {"target": {"tag": version, "digest": None}, "mode": "apply", "rollbackOnFailure": True}
    console.post("/supervisor/self-upgrade", json=body).raise_for_status()
    found: dict[str, Any] = {"state": "running"}
    while found["state"] == "running":
        time.sleep(0.2)
        found = console.get("/supervisor/self-upgrade").json()
    if found["state"] != "succeeded":
        raise LabError(f"the upgrade to {version} ended as {found['state']}: {found['progress']}")


@contextmanager
def _answers(console: httpx.Client) -> Iterator[list[float]]:
    """The moments of good answers of Dockrev's health."""
    good: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=console.base_url, trust_env=False, timeout=2) as client:
            while not over.wait(0.02):
                try:
                    if client.get("/api/health").status_code == 200:
                        good.append(time.time())
                except httpx.TransportError:
                    pass  # what is measured

    asking = threading.Thread(target=ask, name="health")
    asking.start()
    try:
        yield good
    finally:
        over.set()
        asking.join()
