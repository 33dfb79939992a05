"""The update job: stack after stack, service after service (spec §7.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.adapters.registry import ImageRef
from app.core.clock import rfc3339
from app.core.errors import DockrevError
from app.core.events import EntitiesChanged, EventBus
from app.core.jobs import JobContext, JobOutcome, JobStatus, Progress
from app.features.backups import BackupResult, Backups
from app.features.preferences import Preferences
from app.features.stacks import ServiceRecord, StackRecord
from app.features.updates.one_service import Result, ServiceUpdate
from app.features.updates.records import Failure
from app.features.updates.rules.order import dependencies_first
from app.features.updates.rules.request import Target
from app.features.updates.tools import Tools
from app.features.updates.track import Track
from app.features.versions import Checks, VersionRecord, Versions

BACKUP_PERCENT: Final = 8.0
APPLY_FROM: Final = 15.0
APPLY_TO: Final = 95.0


@dataclass(frozen=True, slots=True)
class StackPlan:
    """The targets of one stack in the order they are done. `anomalies` were left out (spec §7.5, downgrade)."""

    stack: StackRecord
    items: tuple[tuple[ServiceRecord, Target], ...]
    anomalies: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True)
class _Counter:
    """Where the job is: services done, services there are, and the highest percent told."""

    total: int
    done: int = 0
    percent: float = 0.0


@dataclass(slots=True)
class StackSummary:
    """The `update` of one stack's summary; image ids are local ones, as the contract has it."""

    changed: int = 0
    old: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)
    target_tags: list[str] = field(default_factory=list)
    pull_tags: list[str] = field(default_factory=list)
    tag_warnings: list[Mapping[str, Any]] = field(default_factory=list)
    skipped: list[Mapping[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    evidence: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failure: Failure | None = None

    def document(self, anomalies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The JSON of spec §7.8."""
        found: dict[str, Any] = {
            "changedServices": self.changed,
            "oldDigests": self.old,
            "newDigests": self.new,
            "targetTagsPulled": self.target_tags,
            "pullTagsPulled": self.pull_tags,
            "pullTagWarnings": self.tag_warnings,
            "skippedVersionAnomaly": list(anomalies),
        }
        if self.skipped:
            found["skippedServices"] = self.skipped
        if self.warnings:
            found["warnings"] = self.warnings
        if self.evidence:
            found["rollbackEvidence"] = self.evidence
        return found | failure_members(self.failure)


def failure_members(failure: Failure | None) -> dict[str, Any]:
    """How a failure stands in a summary."""
    if failure is None:
        return {}
    found: dict[str, Any] = {"failureStep": failure.step, "lastError": failure.error}
    return found | ({"retry": dict(failure.retry)} if failure.retry else {})


def in_order(stack: StackRecord, targets: Mapping[str, Target]) -> tuple[tuple[ServiceRecord, Target], ...]:
    """The targeted services of a stack, what others depend on first."""
    by_name = {service.name: service for service in stack.services}
    names = [service.name for service in stack.services if service.id in targets]
    depends_on = {service.name: service.depends_on for service in stack.services}
    ordered = dependencies_first(names, depends_on)
    return tuple((by_name[name], targets[by_name[name].id]) for name in ordered)


class ApplyUpdate:
    """Runs one job of type `update` with mode `apply`."""

    def __init__(
        self,
        tools: Tools,
        backups: Backups,
        preferences: Preferences,
        versions: Versions,
        checks: Checks,
        bus: EventBus,
        ctx: JobContext,
        facts: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._facts = facts
        self._tools = tools
        self._backups = backups
        self._preferences = preferences
        self._versions = versions
        self._checks = checks
        self._bus = bus
        self._ctx = ctx
        self._summaries: list[dict[str, Any]] = []
        self._count = _Counter(0)
        self._updated: list[str] = []

    async def run(self, plans: Sequence[StackPlan]) -> JobOutcome:
        """Do it all; the first failure or roll back ends the job, what was updated before stays."""
        items = [(plan.stack, service, target) for plan in plans for service, target in plan.items]
        self._count = _Counter(len(items))
        self._ctx.merge({"mode": "apply", "stacks": []})
        await self._announce(items)
        outcome = JobOutcome()
        for plan in plans:
            outcome = await self._stack(plan)
            if outcome.status is not JobStatus.SUCCESS:
                break
        await self._settle([service for _, service, _ in items])
        if outcome.status is JobStatus.SUCCESS:
            done = f"{len(self._updated)} of {len(items)} updated"
            self._progress("done", done, 100.0)
        return outcome

    async def _announce(self, items: Sequence[tuple[StackRecord, ServiceRecord, Target]]) -> None:
        """A line for every service, before the first one is touched."""
        records = await self._versions.records([service.id for _, service, _ in items])
        for stack, service, target in items:
            track = self._track(stack, service)
            facts = line_facts(stack, service, target, records.get(service.id))
            track.step("queued", "run", **{**facts, **self._facts.get(service.id, {})})
        self._progress("prepare", "preparing", 1.0)
        self._bus.publish(EntitiesChanged("services", frozenset(service.id for _, service, _ in items)))

    async def _stack(self, plan: StackPlan) -> JobOutcome:
        summary = StackSummary()
        entry: dict[str, Any] = {"stackId": plan.stack.id, "backup": {}, "update": summary.document(plan.anomalies)}
        self._summaries.append(entry)
        backup: BackupResult | None = None
        try:
            backup = await self._backup(plan)
            entry["backup"] = dict(backup.summary)
        except DockrevError as error:
            required = (await self._preferences.backup()).require_success
            self._ctx.log(f"backup failed: {error.message}. {error.hint}".strip(), "error" if required else "warn")
            entry["backup"] = {"status": "failed", "error": error.message, "lastError": error.message}
            self._backup_step(plan, "bad" if required else "skip", error.message)
            if required:
                entry["backup"]["failureStep"] = "backup"
                self._tell()
                told = {"error": f"backup failed: {error.message}", "hint": error.hint}
                return JobOutcome(JobStatus.FAILED, {**told, "failureStep": "backup", "lastError": error.message})
        for service, target in plan.items:
            result = await self._service(plan, service, target, backup)
            self._add(summary, service, result)
            entry["update"] = summary.document(plan.anomalies)
            self._tell()
            if result.failure is not None:
                return _failed(result)
        self._tell()
        return JobOutcome()

    # ---- backup

    async def _backup(self, plan: StackPlan) -> BackupResult:
        """The backup step, or the reason why there is none (spec §7.8)."""
        reason = ""
        if not plan.items:
            reason = "no_actionable_services_after_anomaly_skip" if plan.anomalies else "no_actionable_services"
        elif not await self._backup_wanted():
            reason = "disabled"
        if reason:
            self._backup_step(plan, "skip", reason)
            return BackupResult({"status": "skipped", "reason": reason})
        self._progress("backup", f"{plan.stack.name}: backing up", BACKUP_PERCENT)
        self._backup_step(plan, "run")
        only = plan.items[0][0].id if self._ctx.job.scope == "service" else None
        result = await self._backups.take(self._ctx, plan.stack, only)
        taken = result.summary.get("status") == "success"
        note = str(result.summary.get("artifactPath") or result.summary.get("reason", ""))
        self._backup_step(plan, "done" if taken else "skip", note)
        return result

    async def _backup_wanted(self) -> bool:
        mode = self._ctx.job.backup_mode
        return mode == "force" or (mode != "skip" and (await self._preferences.backup()).enabled)

    def _backup_step(self, plan: StackPlan, status: str, note: str = "") -> None:
        for service, _ in plan.items:
            self._track(plan.stack, service).step("backup", status, note)

    # ---- one service

    async def _service(
        self,
        plan: StackPlan,
        service: ServiceRecord,
        target: Target,
        backup: BackupResult | None,
    ) -> Result:
        track = self._track(plan.stack, service)
        update = ServiceUpdate(
            self._tools,
            self._ctx,
            track,
            plan.stack,
            service,
            target,
            backup=_backup_facts(backup),
        )
        try:
            result = await update.run()
        except DockrevError as error:
            self._ctx.log(f"{service.name}: {error.message}. {error.hint}".strip(), "error")
            track.step("queued", "bad", error.message, error=error.message)
            result = Result("failed", failure=Failure("locate", error.message, error.hint))
        self._count.done += 1
        if result.ending == "rolled_back" and backup and backup.backup_id and backup.artifact_path:
            await self._backups.extend(backup.backup_id)
        return result

    def _add(self, summary: StackSummary, service: ServiceRecord, result: Result) -> None:
        if result.old_image:
            summary.old[service.id] = result.old_image
        if result.new_image:
            summary.new[service.id] = result.new_image
        if result.ending == "settled":
            summary.changed += 1
            self._updated.append(service.id)
            ref = ImageRef.parse(service.image_ref)
            summary.target_tags.append(f"{ref.familiar_repo}:{service.image_tag}")
        if result.ending == "skipped":
            found = {"serviceId": service.id, "serviceName": service.name, "reason": result.why_skipped}
            summary.skipped.append(found)
        if result.evidence:
            summary.evidence[service.id] = result.evidence
        summary.pull_tags += result.tags_pulled
        summary.tag_warnings += result.tag_warnings
        summary.warnings += result.warnings
        summary.failure = result.failure

    # ---- afterwards

    async def _settle(self, services: Sequence[ServiceRecord]) -> None:
        """Read anew what runs; a registry that does not answer takes nothing away from the update."""
        if self._updated:
            self._progress("settle", "reading the new state", APPLY_TO)
            try:
                await self._checks.recheck(self._updated, self._ctx)
            except DockrevError as error:
                self._ctx.log(f"the new state could not be read: {error.message}", "warn")
        self._bus.publish(EntitiesChanged("services", frozenset(service.id for service in services)))

    def _track(self, stack: StackRecord, service: ServiceRecord) -> Track:
        def report(fraction: float, message: str, download: dict[str, Any] | None) -> None:
            share = (APPLY_TO - APPLY_FROM) * (self._count.done + fraction) / max(1, self._count.total)
            self._progress("apply", message, APPLY_FROM + share, f"{stack.name}/{service.name}", download)

        return Track(self._ctx, self._tools.clock, service.id, f"{stack.name}/{service.name}", report)

    def _progress(
        self,
        phase: str,
        message: str,
        percent: float,
        target: str | None = None,
        download: dict[str, Any] | None = None,
    ) -> None:
        count = self._count
        count.percent = max(count.percent, percent)
        handed_out = min(count.done + 1, count.total) if target else count.done
        self._ctx.progress(
            Progress(
                phase,
                message,
                current=count.done,
                total=count.total,
                percent=count.percent,
                planned_current=handed_out,
                planned_total=count.total,
                planned_percent=100 * handed_out / count.total if count.total else 100,
                current_target=target,
                download=download,
            ),
            force=download is None,
        )

    def _tell(self) -> None:
        self._ctx.merge({"stacks": [dict(entry) for entry in self._summaries]})


def line_facts(
    stack: StackRecord, service: ServiceRecord, target: Target, record: VersionRecord | None
) -> dict[str, Any]:
    """What the timeline tells of a service besides its steps."""
    return {
        "stackId": stack.id,
        "fromVersion": record.current_display if record else service.image_tag,
        "toVersion": (record.candidate_display if record else None) or target.target_tag,
        "fromDigest": record.current_digest if record else None,
        "toDigest": target.target_digest,
    }


def _backup_facts(backup: BackupResult | None) -> dict[str, Any]:
    if backup is None or backup.artifact_path is None:
        return {}
    return {
        "backupId": backup.backup_id,
        "backupAt": rfc3339(backup.created_at) if backup.created_at else None,
        "backupPath": backup.artifact_path,
    }


def _failed(result: Result) -> JobOutcome:
    assert result.failure is not None
    status = JobStatus.ROLLED_BACK if result.ending == "rolled_back" else JobStatus.FAILED
    told = {"error": result.failure.error, "hint": result.failure.hint}
    return JobOutcome(status, {**told, **failure_members(result.failure)})
