"""What an update takes in Dockrev, over `docker compose pull` and `up --wait` by hand on the same images."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from tests.bench.figures import Figure
from tests.bench.process import Dockrev
from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.lab.stacks import Stack

RUNS = 4
GOAL = 1.5
REPO = "bench/updated"


def figures(lab: Lab) -> list[Figure]:
    """By hand and by Dockrev in turns, each time to an image that was never there; the first pair warms up."""
    samples = lab.samples("updated")
    lab.registry.publish(REPO, "1", samples.good("1.0.0"))
    stack = lab.stack("updated", f"services: {{web: {{image: '{lab.registry.ref(REPO, '1')}'}}}}").up(wait=True)
    by_hand, by_dockrev = [], []
    try:
        with Dockrev(lab.folder / "bench-update", lab.env()) as dockrev:
            for number in range(RUNS + 1):
                lab.registry.publish(REPO, "1", samples.good(f"1.{number}.1"))
                by_hand.append(_by_hand(stack))
                digest = lab.registry.publish(REPO, "1", samples.good(f"1.{number}.2"))
                by_dockrev.append(_by_dockrev(dockrev, digest))
    finally:
        stack.down()
    ours, theirs = by_dockrev[1:], by_hand[1:]
    over = tuple(one - median(theirs) for one in ours)
    return [
        Figure("update by hand: compose pull, up --wait", tuple(theirs), "s"),
        Figure("update by Dockrev, to the end of its job", tuple(ours), "s"),
        Figure("update, what Dockrev takes more", over, "s", GOAL),
    ]


def _by_hand(stack: Stack) -> float:
    began = time.perf_counter()
    stack.compose("pull", "--quiet")
    stack.compose("up", "--detach", "--wait")
    return time.perf_counter() - began


def _by_dockrev(dockrev: Dockrev, digest: str) -> float:
    service = _service(dockrev)
    dockrev.check()
    dockrev.settle()
    candidate = _service(dockrev)["candidate"]
    if candidate["digest"] != digest:
        raise LabError(f"the check found {candidate} instead of {digest}")
    body = {
        "scope": "service",
        "serviceId": service["id"],
        "targetTag": candidate["tag"],
        "targetDigest": digest,
        "pullTags": [],
        "mode": "apply",
    }
    seconds, _ = dockrev.job("/api/updates", body, "jobId")
    dockrev.settle()
    return seconds


def _service(dockrev: Dockrev) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for service in dockrev.services():
            if service["name"] == "web":
                return service
        time.sleep(0.2)
    raise LabError("discovery does not find the service")
