"""One upgrade from precheck to postcheck (spec §10.4): the order of things, over a ledger and a world."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from app.core.clock import utc_now
from app.core.errors import Conflict, DockrevError, Unavailable
from app.supervisor import preflight
from app.supervisor.database import copy_database, size_of, tidy
from app.supervisor.ledger import Ledger
from app.supervisor.settings import SupervisorSettings
from app.supervisor.state import Check, Recovery, UpgradePrevious
from app.supervisor.target import choose, require_compose
from app.supervisor.world import Container, Host, Image, Place, Probe, StackOf, World, repository_of

HEALTH: Final = "/api/health"
VERSION: Final = "/api/version"
GIVE_UP_RESTARTS: Final = 3
STILL_DEAD: Final = 4
OWN_OVERRIDE: Final = "self-upgrade.override.yml"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things may take, in seconds (spec §10.4); tests are less patient."""

    between_probes: float = 0.7
    health: float = 180.0
    orphans: float = 3.0
    """How long a Compose that outlived a killed supervisor may need to come to its end."""
    clock: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Found:
    """What the precheck found out."""

    container: Container
    image: Image | None
    place: Place
    host: Host
    stack: StackOf
    database: Check
    checks: list[Check]


class Failed(DockrevError):
    """The step failed and says so itself."""


