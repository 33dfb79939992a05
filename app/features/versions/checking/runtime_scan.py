"""The runtime scan: does what runs differ from what was noted, and only then ask (spec §5.3, §7.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.db import Database
from app.core.errors import Conflict, NotFound
from app.core.jobs import JobContext, JobEngine, JobKind, JobOutcome, NewJob, Progress
from app.features.stacks import (
    EngineConnected,
    Runtime,
    RuntimeChanged,
    RuntimeDigest,
    Scope,
    ServiceAdded,
    ServiceImageChanged,
    ServiceRecord,
    Stacks,
)
from app.features.versions.checking.checker import Checker, Order
from app.features.versions.checking.checks import check_scope
from app.features.versions.evidence import Evidence
from app.features.versions.inference.queue import Reason
from app.features.versions.records import Rechecked, VersionRecord

log = structlog.get_logger(__name__)

RUNTIME_SCAN: Final = "runtime_scan"
CHANGING: Final = ("update", "rollback")  # their services are examined by these jobs themselves, at their end
DEBOUNCE_SECONDS: Final = 2.0
DEBOUNCES: Final = 15


@dataclass(frozen=True, slots=True)
class Look:
    """One comparison of what runs with what was noted."""

    services: list[ServiceRecord]
    digests: dict[str, RuntimeDigest]
    records: dict[str, VersionRecord]
    drifted: list[ServiceRecord]


def drifted(record: VersionRecord | None, runtime: RuntimeDigest) -> bool:
    """Whether the running digest is known and is not the one noted (nothing noted counts as different)."""
    known = record.current_digest.lower() if record is not None and record.current_digest else None
    return runtime.digest is not None and runtime.digest.lower() != known


class RuntimeScans:
    """Scans on demand, every few minutes, and soon after the engine tells that a container is another one.

    The two latter make a job only when something drifted: nothing found is nothing to keep.
    """

    def __init__(
        self,
        *,
        db: Database,
        jobs: JobEngine,
        stacks: Stacks,
        runtime: Runtime,
        evidence: Evidence,
        checker: Checker,
        host_platform: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._stacks = stacks
        self._runtime = runtime
        self._evidence = evidence
        self._checker = checker
        self._host_platform = host_platform
        self._sleep = sleep
        self._moved: set[tuple[str, str]] = set()
        self._moved_ids: set[str] = set()
        self._everything = False
        self._noted = asyncio.Event()
        jobs.register(JobKind(type=RUNTIME_SCAN, handler=self._run))

    async def start(
        self,
        scope: Scope,
        *,
        stack_id: str | None = None,
        service_id: str | None = None,
        created_by: str = "unknown",
        reason: str = "ui",
        only: Collection[str] = (),
    ) -> str:
        """Start a scan in the background; returns its job id. `only` narrows the scope to some services.

        Raises InvalidArgument for a missing id, NotFound for an unknown one, Conflict `runtime scan already running`
        with `existingJobId` when one of the same scope and ids runs.
        """
        check_scope(scope, stack_id, service_id)
        stack_id = stack_id if scope == "stack" else None
        service_id = service_id if scope == "service" else None
        await self._stacks.select(scope, stack_id=stack_id, service_id=service_id)

        async def guard(session: AsyncSession) -> None:
            for job in await self._jobs.store.active(session, (RUNTIME_SCAN,)):
                if (job.scope, job.stack_id, job.service_id) == (scope, stack_id, service_id):
                    raise Conflict("runtime scan already running", details={"existingJobId": job.id})

        new = NewJob(
            type=RUNTIME_SCAN,
            scope=scope,
            stack_id=stack_id,
            service_id=service_id,
            created_by=created_by,
            reason=reason,
            payload={"serviceIds": sorted(only)} if only else {},
        )
        return await self._jobs.submit(new, guard=guard)

    # ---- without anybody asking

    async def periodic(self) -> None:
        """One round in the background: a job only when something drifted; left out while a scan runs (spec §7.7)."""
        async with self._db.session() as session:
            if await self._jobs.store.active(session, (RUNTIME_SCAN,)):
                return
        await self._start_for(await self._drifted(await self._stacks.select("all")))

    async def note_runtime(self, event: RuntimeChanged) -> None:
        """Containers of these services are others than before."""
        self._moved.update((event.project, name) for name in event.services)
        self._noted.set()

    async def note_service(self, event: ServiceAdded | ServiceImageChanged) -> None:
        """A service is new, or declares another image: nothing is known of it yet."""
        self._moved_ids.add(event.service_id)
        self._noted.set()

    async def note_engine(self, _: EngineConnected) -> None:
        """The engine answers (again): anything may have changed while nobody was looking."""
        self._everything = True
        self._noted.set()

    async def follow(self) -> None:
        """Look at noted services, when two seconds brought no further note or half a minute is over; for ever.

        A discovery of many services is not disturbed by looking at the first of them.
        """
        while True:
            await self._noted.wait()
            for _ in range(DEBOUNCES):
                self._noted.clear()
                await self._sleep(DEBOUNCE_SECONDS)
                if not self._noted.is_set():
                    break
            self._noted.clear()
            await self.look_at_noted()

    async def look_at_noted(self) -> None:
        """Compare exactly the noted services; those that a running update has in hand are left to it."""
        moved, self._moved = self._moved, set()
        ids, self._moved_ids = self._moved_ids, set()
        everything, self._everything = self._everything, False
        services = [
            service
            for service in await self._stacks.select("all")
            if everything or service.id in ids or (service.project, service.name) in moved
        ]
        if not services:
            return
        found = await self._drifted(services)
        if not await self._start_for(found):
            self._moved_ids.update(service.id for service in found)
            self._noted.set()

    async def _drifted(self, services: Sequence[ServiceRecord]) -> list[ServiceRecord]:
        """Those whose running digest is another one than noted, without those in the hands of a running update."""
        busy = await self._in_hand()
        return (await self._look([service for service in services if service.id not in busy])).drifted

    async def _in_hand(self) -> set[str]:
        async with self._db.session() as session:
            active = await self._jobs.store.active(session, CHANGING)
            targets = await self._jobs.store.targets(session, [job.id for job in active]) if active else {}
        return {service_id for pairs in targets.values() for _, service_id in pairs}

    async def _start_for(self, services: Sequence[ServiceRecord]) -> bool:
        """Start a job for drifted services; False when it must wait for one that runs."""
        if not services:
            return True
        scope: Scope = "service" if len(services) == 1 else "all"
        try:
            await self.start(
                scope,
                service_id=services[0].id if scope == "service" else None,
                created_by="system",
                reason="schedule",
                only=[service.id for service in services],
            )
        except Conflict:
            return False
        except NotFound:
            log.info("a drifted service vanished before it was scanned")
        return True

    # ---- the job

    async def _run(self, ctx: JobContext) -> JobOutcome:
        job = ctx.job
        ctx.event("runtime_scan_started", scope=job.scope, stackId=job.stack_id, serviceId=job.service_id)
        ctx.progress(Progress("prepare", "reading what runs"), force=True)
        scope: Scope = "stack" if job.scope == "stack" else "service" if job.scope == "service" else "all"
        services = await self._stacks.select(scope, stack_id=job.stack_id, service_id=job.service_id)
        if only := set(job.payload.get("serviceIds", ())):
            services = [service for service in services if service.id in only]
        look = await self._look(services)
        total = len(look.drifted)

        def done(count: int, stack_name: str) -> None:
            percent = 100 * count / total if total else 100
            ctx.progress(
                Progress("scanning", "checking what drifted", count, total, percent, current_target=stack_name)
            )

        if look.drifted:
            done(0, "")
        order = Order(
            background=job.reason != "ui",
            forget=True,
            job_id=job.id,
            moved=Reason.RUNTIME_SCAN_DIGEST_CHANGED,
        )
        examined = await self._checker.examine(look.drifted, order, ctx, done) if look.drifted else None
        results = examined.results if examined is not None else {}
        for service in look.drifted:
            if (result := results.get(service.id)) is not None:
                ctx.event("runtime_scan_service", **_told(service, look, result))
        summary = self._summary(job.scope, look, results)
        ctx.progress(Progress("done", "runtime scan finished", total, total, 100), force=True)
        ctx.event("runtime_scan_finished", summary=summary)
        return JobOutcome(summary=summary)

    async def _look(self, services: list[ServiceRecord]) -> Look:
        digests = await self._runtime.running_digests(services) if services else {}
        records = await self._evidence.records([service.id for service in services]) if services else {}
        differing = [service for service in services if drifted(records.get(service.id), digests[service.id])]
        return Look(services, digests, records, differing)

    def _summary(self, scope: str, look: Look, results: dict[str, Rechecked]) -> dict[str, Any]:
        stack_ids = list(dict.fromkeys(service.stack_id for service in look.services))
        away = any(digest.reason == "engine_unreachable" for digest in look.digests.values())
        failed = {result.stack_id for result in results.values() if not result.registry_ok}
        return {
            "hostPlatform": self._host_platform,
            "scope": scope,
            "stackIds": stack_ids,
            "stacksScanned": len(stack_ids),
            "stacksWithErrors": len(stack_ids) if away else len(failed),
            "servicesWithRuntimeDigest": sum(digest.digest is not None for digest in look.digests.values()),
            "servicesDrifted": len(look.drifted),
            "servicesUpdated": sum(result.record is not None for result in results.values()),
        }


def _told(service: ServiceRecord, look: Look, result: Rechecked) -> dict[str, Any]:
    before, after = look.records.get(service.id), result.record
    return {
        "stackId": service.stack_id,
        "serviceId": service.id,
        "serviceName": service.name,
        "imageRef": service.image_ref,
        "rawTag": service.image_tag,
        "runtimeDigest": look.digests[service.id].digest,
        "dbDigestBefore": before.current_digest if before else None,
        "updated": {
            "currentDigest": after.current_digest if after else None,
            "resolvedTag": after.current_resolved_tag if after else None,
            "resolvedTags": list(after.current_resolved_tags) if after else [],
        },
        "changed": after is not None,
        "inferenceOk": result.registry_ok,
    }
