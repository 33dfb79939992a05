"""Takes backups, lists them, deletes what is past its time (spec §7.10).

Backups are live: the service keeps running while its data is read, as with `docker cp`, through a twin container that
is never started. A database that writes all the
time should be dumped by its own tool; what is kept here is a copy of its files at one moment per file.
"""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, cast

import structlog

from app.adapters.engine import Engine, EngineError
from app.core.clock import Clock, rfc3339
from app.core.errors import DockrevError
from app.core.jobs import JobContext
from app.features.backups.archive import Aborted, LoopReader, give_final_name, remove_archive, write_archive
from app.features.backups.errors import BackupFailed
from app.features.backups.models import BackupStatus
from app.features.backups.records import BackupRecord, BackupResult
from app.features.backups.rules import Finding, Kept, Target, decide, members, to_delete
from app.features.backups.seen import stack_targets
from app.features.backups.store import BackupStore
from app.features.preferences import BackupDefaults, Preferences
from app.features.stacks import StackRecord, Stacks

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS: Final = 600.0
PROBE_SECONDS: Final = 30.0
SPARE_BYTES: Final = 16 * 1024 * 1024
TICK_SECONDS: Final = 60.0


class Backups:
    """The backups of all stacks."""

    def __init__(
        self, store: BackupStore, engine: Engine, stacks: Stacks, preferences: Preferences, clock: Clock
    ) -> None:
        self.store = store
        self._engine = engine
        self._stacks = stacks
        self._preferences = preferences
        self._clock = clock
        self.restoring: set[str] = set()

    # ---- reading

    async def recent(self, stack_id: str | None = None) -> list[BackupRecord]:
        """Backups, newest first; of one stack or of all."""
        return await self.store.recent(stack_id)

    async def get(self, backup_id: str) -> BackupRecord:
        """One backup. Raises NotFound."""
        return await self.store.get(backup_id)

    async def targets(self, stack: StackRecord, service_id: str | None = None) -> list[Target]:
        """What a backup would cover, without sizes. Raises EngineError."""
        return await stack_targets(self._engine, stack, service_id)

    async def known_sizes(self, stack_id: str) -> dict[tuple[str, str], int]:
        """Sizes that the latest backups of a stack measured, by kind and name: measuring anew reads everything."""
        sizes: dict[tuple[str, str], int] = {}
        for record in reversed(await self.store.recent(stack_id, limit=20)):
            for entry in record.targets:
                target, size = entry.get("target", {}), entry.get("sizeBytes")
                if isinstance(size, int):
                    sizes[target.get("kind", ""), target.get("name") or target.get("path", "")] = size
        return sizes

    # ---- taking one

    async def take(self, ctx: JobContext, stack: StackRecord, service_id: str | None = None) -> BackupResult:
        """Back up a stack, or with `service_id` what that service uses; tells its log in `ctx`.

        Raises BackupFailed with the row marked as failed; whether that stops an update is the caller's rule.
        """
        defaults = await self._preferences.backup()
        targets = await stack_targets(self._engine, stack, service_id)
        if not targets:
            return BackupResult({"status": "skipped", "reason": "no_targets"})
        backup_id = await self.store.begin(stack.id, ctx.job.id)
        findings: list[Finding] = []
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                async with AsyncExitStack() as twins:
                    wanted = {target.container_id for target in targets if target.effective != "skip"}
                    through = {id: await twins.enter_async_context(self._engine.twin(id)) for id in sorted(wanted)}
                    reached = [replace(target, container_id=through.get(target.container_id, "")) for target in targets]
                    findings = [await self._probe(ctx, target, defaults) for target in reached]
                    return await self._keep(ctx, stack, backup_id, findings, defaults)
        except BaseException as error:
            documents = [finding.document() for finding in findings]
            failure = _explain(error, defaults.base_dir)
            with suppress(DockrevError):
                await asyncio.shield(
                    self.store.end(backup_id, BackupStatus.FAILED, targets=documents, error=failure.message)
                )
            if isinstance(error, asyncio.CancelledError):
                raise
            raise failure from error

    async def _probe(self, ctx: JobContext, target: Target, defaults: BackupDefaults) -> Finding:
        """Size first: what is too big is not even begun."""
        if target.effective == "skip":
            return decide(target, None, "", defaults.skip_targets_over_bytes)
        threshold = defaults.skip_targets_over_bytes
        limit = None if target.effective == "force" else threshold
        size, told = None, ""
        try:
            size = await self._engine.path_size(
                target.container_id, target.destination, limit=limit, timeout=PROBE_SECONDS
            )
        except (EngineError, tarfile.TarError) as error:
            told = str(error)
        finding = decide(target, size, told, threshold)
        ctx.log(f"backup target {target.name}: {_words(finding)}", "warn" if finding.error else "info")
        return finding

    async def _keep(
        self,
        ctx: JobContext,
        stack: StackRecord,
        backup_id: str,
        findings: Sequence[Finding],
        defaults: BackupDefaults,
    ) -> BackupResult:
        included = [finding for finding in findings if finding.skipped is None]
        places = members(included)
        where = {finding.target: place for finding, place in zip(included, places, strict=True)}
        documents = [finding.document(where.get(finding.target, "")) for finding in findings]
        if not included:
            await self.store.end(backup_id, BackupStatus.SKIPPED, targets=documents, error="no_included_targets")
            return BackupResult({"status": "skipped", "reason": "no_included_targets", "targets": documents}, backup_id)
        now = self._clock.now()
        folder = Path(defaults.base_dir) / stack.id
        unfinished = folder / f".{backup_id}.partial"
        await asyncio.to_thread(_require_room, folder, sum(finding.size or 0 for finding in included))
        await self.store.set_unfinished(backup_id, str(unfinished))
        manifest = {
            "format": 1,
            "backupId": backup_id,
            "jobId": ctx.job.id,
            "stackId": stack.id,
            "project": stack.project,
            "createdAt": rfc3339(now),
            "targets": documents,
        }
        size, sha256 = await self._write(unfinished, manifest, included, places)
        wanted = folder / f"{now:%Y%m%d-%H%M%SZ}.tar.gz"
        final = await asyncio.to_thread(give_final_name, unfinished, wanted, sha256)
        await self.store.end(
            backup_id,
            BackupStatus.SUCCESS,
            targets=documents,
            path=str(final),
            size=size,
            sha256=sha256,
            keep_seconds=stack.backup_delete_after_seconds,
        )
        ctx.log(f"backup written: {final} ({size} bytes)")
        summary = {"status": "success", "backupId": backup_id, "artifactPath": str(final), "sizeBytes": size}
        return BackupResult({**summary, "sha256": sha256, "targets": documents}, backup_id, str(final), now)

    async def _write(
        self, unfinished: Path, manifest: dict[str, Any], included: Sequence[Finding], places: Sequence[str]
    ) -> tuple[int, str]:
        """Engine → tar → gzip → file, in a thread; a cancellation ends the thread and removes the file."""
        loop = asyncio.get_running_loop()
        reader = LoopReader(loop)
        sources: list[tuple[str, Callable[[], IO[bytes]]]] = [
            (place, partial(self._open, reader, finding.target))
            for finding, place in zip(included, places, strict=True)
        ]
        text = json.dumps(manifest, indent=2, ensure_ascii=False).encode()
        work = loop.run_in_executor(None, write_archive, unfinished, text, sources)
        try:
            return await asyncio.shield(work)
        except BaseException:
            reader.abort()
            await asyncio.wait([work])
            if not work.cancelled():
                work.exception()  # asked for, so that nobody warns about it
            await asyncio.to_thread(unfinished.unlink, missing_ok=True)
            raise
        finally:
            await reader.end()

    def _open(self, reader: LoopReader, target: Target) -> IO[bytes]:
        reader.turn_to(self._engine.read_archive(target.container_id, target.destination))
        return cast("IO[bytes]", io.BufferedReader(_Readable(reader), 1 << 20))

    # ---- the rest of a backup's life

    async def remove_twins(self) -> None:
        """Remove the helpers of a backup that a dead process left in the engine, as soon as the engine answers."""
        while True:
            try:
                await self._engine.remove_twins()
                return
            except EngineError:
                await asyncio.sleep(TICK_SECONDS)

    async def tidy_up(self) -> None:
        """At start: runs that a dead process left open are failed, and their unfinished files removed."""
        for record in await self.store.having(BackupStatus.RUNNING):
            if record.artifact_path and record.artifact_path.endswith(".partial"):
                await asyncio.to_thread(Path(record.artifact_path).unlink, missing_ok=True)
            await self.store.end(record.id, BackupStatus.FAILED, error="Dockrev was restarted during this backup")

    async def clean(self) -> int:
        """Delete archives past their time, keeping the newest of each stack; returns how many went (spec §7.10)."""
        by_stack: dict[str, list[BackupRecord]] = {}
        for record in await self.store.having(BackupStatus.SUCCESS):
            by_stack.setdefault(record.stack_id, []).append(record)
        if not by_stack:
            return 0
        keep_last = {stack.id: stack.backup_keep_last for stack in await self._stacks.stacks("include")}
        gone = 0
        for stack_id, records in by_stack.items():
            kept = [Kept(record.id, record.created_at, record.cleanup_after) for record in records]
            doomed = set(to_delete(kept, self._clock.now(), keep_last.get(stack_id, 1))) - self.restoring
            for record in (record for record in records if record.id in doomed):
                await asyncio.to_thread(remove_archive, Path(record.artifact_path or ""))
                await self.store.deleted(record.id)
                gone += 1
        return gone

    async def extend(self, backup_id: str, seconds: int = 7 * 86400) -> None:
        """Keep a backup longer: it belongs to an update that was rolled back."""
        await self.store.keep_until(backup_id, self._clock.now() + timedelta(seconds=seconds))


