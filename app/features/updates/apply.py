"""The update job: stack after stack (spec §7.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.core.errors import DockrevError
from app.core.events import EntitiesChanged, EventBus
from app.core.jobs import JobContext, JobOutcome, JobStatus, JobStopped
from app.features.backups import Backups
from app.features.preferences import Preferences
from app.features.stacks import ServiceRecord, StackRecord, dependencies_first
from app.features.updates.one_stack import StackPlan, StackUpdate
from app.features.updates.rules.request import Target
from app.features.updates.summary import line_facts
from app.features.updates.tools import Tools
from app.features.updates.track import APPLY_TO, Meter
from app.features.versions import Checks, Versions


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
        self._stacks: list[StackUpdate] = []
        self._meter = Meter(ctx, tools.clock, 0)

    async def run(self, plans: Sequence[StackPlan]) -> JobOutcome:
        """Do it all; the first failure or roll back ends the job, what was updated before stays. Raises JobStopped
        when somebody wanted it to stop before the first container was touched."""
        items = [(plan.stack, service, target) for plan in plans for service, target in plan.items]
        self._meter = Meter(self._ctx, self._tools.clock, len(items))
        self._ctx.merge({"mode": "apply", "stacks": []})
        await self._announce(items)
        outcome = JobOutcome()
        try:
            for plan in plans:
                outcome = await self._stack(plan)
                if outcome.status is not JobStatus.SUCCESS:
                    break
        except JobStopped:
            self._leave(items, "stopped before anything was changed")
            self._bus.publish(EntitiesChanged("services", frozenset(service.id for _, service, _ in items)))
            raise
        self._leave(items, "not attempted any more")
        updated = [service_id for stack in self._stacks for service_id in stack.updated]
        await self._settle(updated, [service for _, service, _ in items])
        if outcome.status is JobStatus.SUCCESS:
            self._meter.tell("done", f"{len(updated)} of {len(items)} updated", 100.0)
        return outcome

    async def _announce(self, items: Sequence[tuple[StackRecord, ServiceRecord, Target]]) -> None:
        """A line for every service, before the first one is touched."""
        records = await self._versions.records([service.id for _, service, _ in items])
        for stack, service, target in items:
            facts = line_facts(stack, service, target, records.get(service.id))
            track = self._meter.track(service.id, f"{stack.name}/{service.name}")
            track.step("queued", "run", **{**facts, **self._facts.get(service.id, {})})
        self._meter.tell("prepare", "preparing", 1.0)
        self._bus.publish(EntitiesChanged("services", frozenset(service.id for _, service, _ in items)))

    async def _stack(self, plan: StackPlan) -> JobOutcome:
        stack = StackUpdate(self._tools, self._backups, self._preferences, self._ctx, self._meter, plan, self._tell)
        self._stacks.append(stack)
        return await stack.run()

    def _leave(self, items: Sequence[tuple[StackRecord, ServiceRecord, Target]], why: str) -> None:
        """A last word for every service that the job did not come to."""
        ended = {service_id for stack in self._stacks for service_id in stack.ended}
        for stack, service, _ in items:
            if service.id not in ended:
                self._meter.track(service.id, f"{stack.name}/{service.name}").step("unchanged", "skip", why)

    async def _settle(self, updated: Sequence[str], services: Sequence[ServiceRecord]) -> None:
        """Read anew what runs; a registry that does not answer takes nothing away from the update."""
        if updated:
            self._meter.tell("settle", "reading the new state", APPLY_TO)
            try:
                await self._checks.recheck(updated, self._ctx)
            except DockrevError as error:
                self._ctx.log(f"the new state could not be read: {error.message}", "warn")
        self._bus.publish(EntitiesChanged("services", frozenset(service.id for service in services)))

    def _tell(self) -> None:
        self._ctx.merge({"stacks": [dict(stack.entry) for stack in self._stacks]})
