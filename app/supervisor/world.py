"""What the supervisor needs of the world: the engine, Compose, Dockrev's port. `outside.py` is the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

OnLine = Callable[[str], Awaitable[None]]
VERSION_LABEL = "org.opencontainers.image.version"
SCHEMA_LABEL = "org.dockrev.schema"
"""The newest schema of Dockrev's database that the program in an image knows: its last migration's revision."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container; `image` is the reference it was made with, `addresses` its IPs, the project's network first."""

    id: str
    name: str
    image: str
    image_id: str
    project: str = ""
    service: str = ""
    files: tuple[str, ...] = ()
    working_dir: str = ""
    env_files: tuple[str, ...] = ()
    running: bool = True
    restarting: bool = False
    restarts: int = 0
    exit_code: int = 0
    health: str = ""
    addresses: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    one_off: bool = False
    never_ran: bool = False
    """Made and not started: what a Compose that was killed leaves behind."""

    @property
    def short(self) -> str:
        """Its id as people know it."""
        return self.id[:12]


@dataclass(frozen=True, slots=True)
class Image:
    """An image that lies in the engine."""

    id: str
    repo_digests: tuple[str, ...] = ()
    platform: str = ""
    size: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    def digest(self, repository: str) -> str | None:
        """Its digest in this repository."""
        for reference in self.repo_digests:
            name, _, digest = reference.partition("@")
            if digest and same_repository(name, repository):
                return digest
        return None

    @property
    def version(self) -> str:
        """What its label says, '' without one."""
        return self.labels.get(VERSION_LABEL, "")

    @property
    def schema(self) -> str | None:
        """The schema it knows; None when it does not say."""
        return self.labels.get(SCHEMA_LABEL) or None


@dataclass(frozen=True, slots=True)
class Host:
    """The engine's machine. `free_bytes` is None when the folder cannot be seen from here."""

    platform: str
    root_dir: str = ""
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where Dockrev listens and keeps its database inside its container."""

    port: int
    database: str


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to Dockrev: `status` 0 when nobody answered, then `why` says why not."""

    status: int
    body: bytes = b""
    why: str = ""

    @property
    def good(self) -> bool:
        return self.status == 200


@dataclass(frozen=True, slots=True)
class StackOf:
    """A Compose project as the command line wants it."""

    project: str
    service: str
    files: tuple[str, ...]
    working_dir: str = ""
    env_files: tuple[str, ...] = ()


class World(Protocol):
    """What an upgrade needs of the engine and Compose; `outside.Outside` does it, tests have their own.

    Every method may raise a DockrevError with a remedy; none of them shows a credential.
    """

    async def look(self, repository: str) -> list[Container]:
        """All containers, also stopped ones, that may be made from `repository`, inspected."""

    async def container(self, id: str) -> Container | None:
        """One container by id or name; None when there is none."""

    async def service(self, project: str, service: str) -> list[Container]:
        """The containers of a Compose service, running or not."""

    async def image(self, ref: str) -> Image | None:
        """A local image by id or reference; None when there is none."""

    async def similar_images(self, repository: str) -> list[str]:
        """References in use that are called like the last part of `repository`: the usual mistake."""

    async def host(self) -> Host:
        """The machine: platform and free disk."""

    async def place(self, id: str) -> Place:
        """Where Dockrev in this container listens and keeps its database."""

    async def pull(self, ref: str, on_line: OnLine) -> str | None:
        """Bring an image; its digest as the registry said it."""

    async def stop(self, id: str) -> None:
        """Stop a container, with the time it asks for."""

    async def start(self, id: str) -> None:
        """Start a stopped container as it is."""

    async def remove(self, id: str) -> None:
        """Remove a container that does not run."""

    async def tag(self, image_id: str, ref: str) -> None:
        """Give a local image a name."""

    async def up(self, stack: StackOf, override: Path, *, pull: Literal["always", "missing"], on_line: OnLine) -> None:
        """Have Compose recreate the one service with the override."""

    async def ask(self, address: str, port: int, path: str) -> Probe:
        """One request to Dockrev; no answer is an answer too, and never raised."""

    async def last_words(self, id: str) -> Sequence[str]:
        """The last lines of a container's log."""

    def file(self, id: str, path: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The tar of one file in a container. Entering raises FileNotFoundError when there is none."""

    async def put(self, id: str, folder: str, tar: Path) -> None:
        """Unpack a tar into a folder of a container."""

    def unreadable(self, paths: Sequence[str]) -> list[str]:
        """Those of the files that cannot be read from here."""

    async def close(self) -> None:
        """Let go of the engine."""

    def write_override(self, path: Path, service: str, image: str) -> None:
        """The Compose file that names the image of one service, and nothing else."""


def repository_of(ref: str) -> str:
    """The reference without tag and digest."""
    name = ref.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def same_repository(one: str, other: str) -> bool:
    """Docker Hub's names have several spellings."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    for prefix in ("docker.io/", "index.docker.io/", "registry-1.docker.io/"):
        name = name.removeprefix(prefix)
    return name.removeprefix("library/")
