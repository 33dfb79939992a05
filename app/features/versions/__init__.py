"""Versions: what runs, what is new, which version that is, and what its owner does not want (spec §7.2 to §7.7)."""

from __future__ import annotations

import asyncio
import platform
from contextlib import suppress
from datetime import timedelta

from app.adapters.registry import Credentials, RegistryClient, RetryPolicy
from app.core.background import Background, every
from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import DockrevError
from app.core.events import EntitiesChanged, EventBus
from app.core.feature import Container, Feature
from app.core.jobs import JobEngine
from app.core.metrics import Metrics
from app.features.stacks import EngineConnected, Runtime, RuntimeChanged, ServiceAdded, ServiceImageChanged, Stacks
from app.features.versions import rules
from app.features.versions.checking.checker import Checker
from app.features.versions.checking.checks import CHECK, Checks, check_scope
from app.features.versions.checking.runtime_scan import RUNTIME_SCAN, RuntimeScans
from app.features.versions.controllers import HANDLERS, read_overview
from app.features.versions.digest_tags import DigestTags, DigestTagsNow, Pending, RefreshAccepted
from app.features.versions.downloads import Downloads
from app.features.versions.evidence import Evidence
from app.features.versions.ignore import IgnoreRules
from app.features.versions.inference.overview import Overview, OverviewRow, overview
from app.features.versions.inference.queue import Key, Reason, ScanProgress, Task
from app.features.versions.inference.ring import EventRing
from app.features.versions.inference.snapshots import RETENTION, TTL
from app.features.versions.inference.worker import Inference
from app.features.versions.newer.asking import Asking
from app.features.versions.newer.book import TagBook
from app.features.versions.newer.known import KnownVersions
from app.features.versions.newer.listing import Listed, NotYet, VersionList, VersionLists
from app.features.versions.newer.rows import NewerRows, NewerVersions
from app.features.versions.newer.sorting import Sorter
from app.features.versions.newer.worker import Newer
from app.features.versions.records import (
    Discovery,
    IgnoreRuleRecord,
    NewVersion,
    Rechecked,
    ScanCounts,
    Snapshot,
    VersionInference,
    VersionRecord,
)
from app.features.versions.rule_preview import RulePreview, RulePreviews
from app.features.versions.service import Versions
from app.features.versions.store import DatabaseStore
from app.settings import Settings

__all__ = [
    "CHECK",
    "FEATURE",
    "RETENTION",
    "RUNTIME_SCAN",
    "TTL",
    "Checks",
    "DigestTags",
    "DigestTagsNow",
    "Discovery",
    "EventRing",
    "Evidence",
    "IgnoreRuleRecord",
    "IgnoreRules",
    "Inference",
    "Key",
    "Listed",
    "NewVersion",
    "Newer",
    "NewerVersions",
    "NotYet",
    "Overview",
    "OverviewRow",
    "Pending",
    "Reason",
    "Rechecked",
    "RefreshAccepted",
    "RulePreview",
    "RulePreviews",
    "RuntimeScans",
    "ScanCounts",
    "ScanProgress",
    "Snapshot",
    "Task",
    "VersionInference",
    "VersionList",
    "VersionLists",
    "VersionRecord",
    "Versions",
    "check_scope",
    "overview",
    "read_overview",
    "rules",
]

WARM_UP_SECONDS = 600.0
GC_SECONDS = 86400.0
DISCOVERIES_KEPT = timedelta(days=180)


def registry_client(container: Container) -> RegistryClient:
    """The one registry client of the process, with its memory in the database."""
    settings, clock = container.get(Settings), container.get(Clock)
    store = container.put(DatabaseStore, DatabaseStore(container.get(Database), clock))
    return container.put(
        RegistryClient,
        RegistryClient(
            container.put(Credentials, Credentials(settings.docker_config)),
            store=store,
            host_platform=rules.host_platform(settings.host_platform, platform.machine()),
            plain_http_hosts=settings.plain_http_registries,
            retry=RetryPolicy(
                max_attempts=settings.registry_retry_max_attempts,
                base_ms=settings.registry_retry_base_ms,
                max_ms=settings.registry_retry_max_ms,
                cooldown_seconds=settings.registry_rate_limit_cooldown_seconds,
            ),
            clock=clock,
            on_request=container.get(Metrics).observe_registry,
        ),
    )


