"""What an update would do, for the dialog before it (spec §11.4). Reads only; an engine that is away leaves gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from app.adapters.engine import ContainerDetail, Engine, EngineError
from app.core.jobs import JobFilter, JobStore
from app.features.backups import Backups, Target, mounts_seen, service_containers, targets_of
from app.features.preferences import BackupDefaults
from app.features.stacks import ServiceRecord, StackRecord, Stacks, dependencies_first
from app.features.updates.containers import housemates_of, is_up
from app.features.updates.offers import offer_of
from app.features.updates.rules.order import started_anew
from app.features.updates.rules.targets import Offer, why_not
from app.features.updates.rules.timings import Away, away
from app.features.updates.watch import gate_of
from app.features.versions import VersionRecord, Versions

WhyLeftOut = Literal["archived", "dockrev", "blocked", "arch_mismatch", "downgrade", "not_running"]


@dataclass(frozen=True, slots=True)
class PlannedBackup:
    """A target of the backup step. `size_bytes` is what the last backup measured; `included` what will
    happen as far as that is known."""

    kind: str
    name: str
    size_bytes: int | None
    included: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class PlannedService:
    """One service with exactly the target to send. `health_s` is the longest the health gate would wait; None when
    the container could not be read. `recreated_with` live in its container, `restarted_after` depend on it with
    `restart: true` and run. `away` was measured in earlier updates. `pull_bytes` is the most a pull can need: 0 when
    the image is here already, None while the registry has not told."""

    service_id: str
    service_name: str
    stack_id: str
    stack_name: str
    target_tag: str
    target_digest: str
    pull_tags: tuple[str, ...]
    from_version: str | None
    to_version: str | None
    from_digest: str | None
    arch_match: str
    arch: tuple[str, ...]
    auto_rollback: bool
    running: bool | None = None
    has_health_check: bool = False
    health_s: float | None = None
    backups: tuple[PlannedBackup, ...] = ()
    recreated_with: tuple[str, ...] = ()
    restarted_after: tuple[str, ...] = ()
    away: Away | None = None
    pull_bytes: int | None = None
    stays_up: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOutGroup:
    """Services that are not updated, by reason. Those that do not run are targets all the same: a stack or all update
    must name them, and skips them."""

    reason: WhyLeftOut
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """The plan of a scope, services in the order they are done; empty `targets` means there is nothing to do."""

    scope: str
    stack_id: str | None
    service_id: str | None
    scope_name: str
    targets: tuple[PlannedService, ...]
    left_out: tuple[LeftOutGroup, ...]
    arch_mismatches: int
    allow_arch_mismatch: bool
    backup: BackupDefaults
    checked_at: datetime | None
    busy_job_id: str | None = None


@dataclass(frozen=True, slots=True)
class Planner:
    """Puts a plan together."""

    engine: Engine
    stacks: Stacks
    versions: Versions
    backups: Backups
    jobs: JobStore

    async def plan(
        self,
        scope: str,
        stack_list: Sequence[StackRecord],
        service_id: str | None,
        *,
        allow_arch_mismatch: bool,
        defaults: BackupDefaults,
    ) -> UpdatePlan:
        """The plan for these stacks, or for one service of the only one."""
        services = [one for stack in stack_list for one in stack.services if service_id in (None, one.id)]
        records = await self.versions.records([service.id for service in services])
        offers = {service.id: offer_of(service, records.get(service.id), self.versions) for service in services}
        left: dict[WhyLeftOut, list[str]] = {}
        chosen = set(_chosen(offers.values(), left, alone=service_id is not None, allow=allow_arch_mismatch))
        targets: list[PlannedService] = []
        for stack in sorted(stack_list, key=lambda stack: stack.name):
            targets += await self._stack(stack, chosen, records, offers, defaults, alone=service_id is not None)
        targets = await self._measured(targets, records, service_id)
        idle = [target.service_name for target in targets if target.running is False]
        if idle:
            left["not_running"] = idle
        checked = [record.checked_at for record in records.values() if record.checked_at]
        only = stack_list[0] if scope != "all" and stack_list else None
        return UpdatePlan(
            scope=scope,
            stack_id=only.id if only else None,
            service_id=service_id,
            scope_name=_scope_name(only, services, service_id),
            targets=tuple(targets),
            left_out=tuple(LeftOutGroup(reason, tuple(sorted(names))) for reason, names in left.items()),
            arch_mismatches=sum(
                offer.arch_match == "mismatch" and offer.candidate_digest is not None for offer in offers.values()
            ),
            allow_arch_mismatch=allow_arch_mismatch,
            backup=defaults,
            checked_at=min(checked, default=None),
        )

    async def _measured(
        self, targets: Sequence[PlannedService], records: Mapping[str, VersionRecord], service_id: str | None
    ) -> list[PlannedService]:
        """With what is known of download and time: what is here, what the registry told, what earlier updates took.

        Only a plan of one service asks the registry: a manifest may count as a pull.
        """
        if not targets:
            return []
        here: set[str] = set()
        with suppress(EngineError):
            here = {ref.partition("@")[2] for image in await self.engine.images() for ref in image.repo_digests}
        summaries = await earlier_summaries(self.jobs, service_id)
        sizes = [
            0
            if one.target_digest in here
            else await self.versions.download_size(records[one.service_id], ask=service_id is not None)
            for one in targets
        ]
        return [
            replace(one, away=away(summaries, one.service_id), pull_bytes=size)
            for one, size in zip(targets, sizes, strict=True)
        ]

    async def _stack(
        self,
        stack: StackRecord,
        chosen: set[str],
        records: Mapping[str, VersionRecord],
        offers: Mapping[str, Offer],
        defaults: BackupDefaults,
        *,
        alone: bool,
    ) -> list[PlannedService]:
        wanted = {service.name: service for service in stack.services if service.id in chosen}
        if not wanted:
            return []
        order = dependencies_first(wanted, {service.name: service.depends_on for service in stack.services})
        planned = [_planned(stack, wanted[name], offers[wanted[name].id], records[wanted[name].id]) for name in order]
        try:
            containers = await service_containers(self.engine, stack.project)
            planned = [await self._seen(one, stack, containers) for one in planned]
        except EngineError:
            return planned
        covered = [service for service in stack.services if not alone or service.name in wanted]
        targets = targets_of(mounts_seen(covered, containers))
        sizes = await self.backups.known_sizes(stack.id)
        return _with_backups(planned, targets, sizes, defaults.skip_targets_over_bytes)

    async def _seen(
        self, planned: PlannedService, stack: StackRecord, containers: Sequence[ContainerDetail]
    ) -> PlannedService:
        """With what its containers tell."""
        own = [container for container in containers if container.service == planned.service_name]
        running = [container for container in own if is_up(container)]
        mates, strangers = await housemates_of(self.engine, self.stacks, running) if running else ([], [])
        with_it = {mate.service for mate in mates if mate.project.name == stack.project}
        elsewhere = [f"{mate.project.name}/{mate.service}" for mate in mates if mate.project.name != stack.project]
        up = {container.service for container in containers if is_up(container)}
        edges = {one.name: one.restarts_after for one in stack.services}
        anew = set(started_anew({planned.service_name, *with_it}, edges)) & up if running else set()
        return replace(
            planned,
            running=bool(running),
            has_health_check=any(container.health_policy is not None for container in running),
            health_s=max((gate_of(container, 0).deadline for container in running), default=None),
            recreated_with=(*sorted(with_it), *elsewhere, *strangers),
            restarted_after=tuple(sorted(anew)),
            stays_up=tuple(sorted(up - with_it - anew - {planned.service_name})),
        )


async def earlier_summaries(jobs: JobStore, service_id: str | None) -> list[Mapping[str, Any]]:
    """Summaries of the newest updates, of one service or of all, newest first."""
    wanted = JobFilter(types=("update", "rollback"), service_id=service_id, limit=20 if service_id else 200)
    return [job.summary for job in await jobs.search(wanted) if job.payload.get("mode") == "apply"]


def _chosen(offers: Iterable[Offer], left: dict[WhyLeftOut, list[str]], *, alone: bool, allow: bool) -> Iterable[str]:
    for offer in offers:
        reason = why_not(offer, allow_arch_mismatch=allow, reason="ui")
        if alone and reason in ("archived", "blocked") and offer.candidate_digest and not offer.is_dockrev:
            reason = None  # named on purpose: only what cannot run here stays out
        if reason is None:
            yield offer.service_id
        elif reason != "no_candidate" and offer.candidate_digest:
            left.setdefault(reason, []).append(offer.service_name)


def _planned(stack: StackRecord, service: ServiceRecord, offer: Offer, record: VersionRecord) -> PlannedService:
    resolved = record.candidate_resolved_tag
    return PlannedService(
        service_id=service.id,
        service_name=service.name,
        stack_id=stack.id,
        stack_name=stack.name,
        target_tag=service.image_tag,
        target_digest=offer.candidate_digest or "",
        pull_tags=(resolved,) if resolved and resolved != service.image_tag else (),
        from_version=offer.current_version,
        to_version=offer.candidate_version,
        from_digest=offer.current_digest,
        arch_match=offer.arch_match or "unknown",
        arch=offer.arch,
        auto_rollback=service.auto_rollback,
    )


def _with_backups(
    planned: Sequence[PlannedService],
    targets: Sequence[Target],
    sizes: Mapping[tuple[str, str], int],
    threshold: int,
) -> list[PlannedService]:
    """Each target beside a service that uses it; those of services that are not updated stand beside the first."""
    names = [one.service_name for one in planned]
    by_name: dict[str, list[PlannedBackup]] = {name: [] for name in names}
    for target in targets:
        size = sizes.get((target.kind, target.name))
        reason = "skipped_by_user" if target.effective == "skip" else None
        if reason is None and target.effective != "force" and size is not None and size > threshold:
            reason = "skipped_by_size"
        owner = next((name for name in names if name in target.services), names[0])
        by_name[owner].append(PlannedBackup(target.kind, target.name, size, reason is None, reason))
    return [replace(one, backups=tuple(by_name[one.service_name])) for one in planned]


def _scope_name(only: StackRecord | None, services: Sequence[ServiceRecord], service_id: str | None) -> str:
    if service_id is not None:
        return next((service.name for service in services if service.id == service_id), "")
    return only.name if only else ""
