"""The Docker engine as a small async API. Blocking work runs in own threads, never on the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from app.adapters.engine import parse
from app.adapters.engine.archive import size_of_archive
from app.adapters.engine.errors import EngineUnreachable, NoSuchContainer
from app.adapters.engine.plumbing import CHUNKS_AHEAD, Plumbing, too_slow
from app.adapters.engine.pulling import OnProgress, pull_image
from app.adapters.engine.records import (
    ContainerDetail,
    ContainerEnvironment,
    ContainerSummary,
    EngineEvent,
    EngineInfo,
    ImageDetail,
    ImageSummary,
    PullResult,
    RegistryAuth,
)
from app.adapters.engine.references import container_ref, image_ref, split_ref

if TYPE_CHECKING:
    from docker.api.client import APIClient

PULL_TIMEOUT_SECONDS = 300.0
SIZE_TIMEOUT_SECONDS = 30.0
DEFAULT_GRACE_SECONDS = 10
MAX_LOG_BYTES = 256 * 1024
CHUNK_BYTES = 256 * 1024
MESSAGES_AHEAD = 256

# Without a filter every run of a health check is three events (exec_create, exec_start, exec_die).
EVENT_ACTIONS = (
    "create", "start", "restart", "stop", "die", "kill", "oom", "pause", "unpause", "rename", "update", "destroy",
    "health_status", "pull", "tag", "untag", "delete", "import", "load", "connect", "disconnect",
)  # fmt: skip
TWIN_LABEL = "dockrev.twin-of"
EVENT_TYPES = ("container", "image", "network")


class Engine(Plumbing):
    """One engine. Constructing connects nothing and imports nothing heavy; the first call does.

    `host` as in DOCKER_HOST (`unix://`, `tcp://`), None reads the environment; TLS comes from DOCKER_TLS_VERIFY and
    DOCKER_CERT_PATH. `docker_config` is a `config.json` whose logins serve pulls without `auth`. `timeout` in
    seconds bounds each wait for an answer. The API version is negotiated, anew after the connection was lost.
    Every method raises EngineUnreachable and EngineRefused; what else, it says.
    """

    # ---- calls

    async def ping(self) -> None:
        """Return when the engine answers."""
        await self._call(lambda c: c.ping())

    async def info(self) -> EngineInfo:
        """Version and platform. The host's name and the data folder are '' where a socket proxy forbids to ask."""

        def ask(client: APIClient) -> EngineInfo:
            told: Mapping[str, Any] = client.version()
            more: Mapping[str, Any] = {}
            with suppress(Exception):
                more = client.info()
            return EngineInfo(
                version=str(told.get("Version") or ""),
                api_version=str(client.api_version),
                os=str(told.get("Os") or "linux"),
                arch=str(told.get("Arch") or ""),
                name=str(more.get("Name") or ""),
                root_dir=str(more.get("DockerRootDir") or ""),
            )

        return await self._call(ask)

    async def containers(self, labels: Sequence[str] = (), all: bool = False) -> list[ContainerSummary]:
        """Containers with all of `labels` (`key` or `key=value`); one call, whatever their number."""
        filters = {"label": list(labels)} if labels else None
        rows = await self._call(lambda c: c.containers(all=all, filters=filters))
        return [parse.container_summary(row) for row in rows]

    async def container(self, id: str) -> ContainerDetail:
        """Inspect one container. Raises NoSuchContainer."""
        ref = container_ref(id)
        return parse.container_detail(await self._call(lambda c: c.inspect_container(ref), about=ref))

    async def shared_by(self, ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """`ContainerDetail.shared` of each that is still there. It is fixed when a container is made, and the list of
        containers tells the network's alone: each container is inspected once in its life."""
        wanted = list(ids)
        for one in await self.containers_detail(id for id in wanted if id not in self._shared):
            self._shared[one.id] = one.shared
        self._shared = {id: self._shared[id] for id in wanted if id in self._shared}
        return self._shared

    async def environment(self, id: str, names: Iterable[str]) -> ContainerEnvironment:
        """The working folder and those variables of a container that are in `names`; no other leaves this call, they
        may be secrets. Raises NoSuchContainer."""
        ref, wanted = container_ref(id), frozenset(names)
        return parse.environment(await self._call(lambda c: c.inspect_container(ref), about=ref), wanted)

    async def containers_detail(self, ids: Iterable[str]) -> list[ContainerDetail]:
        """Inspect many, at most eight at once, in the order given; those that vanished meanwhile are left out."""

        async def one(id: str) -> ContainerDetail | None:
            try:
                return await self.container(id)
            except NoSuchContainer:
                return None

        return [found for found in await asyncio.gather(*map(one, ids)) if found is not None]

    async def images(self) -> list[ImageSummary]:
        """All images that have a name or are used; one call."""
        return [parse.image_summary(row) for row in await self._call(lambda c: c.images())]

    async def image(self, ref: str) -> ImageDetail:
        """Inspect by id or reference. Raises NoSuchImage."""
        name = image_ref(ref)
        return parse.image_detail(await self._call(lambda c: _inspect_image(c, name), about=name))

    async def tag(self, image_id: str, ref: str) -> None:
        """Give an image the name `ref`, taking it from the image that has it. Raises NoSuchImage."""
        image, (repository, tag) = image_ref(image_id), split_ref(ref)
        await self._call(lambda c: c.tag(image, repository, tag), about=image)

    async def start(self, id: str) -> None:
        """Start a container; nothing when it runs. Raises NoSuchContainer."""
        ref = container_ref(id)
        await self._call(lambda c: c.start(ref), about=ref, again=False)

    async def stop(self, id: str, *, grace: int | None = None) -> None:
        """Stop a container and return when it has stopped; `grace` in seconds, else what the container asks for.
        Raises NoSuchContainer."""
        ref, seconds = container_ref(id), await self._grace(id, grace)
        await self._call(lambda c: c.stop(ref, timeout=seconds), about=ref, again=False)

    async def restart(self, id: str, *, grace: int | None = None) -> None:
        """Stop and start a container. Raises NoSuchContainer."""
        ref, seconds = container_ref(id), await self._grace(id, grace)
        await self._call(lambda c: c.restart(ref, timeout=seconds), about=ref, again=False)

    async def remove(self, id: str, *, force: bool = False) -> None:
        """Remove a container, never its volumes. Raises NoSuchContainer."""
        ref = container_ref(id)
        await self._call(lambda c: c.remove_container(ref, force=force), about=ref, again=False)

    async def _grace(self, id: str, given: int | None) -> int:
        # The SDK waits for the answer as long as the grace it was told; the engine's own is in the container.
        if given is not None:
            return given
        asked = (await self.container(id)).stop_timeout
        return DEFAULT_GRACE_SECONDS if asked is None else asked

    # ---- streams

    async def logs(self, id: str, tail: int = 200) -> str:
        """The last `tail` lines, at most the last 256 KB, both outputs in order; control sequences are left in.
        Raises NoSuchContainer."""
        ref, kept, size = container_ref(id), deque[bytes](), 0
        async with aclosing(self._log_chunks(ref, max(1, tail), follow=False)) as chunks:
            async for chunk in chunks:
                kept.append(chunk[-MAX_LOG_BYTES:])
                size += len(kept[-1])
                while size - len(kept[0]) >= MAX_LOG_BYTES:
                    size -= len(kept.popleft())
        return b"".join(kept)[-MAX_LOG_BYTES:].decode(errors="replace")

    async def follow_logs(self, id: str, tail: int = 200) -> AsyncGenerator[bytes, None]:
        """Chunks of output as they come, until the container stops. Raises NoSuchContainer."""
        async with aclosing(self._log_chunks(container_ref(id), max(0, tail), follow=True)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _log_chunks(self, ref: str, tail: int, *, follow: bool) -> AsyncGenerator[bytes, None]:
        def open_log(client: Any) -> Iterable[bytes]:
            told: Iterable[bytes] = client.logs(ref, stream=True, follow=follow, tail=tail)
            return told

        async with aclosing(self._stream("logs", open_log, CHUNKS_AHEAD, about=ref)) as batches:
            async for batch in batches:
                for chunk in batch:
                    yield chunk

    async def pull(
        self,
        ref: str,
        *,
        auth: RegistryAuth | None = None,
        on_progress: OnProgress | None = None,
        timeout: float = PULL_TIMEOUT_SECONDS,
    ) -> PullResult:
        """Bring an image, at most in `timeout` seconds. `on_progress` (plain or async) is called on the loop, at
        most ten times a second and once at the end. Raises PullFailed."""
        repository, tag = split_ref(ref)

        def open_pull(client: Any) -> Iterable[Mapping[str, Any]]:
            credentials = _auth_config(auth) if auth is not None else None
            told: Iterable[Mapping[str, Any]] = client.pull(
                repository, tag=tag, stream=True, decode=True, auth_config=credentials
            )
            return told

        batches = self._stream("pull", open_pull, MESSAGES_AHEAD, about=ref)
        async with aclosing(batches):
            return await pull_image(ref, batches, on_progress, timeout)

    async def read_archive(self, container_id: str, path: str) -> AsyncGenerator[bytes, None]:
        """The tree at `path` as the chunks of a tar; also of a stopped container. Ending the iteration early ends
        the reading. Raises NoSuchContainer; EngineRefused with http_status 404 when there is no such path.

        The engine keeps the container locked while it is read: inspecting it, its logs and its health probes wait
        so long. Read a running service through its `twin`.
        """

        def open_archive(client: Any) -> Iterable[bytes]:
            chunks: Iterable[bytes]
            chunks, _ = client.get_archive(container_ref(container_id), path, chunk_size=CHUNK_BYTES)
            return chunks

        async with aclosing(self._stream("archive", open_archive, CHUNKS_AHEAD, about=container_id)) as batches:
            async for batch in batches:
                for chunk in batch:
                    yield chunk

    async def write_archive(
        self, container_id: str, path: str, chunks: AsyncIterator[bytes], *, timeout: float = 600.0
    ) -> None:
        """Unpack a tar into the folder `path`, which must exist. `timeout` in seconds is for the whole.
        Raises NoSuchContainer; EngineRefused with http_status 404 when there is no such folder."""
        ref = container_ref(container_id)

        def unpack(client: Any, tar: Iterator[bytes]) -> None:
            client.put_archive(ref, path, tar)

        await self._send("restore", unpack, chunks, timeout, about=ref)

    async def path_size(
        self,
        container_id: str,
        path: str,
        *,
        limit: int | None = None,
        timeout: float = SIZE_TIMEOUT_SECONDS,
    ) -> int:
        """Bytes of the files below `path`. Above `limit` the count stops and what was counted so far is returned.

        The engine has no cheaper way that needs no program in the container: its archive is read and thrown away.
        Raises NoSuchContainer; EngineRefused with http_status 404 when there is no such path, with 0 when it takes
        longer than `timeout` seconds.
        """

        def count(client: Any) -> Iterator[int]:
            chunks, _ = client.get_archive(container_ref(container_id), path, chunk_size=CHUNK_BYTES)
            yield size_of_archive(chunks, limit)

        try:
            async with asyncio.timeout(timeout), aclosing(self._stream("size", count, 1, about=container_id)) as sizes:
                async for batch in sizes:
                    return batch[0]
        except TimeoutError:
            raise too_slow(f"Measuring {path[:200]}", timeout) from None
        return 0

    @asynccontextmanager
    async def twin(self, id: str) -> AsyncGenerator[str, None]:
        """The id of a container with the image and the mounts of `id`, never started and removed afterwards.

        Its archives are those of the original's volumes and binds, and lock nobody out. Raises NoSuchContainer.
        """
        original = await self.container(id)

        def create(client: Any) -> str:
            mounts = client.create_host_config(volumes_from=[original.id], network_mode="none")
            made: Mapping[str, Any] = client.create_container(
                original.image_id, ["true"], host_config=mounts, labels={TWIN_LABEL: original.id}
            )
            return str(made["Id"])

        twin = await self._call(create, about=original.id, again=False)
        try:
            yield twin
        finally:
            await asyncio.shield(self._remove_twin(twin))

    async def remove_twins(self) -> int:
        """Remove twins that a killed process left behind; how many there were."""
        left = await self.containers([TWIN_LABEL], all=True)
        for container in left:
            await self._remove_twin(container.id)
        return len(left)

    async def _remove_twin(self, id: str) -> None:
        # Without its volumes: a twin has none of its own, they are all the original's.
        with suppress(NoSuchContainer):
            await self._call(lambda c: c.remove_container(id, force=True), about=id, again=False)

    async def events(self, since: int | None = None) -> AsyncGenerator[EngineEvent, None]:
        """Events of containers, images and networks, from `since` (an event's `time_ns`, inclusive) or from now.

        Never ends by itself: raises EngineUnreachable when the engine or a proxy ends the stream. Use it in
        `contextlib.aclosing`; closing it ends its thread.
        """
        start = None if since is None else f"{since // parse.NANOSECONDS}.{since % parse.NANOSECONDS:09d}"
        wanted = {"type": list(EVENT_TYPES), "event": list(EVENT_ACTIONS)}

        def open_events(client: Any) -> Iterable[Mapping[str, Any]]:
            # The SDK's event stream takes an error answer for the end of the stream.
            client.hooks["response"].append(lambda answer, **_: client._raise_for_status(answer))
            yield from client.events(since=start, filters=wanted, decode=True)
            self._connection.drop()  # an engine that comes back may be another version

        async with aclosing(self._stream("events", open_events, MESSAGES_AHEAD)) as batches:
            async for batch in batches:
                for raw in batch:
                    event = parse.engine_event(raw)
                    if event.action in EVENT_ACTIONS:
                        yield event
        raise EngineUnreachable(
            f"The event stream of the Docker engine at {self.endpoint} ended",
            permanent=False,
            details={"endpoint": self.endpoint, "reason": "lost"},
        )


def _auth_config(auth: RegistryAuth) -> dict[str, str]:
    told = {
        "username": auth.username,
        "password": auth.password,
        "identitytoken": auth.identity_token,
        "serveraddress": auth.server,
    }
    return {key: value for key, value in told.items() if value}


def _inspect_image(client: Any, name: str) -> Mapping[str, Any]:  # untyped in the stubs
    told: Mapping[str, Any] = client.inspect_image(name)
    return told
