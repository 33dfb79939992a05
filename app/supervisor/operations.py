"""What may be asked of the supervisor: start, take back, look; one operation at a time (spec §10.3, §10.5, §10.6)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import structlog

from app.core.clock import utc_now
from app.core.errors import Conflict, DockrevError, InvalidArgument
from app.core.ids import new_id
from app.core.memory import give_back
from app.supervisor import state as machine
from app.supervisor.database import tidy
from app.supervisor.ledger import Ledger
from app.supervisor.rollback import Rollback, previous_ref
from app.supervisor.settings import SupervisorSettings
from app.supervisor.state import Book, UpgradeRequest, UpgradeTarget
from app.supervisor.upgrade import Pace, Upgrade
from app.supervisor.world import World

log = structlog.get_logger(__name__)

_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
LOOKS_AFTER_RESTART: Final = 30
SECONDS_BETWEEN_LOOKS: Final = 2.0


def parse_start(body: Any, image: str) -> tuple[UpgradeRequest, UpgradeTarget]:
    """The request of spec §10.3 from JSON. Raises InvalidArgument."""
    if not isinstance(body, dict):
        raise _invalid("body", "the body must be a JSON object")
    target = body.get("target")
    if not isinstance(target, dict):
        raise _invalid("target", "target must be an object with a tag")
    tag, digest, mode = target.get("tag"), target.get("digest"), body.get("mode")
    back = body.get("rollbackOnFailure")
    if tag is None or (isinstance(tag, str) and not tag.strip()):
        raise _invalid("target.tag", "target.tag is required")
    if not isinstance(tag, str) or not _TAG.fullmatch(tag.strip()):
        raise _invalid("target.tag", "target.tag must be a tag, like latest or 0.2.0")
    if isinstance(digest, str) and not digest.strip():
        digest = None
    if digest is not None and not (isinstance(digest, str) and _DIGEST.fullmatch(digest.strip())):
        raise _invalid("target.digest", "target.digest must be sha256: and 64 small hexadecimal digits")
    if mode not in ("apply", "dry-run"):
        raise _invalid("mode", "mode must be apply|dry-run")
    if not isinstance(back, bool):
        raise _invalid("rollbackOnFailure", "rollbackOnFailure must be true or false")
    request = UpgradeRequest(mode=mode, rollback_on_failure=back)
    return request, UpgradeTarget(image=image, tag=tag.strip(), digest=digest.strip() if digest else None)


def parse_rollback(body: Any) -> str:
    """The operation to take back. Raises InvalidArgument."""
    op_id = body.get("opId") if isinstance(body, dict) else None
    if not isinstance(op_id, str) or not op_id.strip():
        raise _invalid("opId", "opId is required")
    return op_id.strip()


def _invalid(field: str, message: str) -> InvalidArgument:
    return InvalidArgument(message, details={"field": field})


class Supervisor:
    """The one operation there is, and the task that works on it. `world` is made when it is first needed."""

    def __init__(
        self,
        settings: SupervisorSettings,
        ledger: Ledger,
        world: Callable[[], World],
        *,
        own_id: str = "",
        pace: Pace | None = None,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self._make_world = world
        self._own_id = own_id
        self._pace = pace or Pace()
        self._task: asyncio.Task[None] | None = None

    @property
    def book(self) -> Book:
        """How it stands."""
        return self.ledger.book

    # ---- what may be asked

    async def start(self, request: UpgradeRequest, target: UpgradeTarget, by: str) -> str:
        """Begin, or find that exactly this runs: the operation's id. Raises Conflict, StateUnwritable."""
        book = self.book
        if machine.is_running_as(book, request, target):
            return book.op_id
        if book.state == "running":
            raise Conflict(
                "another upgrade of Dockrev is running",
                hint="Wait for its end; the supervisor's page shows it.",
                details={"opId": book.op_id},
            )
        op_id = new_id("sup")
        self.ledger.put(machine.begin(book, op_id, request, target, utc_now()))
        try:
            await self.ledger.note("INFO", f"{by} asked for {target.ref}, {request.mode}", durable=True)
        except DockrevError:
            self.ledger.put(book)
            raise
        self._task = asyncio.create_task(self._settled(self._upgrade), name="self-upgrade")
        return op_id

    async def roll_back(self, op_id: str, by: str) -> None:
        """Take the current operation back. Raises InvalidArgument, Conflict."""
        refused = machine.rollback_refused(self.book, op_id)
        if refused is not None:
            reason, message = refused
            raise (_invalid("opId", message) if reason == "unknown" else Conflict(message, details={"opId": op_id}))
        self.ledger.put(machine.begin_rollback(self.book, utc_now()))
        await self.ledger.note("INFO", f"{by} asked to go back to {previous_ref(self.book.previous)}")
        self._task = asyncio.create_task(self._settled(self._roll_back), name="self-rollback")

    async def after_restart(self) -> None:
        """Put right what a killed supervisor left: say so, and see what runs now (spec §10.6)."""
        was = self.book
        self.ledger.put(machine.interrupted(was, utc_now()))
        if was.state != "running":
            return
        await self.ledger.keep()
        await asyncio.to_thread(tidy, self.ledger.path.absolute().parent)
        self._task = asyncio.create_task(self._settled(self._look), name="self-upgrade-look")

    async def close(self) -> None:
        """Leave what runs as interrupted; the next start tells of it."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def finished(self) -> None:
        """Wait for the end of what runs."""
        if self._task is not None:
            await asyncio.shield(self._task)

    # ---- the work

    async def _settled(self, work: Callable[[World], Awaitable[None]]) -> None:
        world = self._make_world()
        try:
            await work(world)
        except DockrevError as error:
            await self._failed(error)
        except Exception as error:
            log.error("the self-upgrade ended with a mistake of ours", exc_info=error)
            await self._failed(DockrevError(f"internal error ({type(error).__name__})"))
        finally:
            await asyncio.shield(world.close())
            give_back()

    async def _upgrade(self, world: World) -> None:
        upgrade = Upgrade(world, self.ledger, self.settings, self._own_id, self._pace)
        request = self.book.request
        try:
            found = await upgrade.precheck()
            image = await upgrade.pull(found)
            if request is None or request.mode == "dry-run":
                await self._end("succeeded", "dry-run completed")
                return
            await upgrade.apply(found, image)
            await self.ledger.enter("wait_healthy", "waiting for Dockrev to answer")
            address = await upgrade.wait_healthy()
            await self.ledger.enter("postcheck", f"Dockrev answers at {address}")
            version = await upgrade.postcheck(address)
        except Exception as error:
            if not await self._was_changed(world) or request is None or not request.rollback_on_failure:
                raise
            await self._failed(
                error if isinstance(error, DockrevError) else DockrevError(type(error).__name__), end=False
            )
            await self._back(world, upgrade)
            return
        await self._advise_about_files()
        await self._end("succeeded", f"Dockrev runs {version or self.book.target.ref}")

    async def _was_changed(self, world: World) -> bool:
        """Whether the container was replaced, by what the engine says; one that was only stopped runs again after this.

        Compose removes the old container before it starts the new one: while it is there, no other version has run.
        """
        recovery = self.book.recovery
        if recovery is None or not (recovery.replaced or recovery.stopped):
            return False
        try:
            container = await world.container(recovery.container_id)
            if container is None:
                return True
            if not container.running:
                await world.start(container.id)
                await self.ledger.note("INFO", "nothing was replaced; Dockrev is started again as it was")
        except DockrevError as error:
            await self.ledger.note("ERROR", f"whether Dockrev runs is unknown: {error.message}")
        return False

    async def _roll_back(self, world: World) -> None:
        await self._back(world, Upgrade(world, self.ledger, self.settings, self._own_id, self._pace))

    async def _back(self, world: World, upgrade: Upgrade) -> None:
        try:
            ref = await Rollback(world, self.ledger, upgrade).run()
        except DockrevError as error:
            raise DockrevError(f"rollback failed: {error.message}", hint=error.hint) from error
        await self._end("rolled_back", f"back on {ref}")

    async def _advise_about_files(self) -> None:
        book = self.book
        if book.target.ref != book.previous.tag:
            await self.ledger.note(
                "WARN",
                f"the Compose file may still name {book.previous.tag}: change it to {book.target.ref}, or the next "
                "`docker compose up` by hand goes back to it",
            )

    async def _failed(self, error: DockrevError, *, end: bool = True) -> None:
        step = self.book.progress.step
        await self.ledger.note("ERROR", f"{step}: {error.message}")
        if error.hint:
            await self.ledger.note("INFO", f"remedy: {error.hint}")
        if end:
            await self._end("failed", error.message)

    async def _end(self, state: machine.State, message: str) -> None:
        self.ledger.put(machine.end(self.book, state, self.ledger.clean(message), utc_now()))
        await self.ledger.note("ERROR" if state == "failed" else "INFO", f"{state.replace('_', ' ')}: {message}")

    # ---- after a restart

    async def _look(self, world: World) -> None:
        recovery = self.book.recovery
        if recovery is None:
            await self.ledger.note("INFO", "nothing had been changed")
            return
        if recovery.replaced:
            await asyncio.sleep(self._pace.orphans)
        for attempt in range(LOOKS_AFTER_RESTART):
            try:
                changed = await self._was_changed(world)
                found = await world.service(recovery.project, recovery.service)
                break
            except DockrevError as error:
                if attempt == 0:
                    await self.ledger.note("WARN", f"what runs now is unknown: {error.message}")
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        else:
            return
        for container in found:
            state = "runs" if container.running else f"is stopped (status {container.exit_code})"
            await self.ledger.note("INFO", f"now: {container.name} {state} on {container.image}")
        if not found:
            await self.ledger.note("WARN", f"now: {recovery.project}/{recovery.service} has no container")
        if changed:
            await self.ledger.note("INFO", f"a rollback to {previous_ref(self.book.previous)} is available")
        elif recovery.mode == "apply":
            await self.ledger.note("INFO", "it had not been replaced yet")
