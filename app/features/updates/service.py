"""Starts updates: validation, the conflict rule inside the inserting transaction, and the job itself (spec §5.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.errors import Conflict, InvalidArgument, NotFound
from app.core.events import EventBus
from app.core.jobs import JobContext, JobEngine, JobKind, JobOutcome, JobRecord, NewJob
from app.features.backups import Backups
from app.features.preferences import Preferences
from app.features.stacks import ServiceRecord, Stacks
from app.features.updates.apply import ApplyUpdate, in_order
from app.features.updates.dry_run import dry_run
from app.features.updates.offers import anomaly, offers_of
from app.features.updates.one_stack import StackPlan
from app.features.updates.plan import Planner, UpdatePlan, earlier_summaries
from app.features.updates.rules.conflicts import OWNING_TYPES, Operation, blocked_by
from app.features.updates.rules.request import Target, read_targets, require_ids
from app.features.updates.rules.targets import Offer, check_cover, check_target
from app.features.updates.schemas import Mode, Reason, Scope, UpdateInput
from app.features.updates.tools import Tools
from app.features.versions import Checks, Versions

UPDATE: Final = "update"
OWN_SERVICE: Final = "dockrev_service_managed_via_supervisor"


class Updates:
    """Updates as jobs of type `update`."""

    def __init__(
        self,
        tools: Tools,
        jobs: JobEngine,
        versions: Versions,
        checks: Checks,
        backups: Backups,
        preferences: Preferences,
        bus: EventBus,
    ) -> None:
        self._tools = tools
        self._jobs = jobs
        self._stacks: Stacks = tools.stacks
        self._versions = versions
        self._checks = checks
        self._backups = backups
        self._preferences = preferences
        self._bus = bus
        self._planner = Planner(tools.engine, tools.stacks, versions, backups, jobs.store)
        jobs.register(JobKind(UPDATE, self._run))

    async def start(self, body: UpdateInput, created_by: str, reason: str | None = None) -> str:
        """Start an update or a dry run; returns the job's id. `reason` overrules that of the body.

        Raises InvalidArgument, NotFound and Conflict with the texts of spec §5.3, in its order.
        """
        if reason is not None:
            body = body.model_copy(update={"reason": Reason(reason)})
        targets = read_targets(body)
        services = await self._validate(body, targets)
        pairs = tuple((service.stack_id, service.id) for service in services)
        stack_id = services[0].stack_id if body.scope is Scope.SERVICE else body.stack_id
        wanted = Operation(body.scope.value, stack_id, body.service_id, frozenset(pairs))
        new = NewJob(
            type=UPDATE,
            scope=body.scope.value,
            created_by=created_by,
            reason=body.reason.value,
            stack_id=stack_id if body.scope is not Scope.ALL else None,
            service_id=services[0].id if body.scope is Scope.SERVICE else None,
            allow_arch_mismatch=body.allow_arch_mismatch,
            backup_mode=body.backup_mode.value,
            payload={"mode": body.mode.value, "targets": [_document(target) for target in targets]},
            targets=pairs,
            stoppable=body.mode is Mode.APPLY,
        )
        if body.mode is Mode.DRY_RUN:
            return await self._jobs.submit(new)
        return await self._jobs.submit(new, guard=lambda session: self.require_free(session, wanted))

    async def plan(
        self,
        scope: str,
        *,
        stack_id: str | None = None,
        service_id: str | None = None,
        allow_arch_mismatch: bool = False,
    ) -> UpdatePlan:
        """What an update of this scope would do now, for the dialog before it. Raises InvalidArgument, NotFound."""
        if scope not in list(Scope):
            raise InvalidArgument("scope must be service, stack or all", details={"field": "scope"})
        require_ids(Scope(scope), stack_id, service_id)
        if scope == Scope.SERVICE:
            service = await self._stacks.service(service_id or "")
            chosen = [await self._stacks.stack(service.stack_id)]
            wanted = Operation(scope, service.stack_id, service.id, frozenset({(service.stack_id, service.id)}))
        elif scope == Scope.STACK:
            chosen, wanted = [await self._stacks.stack(stack_id or "")], Operation(scope, stack_id)
        else:
            chosen, wanted = await self._stacks.stacks(), Operation(scope)
        plan = await self._planner.plan(
            scope,
            chosen,
            service_id if scope == Scope.SERVICE else None,
            allow_arch_mismatch=allow_arch_mismatch,
            defaults=await self._preferences.backup(),
        )
        async with self._jobs.db.session() as session:
            busy = await self.blocker(session, wanted)
        return replace(plan, busy_job_id=busy[1] if busy else None)

    async def require_free(self, session: AsyncSession, wanted: Operation) -> None:
        """Inside the inserting transaction: raise Conflict when something that runs owns what is wanted."""
        found = await self.blocker(session, wanted)
        if found is not None:
            reason, job_id = found
            details = {"reason": reason, "existingJobId": job_id}
            raise Conflict("service operation in progress", hint="Wait for it to end.", details=details)

    async def blocker(self, session: AsyncSession, wanted: Operation) -> tuple[str, str] | None:
        """The reason and the job that forbid an operation now; None when it may start (spec §5.3 step 7)."""
        active = await self._jobs.store.active(session, OWNING_TYPES)
        owners = [job for job in active if job.payload.get("mode") != Mode.DRY_RUN.value]
        touched = await self._jobs.store.targets(session, [job.id for job in owners])
        running = [_operation(job, touched[job.id]) for job in owners]
        # What a dead process left half done is owned by its journal until it is put right.
        running += [
            Operation(
                "service",
                change.stack_id,
                change.service_id,
                frozenset({(change.stack_id, change.service_id)}),
                type="rollback",
                job_id=change.job_id,
            )
            for change in await self._tools.journal.inside(session)
        ]
        return blocked_by(wanted, running)

    async def _validate(self, body: UpdateInput, targets: Sequence[Target]) -> list[ServiceRecord]:
        """Steps 4 to 6; returns the targeted services in the order of the targets."""
        if body.scope is Scope.STACK:
            await self._stacks.stack((body.stack_id or "").strip())
        known = {service.id: service for service in await self._stacks.services([t.service_id for t in targets])}
        for target in targets:
            if target.service_id not in known:
                raise NotFound("service not found", details={"serviceId": target.service_id})
        scope_services = await self._scope_services(body)
        everything = {service.id: service for service in (*known.values(), *scope_services)}
        offers = await self._offers(list(everything.values()))
        for target in targets:
            offer = offers[target.service_id]
            if body.scope is Scope.SERVICE and offer.is_dockrev:
                hint = f"Use the supervisor at {self._tools.settings.self_upgrade_url}."
                details = {"reason": OWN_SERVICE, "serviceId": offer.service_id}
                raise Conflict("Dockrev's own service is upgraded by its supervisor", hint=hint, details=details)
            check_target(target, offer, allow_arch_mismatch=body.allow_arch_mismatch)
        if body.scope is not Scope.SERVICE:
            check_cover(
                targets,
                [offers[service.id] for service in scope_services],
                allow_arch_mismatch=body.allow_arch_mismatch,
                reason=body.reason.value,
            )
        return [known[target.service_id] for target in targets]

    async def _scope_services(self, body: UpdateInput) -> list[ServiceRecord]:
        if body.scope is Scope.SERVICE:
            return []
        if body.scope is Scope.STACK:
            return await self._stacks.select("stack", stack_id=(body.stack_id or "").strip())
        return await self._stacks.select("all")

    async def _offers(self, services: Sequence[ServiceRecord]) -> dict[str, Offer]:
        records = await self._versions.records([service.id for service in services])
        return offers_of(services, records, self._versions)

    # ---- the job

    async def _run(self, ctx: JobContext) -> JobOutcome:
        targets = {item["serviceId"]: _target(item) for item in ctx.job.payload["targets"]}
        plans = await self._plans(ctx.job, targets)
        if ctx.job.payload["mode"] == Mode.DRY_RUN.value:
            earlier = await earlier_summaries(self._jobs.store, ctx.job.service_id)
            return dry_run(ctx, plans, await self._versions.records(list(targets)), earlier)
        return await self.apply(ctx, plans)

    async def apply(
        self, ctx: JobContext, plans: Sequence[StackPlan], facts: Mapping[str, Mapping[str, Any]] | None = None
    ) -> JobOutcome:
        """Do it, inside the job of `ctx`; `facts` overrule what the timeline tells of a service's versions."""
        update = ApplyUpdate(
            self._tools, self._backups, self._preferences, self._versions, self._checks, self._bus, ctx, facts or {}
        )
        return await update.run(plans)

    async def _plans(self, job: JobRecord, targets: dict[str, Target]) -> list[StackPlan]:
        """Stacks by name; downgrades are left out of everything that nobody watches (spec §7.5)."""
        services = await self._stacks.services(list(targets))
        stack_ids = {service.stack_id for service in services}
        if job.scope == "stack" and job.stack_id:
            stack_ids.add(job.stack_id)
        strict = job.scope != "service" and job.reason != "ui"
        scope = await self._stacks.select("all") if strict else []
        if strict:
            stack_ids |= {one.stack_id for one in scope if job.scope == "all" or one.stack_id == job.stack_id}
        plans: list[StackPlan] = []
        for stack in sorted([await self._stacks.stack(i) for i in stack_ids], key=lambda stack: stack.name):
            offers = await self._offers([one for one in stack.services if strict and not one.hidden])
            odd = {offer.service_id: offer for offer in offers.values() if offer.downgrade and not offer.is_dockrev}
            wanted = {key: target for key, target in targets.items() if key not in odd}
            items = in_order(stack, wanted)
            if items or odd or job.scope == "stack":
                plans.append(StackPlan(stack, items, tuple(anomaly(offer) for offer in odd.values())))
        return plans


def _operation(job: JobRecord, targets: set[tuple[str, str]]) -> Operation:
    return Operation(job.scope, job.stack_id, job.service_id, frozenset(targets), type=job.type, job_id=job.id)


def _document(target: Target) -> dict[str, Any]:
    return {
        "serviceId": target.service_id,
        "targetTag": target.target_tag,
        "targetDigest": target.target_digest,
        "pullTags": list(target.pull_tags),
    }


def _target(document: dict[str, Any]) -> Target:
    return Target(document["serviceId"], document["targetTag"], document["targetDigest"], tuple(document["pullTags"]))