class _Readable(io.RawIOBase):
    """`LoopReader` as the raw side of a buffer."""

    def __init__(self, reader: LoopReader) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._reader.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _require_room(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise BackupFailed(
            f"not enough free disk for the backup: {needed} bytes to keep, {free} free in {folder}",
            hint="Free some space, choose another backup folder, or leave a big target out in the service's settings.",
        )


def _words(finding: Finding) -> str:
    if finding.skipped:
        return f"{finding.skipped} ({finding.error})" if finding.error else finding.skipped
    return f"{finding.size} bytes"


def _explain(error: BaseException, folder: str) -> DockrevError:
    if isinstance(error, DockrevError):
        return error
    if isinstance(error, TimeoutError):
        hint = "Leave big targets out in the service's settings, or make the backup folder faster."
        return BackupFailed(f"the backup took longer than {TIMEOUT_SECONDS:g} s", hint=hint)
    if isinstance(error, OSError):
        hint = f"Check that {folder} can be written by Dockrev and has free space."
        return BackupFailed(f"the backup could not be written: {error.strerror or type(error).__name__}", hint=hint)
    if isinstance(error, Aborted | asyncio.CancelledError):
        return BackupFailed("the backup was interrupted")
    return BackupFailed(f"the data could not be read ({type(error).__name__})")
