"""Discovery, checks and pages with 10 to 1,000 services of an engine that answers as a real one with as many would."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tests.bench.figures import Figure
from tests.bench.process import Dockrev
from tests.lab.builder import digest_of
from tests.lab.errors import LabError
from tests.lab.lab import Lab
from tests.unit.engine.fake_engine import FakeEngine, Request

SIZES = (10, 50, 100, 500, 1000)
PER_STACK = 10
TAGS = 50
DISCOVERIES = 5
PAGES = 30
STATEMENTS_GOAL = 8
SERVER_MS_GOAL = 40
PAGE_KB_GOAL = 100
LINEAR_GOAL = 1.25
"""How much more one service of a thousand may cost than one of a hundred: measuring varies by about this much."""


@dataclass(slots=True)
class Size:
    """Of one number of services: seconds, page times in ms, page sizes in kB, statements for a page."""

    services: int
    discovery: list[float] = field(default_factory=list)
    check: float = 0.0
    repeated: list[float] = field(default_factory=list)
    overview_ms: list[float] = field(default_factory=list)
    settings_ms: list[float] = field(default_factory=list)
    page_kb: dict[str, float] = field(default_factory=dict)
    folder: Path = Path()


class ManyContainers(FakeEngine):
    """Answers for containers of `count` services, none at first."""

    def __init__(self, registry: str, digests: dict[str, dict[str, str]], folder: Path) -> None:
        super().__init__("1.41")
        self._registry = registry
        self._digests = digests
        self._stacks = folder
        self.containers: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self.answers = {
            "/containers/json": lambda request: request.json(self.containers),
            "/images/json": lambda request: request.json(self.images),
            "/info": lambda request: request.json({"Name": "bench"}),
            "/events": self._events,
        }

    def _events(self, request: Request) -> None:
        request.begin_chunks()
        self.released.wait(600)

    def bring_up(self, count: int) -> None:
        """`count` services in stacks of ten, with their compose files; each second one has something newer."""
        for first in range(0, count, PER_STACK):
            project = f"many{first // PER_STACK:03}"
            file = self._stacks / project / "compose.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            numbers = range(first, min(first + PER_STACK, count))
            named = "".join(f"  s{number:04}:\n    image: {self._reference(number)}\n" for number in numbers)
            file.write_text(f"name: {project}\nservices:\n{named}")
            for number in numbers:
                self._run(number, project, file)

    def _place(self, number: int) -> tuple[str, str]:
        return f"many/r{number // TAGS:02}", f"1.{number % TAGS}"

    def _reference(self, number: int) -> str:
        repo, tag = self._place(number)
        return f"{self._registry}/{repo}:{tag}"

    def _run(self, number: int, project: str, file: Path) -> None:
        repo, tag = self._place(number)
        digest = digest_of(f"older {number}".encode()) if number % 2 else self._digests[repo][tag]
        image, reference = digest_of(f"image {number}".encode()), self._reference(number)
        self.images.append(
            {
                "Id": image,
                "RepoTags": [reference],
                "RepoDigests": [f"{self._registry}/{repo}@{digest}"],
                "Created": 1_750_000_000,
                "Size": 5_000_000,
                "Labels": {},
            }
        )
        self.containers.append(
            {
                "Id": digest_of(f"container {number}".encode()).removeprefix("sha256:"),
                "Names": [f"/{project}-s{number:04}-1"],
                "Image": reference,
                "ImageID": image,
                "State": "running",
                "Status": "Up 3 hours",
                "Created": 1_750_000_000,
                "HostConfig": {"NetworkMode": f"{project}_default"},
                "Labels": {
                    "com.docker.compose.project": project,
                    "com.docker.compose.service": f"s{number:04}",
                    "com.docker.compose.oneoff": "False",
                    "com.docker.compose.container-number": "1",
                    "com.docker.compose.config-hash": digest_of(reference.encode()),
                    "com.docker.compose.project.config_files": str(file),
                    "com.docker.compose.project.working_dir": str(file.parent),
                },
            }
        )


def publish(lab: Lab) -> dict[str, dict[str, str]]:
    """Repositories with enough tags for the largest size: repository → tag → digest."""
    image = lab.samples("many").no_healthcheck("1")
    tags = [f"1.{number}" for number in range(TAGS)]
    repos = [f"many/r{number:02}" for number in range(-(-max(SIZES) // TAGS))]
    return {repo: lab.registry.publish_many(repo, tags, image) for repo in repos}


@contextmanager
def running(
    lab: Lab, digests: dict[str, dict[str, str]], count: int, turn: int
) -> Iterator[tuple[ManyContainers, Dockrev]]:
    """A fresh Dockrev on such an engine, which has nothing to show yet."""
    folder = lab.folder / f"bench-many-{count}-{turn}"
    engine = ManyContainers(lab.registry.host, digests, folder / "stacks")
    with engine, Dockrev(folder, lab.env() | {"DOCKER_HOST": engine.host}) as dockrev:
        _until(dockrev, lambda: any("/events" in line for line in engine.seen), "the engine is not asked")
        yield engine, dockrev


def discover(engine: ManyContainers, dockrev: Dockrev, count: int) -> float:
    """Seconds in which `count` services are found by a Dockrev that knew of none."""
    dockrev.settle()
    engine.bring_up(count)
    seconds, job = dockrev.job("/api/discovery/scan", {}, "jobId")
    found = job["summary"]["scan"]["summary"]["stacksCreated"]
    if found != -(-count // PER_STACK):
        raise LabError(f"discovery made {found} stacks: {job['summary']}")
    return seconds


def measure(lab: Lab, digests: dict[str, dict[str, str]], count: int) -> Size:
    """Discover in some fresh Dockrevs, in the last of them check three times and ask for pages."""
    size = Size(count)
    for turn in range(1, DISCOVERIES):
        with running(lab, digests, count, turn) as (engine, dockrev):
            size.discovery.append(discover(engine, dockrev, count))
    with running(lab, digests, count, 0) as (engine, dockrev):
        size.folder = dockrev.folder
        size.discovery.append(discover(engine, dockrev, count))
        size.check = dockrev.check()
        dockrev.settle(300)
        size.repeated = [dockrev.check() for _ in range(3)]
        dockrev.settle()
        for path in ("/", "/services"):
            page = dockrev.http.get(path, headers={"Accept": "text/html"}).raise_for_status()
            size.page_kb[path] = len(page.content) / 1000
        size.overview_ms, size.settings_ms = page_times(dockrev, "/"), page_times(dockrev, "/settings")
    return size


def page_times(dockrev: Dockrev, path: str) -> list[float]:
    """Milliseconds of each of some requests for a page."""
    taken = []
    for _ in range(PAGES):
        began = time.perf_counter()
        dockrev.http.get(path, headers={"Accept": "text/html"}).raise_for_status()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def statements(folder: Path) -> int:
    """How many statements the overview of this database takes while nothing runs; beginning a transaction is none.

    In this process, where they can be counted.
    """
    import asyncio

    import httpx
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    from app.main import create_app
    from app.settings import Settings

    counted: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            counted.append(statement)

    async def ask() -> int:
        app = create_app(Settings(db_path=folder / "dockrev.sqlite3", docker_host="unix:///nowhere.sock"))
        transport = httpx.ASGITransport(app=cast(Any, app), client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for _ in range(2):  # the second time everything that is kept in memory is there
                counted.clear()
                (await client.get("/", headers={"Accept": "text/html"})).raise_for_status()
        return len(counted)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        return asyncio.run(ask())
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def figures(sizes: list[Size], overview_statements: int) -> list[Figure]:
    """The lines of the table."""
    by_count = {size.services: size for size in sizes}
    told = [
        Figure(
            "overview of 500 services, in the server", tuple(by_count[500].overview_ms), "ms", SERVER_MS_GOAL, digits=1
        ),
        Figure("overview of 500 services, SQL statements", (overview_statements,), "", STATEMENTS_GOAL, digits=0),
        Figure("overview of 500 services, page", (by_count[500].page_kb["/"],), "kB", digits=0),
        Figure("settings page, in the server", tuple(by_count[500].settings_ms), "ms", SERVER_MS_GOAL, digits=1),
        Figure("services page of 50 services", (by_count[50].page_kb["/services"],), "kB", PAGE_KB_GOAL, digits=0),
    ]
    kinds = (("discovery", "discovery"), ("first check", "check"), ("repeated check", "repeated"))
    for name, attribute in kinds:
        cost = {count: _ms_each(size, attribute) for count, size in by_count.items()}
        told += [
            Figure(f"{name} of {count:,} services, each", (cost[count],), "ms", digits=1)
            for count in cost
            if count != 50
        ]
        told.append(Figure(f"{name}: a service of 1,000 to one of 100", (cost[1000] / cost[100],), "×", LINEAR_GOAL))
    return told


def _ms_each(size: Size, attribute: str) -> float:
    value = getattr(size, attribute)
    return float(statistics.median(value) if isinstance(value, list) else value) * 1000 / size.services


def _until(dockrev: Dockrev, happened: Any, complaint: str) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        if time.monotonic() > deadline:
            raise LabError(f"{complaint}: {dockrev.log[-1000:]}")
        time.sleep(0.02)
