"""The check job (spec §5.3, §7.5, §14.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.clock import Clock
from app.core.errors import Conflict, InvalidArgument
from app.core.jobs import JobContext, JobEngine, JobKind, JobOutcome, JobRecord, NewJob, Progress
from app.features.stacks import Scope, ServiceRecord, Stacks
from app.features.versions.checking.checker import Checker, Order, Reporter
from app.features.versions.inference.queue import Reason
from app.features.versions.records import Rechecked

CHECK: Final = "check"
STALE_AFTER: Final = timedelta(hours=2)
BACKGROUND_REASONS: Final = frozenset({"schedule", "webhook", "github_webhook"})


def check_scope(scope: str, stack_id: str | None, service_id: str | None) -> None:
    """Raise InvalidArgument when the id that a scope needs is missing (spec §5.3)."""
    if scope == "stack" and not stack_id:
        raise InvalidArgument("stackId is required for scope=stack", details={"field": "stackId"})
    if scope == "service" and not service_id:
        raise InvalidArgument("serviceId is required for scope=service", details={"field": "serviceId"})


class Silent:
    """A report nobody reads."""

    def log(self, message: str, level: str = "info") -> None:
        """Kept nowhere: such a check has no job whose log it could stand in."""


class Checks:
    """Starts checks and runs them."""

    def __init__(self, jobs: JobEngine, stacks: Stacks, checker: Checker, clock: Clock, host_platform: str) -> None:
        self._jobs = jobs
        self._stacks = stacks
        self._checker = checker
        self._clock = clock
        self._host_platform = host_platform
        jobs.register(JobKind(type=CHECK, handler=self._run, prefix="chk"))

    async def start(
        self,
        scope: Scope,
        *,
        stack_id: str | None = None,
        service_id: str | None = None,
        created_by: str = "unknown",
        reason: str = "ui",
        job_id: str = "",
        alone: bool = True,
        summary: Mapping[str, Any] | None = None,
    ) -> str:
        """Start a check in the background; returns its job id.

        Raises InvalidArgument for a missing id, NotFound for an unknown one, and, unless `alone` is false, Conflict
        `check already running` with `existingJobId` when one of the same scope and ids runs; after two hours that one
        is taken for dead. `job_id` and `summary` are those of `NewJob`.
        """
        check_scope(scope, stack_id, service_id)
        stack_id = stack_id if scope == "stack" else None
        service_id = service_id if scope == "service" else None
        services = await self._stacks.select(scope, stack_id=stack_id, service_id=service_id)
        return await self._jobs.submit(
            NewJob(
                type=CHECK,
                scope=scope,
                stack_id=stack_id,
                service_id=service_id,
                created_by=created_by,
                reason=reason,
                targets=[(service.stack_id, service.id) for service in services] if scope != "all" else (),
                id=job_id,
                summary=summary or {},
            ),
            guard=self._guard(scope, stack_id, service_id) if alone else None,
        )

    async def start_or_join(
        self,
        service_id: str,
        *,
        created_by: str,
        reason: str,
        summary: Mapping[str, Any],
        join: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ) -> tuple[str, bool]:
        """Check one service, or add to the summary of the check of it that is under way (spec §9.5).

        Returns the job's id and whether it was there already; `join` is given that one's summary and returns the
        members to set. Raises NotFound.
        """
        while True:
            async with self._jobs.db.transaction() as session:
                existing = await self._under_way(session, "service", None, service_id)
                if existing is not None:
                    await self._jobs.amend(session, existing.id, join)
                    return existing.id, True
            try:
                job_id = await self.start(
                    "service", service_id=service_id, created_by=created_by, reason=reason, summary=summary
                )
            except Conflict:  # somebody was faster: join that one
                continue
            return job_id, False

    def _guard(self, scope: str, stack_id: str | None, service_id: str | None) -> Callable[[AsyncSession], Any]:
        async def guard(session: AsyncSession) -> None:
            existing = await self._under_way(session, scope, stack_id, service_id)
            if existing is not None:
                raise Conflict("check already running", details={"existingJobId": existing.id})

        return guard

    async def _under_way(
        self, session: AsyncSession, scope: str, stack_id: str | None, service_id: str | None
    ) -> JobRecord | None:
        """The check of exactly this scope that runs; one that is taken for dead is ended."""
        for job in await self._jobs.store.active(session, (CHECK,)):
            if (job.scope, job.stack_id, job.service_id) != (scope, stack_id, service_id):
                continue
            if self._clock.now() - job.created_at <= STALE_AFTER:
                return job
            await self._jobs.fail_stale(session, job.id, "stale_check")
        return None

    async def recheck(self, service_ids: Sequence[str], ctx: JobContext | None = None) -> list[Rechecked]:
        """Examine services again after they were changed (spec §7.8 "After success").

        With a job's context, failures go to its log and each service is told as `update_state_settled`.
        """
        services = await self._stacks.services(list(service_ids))
        report: Reporter = ctx if ctx is not None else Silent()
        order = Order(job_id=ctx.job.id if ctx else None, moved=Reason.UPDATE_DIGEST_CHANGED)
        examined = await self._checker.examine(services, order, report)
        results = [examined.results[service.id] for service in services if service.id in examined.results]
        if ctx is not None:
            names = {service.id: service.name for service in services}
            for result in results:
                ctx.event("update_state_settled", **_settled(result, names[result.service_id]))
        return results

    async def _run(self, ctx: JobContext) -> JobOutcome:
        job = ctx.job
        ctx.progress(Progress("prepare", "reading services and what runs"), force=True)
        scope: Scope = "stack" if job.scope == "stack" else "service" if job.scope == "service" else "all"
        services = await self._stacks.select(scope, stack_id=job.stack_id, service_id=job.service_id)
        total = len(services)
        ctx.merge(_frame(job.scope, self._host_platform, services))
        scanning = Progress("scanning", "asking registries", total=total, planned_current=total, planned_total=total)
        ctx.progress(_at(scanning, 0))

        def done(count: int, stack_name: str) -> None:
            step = _at(scanning, count)
            step.current_target = stack_name
            ctx.progress(step)

        order = Order(background=job.reason in BACKGROUND_REASONS, whole_stacks=job.scope != "service", job_id=job.id)
        examined = await self._checker.examine(services, order, ctx, done)
        finished = _at(scanning, total)
        finished.phase, finished.message, finished.percent = "done", "check finished", 100
        finished.planned_percent = 100
        ctx.progress(finished, force=True)
        ctx.log(f"{len(examined.results)} services checked, {examined.with_candidate} with something newer")
        return JobOutcome(
            summary={
                "servicesChecked": len(examined.results),
                "servicesWithCandidate": examined.with_candidate,
                "newVersions": {
                    "count": len(examined.new_versions),
                    "services": [version.document() for version in examined.new_versions],
                },
            }
        )


def _frame(scope: str, host_platform: str, services: Sequence[ServiceRecord]) -> dict[str, Any]:
    stack_ids = list(dict.fromkeys(service.stack_id for service in services))
    return {"hostPlatform": host_platform, "scope": scope, "stackIds": stack_ids}


def _at(progress: Progress, current: int) -> Progress:
    percent = 100 * current / progress.total if progress.total else 0
    return Progress(
        phase=progress.phase,
        message=progress.message,
        current=current,
        total=progress.total,
        percent=percent,
        planned_current=progress.planned_current,
        planned_total=progress.planned_total,
        planned_percent=100 if progress.planned_total else 0,
    )


def _settled(result: Rechecked, service_name: str) -> dict[str, Any]:
    return {
        "stackId": result.stack_id,
        "serviceId": result.service_id,
        "serviceName": service_name,
        "runtimeDigest": result.runtime_digest,
        "candidatePresent": result.candidate_present,
        "inferenceOk": result.registry_ok,
    }
