"""One stack of an update: its backup, all its images, then one service after another (spec §7.8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.adapters.compose import ComposeError
from app.core.errors import AdapterError, DockrevError
from app.core.jobs import JobContext, JobOutcome, JobStatus
from app.features.backups import BackupResult, Backups
from app.features.preferences import Preferences
from app.features.stacks import ServiceRecord, StackRecord
from app.features.updates.followers import restart_dependent
from app.features.updates.one_service import ServiceUpdate
from app.features.updates.records import Dependent, Failure, Result, project_of
from app.features.updates.rules.request import Target
from app.features.updates.summary import StackSummary, backup_facts, failed_outcome
from app.features.updates.tools import Tools, settle_restarts
from app.features.updates.track import BACKUP_PERCENT, Meter, Track


@dataclass(frozen=True, slots=True)
class StackPlan:
    """The targets of one stack in the order they are done. `anomalies` were left out (spec §7.5, downgrade)."""

    stack: StackRecord
    items: tuple[tuple[ServiceRecord, Target], ...]
    anomalies: tuple[Mapping[str, Any], ...] = ()


class StackUpdate:
    """Updates the targets of one stack. `entry` is its part of the job's summary, `tell` stores it."""

    def __init__(
        self,
        tools: Tools,
        backups: Backups,
        preferences: Preferences,
        ctx: JobContext,
        meter: Meter,
        plan: StackPlan,
        tell: Callable[[], None],
    ) -> None:
        self._tools = tools
        self._backups = backups
        self._preferences = preferences
        self._ctx = ctx
        self._meter = meter
        self._plan = plan
        self._tell = tell
        self._summary = StackSummary()
        self._owed: dict[str, Dependent] = {}
        self.entry: dict[str, Any] = {
            "stackId": plan.stack.id,
            "backup": {},
            "update": self._summary.document(plan.anomalies),
        }
        self.updated: list[str] = []
        self.ended: set[str] = set()

    async def run(self) -> JobOutcome:
        """Nothing is touched before the backup is made and every image is here. Raises JobStopped until then."""
        await self._ctx.stop_asked()
        if self._plan.items and (unusable := await self._unusable()) is not None:
            return self._unchanged(unusable)
        backup = await self._back_up()
        if isinstance(backup, JobOutcome):
            return backup
        ready: list[ServiceUpdate] = []
        for service, target in self._plan.items:
            await self._ctx.stop_asked()
            update = self._update(service, target, backup)
            early = await self._caught(update, update.prepare())
            if early is None:
                ready.append(update)
            elif (outcome := await self._close(service, early, backup)) is not None:
                return outcome
        await self._ctx.commit()
        outcome = await self._apply(ready, backup)
        await self._pay(self._owed)
        await settle_restarts(self._tools, self._ctx, self._plan.stack.id)
        self._tell()
        return outcome

    async def _apply(self, ready: list[ServiceUpdate], backup: BackupResult | None) -> JobOutcome:
        for n, update in enumerate(ready, start=1):
            ahead = {later.service.name for later in ready[n:]}
            result = await self._caught(update, update.apply(ahead))
            assert result is not None
            if (outcome := await self._close(update.service, result, backup)) is not None:
                return outcome
        return JobOutcome()

    # ---- before anything

    async def _unusable(self) -> Failure | None:
        """Why Compose could not recreate these services: better known now than with half of it done."""
        try:
            model = await self._tools.compose.config(project_of(self._plan.stack))
        except ComposeError as error:
            return Failure("compose_config", error.message, error.hint)
        there = model.get("services") or {}
        missing = [service.name for service, _ in self._plan.items if service.name not in there]
        if not missing:
            return None
        return Failure(
            "compose_config",
            f"the Compose files of {self._plan.stack.name} have no service {', '.join(missing)} any more",
            "Put it back into the files, or remove its container, and scan.",
        )

    def _unchanged(self, failure: Failure) -> JobOutcome:
        """The end of a stack that cannot be updated at all."""
        self._ctx.log(f"{self._plan.stack.name}: {failure.error}. {failure.hint}".strip(), "error")
        result = Result("failed", failure=failure)
        for service, _ in self._plan.items:
            self._track(service).step("queued", "bad", failure.error, error=failure.error)
            self._track(service).step("unchanged", "done", "nothing was changed")
            self._meter.ended(service.id)
            self.ended.add(service.id)
        self._summary.add(self._plan.items[0][0], result)
        self.entry["update"] = self._summary.document(self._plan.anomalies)
        self._tell()
        return failed_outcome(result)

    # ---- backup

    async def _back_up(self) -> BackupResult | JobOutcome | None:
        """What was made; None when it failed and that is allowed, an outcome when it is not."""
        try:
            backup = await self._backup()
        except DockrevError as error:
            required = (await self._preferences.backup()).require_success
            self._ctx.log(f"backup failed: {error.message}. {error.hint}".strip(), "error" if required else "warn")
            told = {"status": "failed", "error": error.message, "lastError": error.message}
            self.entry["backup"] = told | ({"failureStep": "backup"} if required else {})
            self._backup_step("bad" if required else "skip", error.message)
            self._tell()
            if not required:
                return None
            summary = {"error": f"backup failed: {error.message}", "hint": error.hint}
            return JobOutcome(JobStatus.FAILED, {**summary, "failureStep": "backup", "lastError": error.message})
        self.entry["backup"] = dict(backup.summary)
        self._tell()
        return backup

    async def _backup(self) -> BackupResult:
        """The backup step, or the reason why there is none (spec §7.8)."""
        plan, reason = self._plan, ""
        if not plan.items:
            reason = "no_actionable_services_after_anomaly_skip" if plan.anomalies else "no_actionable_services"
        elif not await self._backup_wanted():
            reason = "disabled"
        if reason:
            self._backup_step("skip", reason)
            return BackupResult({"status": "skipped", "reason": reason})
        self._meter.tell("backup", f"{plan.stack.name}: backing up", BACKUP_PERCENT)
        self._backup_step("run")
        only = plan.items[0][0].id if self._ctx.job.scope == "service" else None
        result = await self._backups.take(self._ctx, plan.stack, only)
        taken = result.summary.get("status") == "success"
        note = str(result.summary.get("artifactPath") or result.summary.get("reason", ""))
        self._backup_step("done" if taken else "skip", note)
        return result

    async def _backup_wanted(self) -> bool:
        mode = self._ctx.job.backup_mode
        return mode == "force" or (mode != "skip" and (await self._preferences.backup()).enabled)

    def _backup_step(self, status: str, note: str = "") -> None:
        for service, _ in self._plan.items:
            self._track(service).step("backup", status, note)

    # ---- services

    def _update(self, service: ServiceRecord, target: Target, backup: BackupResult | None) -> ServiceUpdate:
        return ServiceUpdate(
            self._tools,
            self._ctx,
            self._track(service),
            self._plan.stack,
            service,
            target,
            backup=backup_facts(backup),
        )

    async def _caught(self, update: ServiceUpdate, half: Awaitable[Result | None]) -> Result | None:
        """What a half of an update came to; an outside world that failed outside of its steps is a failure too."""
        try:
            return await half
        except DockrevError as error:
            self._ctx.log(f"{update.service.name}: {error.message}. {error.hint}".strip(), "error")
            self._track(update.service).step("queued", "bad", error.message, error=error.message)
            return Result("failed", failure=Failure("locate", error.message, error.hint))

    async def _close(self, service: ServiceRecord, result: Result, backup: BackupResult | None) -> JobOutcome | None:
        """Take in how a service ended; the outcome of the job when that is its end."""
        self._meter.ended(service.id)
        self.ended.add(service.id)
        if result.ending == "settled":
            self.updated.append(service.id)
        if result.ending == "rolled_back" and backup and backup.backup_id and backup.artifact_path:
            await self._backups.extend(backup.backup_id)
        for name in result.restarted:
            self._owed.pop(name, None)
        self._owed |= {one.service: one for one in result.owed}
        if result.ending == "rolled_back":
            self._warn_of_shared_tag(service)
        self._summary.add(service, result)
        self.entry["update"] = self._summary.document(self._plan.anomalies)
        self._tell()
        if result.failure is None:
            return None
        return failed_outcome(result, service.name if len(self._plan.items) > 1 else "")

    def _warn_of_shared_tag(self, service: ServiceRecord) -> None:
        """Two services with one tag, and only one of them got the new image: the tag can mean but one of both."""
        for other, _ in self._plan.items:
            if other.id in self.updated and other.image_ref == service.image_ref:
                self._summary.warnings.append(
                    f"{other.name} runs the new image, but {service.image_ref} means the previous one again, since "
                    f"{service.name} went back: the next docker compose up takes {other.name} back too"
                )

    async def _pay(self, owed: Mapping[str, Dependent]) -> None:
        """Restart what was left to an update of its own that then did not come."""
        project = self._plan.stack.project
        for dependent in owed.values():
            try:
                verdict = await restart_dependent(
                    self._tools, self._ctx, project, "what was updated", dependent, ended_too=False
                )
                why = "" if verdict.state == "ok" else verdict.why
            except AdapterError as error:
                why = f"{project}/{dependent.service} could not be restarted: {error.message}"
            if why:
                self._ctx.log(why, "warn")
                self._summary.warnings.append(why)
                self.entry["update"] = self._summary.document(self._plan.anomalies)

    def _track(self, service: ServiceRecord) -> Track:
        return self._meter.track(service.id, f"{self._plan.stack.name}/{service.name}")
