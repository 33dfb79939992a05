"""58 services behind 50 ms: repeated checks and the memory after them (what peers were measured by), newer versions."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.bench.figures import Figure
from tests.bench.process import Dockrev
from tests.lab.errors import LabError
from tests.lab.faults import FaultProxy, RateLimit
from tests.lab.lab import Lab
from tests.lab.stacks import Stack

SERVICES = 58
TAGS = 305
PER_STACK = 5
LATENCY = 0.05
REPEATS = 5

MB_PEERS = (("WUD", 140.0), ("Tugtainer", 173.0), ("Drydock", 221.0))
REQUEST_PEERS = (("WUD", 174.0), ("Diun", 174.0), ("Tugtainer", 174.0), ("Drydock", 522.0))
PULL_PEERS = (("WUD", 58.0), ("Diun", 0.0), ("Tugtainer", 0.0), ("Drydock", 232.0))
SECOND_PEERS = (("WUD", 1.35), ("Diun", 1.17), ("Tugtainer", 72.0), ("Drydock", 102.0))


@dataclass(slots=True)
class Measured:
    """Of each repeated check: seconds, requests, those that count as pulls; and the memory after them in MB."""

    first: float = 0.0
    first_requests: int = 0
    seconds: list[float] = field(default_factory=list)
    requests: list[float] = field(default_factory=list)
    pulls: list[float] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)
    pss: list[float] = field(default_factory=list)


def bring_up(lab: Lab, proxy: FaultProxy) -> list[Stack]:
    """58 running services, each of a repository of its own with 305 tags, half of them following `latest`.

    Every second one has something newer: its tag moved after its container was made.
    """
    tags = [f"1.{number}" for number in range(TAGS - 1)]
    image = lab.samples("bench").no_healthcheck("1")
    names = [f"s{number:02}" for number in range(SERVICES)]
    for name in names:
        lab.registry.publish_many(f"bench/{name}", tags, image)
        lab.registry.retag(f"bench/{name}", "1.250", "latest")
    stacks = []
    for start in range(0, SERVICES, PER_STACK):
        services = ", ".join(
            f"{name}: {{image: '{proxy.ref(f'bench/{name}', 'latest' if number % 2 else '1.250')}', "
            "command: [sleep, '36000'], network_mode: none}"
            for number, name in enumerate(names[start : start + PER_STACK], start)
        )
        stacks.append(lab.stack(f"bench{start // PER_STACK:02}", f"services: {{{services}}}"))
    for stack in stacks:
        stack.up()
    for name in names[1::4]:
        lab.registry.retag(f"bench/{name}", tags[-1], "latest")
    return stacks


def repeated(lab: Lab, proxy: FaultProxy) -> Measured:
    """A fresh Dockrev on what `bring_up` made: first check, rest, then the repeated checks."""
    measured = Measured()
    proxy.latency = LATENCY
    with Dockrev(lab.folder / "bench-checks", lab.env()) as dockrev:
        _wait_for_services(dockrev, SERVICES)
        dockrev.settle()
        proxy.requests.clear()
        measured.first = dockrev.check()
        dockrev.settle()
        measured.first_requests = len(proxy.requests)
        for _ in range(REPEATS):
            proxy.requests.clear()
            measured.seconds.append(dockrev.check())
            time.sleep(0.3)  # whatever it would ask afterwards counts too
            measured.requests.append(len(proxy.requests))
            measured.pulls.append(proxy.count("GET", r"/manifests/"))
            dockrev.settle()
            memory = dockrev.memory()
            measured.rss.append(memory["VmRSS"])
            measured.pss.append(memory["Pss"])
    return measured


@dataclass(frozen=True, slots=True)
class Looked:
    """Looking for newer versions of 58 pinned services: requests by kind, at first and when all is known."""

    lists: int
    heads: int
    manifests: int
    total: int
    again: int
    seconds: float
    told: int


QUOTA = 100


def bring_up_pinned(lab: Lab, proxy: FaultProxy) -> list[Stack]:
    """58 running services, each pinned in a repository of its own with 305 tags, newer ones at all three distances."""
    samples = lab.samples("bench")
    old, names = samples.no_healthcheck("1"), [f"p{number:02}" for number in range(SERVICES)]
    tags = [f"1.{number}.0" for number in range(TAGS - 3)]
    for name in names:
        lab.registry.publish_many(f"bench/{name}", tags, old)
        for newer in ("1.250.1", f"1.{TAGS}.0", "2.0.0"):
            lab.registry.publish(f"bench/{name}", newer, samples.no_healthcheck(f"{name}-{newer}"))
    stacks = []
    for start in range(0, SERVICES, PER_STACK):
        services = ", ".join(
            f"{name}: {{image: '{proxy.ref(f'bench/{name}', '1.250.0')}', "
            "command: [sleep, '36000'], network_mode: none}"
            for name in names[start : start + PER_STACK]
        )
        stacks.append(lab.stack(f"pinned{start // PER_STACK:02}", f"services: {{{services}}}"))
    for stack in stacks:
        stack.up()
    return stacks


def look_for_newer(lab: Lab, proxy: FaultProxy) -> Looked:
    """A fresh Dockrev with the pull quota of a stranger at Docker Hub: what it asks beside the tags it follows."""
    proxy.latency, proxy.rate_limit = LATENCY, RateLimit(limit=QUOTA, remaining=QUOTA)
    proxy.requests.clear()
    with Dockrev(lab.folder / "bench-newer", lab.env()) as dockrev:
        _wait_for_services(dockrev, SERVICES)
        dockrev.settle()  # services that are found are checked by themselves
        dockrev.check()
        dockrev.settle()
        seen = [request for request in proxy.requests if not request.path.endswith("/manifests/1.250.0")]
        times = [request.started for request in seen]
        lists = sum(request.path.endswith("/tags/list") for request in seen)
        heads = sum(request.method == "HEAD" for request in seen)
        manifests = sum(request.method == "GET" and "/manifests/" in request.path for request in seen)
        told = sum(len(dockrev.get(f"/api/services/{each['id']}/versions")["versions"]) for each in dockrev.services())
        dockrev.settle()  # looking at every service brings its details, as far as the quota goes
        proxy.requests.clear()
        dockrev.check()
        dockrev.settle()
        return Looked(lists, heads, manifests, len(seen), len(proxy.requests) - SERVICES, times[-1] - times[0], told)


def newer_figures(looked: Looked) -> list[Figure]:
    """The lines of the table."""
    assert looked.told == 4 * SERVICES, f"{looked.told} versions are told of {SERVICES} services"
    about = f"newer versions of {SERVICES} services"
    return [
        Figure(f"{about}, tag lists", (looked.lists,), "", SERVICES, digits=0),
        Figure(f"{about}, requests", (looked.total,), "", SERVICES * 10, digits=0),
        Figure(f"{about}, manifests of a quota of {QUOTA}", (looked.manifests,), "", QUOTA // 2, digits=0),
        Figure(f"{about}, requests once known", (looked.again,), "", 0, digits=0),
        Figure(f"{about}, in the background", (looked.seconds,), "s"),
    ]


def _wait_for_services(dockrev: Dockrev, wanted: int) -> None:
    deadline = time.monotonic() + 60
    while (found := len(dockrev.services())) < wanted:
        if time.monotonic() > deadline:
            raise LabError(f"discovery found {found} of {wanted} services")
        time.sleep(0.3)


def figures(measured: Measured) -> list[Figure]:
    """The lines of the table."""
    return [
        Figure("repeated check, requests", tuple(measured.requests), "", 60, REQUEST_PEERS, digits=0),
        Figure("repeated check, manifests fetched", tuple(measured.pulls), "", 0, PULL_PEERS, digits=0),
        Figure("repeated check", tuple(measured.seconds), "s", 1.0, SECOND_PEERS),
        Figure("memory after two checks (RSS)", (measured.rss[0],), "MB", 90, MB_PEERS, digits=0),
        Figure(f"memory after {REPEATS + 1} checks (RSS)", (measured.rss[-1],), "MB", 90, digits=0),
    ]
