"""Dockrev upgrades itself: images of this tree, deployed with `docs/deploy`, through gateway and socket proxy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.lab.deployment import ALICE, deployment
from tests.lab.lab import Lab
from tests.lab.registry import free_port
from tests.lab.stacks import Stack

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

OUTAGE_SECONDS = 5  # beyond what the container takes for its own start


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def deployed(lab: Lab, own: dict[str, str], port: int) -> Iterator[Stack]:
    with deployment(lab, own["0.1.0"], port) as stack:
        yield stack


@pytest.fixture
def console(deployed: Stack, port: int) -> Iterator[httpx.Client]:
    """Somebody who signed in at the gateway."""
    headers = {"Authorization": ALICE}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10, headers=headers) as client:
        yield client


def upgrade(console: httpx.Client, tag: str, mode: str = "apply") -> dict[str, Any]:
    """Start, and follow to the end: the state document."""
    body = {"target": {"tag": tag, "digest": None}, "mode": mode, "rollbackOnFailure": True}
    started = console.post("/supervisor/self-upgrade", json=body)
    assert started.status_code == 200, started.text
    return ended(console, started.json()["opId"])


def ended(console: httpx.Client, operation: str, seconds: float = 240) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = console.get("/supervisor/self-upgrade").json()
        assert found["opId"] == operation
        if found["state"] != "running":
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.25)


def log_of(found: dict[str, Any]) -> str:
    return "\n".join(line["msg"] for line in found["logs"])


def version(console: httpx.Client) -> str:
    return str(console.get("/api/version").json()["version"])


@contextmanager
def watching(console: httpx.Client) -> Iterator[list[float]]:
    """The longest time without an answer of Dockrev, as the only item when it is over."""
    outages: list[float] = []
    over = threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=console.base_url, trust_env=False, timeout=2) as client:
            good, longest = time.monotonic(), 0.0
            while not over.is_set():
                try:
                    if client.get("/api/health").status_code == 200:
                        longest, good = max(longest, time.monotonic() - good), time.monotonic()
                except httpx.TransportError:
                    pass  # what is measured
                time.sleep(0.05)
            outages.append(longest)

    watcher = threading.Thread(target=watch, name="outage")
    watcher.start()
    try:
        yield outages
    finally:
        over.set()
        watcher.join()


def test_dry_run_upgrade_failure_and_the_way_back(deployed: Stack, console: httpx.Client) -> None:
    rule = {"scope": {"type": "service", "serviceId": "svc_1"}, "match": {"kind": "exact", "value": "9.9.9"}}
    kept = console.post("/api/ignores", json=rule).json()["ruleId"]

    def rules() -> list[str]:
        return [found["id"] for found in console.get("/api/ignores").json()["rules"]]

    (before,) = deployed.container_ids("dockrev")
    dry = upgrade(console, "0.2.0", mode="dry-run")
    assert dry["state"] == "succeeded", log_of(dry)
    assert deployed.container_ids("dockrev") == [before]
    assert version(console) == "0.1.0"

    with watching(console) as outage:
        done = upgrade(console, "0.2.0")
        assert done["state"] == "succeeded", log_of(done)
    assert version(console) == "0.2.0"
    assert rules() == [kept]
    print(f"outage of the upgrade {outage[0]:.1f} s")
    assert outage[0] < OUTAGE_SECONDS + 5

    broken = upgrade(console, "0.3.0")
    assert broken["state"] == "rolled_back", log_of(broken)
    assert version(console) == "0.2.0"
    assert rules() == [kept]

    again = upgrade(console, "0.1.0")
    assert again["state"] == "succeeded", log_of(again)
    back = console.post("/supervisor/self-upgrade/rollback", json={"opId": again["opId"]})
    assert back.status_code == 200, back.text
    assert ended(console, again["opId"])["state"] == "rolled_back"
    assert version(console) == "0.2.0"
    assert rules() == [kept]


def test_nothing_of_the_deployment_was_lost(deployed: Stack, console: httpx.Client, lab: Lab) -> None:
    """After upgrades the container is still locked down, has its volumes and is a part of its project."""
    (container,) = deployed.container_ids("dockrev")
    shown = lab.docker(
        "inspect", "--format", "{{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{json .Mounts}}", container
    )
    assert shown.startswith("true 1000:1000 ")
    assert "dockrev_data" in shown
    listed = {stack["name"] for stack in console.get("/api/stacks").json()["stacks"]}
    assert deployed.name in listed
