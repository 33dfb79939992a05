"""Brings the data of a backup back: stop, unpack into the service's own mounts, start again (spec §7.10).

Files of the backup replace those of the same name; files that came since then stay. A restore that a dead process left
half done is begun anew at the next start, and what it had stopped is started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from app.adapters.engine import ContainerDetail, Engine, EngineError
from app.core.errors import Conflict, DockrevError
from app.core.jobs import JobContext, JobEngine, JobFilter, JobKind, JobOutcome, JobStatus, NewJob, Progress
from app.features.backups.archive import BadArchive, checksum_of, is_single_file, read_tree
from app.features.backups.errors import BackupFailed
from app.features.backups.records import BackupRecord
from app.features.backups.seen import KINDS
from app.features.backups.service import Backups
from app.features.stacks import Stacks, dependencies_first

JOB_TYPE = "restore"
BUSY_TYPES = ("update", "rollback", "restore", "service_lifecycle")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one member of the archive goes."""

    member: str
    name: str
    container_id: str
    destination: str


class Restores:
    """Restores backups as jobs of type `restore`."""

    def __init__(self, backups: Backups, engine: Engine, stacks: Stacks, jobs: JobEngine) -> None:
        self._backups = backups
        self._stacks = stacks
        self._engine = engine
        self._jobs = jobs
        jobs.register(JobKind(JOB_TYPE, self._run))

    async def start(self, backup_id: str, created_by: str, reason: str = "ui") -> str:
        """Start a restore; returns the job's id. Raises NotFound, and Conflict when the archive is gone or the stack
        is being changed."""
        record = await self._backups.get(backup_id)
        if not record.restorable:
            raise Conflict("this backup cannot be restored: its archive is incomplete or was deleted")
        return await self._submit(record, created_by, reason, ())

    async def resume(self) -> None:
        """At start: begin anew what the last process did not end."""
        failed = JobFilter(types=(JOB_TYPE,), statuses=(JobStatus.FAILED,), limit=20)
        for job in await self._jobs.store.search(failed):
            if job.summary.get("cause") in ("server_restart", "server_shutdown") and job.summary.get("stopped"):
                later = [other for other in await self._later(job.created_at.isoformat()) if other != job.id]
                record = await self._backups.get(str(job.payload.get("backupId")))
                if not later and record.restorable:
                    await self._submit(record, "system", "recovery", job.summary["stopped"])
                return

    async def _later(self, moment: str) -> list[str]:
        jobs = await self._jobs.store.search(JobFilter(types=(JOB_TYPE,), limit=20))
        return [job.id for job in jobs if job.created_at.isoformat() > moment]

    async def _submit(self, record: BackupRecord, created_by: str, reason: str, stopped: Sequence[str]) -> str:
        async def guard(session: AsyncSession) -> None:
            active = await self._jobs.store.active(session, BUSY_TYPES)
            targets = await self._jobs.store.targets(session, [job.id for job in active])
            for job in active:
                stacks = {job.stack_id, *(stack for stack, _ in targets[job.id])}
                if job.scope == "all" or record.stack_id in stacks:
                    details = {"reason": "service_operation_in_progress", "existingJobId": job.id}
                    raise Conflict("service operation in progress", details=details)

        payload = {"backupId": record.id, "stopped": list(stopped)}
        new = NewJob(JOB_TYPE, "stack", created_by, reason, stack_id=record.stack_id, payload=payload)
        return await self._jobs.submit(new, guard=guard)

    async def _run(self, ctx: JobContext) -> JobOutcome:
        record = await self._backups.get(str(ctx.job.payload["backupId"]))
        self._backups.restoring.add(record.id)
        try:
            archive = await self._sound_archive(record)
            places, users, by_hand = await self._places(record, archive)
            for text in by_hand:
                ctx.log(f"not restored: {text}. It is in {archive}.", "warn")
            stopped = [user.id for user in users if user.running or user.id in ctx.job.payload.get("stopped", ())]
            ctx.merge({"backupId": record.id, "stopped": stopped})
            await ctx.flush()
            try:
                await self._stop(ctx, [user for user in reversed(users) if user.running])
                for n, place in enumerate(places):
                    told = f"restoring {place.name}"
                    ctx.progress(Progress("restore", told, n, len(places), 100 * n / len(places)), force=True)
                    ctx.log(f"unpacking {place.member} into {place.destination} of {place.container_id[:12]}")
                    await self._engine.write_archive(
                        place.container_id, place.destination, read_tree(archive, place.member)
                    )
            finally:
                await asyncio.shield(self._start_again(ctx, stopped))
        except (OSError, BadArchive) as error:
            raise BackupFailed(f"the archive cannot be read: {error}") from error
        finally:
            self._backups.restoring.discard(record.id)
        ctx.progress(Progress("done", "restored", len(places), len(places), 100), force=True)
        restored = [{"member": place.member, "name": place.name} for place in places]
        return JobOutcome(JobStatus.SUCCESS, {"restored": restored, "notRestored": by_hand, "stopped": []})

    async def _sound_archive(self, record: BackupRecord) -> Path:
        archive = Path(record.artifact_path or "")
        try:
            found = await asyncio.to_thread(checksum_of, archive)
        except OSError as error:
            hint = "Is the backup folder mounted?"
            raise BackupFailed(f"the archive {archive} cannot be read: {error.strerror}", hint=hint) from error
        if record.sha256 and found != record.sha256:
            raise BackupFailed(f"the archive {archive} was damaged or changed since it was written")
        return archive

    async def _places(
        self, record: BackupRecord, archive: Path
    ) -> tuple[list[Place], list[ContainerDetail], list[str]]:
        """Where everything goes, who uses it (what others depend on first), and what only the owner can put back; all
        of it before anything is stopped."""
        rows = await self._engine.containers(all=True)
        containers = await self._engine.containers_detail([row.id for row in rows])
        places: list[Place] = []
        users: dict[str, ContainerDetail] = {}
        by_hand: list[str] = []
        for entry in record.targets:
            if entry.get("status") != "included":
                continue
            using = {container.id: container for container in containers if _destination(container, entry)}
            place = _place(entry, list(using.values()))
            if place is None:
                by_hand.append(f"{_name(entry)}: no container has it mounted in a way that it can be written")
            elif await asyncio.to_thread(is_single_file, archive, place.member):
                by_hand.append(f"{place.name}: a single file, which the engine cannot replace while it is mounted")
            else:
                places.append(place)
                users |= using
        if not places:
            hint = f"Create the containers first (docker compose up --no-start), or unpack {archive} by hand."
            raise BackupFailed("nothing of this backup can be restored: " + "; ".join(by_hand), hint=hint)
        return places, await self._dependencies_first(list(users.values())), by_hand

    async def _dependencies_first(self, users: Sequence[ContainerDetail]) -> list[ContainerDetail]:
        known = {stack.project: stack.services for stack in await self._stacks.stacks("include")}
        ordered: list[ContainerDetail] = []
        for project in dict.fromkeys(user.project for user in users):
            there = [user for user in users if user.project == project]
            edges = {service.name: service.depends_on for service in known.get(project, ())}
            names = dependencies_first((user.service for user in there), edges)
            ordered += sorted(there, key=lambda user: names.index(user.service))
        return ordered

    async def _stop(self, ctx: JobContext, running: Sequence[ContainerDetail]) -> None:
        for container in running:
            ctx.log(f"$ docker stop {container.name}")
            await self._engine.stop(container.id)

    async def _start_again(self, ctx: JobContext, ids: Sequence[str]) -> None:
        for container_id in ids:
            ctx.log(f"$ docker start {container_id[:12]}")
            try:
                await self._engine.start(container_id)
            except EngineError as error:
                ctx.log(f"{container_id[:12]} could not be started: {error.message}", "error")
        with suppress(DockrevError):
            await ctx.flush()


def _destination(container: ContainerDetail, entry: Mapping[str, Any], *, rw: bool = False) -> str | None:
    """Where a container has the target mounted; None when it has not."""
    target = entry.get("target", {})
    for mount in container.mounts:
        kind = KINDS.get(mount.type)
        name = mount.name if kind == "docker-volume" else mount.source
        if kind == target.get("kind") and name == (target.get("name") or target.get("path")) and (mount.rw or not rw):
            return mount.destination
    return None


def _name(entry: Mapping[str, Any]) -> str:
    target = entry["target"]
    return str(target.get("name") or target.get("path"))


def _place(entry: Mapping[str, Any], using: Sequence[ContainerDetail]) -> Place | None:
    for container in sorted(using, key=lambda container: container.service != entry.get("service")):
        if destination := _destination(container, entry, rw=True):
            return Place(str(entry["member"]), _name(entry), container.id, destination)
    return None