class Upgrade:
    """Takes the steps of the operation that the ledger holds. Errors end a step; whoever calls decides what follows."""

    def __init__(self, world: World, ledger: Ledger, settings: SupervisorSettings, own_id: str, pace: Pace) -> None:
        self._world = world
        self._ledger = ledger
        self._settings = settings
        self._own_id = own_id
        self.pace = pace

    # ---- precheck and pull

    async def precheck(self) -> Found:
        """Find Dockrev, write down what runs, look at what can be looked at before a pull."""
        container = await self._resolve()
        require_compose(container)
        if self._own_id and container.id.startswith(self._own_id):
            raise Conflict(
                f"the container {container.name} is the supervisor itself",
                hint="The supervisor is upgraded by hand: docker compose pull, then up, of its service.",
            )
        image = await self._world.image(container.image_id)
        digest = image.digest(repository_of(container.image)) if image else None
        self._ledger.put(
            self._ledger.book.model_copy(update={"previous": UpgradePrevious(tag=container.image, digest=digest)})
        )
        place = await self._world.place(container.id)
        stack, files = await asyncio.to_thread(self._stack, container)
        host = await self._world.host()
        probe, address = await self._ask(container, place.port) if container.running else (None, "")
        database = await self._database(container, place)
        checks = [
            preflight.container_check(container, image, digest),
            files,
            preflight.reach_check(container, probe, address),
            preflight.disk_check(host, image.size if image else None),
            database,
        ]
        found = Found(container, image, place, host, stack, database, checks)
        request = self._ledger.book.request
        recovery = Recovery(
            mode=request.mode if request else "apply",
            project=stack.project,
            service=stack.service,
            files=list(stack.files),
            working_dir=stack.working_dir,
            env_files=list(stack.env_files),
            container_id=container.id,
            image_id=container.image_id,
            port=place.port,
            previous_version=image.version[:60] if image else "",
        )
        self._ledger.put(self._ledger.book.model_copy(update={"recovery": recovery}))
        await self._report(found, [])
        preflight.require_passed(found.checks)
        return found

    async def _resolve(self) -> Container:
        settings = self._settings
        if settings.target_container_id:
            container = await self._world.container(settings.target_container_id)
            if container is None:
                raise Conflict(
                    f"there is no container {settings.target_container_id}",
                    hint="DOCKREV_SUPERVISOR_TARGET_CONTAINER_ID names it. A recreated container has another id: use "
                    "its name, or DOCKREV_SUPERVISOR_TARGET_COMPOSE_PROJECT and _SERVICE.",
                )
            return container
        project, service = settings.target_compose_project, settings.target_compose_service
        if project and service:
            found = await self._world.service(project, service)
        else:
            found = await self._world.look(settings.target_image_repo)
        similar = [] if found else await self._world.similar_images(settings.target_image_repo)
        return choose(found, settings, self._own_id, similar)

    def _stack(self, container: Container) -> tuple[StackOf, Check]:
        """The project as its labels tell it, or as it was set; a left-over override of ours is not part of it."""
        labelled = tuple(
            str(Path(container.working_dir or "/") / file)
            for file in container.files
            if Path(file).name != OWN_OVERRIDE and not file.startswith("/tmp/dockrev-override-")  # noqa: S108
        )
        missing = self._world.unreadable([*labelled, *container.env_files])
        files, by_label = labelled, bool(labelled) and not missing
        if not by_label:
            wanted = tuple(str(path) for path in self._settings.target_compose_files or ())
            unreadable = self._world.unreadable(wanted)
            missing, files = [*missing, *unreadable], () if unreadable else wanted
        check = preflight.files_check(missing, files, by_label)
        env_files = container.env_files if by_label else ()
        return StackOf(container.project, container.service, files, container.working_dir, env_files), check

    async def _database(self, container: Container, place: Place) -> Check:
        try:
            size = await size_of(self._world, container.id, place.database)
        except DockrevError as error:
            return preflight.database_check(place.database, None, (), error.message)
        return preflight.database_check(place.database, size, container.mounts)

    async def pull(self, found: Found) -> Image:
        """Bring the image and look at it."""
        target = self._ledger.book.target
        await self._ledger.enter("pull", f"pulling {target.ref}")
        digest = await self._world.pull(target.ref, self._ledger.say)
        image = await self._world.image(target.ref)
        if image is None:
            raise Unavailable(f"the engine says it pulled {target.ref} and has no such image")
        digest = digest or image.digest(target.image)
        await self._mark(self._recovery().model_copy(update={"target_version": image.version[:60]}))
        await self._ledger.note("INFO", f"pulled {target.ref}: {digest or 'digest unknown'}")
        await self._pull_version(target.image, target.tag, image)
        await self._report(
            found,
            [
                preflight.digest_check(target.ref, digest, image, found.image),
                preflight.platform_check(image, found.host),
                preflight.schema_check(found.image.schema if found.image else None, image.schema, found.database),
            ],
        )
        preflight.require_passed(found.checks)
        return image

    async def _pull_version(self, repository: str, tag: str, image: Image) -> None:
        """Best effort: the tag that the image's label names, so that people find it by its version."""
        version = image.version
        if not version or version == tag or not _is_tag(version):
            return
        try:
            await self._world.pull(f"{repository}:{version}", self._ledger.say)
            await self._ledger.note("INFO", f"pulled {repository}:{version}, the version its label names")
        except DockrevError as error:
            await self._ledger.note("INFO", f"{repository}:{version} is not to be had: {error.message}")

    async def _report(self, found: Found, more: list[Check]) -> None:
        found.checks = [*found.checks, *more]
        self._ledger.put(self._ledger.book.model_copy(update={"preflight": found.checks}))
        levels = {"ok": "INFO", "unknown": "WARN", "warn": "WARN", "bad": "ERROR"}
        for check in more or found.checks:
            await self._ledger.note(levels[check.verdict], f"preflight, {check.name}: {check.text}")  # type: ignore[arg-type]
        await self._ledger.save()

    # ---- apply

    async def apply(self, found: Found, image: Image) -> None:
        """Replace the container. What must be known for the way back is on disk before each change."""
        ledger, recovery = self._ledger, self._recovery()
        await ledger.enter("apply", f"replacing {found.stack.project}/{found.stack.service}")
        before = found.image.schema if found.image else None
        if found.database.verdict == "ok" and (before is None or before != image.schema):
            await self._copy_database(found)
            recovery = self._recovery()
        await self._mark(recovery.model_copy(update={"replaced": True}))
        target = ledger.book.target
        await self.recreate(found.stack, target.ref, pull="always")
        await self._compare(found.stack, image)

    async def _copy_database(self, found: Found) -> None:
        ledger, id = self._ledger, found.container.id
        await self._mark(self._recovery().model_copy(update={"stopped": True}))
        await ledger.say("stopping Dockrev to copy its database")
        await self._world.stop(id)
        into = ledger.path.absolute().with_name(f"{ledger.book.op_id}.database.tar")
        copy = await copy_database(self._world, id, found.place.database, into, utc_now())
        await self._mark(self._recovery().model_copy(update={"database": copy}))
        named = copy.schema_revision or "unknown"
        await ledger.note("INFO", f"database copied to {into}, {copy.size / 1e6:.1f} MB, schema {named}")
        await asyncio.to_thread(tidy, into.parent)

    async def recreate(self, stack: StackOf, ref: str, *, pull: Literal["always", "missing"]) -> None:
        """Write the override and let Compose do it."""
        override = self._settings.override_path
        await asyncio.to_thread(self._world.write_override, override, stack.service, ref)

        async def on_line(line: str) -> None:
            await self._ledger.note("INFO", f"compose: {line}")

        await self._world.up(stack, override, pull=pull, on_line=on_line)

    async def _compare(self, stack: StackOf, image: Image) -> None:
        """The tag may have moved between pull and recreation."""
        for container in await self._world.service(stack.project, stack.service):
            if container.running and container.image_id != image.id:
                await self._ledger.note(
                    "WARN", f"what runs is {container.image_id}, not what was pulled before: the tag moved meanwhile"
                )

    # ---- health and postcheck

    async def wait_healthy(self) -> str:
        """Until Dockrev answers; the address it answers at. Raises Failed when it does not in time, or keeps ending."""
        recovery, pace = self._recovery(), self.pace
        began, dead, last, ended = pace.clock(), 0, "nothing answered", ""
        while True:
            container, trouble = await self._current(recovery)
            up = container is not None and container.running and not container.restarting
            if container is not None and up:
                dead, probe = 0, await self._ask(container, recovery.port)
                if probe[0].good:
                    return probe[1]
                last = probe[0].why or f"it answered with status {probe[0].status}"
            elif trouble:
                last = trouble  # says nothing about Dockrev
            else:
                dead += 1
                last = "it has no container"
            if container is not None and not up:
                last = ended = f"its container ended with status {container.exit_code}"
            waited = pace.clock() - began
            if gave_up(container, dead) or waited > pace.health:
                await self._last_words(container)
                if waited > pace.health:
                    raise Failed(f"not healthy after {waited:.0f} s: {ended or last}")
                times = f"it ended {container.restarts} times" if container and container.restarts else ""
                raise Failed(f"it does not stay up: {', '.join(filter(None, (times, ended))) or last}")
            await self._ledger.say(f"waiting for Dockrev, {waited:.0f} of {pace.health:.0f} s: {last}")
            await asyncio.sleep(pace.between_probes)

    async def _ask(self, container: Container, port: int) -> tuple[Probe, str]:
        """The answer of the first address that is well, else of the last."""
        probe, address = Probe(0, why="its container has no address in a network"), "no address"
        for ip in container.addresses:
            probe, address = await self._world.ask(ip, port, HEALTH), f"{ip}:{port}"
            if probe.good:
                break
        return probe, address

    async def _current(self, recovery: Recovery) -> tuple[Container | None, str]:
        """The service's container, or why it is not known."""
        try:
            found = await self._world.service(recovery.project, recovery.service)
        except DockrevError as error:
            return None, error.message
        return next((each for each in found if each.running), found[0] if found else None), ""

    async def _last_words(self, container: Container | None) -> None:
        if container is None:
            return
        try:
            for line in await self._world.last_words(container.id):
                await self._ledger.note("WARN", f"dockrev: {line}")
        except DockrevError as error:
            await self._ledger.note("WARN", f"its log cannot be read: {error.message}")

    async def postcheck(self, address: str) -> str:
        """What answers now, as it says itself; unknown is no failure, since health was proven."""
        ip, _, port = address.rpartition(":")
        probe = await self._world.ask(ip, int(port), VERSION)
        version = ""
        try:
            version = str(json.loads(probe.body)["version"])[:100] if probe.good else ""
        except (ValueError, KeyError, TypeError):
            version = ""
        if version:
            await self._ledger.note("INFO", f"Dockrev says that it is {version}")
        else:
            await self._ledger.note("WARN", f"its version is unknown: {probe.why or f'status {probe.status}'}")
        return version

    # ---- the file

    def _recovery(self) -> Recovery:
        recovery = self._ledger.book.recovery
        if recovery is None:
            raise Conflict("no rollback target available")
        return recovery

    async def _mark(self, recovery: Recovery) -> None:
        """On disk before the next step. Raises StateUnwritable: without it nothing is changed."""
        self._ledger.put(self._ledger.book.model_copy(update={"recovery": recovery}))
        await self._ledger.save()


def stack_of(recovery: Recovery) -> StackOf:
    """The project as it was written down."""
    return StackOf(
        recovery.project, recovery.service, tuple(recovery.files), recovery.working_dir, tuple(recovery.env_files)
    )


def gave_up(container: Container | None, dead: int) -> bool:
    """Whether waiting is of no use any more: it ends again and again, or it has ended `dead` looks ago for good."""
    if container is not None and container.restarts >= GIVE_UP_RESTARTS:
        return True
    return dead >= STILL_DEAD and not (container is not None and container.restarting)


def _is_tag(text: str) -> bool:
    plain = text.replace(".", "").replace("-", "").replace("_", "")
    return len(text) <= 128 and plain.isascii() and plain.isalnum() and text[0] not in ".-"