def _setup(container: Container) -> None:
    settings, db, bus = container.get(Settings), container.get(Database), container.get(EventBus)
    clock, jobs = container.get(Clock), container.get(JobEngine)
    stacks, runtime = container.get(Stacks), container.get(Runtime)
    client = registry_client(container)
    store = container.get(DatabaseStore)
    evidence = container.put(Evidence, Evidence(db))
    ignore = container.put(IgnoreRules, IgnoreRules(db, bus, clock))
    book = container.put(TagBook, TagBook(db, clock, client))
    inference = container.put(Inference, Inference(db, bus, clock, client, evidence, book))
    rows = container.put(NewerRows, NewerRows(db, clock))
    downloads = container.put(Downloads, Downloads(client, store, bus))
    container.put(Versions, Versions(evidence, inference, rows, downloads, settings.image_repo))
    container.put(RulePreviews, RulePreviews(stacks, evidence, book))
    _newer(container)
    container.put(DigestTags, DigestTags(stacks, evidence, inference, client, clock))
    checker = Checker(
        client=client,
        store=store,
        runtime=runtime,
        evidence=evidence,
        ignore=ignore,
        inference=inference,
        bus=bus,
        clock=clock,
        sleep=asyncio.sleep,
    )
    container.put(Checks, Checks(jobs, stacks, checker, clock, client.host_platform))
    scans = RuntimeScans(
        db=db,
        jobs=jobs,
        stacks=stacks,
        runtime=runtime,
        evidence=evidence,
        checker=checker,
        host_platform=client.host_platform,
    )
    container.put(RuntimeScans, scans)
    bus.on(RuntimeChanged, scans.note_runtime)
    bus.on(EngineConnected, scans.note_engine)
    bus.on(ServiceAdded, scans.note_service)
    bus.on(ServiceImageChanged, scans.note_service)
    _keep_alive(container, settings.runtime_scan_interval_seconds)


def _newer(container: Container) -> None:
    """Newer versions under other tags: what is kept, what is asked, what is told."""
    db, clock, bus = container.get(Database), container.get(Clock), container.get(EventBus)
    client, inference, jobs = container.get(RegistryClient), container.get(Inference), container.get(JobEngine)
    evidence, book, rows = container.get(Evidence), container.get(TagBook), container.get(NewerRows)
    known, stacks = KnownVersions(db, clock), container.get(Stacks)

    async def active() -> set[str]:
        return {service.id for service in await stacks.select("all")}

    newer = container.put(
        Newer,
        Newer(
            bus=bus,
            clock=clock,
            jobs=jobs,
            evidence=evidence,
            book=book,
            known=known,
            rows=rows,
            sorter=Sorter(container.get(IgnoreRules), jobs.store, client.host_platform),
            asking=Asking(client, inference.recent, known, book),
            active=active,
            busy=inference.queue.asks_about,
        ),
    )
    bus.on(EntitiesChanged, newer.note)
    lists = VersionLists(stacks, evidence, book, known, rows, newer, jobs.store, clock)
    container.put(VersionLists, lists)


def _keep_alive(container: Container, scan_seconds: float) -> None:
    inference, scans, newer = container.get(Inference), container.get(RuntimeScans), container.get(Newer)
    background = container.get(Background)

    async def clean_up() -> None:
        await inference.collect_garbage()
        await newer.collect_garbage()
        await container.get(DatabaseStore).purge()
        await container.get(Evidence).purge_discoveries(container.get(Clock).now() - DISCOVERIES_KEPT)

    background.keep("version inference", inference.run)
    background.keep("version warm-up", lambda: every(WARM_UP_SECONDS, inference.warm_up))
    background.keep("newer versions", newer.run)
    background.keep("newer versions after events", newer.follow)
    background.keep("newer versions warm-up", lambda: every(WARM_UP_SECONDS, newer.everything, at_once=False))
    background.keep("version clean-up", lambda: every(GC_SECONDS, clean_up))
    background.keep("runtime scan", lambda: every(scan_seconds, scans.periodic, at_once=False))
    background.keep("runtime scan after events", scans.follow)


async def _start(container: Container) -> None:
    """A registry that was resting when Dockrev stopped rests on, and the first page says so."""
    await container.get(RegistryClient).restore()


async def _stop(container: Container) -> None:
    """What was learnt of hosts and tags since the last job is kept."""
    await container.get(Downloads).stop()
    with suppress(DockrevError):
        await container.get(DatabaseStore).flush()


FEATURE = Feature(
    name="versions",
    setup=_setup,
    start=_start,
    stop=_stop,
    handlers=HANDLERS,
    provides={
        "versions": Versions,
        "checks": Checks,
        "runtime_scans": RuntimeScans,
        "ignore_rules": IgnoreRules,
        "digest_tags": DigestTags,
        "inference": Inference,
        "evidence": Evidence,
        "newer": Newer,
        "rule_previews": RulePreviews,
        "version_lists": VersionLists,
    },
)
