"""Puts right what a dead process left half done (spec §7.9): every open row of the journal becomes a job.

Decided from what is really there, never from where the dead process believed to be: see `rules.recovery`.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import structlog

from app.adapters.compose import ComposeError, is_generated_override
from app.adapters.engine import EngineError, EngineUnreachable
from app.core.errors import AdapterError, DockrevError
from app.core.events import EntitiesChanged, EventBus
from app.core.jobs import JobContext, JobEngine, JobOutcome, JobStatus, NewJob, Progress
from app.features.updates import evidence
from app.features.updates.containers import containers_of, is_up
from app.features.updates.followers import bring_followers, require_followers, restart_dependent
from app.features.updates.orphans import wait_for_orphans
from app.features.updates.records import Change, Failure, StepFailed
from app.features.updates.rules.recovery import Action, Found, Step, recovery_action
from app.features.updates.take_back import EngineAway, take_back_or_tell
from app.features.updates.tools import Tools, forget, image_id_of, require_working, tag_image
from app.features.versions import Checks

log = structlog.get_logger(__name__)

ROLLBACK: Final = "rollback"
RECOVERY: Final = "recovery"
ENGINE_PATIENCE_SECONDS: Final = 900.0
ENGINE_LOOK_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 60.0
RETRY_AT_MOST_SECONDS: Final = 3600.0
CONFIG_PREFIX: Final = "dockrev-docker-config-"


class Recovery:
    """Starts jobs of type `rollback` with reason `recovery` for what is half done and nobody works on."""

    def __init__(self, tools: Tools, jobs: JobEngine, checks: Checks, bus: EventBus) -> None:
        self._tools = tools
        self._jobs = jobs
        self._checks = checks
        self._bus = bus
        self._lock = asyncio.Lock()
        self._working: dict[tuple[str, str], str] = {}
        self._tries: dict[tuple[str, str], tuple[int, float]] = {}

    async def begin(self) -> list[str]:
        """Start a job for every open row of the journal that no running job works on; their ids.

        May be called again and again: what could not be put right is tried again after 1, 2, 4 … 60 minutes.
        """
        started: list[str] = []
        async with self._lock:
            for change in _due(await self._tools.journal.all()):
                key = (change.job_id, change.service_id)
                busy = {change.job_id, self._working.get(key, "")}
                tries, due = self._tries.get(key, (0, 0.0))
                now = self._tools.clock.monotonic()
                if busy & self._jobs.running or now < due:
                    continue
                self._tries[key] = (tries + 1, now + min(RETRY_SECONDS * 2 ** min(tries, 10), RETRY_AT_MOST_SECONDS))
                self._working[key] = await self._submit(change)
                started.append(self._working[key])
        return started

    async def _submit(self, change: Change) -> str:
        new = NewJob(
            ROLLBACK,
            "service",
            "system",
            RECOVERY,
            stack_id=change.stack_id,
            service_id=change.service_id,
            payload={"kind": RECOVERY, "jobId": change.job_id, "serviceId": change.service_id},
            targets=((change.stack_id, change.service_id),),
        )
        return await self._jobs.submit(new)

    async def run(self, ctx: JobContext) -> JobOutcome:
        """One recovery."""
        key = (ctx.job.payload["jobId"], ctx.job.payload["serviceId"])
        change = next((one for one in await self._tools.journal.all() if (one.job_id, one.service_id) == key), None)
        if change is None:
            return JobOutcome(JobStatus.SUCCESS, {"recovery": "nothing_to_do"})
        ctx.merge({"recovery": "looking", "interruptedJobId": change.job_id, "mode": "apply"})
        ctx.progress(Progress("recovery", f"looking after {change.service}", total=1), force=True)
        try:
            outcome = await self._put_right(ctx, change)
        except (EngineUnreachable, EngineAway) as error:
            told = {"error": f"the engine is away: {error}", "hint": "It is tried again when the engine answers."}
            return JobOutcome(JobStatus.FAILED, {**told, "failureStep": "recovery", "lastError": str(error)})
        await self._afterwards(ctx, change)
        return outcome

    async def _put_right(self, ctx: JobContext, change: Change) -> JobOutcome:
        await self._engine_back(ctx)
        if change.override_path and await wait_for_orphans(change.override_path):
            ctx.log("a Compose command of the interrupted update was still running; it has ended now")
        if change.step is Step.RESTARTS:
            return await self._restart_owed(ctx, change)
        change, action = await self._look(ctx, change)
        label = f"{change.project.name}/{change.service}"
        ctx.step(
            change.service_id, "queued", "done", label=label, note="found after a restart", stackId=change.stack_id
        )
        if action == "keep_old":
            return await self._keep_old(ctx, change)
        if action == "judge_new":
            return await self._judge_new(ctx, change)
        return await self._bring_back(ctx, change, Failure("interrupted", "the update was interrupted half way"))

    async def _look(self, ctx: JobContext, change: Change) -> tuple[Change, Action]:
        """What is there, and what to do about it."""
        engine = self._tools.engine
        found = await containers_of(engine, change.project.name, change.service)
        new_image = change.new_image_id or await image_id_of(engine, change.target_ref)
        seen = [Found(container.image_id, container.running or container.restarting) for container in found]
        action = recovery_action(change.step, seen, change.old_image_id, new_image)
        states = ", ".join(f"{one.name} {one.state} {one.image_id[7:19]}" for one in found) or "no container"
        ctx.log(f"interrupted at step {change.step.value}; there is: {states}; decided: {action}")
        return replace(change, new_image_id=new_image), action

    async def _restart_owed(self, ctx: JobContext, change: Change) -> JobOutcome:
        """The update itself is done; who still runs in the containers of then has not been restarted after it."""
        warnings: list[str] = []
        for dependent in change.dependents:
            found = await containers_of(self._tools.engine, change.project.name, dependent.service)
            if not any(is_up(one) and one.id in dependent.containers for one in found):
                ctx.log(f"{change.project.name}/{dependent.service} was replaced or ended since then")
                continue
            verdict = await restart_dependent(
                self._tools, ctx, change.project.name, change.service, dependent, ended_too=False
            )
            if verdict.state != "ok":
                ctx.log(verdict.why, "warn")
                warnings.append(verdict.why)
        await self._forget(ctx, change)
        ctx.step(change.service_id, "settled", "done", note="what depends on it was looked after")
        return _ended(change, "restarts_made", {"warnings": warnings} if warnings else None)

    async def _keep_old(self, ctx: JobContext, change: Change) -> JobOutcome:
        """The old image runs: make sure that its name says so too, and that it does work."""
        if change.step is not Step.PREPARE and not change.pinned:
            await tag_image(self._tools, ctx, change.old_image_id, change.configured_ref)
        if change.step is not Step.PREPARE:
            verdict = await self._tools.watch.until_working(
                change.project.name, change.service, image_id=change.old_image_id, ignore_health=change.was_unhealthy
            )
            if verdict.state == "ok" and change.step is not Step.RECREATE:
                verdict = await bring_followers(self._tools, ctx, change)  # its container is another one by now
            if verdict.state != "ok":
                return await self._bring_back(ctx, change, Failure("health", verdict.why))
        await self._forget(ctx, change)
        ctx.step(change.service_id, "unchanged", "done", note="the previous image was still running")
        return _ended(change, "old_image_kept")

    async def _judge_new(self, ctx: JobContext, change: Change) -> JobOutcome:
        """The new image runs: it gets the chance it would have had, and is finished or taken back."""
        ctx.step(change.service_id, "health", "run")
        try:
            await require_working(self._tools, change, change.new_image_id or "")
            await require_followers(self._tools, ctx, change)
            if not change.pinned:
                await tag_image(self._tools, ctx, change.new_image_id or "", change.configured_ref)
        except StepFailed as failed:
            return await self._bring_back(ctx, change, failed.failure)
        except (ComposeError, EngineError) as error:
            if isinstance(error, EngineUnreachable):
                raise
            return await self._bring_back(ctx, change, Failure("health", error.message, error.hint))
        ctx.step(change.service_id, "health", "done")
        ctx.step(change.service_id, "settled", "done", note="the update was finished after the restart")
        await self._forget(ctx, change)
        return _ended(change, "update_finished")

    async def _bring_back(self, ctx: JobContext, change: Change, failure: Failure) -> JobOutcome:
        kept: dict[str, Any] = {"trigger": failure.error}
        try:
            found = await containers_of(self._tools.engine, change.project.name, change.service)
            kept = await evidence.gather(self._tools.engine, change, failure, found)
        except AdapterError as error:
            ctx.log(f"no evidence: {error.message}", "warn")
        ctx.step(change.service_id, "rolled_back", "run", note="bringing the previous image back", evidence=kept)
        verdict = await take_back_or_tell(self._tools, ctx, change)
        restored = verdict.state == "ok"
        kept |= {"restoredOk": restored}
        await self._forget(ctx, change)
        ctx.step(change.service_id, "rolled_back", "back" if restored else "bad", note=verdict.why, evidence=kept)
        outcome = _ended(change, "rolled_back" if restored else "rollback_failed", {"rollbackEvidence": kept})
        if restored:
            return JobOutcome(JobStatus.ROLLED_BACK, outcome.summary)
        told = f"the previous image could not be brought back: {verdict.why}"
        failed = {"error": told, "failureStep": "rollback_failed", "lastError": verdict.why}
        return JobOutcome(JobStatus.FAILED, {**outcome.summary, **failed})

    async def _forget(self, ctx: JobContext, change: Change) -> None:
        """The files of the dead process, then the row."""
        await asyncio.to_thread(_remove_files, change)
        await forget(self._tools, ctx, change)

    async def _engine_back(self, ctx: JobContext) -> None:
        """Wait for the engine: after a reboot it may come up later than Dockrev. Raises EngineUnreachable."""
        began = self._tools.clock.monotonic()
        told = False
        while True:
            try:
                await self._tools.engine.ping()
                return
            except EngineUnreachable as error:
                if self._tools.clock.monotonic() - began > ENGINE_PATIENCE_SECONDS:
                    raise
                if not told:
                    ctx.log(f"waiting for the engine: {error.message}", "warn")
                    told = True
            await asyncio.sleep(ENGINE_LOOK_SECONDS)

    async def _afterwards(self, ctx: JobContext, change: Change) -> None:
        try:
            await self._checks.recheck([change.service_id], ctx)
        except DockrevError as error:
            ctx.log(f"the state could not be read anew: {error.message}", "warn")
        ctx.progress(Progress("done", f"{change.service} is put right", 1, 1, 100.0), force=True)
        self._bus.publish(EntitiesChanged("services", frozenset({change.service_id})))


def _due(changes: Sequence[Change]) -> list[Change]:
    """What may be put right now: restarts wait until nothing else of their stack is half done."""
    open_stacks = {change.stack_id for change in changes if change.step is not Step.RESTARTS}
    return [change for change in changes if change.step is not Step.RESTARTS or change.stack_id not in open_stacks]


def _ended(change: Change, how: str, more: dict[str, Any] | None = None) -> JobOutcome:
    return JobOutcome(JobStatus.SUCCESS, {"recovery": how, "interruptedJobId": change.job_id, **(more or {})})


def _remove_files(change: Change) -> None:
    """Only what this journal names, and only what looks like ours."""
    if change.override_path and is_generated_override(change.override_path):
        Path(change.override_path).unlink(missing_ok=True)
    folder = Path(change.config_folder) if change.config_folder else None
    if folder is not None and folder.name.startswith(CONFIG_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
