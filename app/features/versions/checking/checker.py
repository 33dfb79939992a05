"""Examining services: one look at the engine, each tag asked once, news written first (spec §7.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Final, Protocol

from app.adapters.registry import ImageRef, InvalidReference, RegistryClient, RegistryError
from app.core.clock import Clock
from app.core.events import EntitiesChanged, EventBus
from app.features.stacks import Runtime, RuntimeDigest, ServiceRecord
from app.features.versions.checking.assess import Finding, assess, only_time_passed
from app.features.versions.checking.requests import Pair, TagQuestion, TagQuestions
from app.features.versions.evidence import Evidence, Findings
from app.features.versions.ignore import IgnoreRules
from app.features.versions.inference.fold import folded, keys_of
from app.features.versions.inference.queue import Key, Reason
from app.features.versions.inference.worker import Inference
from app.features.versions.records import IgnoreRuleRecord, NewVersion, Rechecked, VersionRecord
from app.features.versions.store import DatabaseStore

KEPT_TOGETHER: Final = 50  # services whose unchanged evidence is written in one transaction


class Reporter(Protocol):
    """What an examination tells while it goes on; a job's context is one."""

    def log(self, message: str, level: str = "info") -> None:
        """One line."""


@dataclass(frozen=True, slots=True)
class Order:
    """How to examine.

    `background`: nobody waits, so hosts that rest after a rate limit are left alone. `forget`: a failed request drops
    what was known of an image that no longer runs. `whole_stacks`: every service of the stacks is examined, so their
    time of check moves. `moved` is why a changed running digest is looked up.
    """

    background: bool = False
    forget: bool = False
    whole_stacks: bool = False
    job_id: str | None = None
    moved: Reason = Reason.CACHE_MISS


@dataclass(slots=True)
class Examined:
    """What an examination found, per service, and what is new."""

    results: dict[str, Rechecked] = field(default_factory=dict)
    new_versions: list[NewVersion] = field(default_factory=list)
    lookups: dict[Key, Reason | None] = field(default_factory=dict)

    @property
    def with_candidate(self) -> int:
        """How many services have a candidate now."""
        return sum(result.candidate_present for result in self.results.values())


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read before the first question is asked."""

    records: Mapping[str, VersionRecord]
    ignore: Mapping[str, list[IgnoreRuleRecord]]
    digests: Mapping[str, RuntimeDigest]
    refs: Mapping[str, ImageRef]


Done = Callable[[int, str], None]
"""Called with the number of services done and the last stack's name."""


