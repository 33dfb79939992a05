"""A world in memory: one project with Dockrev in it, images that answer or do not, a database that is a real file."""

from __future__ import annotations

import copy
import io
import json
import re
import sqlite3
import tarfile
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from app.core.errors import Unavailable
from app.supervisor.world import (
    SCHEMA_LABEL,
    VERSION_LABEL,
    Container,
    Host,
    Image,
    OnLine,
    Place,
    Probe,
    StackOf,
)

REPO = "ghcr.io/ivanli-cn/dockrev"
DATABASE = "/data/dockrev.sqlite3"
FILES = ("/srv/dockrev/compose.yaml",)


def digest_of(version: str) -> str:
    """A digest for a version."""
    return "sha256:" + f"{sum(map(ord, version)):064x}"


def image_of(version: str, *, schema: str | None = "0001", platform: str = "linux/amd64") -> Image:
    """An image that says what it is."""
    labels = {VERSION_LABEL: version, **({SCHEMA_LABEL: schema} if schema else {})}
    return Image(f"sha256:id-{version}", (f"{REPO}@{digest_of(version)}",), platform, 50_000_000, labels)


def database_with(schema: str, note: str) -> bytes:
    """A database's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
            connection.execute("INSERT INTO alembic_version VALUES (?)", (schema,))
            connection.execute("CREATE TABLE notes (note TEXT)")
            connection.execute("INSERT INTO notes VALUES (?)", (note,))
        connection.close()
        return path.read_bytes()


def note_in(content: bytes) -> str:
    """The note in a database's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        path.write_bytes(content)
        connection = sqlite3.connect(path)
        try:
            return str(connection.execute("SELECT note FROM notes").fetchone()[0])
        finally:
            connection.close()


def dockrev(version: str = "0.1.0", **changes: object) -> Container:
    """Dockrev's container."""
    made = Container(
        id="a" * 63 + "1",
        name="house-dockrev-1",
        image=f"{REPO}:latest",
        image_id=image_of(version).id,
        project="house",
        service="dockrev",
        files=FILES,
        working_dir="/srv/dockrev",
        addresses=("172.20.0.2",),
        mounts=("/data",),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class FakeWorld:
    """See the module. `registry` is what a pull brings; `sick` versions never answer; `fails` names calls that fail."""

    containers: list[Container] = field(default_factory=lambda: [dockrev()])
    local: dict[str, Image] = field(default_factory=lambda: {f"{REPO}:latest": image_of("0.1.0")})
    registry: dict[str, Image] = field(default_factory=dict)
    kept: list[Image] = field(default_factory=lambda: [image_of("0.1.0")])
    files: dict[str, bytes] = field(default_factory=dict)
    sick: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    free_bytes: int | None = 10_000_000_000
    unreachable: bool = False
    closed: int = 0

    def copied(self) -> FakeWorld:
        """The world as it is now."""
        return copy.deepcopy(self)

    @property
    def version(self) -> str:
        """What runs, '' when nothing does."""
        running = [each for each in self.containers if each.running and each.service == "dockrev"]
        return running[0].image_id.removeprefix("sha256:id-") if running else ""

    def _did(self, call: str) -> None:
        self.calls.append(call)
        if call.partition(" ")[0] in self.fails:
            raise Unavailable(f"{call} failed, password=hunter22", hint="Try again.")

    def _images(self) -> list[Image]:
        return [*self.local.values(), *self.kept, *self.registry.values()]

    async def look(self, repository: str) -> list[Container]:
        self._did("look")
        return list(self.containers)

    async def container(self, id: str) -> Container | None:
        return next((each for each in self.containers if id in (each.id, each.name)), None)

    async def service(self, project: str, service: str) -> list[Container]:
        self._did("service")
        return [each for each in self.containers if (each.project, each.service) == (project, service)]

    async def image(self, ref: str) -> Image | None:
        found = self.local.get(ref)
        return found or next((each for each in self._images() if ref in (each.id, *each.repo_digests)), None)

    async def similar_images(self, repository: str) -> list[str]:
        return ["registry.lan/dockrev:1"]

    async def host(self) -> Host:
        return Host("linux/amd64", "/var/lib/docker", self.free_bytes)

    async def place(self, id: str) -> Place:
        return Place(50883, DATABASE)

    async def pull(self, ref: str, on_line: OnLine) -> str | None:
        self._did(f"pull {ref}")
        await on_line(f"pulling {ref}, 50%")
        if ref not in self.registry:
            raise Unavailable(f"Pulling {ref} failed: manifest unknown")
        self.kept += [self.local[ref]] if ref in self.local else []
        self.local[ref] = self.registry[ref]
        return self.local[ref].digest(REPO)

    async def stop(self, id: str) -> None:
        self._did("stop")
        self._set(id, running=False)

    async def start(self, id: str) -> None:
        self._did("start")
        self._set(id, running=True)

    async def remove(self, id: str) -> None:
        self._did("remove")
        assert not next(each for each in self.containers if each.id == id).running
        self.containers = [each for each in self.containers if each.id != id]

    def _set(self, id: str, **changes: object) -> None:
        self.containers = [replace(c, **changes) if c.id == id else c for c in self.containers]  # type: ignore[arg-type]

    async def tag(self, image_id: str, ref: str) -> None:
        self._did(f"tag {ref}")
        self.local[ref] = next(each for each in self._images() if each.id == image_id)

    async def up(self, stack: StackOf, override: Path, *, pull: Literal["always", "missing"], on_line: OnLine) -> None:
        ref = json.loads(re.findall(r"image: (.*)", override.read_text())[0])
        self._did(f"up {pull} {ref}")
        image = await self.image(ref)
        assert image is not None
        await on_line("Container house-dockrev-1  Recreated")
        new = dockrev(image.version, id="b" * 60 + f"{len(self.calls):04d}", image=ref)
        self.containers = [each for each in self.containers if each.service != stack.service] + [new]
        if DATABASE in self.files and image.schema == "0002":
            self.files[DATABASE] = database_with("0002", "migrated")

    async def ask(self, address: str, port: int, path: str) -> Probe:
        if not self.version or self.unreachable:
            return Probe(0, why="connection refused")
        if self.version in self.sick:
            return Probe(503)
        return Probe(200, json.dumps({"version": self.version}).encode())

    async def last_words(self, id: str) -> Sequence[str]:
        return ["fatal: token=abcdef123456"]

    @asynccontextmanager
    async def file(self, id: str, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        if path not in self.files:
            raise FileNotFoundError(path)
        self._did(f"read {path}")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            info = tarfile.TarInfo(PurePosixPath(path).name)
            info.size, info.uid = len(self.files[path]), 1000
            tar.addfile(info, io.BytesIO(self.files[path]))

        async def chunks() -> AsyncIterator[bytes]:
            content = buffer.getvalue()
            for start in range(0, len(content), 1000):
                yield content[start : start + 1000]

        yield chunks()

    async def put(self, id: str, folder: str, tar: Path) -> None:
        self._did(f"put {folder}")
        with tarfile.open(tar) as archive:
            for member in archive:
                content = archive.extractfile(member)
                assert content is not None
                self.files[f"{folder}/{member.name}"] = content.read()

    def unreadable(self, paths: Sequence[str]) -> list[str]:
        return [path for path in paths if path in self.missing]

    def write_override(self, path: Path, service: str, image: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"services:\n  {service}:\n    image: {json.dumps(image)}\n")

    async def close(self) -> None:
        self.closed += 1
