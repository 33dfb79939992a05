"""Back to what ran before the last successful update, on request (spec §5b)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.core.clock import rfc3339
from app.core.errors import Conflict
from app.core.jobs import JobContext, JobEngine, JobFilter, JobOutcome, JobRecord, NewJob
from app.features.stacks import ServiceRecord, Stacks
from app.features.updates.one_stack import StackPlan
from app.features.updates.rules.conflicts import Operation
from app.features.updates.rules.request import Target
from app.features.updates.schemas import RollbackTarget
from app.features.updates.service import OWN_SERVICE, Updates
from app.features.versions import VersionRecord, Versions

ROLLBACK: Final = "rollback"
MANUAL: Final = "manual"
LOOKED_AT: Final = 200


@dataclass(frozen=True, slots=True)
class Before:
    """What a finished update of a service replaced."""

    job_id: str
    digest: str
    version: str | None
    finished_at: datetime | None


def before_update(jobs: list[JobRecord], service_id: str, current_digest: str) -> Before | None:
    """What ran before the newest update that settled on `current_digest`; `jobs` are newest first."""
    for job in jobs:
        for entry in _lines(job, service_id):
            if entry.get("toDigest") == current_digest and entry.get("fromDigest") and _settled(entry):
                return Before(job.id, entry["fromDigest"], entry.get("fromVersion"), job.finished_at)
    return None


def _lines(job: JobRecord, service_id: str) -> Iterator[Mapping[str, Any]]:
    if job.payload.get("mode") == "apply":
        yield from (entry for entry in job.summary.get("timeline", []) if entry.get("key") == service_id)


def _settled(entry: Mapping[str, Any]) -> bool:
    return any(step.get("step") == "settled" and step.get("status") == "done" for step in entry.get("steps", []))


class Rollbacks:
    """Manual roll backs as jobs of type `rollback`: an update to the digest before, with all its care."""

    def __init__(self, updates: Updates, jobs: JobEngine, stacks: Stacks, versions: Versions) -> None:
        self._updates = updates
        self._jobs = jobs
        self._stacks = stacks
        self._versions = versions

    async def target(self, service_id: str) -> RollbackTarget:
        """Where a roll back would lead, or why there is none. Raises NotFound."""
        service = await self._stacks.service(service_id)
        record = (await self._versions.records([service_id])).get(service_id)
        found = RollbackTarget(available=False, current_digest=record.current_digest if record else None)
        found.current_display_tag = record.current_display if record else None
        found.unavailable_reason = await self._fill(found, service, record)
        found.available = found.unavailable_reason is None
        return found

    async def _fill(self, found: RollbackTarget, service: ServiceRecord, record: VersionRecord | None) -> str | None:
        """Complete the answer; the reason against a roll back, or None."""
        if self._versions.is_dockrev(service.image_ref):
            return OWN_SERVICE
        if record is None or record.current_digest is None:
            return "current_digest_missing"
        wanted = JobFilter(types=("update", ROLLBACK), service_id=service.id, limit=LOOKED_AT)
        before = before_update(await self._jobs.store.search(wanted), service.id, record.current_digest)
        if before is None:
            return "no_matching_update_history"
        found.target_digest, found.target_display_tag = before.digest, before.version
        found.source_update_job_id = before.job_id
        found.source_finished_at = rfc3339(before.finished_at) if before.finished_at else None
        if before.digest == record.current_digest:
            return "target_digest_matches_current"
        async with self._jobs.db.session() as session:
            busy = await self._updates.blocker(session, _operation(service))
        if busy is None:
            return None
        found.active_job_id = busy[1]
        active = await self._jobs.store.get(busy[1])
        found.active_job_status = active.status.value if active else None
        return busy[0]

    async def start(self, service_id: str, created_by: str) -> str:
        """Start a roll back; returns the job's id. Raises NotFound, and Conflict with the reason of `target`."""
        service = await self._stacks.service(service_id)
        found = await self.target(service_id)
        if found.unavailable_reason is not None:
            details = {"reason": found.unavailable_reason}
            if found.active_job_id:
                details["existingJobId"] = found.active_job_id
            raise Conflict("rollback is not available", details=details)
        facts = {
            "fromVersion": found.current_display_tag,
            "toVersion": found.target_display_tag,
            "fromDigest": found.current_digest,
            "toDigest": found.target_digest,
        }
        new = NewJob(
            ROLLBACK,
            "service",
            created_by,
            "ui",
            stack_id=service.stack_id,
            service_id=service.id,
            payload={"kind": MANUAL, "mode": "apply", "facts": facts, "sourceJobId": found.source_update_job_id},
            targets=((service.stack_id, service.id),),
            stoppable=True,
        )
        wanted = _operation(service)
        return await self._jobs.submit(new, guard=lambda session: self._updates.require_free(session, wanted))

    async def run(self, ctx: JobContext) -> JobOutcome:
        """The job: an update to the digest before."""
        service = await self._stacks.service(ctx.job.service_id or "")
        stack = await self._stacks.stack(service.stack_id)
        facts: dict[str, Any] = ctx.job.payload["facts"]
        target = Target(service.id, service.image_tag, facts["toDigest"])
        ctx.merge({"sourceUpdateJobId": ctx.job.payload.get("sourceJobId")})
        return await self._updates.apply(ctx, [StackPlan(stack, ((service, target),))], {service.id: facts})


def _operation(service: ServiceRecord) -> Operation:
    return Operation("service", service.stack_id, service.id, frozenset({(service.stack_id, service.id)}))