class Checker:
    """Used by check jobs, runtime scans and updates; knows no job."""

    def __init__(
        self,
        *,
        client: RegistryClient,
        store: DatabaseStore,
        runtime: Runtime,
        evidence: Evidence,
        ignore: IgnoreRules,
        inference: Inference,
        bus: EventBus,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._client = client
        self._store = store
        self._runtime = runtime
        self._evidence = evidence
        self._ignore = ignore
        self._inference = inference
        self._bus = bus
        self._clock = clock
        self._sleep = sleep

    async def examine(
        self, services: Sequence[ServiceRecord], order: Order, report: Reporter, done: Done | None = None
    ) -> Examined:
        """Find out and keep what runs and what is new. Failing registries and engines are told, never raised."""
        known = await self._read(services, report)
        examined, seen = Examined(), list[Finding]()
        questions = _questions(services, known)
        async with TagQuestions(self._client, questions, background=order.background, sleep=self._sleep) as asked:
            ordered = sorted(services, key=lambda service: service.stack_id)  # stable: by name inside
            for _, group in groupby(ordered, key=lambda service: service.stack_id):
                members = list(group)
                seen += [await _find(asked, service, known) for service in members if service.id in known.refs]
                # Stacks without anything new wait for company: a transaction costs more than what they write.
                if len(seen) >= KEPT_TOGETHER or self._has_news(seen, known):
                    await self._keep(seen, known, order, examined, report)
                    seen = []
                if done is not None:
                    done(len(examined.results) + len(seen), members[0].stack_name)
            await self._keep(seen, known, order, examined, report)
        await self._store.flush()
        await self._inference.refresh_missing(examined.lookups)
        return examined

    async def _read(self, services: Sequence[ServiceRecord], report: Reporter) -> _Known:
        refs: dict[str, ImageRef] = {}
        for service in services:
            try:
                refs[service.id] = ImageRef.parse(service.image_ref)
            except InvalidReference as error:
                report.log(f"{_name(service)}: skipped, {error.message}", "warn")
        ids = [service.id for service in services]
        digests = await self._runtime.running_digests(services)
        if any(digest.reason == "engine_unreachable" for digest in digests.values()):
            report.log("the engine does not answer: what runs is not known, earlier evidence stays", "warn")
        records = await self._evidence.records(ids)
        ignore = await self._ignore.active(ids)
        self._store.follow({(refs[s.id].repo, s.image_tag) for s in services if s.id in refs})
        await self._store.load({ref.repo for ref in refs.values()})
        return _Known(records, ignore, digests, refs)

    def _has_news(self, findings: Sequence[Finding], known: _Known) -> bool:
        now = self._clock.now()
        return any(not only_time_passed(found.before, self._assess(found, known, now, False)) for found in findings)

    def _assess(self, found: Finding, known: _Known, now: datetime, forget: bool) -> VersionRecord:
        rules, platform = known.ignore.get(found.service.id, ()), self._client.host_platform
        return assess(found, rules, host_platform=platform, at=now, forget=forget)

    async def _keep(
        self, findings: Sequence[Finding], known: _Known, order: Order, examined: Examined, report: Reporter
    ) -> None:
        if not findings:
            return
        now = self._clock.now()
        stack_ids = list(dict.fromkeys(found.service.stack_id for found in findings))
        batch = Findings(now, stack_ids if order.whole_stacks else [])
        after = {found.service.id: self._assess(found, known, now, order.forget) for found in findings}
        moved = [after[f.service.id] for f in findings if not only_time_passed(f.before, after[f.service.id])]
        after.update(await self._with_cached_versions(moved))
        for found in findings:
            self._sort_in(found, after[found.service.id], batch, examined, order, now)
        written = {record.service_id for record in await self._evidence.save(batch, job_id=order.job_id)}
        new = [version for version in batch.new_versions if version.service_id in written]
        examined.new_versions += new
        _tell(findings, new, report)
        self._bus.publish(EntitiesChanged("services", frozenset(after)))
        self._bus.publish(EntitiesChanged("stacks", frozenset(stack_ids)))

    def _sort_in(
        self,
        found: Finding,
        record: VersionRecord,
        batch: Findings,
        examined: Examined,
        order: Order,
        now: datetime,
    ) -> None:
        """Put one service's evidence where it is written from, and note what else it means."""
        service_id = found.service.id
        if not only_time_passed(found.before, record):
            batch.changed.append(record)
        elif record.last_error:
            batch.failed[service_id] = record.last_error
        else:
            batch.confirmed.append(service_id)
        previous = found.before.candidate_digest if found.before else None
        is_new = record.has_candidate and record.candidate_digest != previous
        if is_new:
            batch.new_versions.append(_new_version(found.service, record))
        for key in keys_of(record, self._client.host_platform):
            fresh = is_new and key.digest == record.candidate_digest
            changed = found.before is None or key.digest not in found.before.digests
            examined.lookups[key] = Reason.NEW_VERSION if fresh else order.moved if changed else None
        examined.results[service_id] = Rechecked(
            service_id=service_id,
            stack_id=found.service.stack_id,
            runtime_digest=found.runtime.digest,
            record=record,
            registry_ok=not found.error,
            error=found.error,
        )

    async def _with_cached_versions(self, records: Iterable[VersionRecord]) -> dict[str, VersionRecord]:
        """The records with versions that are known already and not too old."""
        wanted = {key for record in records for key in keys_of(record, self._client.host_platform)}
        snapshots = await self._inference.fresh(wanted) if wanted else {}
        return {
            record.service_id: folded(
                record, {key.digest: snapshots[key] for key in snapshots if key.image_repo == record.image_repo}
            )
            for record in records
        }


def _questions(services: Sequence[ServiceRecord], known: _Known) -> list[TagQuestion]:
    """Each tag once, in the order of the services; a pinned digest never moves, so nothing is asked about it."""
    running: dict[Pair, set[str | None]] = {}
    refs: dict[Pair, ImageRef] = {}
    for service in sorted(services, key=lambda service: service.stack_id):
        ref = known.refs.get(service.id)
        if ref is None or ref.is_pinned:
            continue
        pair = (ref.repo, service.image_tag)
        refs.setdefault(pair, ref)
        running.setdefault(pair, set()).add(known.digests[service.id].digest)
    return [
        TagQuestion(ref, pair[1], next(iter(running[pair])) if len(running[pair]) == 1 else None)
        for pair, ref in refs.items()
    ]


async def _find(asked: TagQuestions, service: ServiceRecord, known: _Known) -> Finding:
    ref = known.refs[service.id]
    before, runtime = known.records.get(service.id), known.digests[service.id]
    if ref.is_pinned:
        return Finding(service, ref, before, runtime, None)
    try:
        state = await asked.answer((ref.repo, service.image_tag))
    except RegistryError as error:
        return Finding(service, ref, before, runtime, None, error.message)
    return Finding(service, ref, before, runtime, state)


def _tell(findings: Sequence[Finding], new: Sequence[NewVersion], report: Reporter) -> None:
    names = {found.service.id: _name(found.service) for found in findings}
    for found in findings:
        if found.error:
            report.log(f"{names[found.service.id]}: {found.error}", "warn")
    for version in new:
        shown = f"{version.current_display_tag} → {version.candidate_display_tag}"
        report.log(f"{names[version.service_id]}: {shown} ({version.candidate_digest[:19]}…)")


def _new_version(service: ServiceRecord, record: VersionRecord) -> NewVersion:
    assert record.candidate_digest is not None and record.candidate_tag is not None
    return NewVersion(
        stack_id=service.stack_id,
        service_id=service.id,
        service_name=service.name,
        image_ref=service.image_ref,
        current_tag=service.image_tag,
        current_digest=record.current_digest,
        current_display_tag=record.current_display,
        candidate_tag=record.candidate_tag,
        candidate_display_tag=record.candidate_display or record.candidate_tag,
        candidate_digest=record.candidate_digest,
    )


def _name(service: ServiceRecord) -> str:
    return f"{service.stack_name}/{service.name}"
