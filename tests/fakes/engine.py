"""An engine made of lists: containers, images, and events that a test sends by hand."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from app.adapters.engine import (
    PROJECT_LABEL,
    SERVICE_LABEL,
    ContainerSummary,
    Engine,
    EngineError,
    EngineEvent,
    EngineInfo,
    EngineUnreachable,
    ImageSummary,
    NoSuchContainer,
)
from app.adapters.engine.records import ContainerDetail, ImageDetail

_numbers = itertools.count(1)


def fake_id(prefix: str = "") -> str:
    """64 hex digits, another one each time."""
    return prefix + f"{next(_numbers):064x}"


def compose_container(
    project: str,
    service: str,
    *,
    files: str | None = None,
    image: str = "nginx:1.27",
    image_id: str | None = None,
    state: str = "running",
    status: str = "Up 2 minutes",
    health: str | None = None,
    number: int = 1,
    created: datetime | None = None,
    labels: Mapping[str, str] | None = None,
) -> ContainerSummary:
    """A container as Compose makes it; `files` is the config_files label, left out when None."""
    own = {PROJECT_LABEL: project, SERVICE_LABEL: service, "com.docker.compose.oneoff": "False"}
    if files is not None:
        own["com.docker.compose.project.config_files"] = files
    return ContainerSummary(
        id=fake_id(),
        name=f"{project}-{service}-{number}",
        image=image,
        image_id=image_id or fake_id("sha256:"),
        labels={**own, **(labels or {})},
        state=state,
        status=status,
        created=created or datetime(2026, 5, 1, 10, tzinfo=UTC),
        health=health,
        network_mode=f"{project}_default",
    )


class FakeEngine(Engine):
    """Answers from `listed` and `stored`; `down()` makes every call fail until `up()`. `calls` counts by verb."""

    def __init__(self, containers: Sequence[ContainerSummary] = (), images: Sequence[ImageSummary] = ()) -> None:
        super().__init__("unix:///nowhere/docker.sock")
        self.listed: list[ContainerSummary] = list(containers)
        self.stored: list[ImageSummary] = list(images)
        self.details: dict[str, ContainerDetail] = {}
        self.error: EngineError | None = None
        self.calls: Counter[str] = Counter()
        self._streams_open: set[asyncio.Queue[EngineEvent | None]] = set()

    # ---- what a test does

    def down(self, message: str = "The Docker engine at unix:///nowhere/docker.sock cannot be reached") -> None:
        """The engine goes away; open event streams end."""
        self.error = EngineUnreachable(message, permanent=False, hint="Start the engine (systemctl start docker).")
        for queue in self._streams_open:
            queue.put_nowait(None)

    def up(self) -> None:
        """The engine is back."""
        self.error = None

    def replace(self, container: ContainerSummary, **changes: object) -> ContainerSummary:
        """Exchange a listed container for a changed copy."""
        changed = replace(container, **changes)  # type: ignore[arg-type]
        self.listed[self.listed.index(container)] = changed
        return changed

    def tell(self, action: str, container: ContainerSummary, *, detail: str = "", type: str = "container") -> None:
        """Send an event to whoever listens."""
        event = EngineEvent(
            type=type,
            action=action,
            id=container.id,
            attributes=dict(container.labels),
            time_ns=int(datetime.now(UTC).timestamp() * 1e9),
            detail=detail,
        )
        for queue in self._streams_open:
            queue.put_nowait(event)

    @property
    def listeners(self) -> int:
        """Event streams that are open."""
        return len(self._streams_open)

    # ---- the adapter's side

    def _count(self, verb: str) -> None:
        self.calls[verb] += 1
        if self.error is not None:
            raise self.error

    async def ping(self) -> None:
        self._count("ping")

    async def info(self) -> EngineInfo:
        self._count("info")
        return EngineInfo(version="28.5.1", api_version="1.51", os="linux", arch="amd64", name="box")

    async def containers(self, labels: Sequence[str] = (), all: bool = False) -> list[ContainerSummary]:
        self._count("containers")
        alive = ("running", "restarting", "paused")
        return [
            container
            for container in self.listed
            if (all or container.state in alive) and _has(container.labels, labels)
        ]

    async def container(self, id: str) -> ContainerDetail:
        self._count("container")
        if id not in self.details:
            raise NoSuchContainer(f"The engine has no container {id}", details={"container": id})
        return self.details[id]

    async def images(self) -> list[ImageSummary]:
        self._count("images")
        return list(self.stored)

    async def image(self, ref: str) -> ImageDetail:
        self._count("image")
        found = next(image for image in self.stored if ref in (image.id, *image.repo_tags, *image.repo_digests))
        return ImageDetail(
            id=found.id,
            repo_tags=found.repo_tags,
            repo_digests=found.repo_digests,
            labels=found.labels,
            os="linux",
            architecture="amd64",
            variant="",
            size=found.size,
        )

    async def events(self, since: int | None = None) -> AsyncGenerator[EngineEvent, None]:
        self._count("events")
        queue: asyncio.Queue[EngineEvent | None] = asyncio.Queue()
        self._streams_open.add(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._streams_open.discard(queue)
        raise EngineUnreachable("The event stream ended", permanent=False, details={"reason": "lost"})

    async def close(self) -> None:
        self._count("close") if self.error is None else None


def _has(labels: Mapping[str, str], wanted: Sequence[str]) -> bool:
    pairs = (want.partition("=") for want in wanted)
    return all(key in labels and (not equals or labels[key] == value) for key, equals, value in pairs)


def image(
    repo: str, *, digests: Sequence[str] = (), tags: Sequence[str] = (), id: str | None = None, size: int = 1_000_000
) -> ImageSummary:
    """An image of the list; `digests` become `repo@digest`, `tags` become `repo:tag`."""
    return ImageSummary(
        id=id or fake_id("sha256:"),
        repo_tags=tuple(f"{repo}:{tag}" for tag in tags),
        repo_digests=tuple(f"{repo}@{digest}" for digest in digests),
        size=size,
        labels={},
    )
