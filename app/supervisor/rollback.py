"""The way back, automatic or by hand (spec §10.5): from what was written down before anything was changed."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from app.core.clock import utc_now
from app.core.errors import Conflict, DockrevError
from app.supervisor.database import copy_database
from app.supervisor.ledger import Ledger
from app.supervisor.state import DatabaseCopy, Recovery, UpgradePrevious
from app.supervisor.upgrade import Failed, Upgrade, stack_of
from app.supervisor.world import Container, World, repository_of


def previous_ref(previous: UpgradePrevious) -> str:
    """`repo@digest`, or the reference as it was where no digest is known."""
    return f"{repository_of(previous.tag)}@{previous.digest}" if previous.digest else previous.tag


class Rollback:
    """Brings back what ran before the operation that the ledger holds. Raises a DockrevError when it cannot."""

    def __init__(self, world: World, ledger: Ledger, upgrade: Upgrade) -> None:
        self._world = world
        self._ledger = ledger
        self._upgrade = upgrade

    async def run(self) -> str:
        """Back, and healthy; what it went back to."""
        recovery, previous = self._ledger.book.recovery, self._ledger.book.previous
        if recovery is None or not previous.known:
            raise Conflict("no rollback target available")
        ref = previous_ref(previous)
        await self._note_step(f"going back to {ref}")
        if not await self._is_still_there(recovery):
            await self._database_back(recovery)
            if previous.digest is None:
                await self._name_again(recovery, ref)
            # What is here already needs no registry: it may be away just now.
            await self._upgrade.recreate(stack_of(recovery), ref, pull="missing")
        address = await self._upgrade.wait_healthy()
        await self._upgrade.postcheck(address)
        return ref

    async def _note_step(self, message: str) -> None:
        try:
            await self._ledger.enter("rollback", message)
        except DockrevError as error:  # the state cannot be written: the way back must not wait for that
            await self._ledger.note("ERROR", error.message)

    async def _is_still_there(self, recovery: Recovery) -> bool:
        """Whether the very container of before exists: Compose removes it before it starts another, so no other
        version has run. It needs to run, nothing more."""
        container = await self._world.container(recovery.container_id)
        if container is None:
            return False
        if not container.running:
            await self._world.start(container.id)
        await self._ledger.note("INFO", f"the container of before, {container.short}, was never replaced")
        await self._clear_half_made(recovery)
        return True

    async def _clear_half_made(self, recovery: Recovery) -> None:
        """Compose makes the new container before it removes the old one; killed in between, it leaves both."""
        try:
            for each in await self._world.service(recovery.project, recovery.service):
                if each.never_ran and each.id != recovery.container_id:
                    await self._world.remove(each.id)
                    await self._ledger.note("INFO", f"removed {each.name}, which was made and never started")
        except DockrevError as error:  # Dockrev runs: what lies beside it is no reason to fail
            await self._ledger.note("WARN", f"a container that was made and never started is left: {error.message}")

    async def _name_again(self, recovery: Recovery, ref: str) -> None:
        """An image without a digest exists here only, and its name may have moved on to the new one."""
        if "@" in ref or ref.startswith("sha256:"):
            return
        await self._world.tag(recovery.image_id, ref)
        await self._ledger.note("INFO", f"{ref} is {recovery.image_id} again")

    # ---- the database

    async def _database_back(self, recovery: Recovery) -> None:
        copy = recovery.database
        if copy is None:
            return
        containers = await self._world.service(recovery.project, recovery.service)
        if not containers:
            await self._ledger.note("WARN", "there is no container: the database is left as it is")
            return
        container = next((each for each in containers if each.running), containers[0])
        await self._ledger.say("stopping Dockrev to look at its database")
        for each in containers:
            if each.running:
                await self._world.stop(each.id)
        try:
            await self._restore(copy, container)
        except DockrevError:
            await self._world.start(container.id)
            raise

    async def _restore(self, copy: DatabaseCopy, container: Container) -> None:
        ledger, folder = self._ledger, self._ledger.path.absolute().parent
        newer = folder / f"{ledger.book.op_id}.newer.tar"
        now = await copy_database(self._world, container.id, copy.path, newer, utc_now())
        if copy.schema_revision is not None and now.schema_revision == copy.schema_revision:
            newer.unlink(missing_ok=True)
            await ledger.note("INFO", f"the database has schema {now.schema_revision} as before: its data stays")
            return
        source = folder / Path(copy.file).name
        if not source.is_file():
            raise Failed(
                f"the database has schema {now.schema_revision or 'unknown'}, before it was "
                f"{copy.schema_revision or 'unknown'}, and the copy {source} is gone: the previous version would "
                "refuse it",
                hint="Bring the copy back, or stay with the version that runs.",
            )
        await self._world.put(container.id, str(PurePosixPath(copy.path).parent), source)
        await ledger.note(
            "WARN",
            f"the database of {copy.taken_at:%Y-%m-%d %H:%M:%S} UTC is back (schema "
            f"{copy.schema_revision or 'unknown'}); the newer one (schema {now.schema_revision or 'unknown'}) is kept "
            f"as {newer}",
        )
