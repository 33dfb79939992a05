"""The real world: engine and Compose through their adapters, which are loaded with the first operation only."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, nullcontext, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from app.core.errors import DockrevError, Unavailable
from app.supervisor.settings import SupervisorSettings
from app.supervisor.world import Container, Host, Image, OnLine, Place, Probe, StackOf, repository_of, same_repository

if TYPE_CHECKING:
    from app.adapters.engine import ContainerDetail, PullProgress

PROBE_SECONDS: Final = 0.8
PULL_SECONDS: Final = 300.0
UP_SECONDS: Final = 600.0
MAX_BODY: Final = 64 * 1024
MAX_WORDS: Final = 12
MAX_LOOKED_AT: Final = 64
DEFAULT_PORT: Final = 50883
DEFAULT_DATABASE: Final = "./data/dockrev.sqlite3"
VARIABLES: Final = ("DOCKREV_HTTP_ADDR", "DOCKREV_DB_PATH")
LABEL: Final = "com.docker.compose"
COPY_SECONDS: Final = 300.0


class Outside:
    """One engine and one Compose, for one operation. `docker_config` is a `config.json` with registry logins."""

    def __init__(self, settings: SupervisorSettings, docker_config: Path | None = None) -> None:
        from app.adapters.compose import Compose
        from app.adapters.engine import Engine

        self._engine = Engine(settings.docker_host, docker_config=docker_config)
        self._compose = Compose(settings.compose_program(), docker_host=settings.docker_host)
        self._docker_config = docker_config

    async def close(self) -> None:
        """End all that is under way."""
        await self._engine.close()

    # ---- looking

    async def look(self, repository: str) -> list[Container]:
        """Containers that may be made from the repository. The list shows an id where a tag has moved on: those are
        inspected too."""
        rows = await self._engine.containers(all=True)
        wanted = [
            row.id
            for row in rows
            if same_repository(repository_of(row.image), repository) or row.image_id.endswith(row.image)
        ]
        return [_container(detail) for detail in await self._engine.containers_detail(wanted[:MAX_LOOKED_AT])]

    async def container(self, id: str) -> Container | None:
        """One container by id or name."""
        from app.adapters.engine import NoSuchContainer

        try:
            return _container(await self._engine.container(id))
        except NoSuchContainer:
            return None

    async def service(self, project: str, service: str) -> list[Container]:
        """A service's containers, the newest first."""
        labels = [f"{LABEL}.project={project}", f"{LABEL}.service={service}"]
        rows = sorted(
            await self._engine.containers(labels, all=True),
            key=lambda row: row.created.timestamp() if row.created else 0.0,
            reverse=True,
        )
        details = await self._engine.containers_detail([row.id for row in rows[:MAX_LOOKED_AT]])
        return [found for found in map(_container, details) if not found.one_off]

    async def image(self, ref: str) -> Image | None:
        """An image that is here."""
        from app.adapters.engine import NoSuchImage

        try:
            detail = await self._engine.image(ref)
        except NoSuchImage:
            return None
        platform = "/".join(part for part in (detail.os, detail.architecture, detail.variant) if part)
        return Image(detail.id, detail.repo_digests, platform, detail.size, detail.labels)

    async def similar_images(self, repository: str) -> list[str]:
        """What is in use and called alike."""
        name = repository.rpartition("/")[2]
        rows = await self._engine.containers(all=True)
        return sorted({row.image for row in rows if name in row.image or "dockrev" in row.image})

    async def host(self) -> Host:
        """The engine's machine, and the room in its folder where that is ours too."""
        info = await self._engine.info()
        here = self._engine.endpoint.startswith("unix://")
        free = await asyncio.to_thread(_free_bytes, info.root_dir) if here and info.root_dir else None
        return Host(_platform(info.platform), info.root_dir, free)

    async def place(self, id: str) -> Place:
        """Where Dockrev listens and keeps its database, by its container's environment."""
        told = await self._engine.environment(id, VARIABLES)
        port = told.variables.get("DOCKREV_HTTP_ADDR", "").strip().rpartition(":")[2]
        database = told.variables.get("DOCKREV_DB_PATH", "").strip() or DEFAULT_DATABASE
        known = port.isdigit() and 0 < int(port) < 65536
        return Place(int(port) if known else DEFAULT_PORT, _inside(told.working_dir, database))

    async def ask(self, address: str, port: int, path: str) -> Probe:
        """One GET of Dockrev's port, answered within 800 ms."""
        try:
            async with asyncio.timeout(PROBE_SECONDS + 0.2):
                return await asyncio.to_thread(_get, address, port, path)
        except TimeoutError:
            return Probe(0, why=f"no answer within {PROBE_SECONDS * 1000:.0f} ms")

    async def last_words(self, id: str) -> Sequence[str]:
        """The end of a container's output, without credentials."""
        from app.adapters.compose import redact

        lines = (await self._engine.logs(id, tail=MAX_WORDS)).splitlines()
        return [redact(line)[:300] for line in lines if line.strip()][-MAX_WORDS:]

    # ---- doing

    async def pull(self, ref: str, on_line: OnLine) -> str | None:
        """Bring an image in at most 300 s; says how far it is about once a second."""
        loop = asyncio.get_running_loop()
        last = 0.0

        async def on_progress(progress: PullProgress) -> None:
            nonlocal last
            if loop.time() - last >= 1:
                last = loop.time()
                await on_line(f"pulling {ref}{_amount(progress)}")

        return (await self._engine.pull(ref, on_progress=on_progress, timeout=PULL_SECONDS)).digest

    async def stop(self, id: str) -> None:
        """Stop, with the grace the container asks for."""
        await self._engine.stop(id)

    async def start(self, id: str) -> None:
        """Start again what was stopped."""
        await self._engine.start(id)

    async def remove(self, id: str) -> None:
        """Without force: one that runs after all is refused."""
        await self._engine.remove(id)

    async def tag(self, image_id: str, ref: str) -> None:
        """Give an image its name back."""
        await self._engine.tag(image_id, ref)

    async def up(self, stack: StackOf, override: Path, *, pull: Literal["always", "missing"], on_line: OnLine) -> None:
        """Let Compose recreate the service, in at most 600 s."""
        from app.adapters.compose import Project, staged_docker_config

        project = Project(
            stack.project,
            tuple(Path(file) for file in stack.files),
            tuple(Path(file) for file in stack.env_files),
            Path(stack.working_dir) if stack.working_dir else None,
        )
        staged = staged_docker_config(self._docker_config) if self._docker_config else nullcontext()
        async with staged as folder:
            compose = self._compose.with_docker_config(folder) if folder else self._compose
            await compose.up(
                project,
                [stack.service],
                override=override,
                no_deps=True,
                pull=pull,
                on_line=on_line,
                on_command=on_line,
                timeout=UP_SECONDS,
            )

    # ---- files

    @asynccontextmanager
    async def file(self, id: str, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The tar of one file in a container; also of a stopped one."""
        from app.adapters.engine import EngineRefused

        try:
            async with asyncio.timeout(COPY_SECONDS), aclosing(self._engine.read_archive(id, path)) as chunks:
                try:
                    first = await anext(chunks, b"")
                except EngineRefused as error:
                    if error.http_status == 404:
                        raise FileNotFoundError(path) from error
                    raise
                yield _joined(first, chunks)
        except TimeoutError as error:
            raise Unavailable(f"reading {path} took longer than {COPY_SECONDS:.0f} s") from error

    async def put(self, id: str, folder: str, tar: Path) -> None:
        """Unpack a tar into a folder of a container."""
        await self._engine.write_archive(id, folder, _read(tar), timeout=COPY_SECONDS)

    def unreadable(self, paths: Sequence[str]) -> list[str]:
        """Those that are no files we may read. Blocking, but only a look."""
        return [path for path in paths if not (Path(path).is_file() and os.access(path, os.R_OK))]

    def write_override(self, path: Path, service: str, image: str) -> None:
        """Only `services.<service>.image`, whole or not at all. Raises Unavailable. Blocking."""
        import tempfile

        from app.adapters.compose import override_text

        text = override_text({service: image})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                file.write(text)
            Path(file.name).chmod(0o644)  # Dockrev reads it too, it may run as another user
            Path(file.name).replace(path)
        except OSError as error:
            raise Unavailable(
                f"the override {path} cannot be written: {error.strerror}",
                hint="Let DOCKREV_SUPERVISOR_STATE_PATH lie in a folder the supervisor may write to.",
            ) from error


def _container(detail: ContainerDetail) -> Container:
    labels = detail.labels
    files = labels.get(f"{LABEL}.project.config_files", "")
    preferred = f"{detail.project}_default"
    addresses = sorted(detail.addresses.items(), key=lambda item: (item[0] != preferred, item[0]))
    ips = tuple(dict.fromkeys(ip for _, ip in addresses if ip))
    return Container(
        id=detail.id,
        name=detail.name,
        image=detail.image_ref,
        image_id=detail.image_id,
        project=detail.project,
        service=detail.service,
        files=_listed(files),
        working_dir=labels.get(f"{LABEL}.project.working_dir", ""),
        env_files=_listed(labels.get(f"{LABEL}.project.environment_file", "")),
        running=detail.running,
        restarting=detail.restarting,
        restarts=detail.restart_count,
        exit_code=detail.exit_code,
        health=detail.health.status if detail.health else "",
        addresses=("127.0.0.1",) if detail.network_mode == "host" else ips,
        mounts=tuple(mount.destination for mount in detail.mounts if mount.type in ("volume", "bind")),
        one_off=labels.get(f"{LABEL}.oneoff", "").lower() == "true",
        never_ran=detail.state == "created",
    )


def _inside(working_dir: str, path: str) -> str:
    """A path of a container, absolute and without dots."""
    return os.path.normpath(PurePosixPath(working_dir or "/") / path)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _platform(told: str) -> str:
    names = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
    return "/".join(names.get(part, part) for part in told.split("/"))


def _free_bytes(folder: str) -> int | None:
    with suppress(OSError):
        return shutil.disk_usage(folder).free
    return None


def _get(address: str, port: int, path: str) -> Probe:
    """Proxies of the environment do not matter here, redirects are not followed, the body is bounded."""
    import http.client

    connection = http.client.HTTPConnection(address, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path, headers={"Accept": "application/json", "Connection": "close"})
        answer = connection.getresponse()
        return Probe(answer.status, answer.read(MAX_BODY))
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Probe(0, why=str(why)[:200])
    finally:
        connection.close()


def _amount(progress: PullProgress) -> str:
    return "" if progress.fraction is None else f", {progress.fraction * 100:.0f}%"


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def _read(tar: Path) -> AsyncIterator[bytes]:
    try:
        with tar.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, 1 << 18):
                yield chunk
    except OSError as error:
        raise DockrevError(f"{tar} cannot be read: {error.strerror}") from error


def clean(text: str) -> str:
    """A text without what looks like a credential, and without control characters."""
    from app.adapters.compose import redact

    return redact(text)


def own_container() -> str:
    """The beginning of the id of the container we run in; '' outside of one, or where its name was changed."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[0-9a-f]{12}", name) else ""
