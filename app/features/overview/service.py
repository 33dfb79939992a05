"""The overview: what is new, what needs a person, what runs. It only composes what other rooms know."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.adapters.registry import HostState, RegistryClient
from app.core.clock import Clock
from app.core.jobs import JobFilter, JobRecord, JobStatus
from app.core.web.languages import _, ngettext, told
from app.features.backups import Backups
from app.features.catalog import PLACE, Catalog, Known, Seen, group_of, problems_of, state_counts
from app.features.catalog.schemas import ServiceRow, StackGroup
from app.features.jobs import JobReads, job_row, told_of_job
from app.features.notifications import Failing, FailingChannel
from app.features.overview.schemas import (
    Action,
    BackupReading,
    DiscoveryReading,
    EngineReading,
    InferenceReading,
    Issue,
    OverviewPage,
    OverviewQuery,
    Readings,
    RegistryReading,
)
from app.features.preferences import Preferences
from app.features.stacks import Runtime
from app.features.versions import rules
from app.settings import Settings

ROWS_SHOWN = 40
RECENT = 8
EVIDENCE_AGE = timedelta(days=7)
ERROR_SHOWN = 120  # characters


class Overview:
    """Builds the content of `/`."""

    def __init__(
        self,
        *,
        settings: Settings,
        clock: Clock,
        catalog: Catalog,
        runtime: Runtime,
        registry: RegistryClient,
        preferences: Preferences,
        backups: Backups,
        job_reads: JobReads,
        failing: Failing,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._catalog = catalog
        self._runtime = runtime
        self._registry = registry
        self._preferences = preferences
        self._backups = backups
        self._job_reads = job_reads
        self._failing = failing

    async def page(self, query: OverviewQuery) -> OverviewPage:
        """Everything the overview shows, in at most eight queries while nothing runs."""
        async with self._job_reads.jobs.db.reading():
            return await self._page(query)

    async def _page(self, query: OverviewQuery) -> OverviewPage:
        known = await self._catalog.known()
        seen = self._catalog.seen(known)
        wanted = [one for one in seen.values() if one.matches(state=query.state, q=query.q)]
        wanted.sort(key=lambda one: (PLACE[one.state], one.service.stack_name, one.service.name))
        names = known.names
        recent = await self._job_reads.jobs.store.search(JobFilter(limit=RECENT * 3))
        now = self._clock.now()
        return OverviewPage(
            service_total=len(seen),
            stack_total=sum(not stack.archived for stack in known.stacks),
            counts=state_counts((one.state for one in seen.values()), first="open"),
            actionable=len(self._catalog.actionable(known)),
            checked_at=max((r.checked_at for one in seen.values() if (r := one.record) and r.checked_at), default=None),
            running=[job_row(job, names) for job in known.running if job.type not in ("discovery",)],
            issues=self._issues(known, seen, recent, now),
            groups=_groups(known, [self._catalog.row(known, one.service) for one in wanted[:ROWS_SHOWN]]),
            rows_total=len(wanted),
            query=query,
            readings=await self._readings(known, seen, now),
            recent=[job_row(job, names) for job in recent if job.status.final][:RECENT],
            self_upgrade_url=self._settings.self_upgrade_url,
        )

    def _issues(
        self, known: Known, seen: Mapping[str, Seen], recent: Sequence[JobRecord], now: datetime
    ) -> list[Issue]:
        return [
            *_gone_wrong(seen, recent, now),
            *_discovery_problems(known),
            *(issue for host in self._registry.hosts() if (issue := _registry_issue(host, now)) is not None),
            *_failed_checks(seen),
            *(_channel_issue(channel) for channel in self._failing.now()),
        ]

    async def _readings(self, known: Known, seen: Mapping[str, Seen], now: datetime) -> Readings:
        engine = self._runtime.engine
        projects = [project for project in known.projects if not project.archived]
        return Readings(
            engine=EngineReading(
                connected=engine.connected,
                version=engine.version,
                api_version=engine.api_version,
                latency_ms=engine.latency_ms,
                error=engine.error,
            ),
            discovery=DiscoveryReading(
                projects=len(projects),
                active=sum(project.status.value == "active" for project in projects),
                problems=sum(project.status.value != "active" for project in projects),
                last_at=max((p.last_scan_at for p in projects if p.last_scan_at), default=None),
            ),
            registries=[_registry_reading(host, now) for host in self._registry.hosts()][:12],
            inference=_inference_reading(known, seen),
            backups=await self._backup_reading(),
            taken_at=now,
        )

    async def _backup_reading(self) -> BackupReading:
        defaults = await self._preferences.backup()
        found = await self._backups.recent()
        kept = [backup for backup in found if backup.restorable]
        last = next((backup for backup in found if backup.status.value in ("success", "failed")), None)
        return BackupReading(
            enabled=defaults.enabled,
            last_at=last.created_at if last else None,
            last_ok=last is None or last.status.value == "success",
            total_bytes=sum(backup.size_bytes or 0 for backup in kept) if kept else None,
        )


def _groups(known: Known, rows: Sequence[ServiceRow]) -> list[StackGroup]:
    """The chosen rows under their stacks, in the order of the most urgent row."""
    by_stack: dict[str, list[ServiceRow]] = {}
    for row in rows:
        by_stack.setdefault(row.stack_id, []).append(row)
    stacks = {stack.id: stack for stack in known.stacks}
    projects = {project.stack_id: project for project in known.projects if project.stack_id}
    return [group_of(stacks[stack_id], found, projects.get(stack_id)) for stack_id, found in by_stack.items()]


def _gone_wrong(seen: Mapping[str, Seen], recent: Sequence[JobRecord], now: datetime) -> list[Issue]:
    """Updates that failed or were taken back, while what they were for still stands; the newest of a service counts."""
    issues: list[Issue] = []
    judged: set[str] = set()
    for job in recent:
        if job.type != "update" or not job.status.final or now - job.created_at > EVIDENCE_AGE:
            continue
        if job.summary.get("mode") == "dry-run":
            continue
        for entry in job.summary.get("timeline", []):
            one = seen.get(service_id := str(entry.get("key")))
            if one is None or one.record is None or service_id in judged:
                continue
            judged.add(service_id)
            steps = {step.get("step"): step.get("status") for step in entry.get("steps", [])}
            if "bad" not in steps.values():
                continue
            standing = one.record.candidate_digest if one.record.has_candidate else None
            if steps.get("rolled_back") == "back":
                if standing == entry.get("toDigest"):
                    issues.append(_went_back(job, one, entry))
            elif job.status is JobStatus.FAILED and entry.get("toDigest") in (standing, one.record.current_digest):
                issues.append(_failed(job, one, entry, left=one.record.current_digest == entry.get("toDigest")))
    return issues


def _went_back(job: JobRecord, one: Seen, entry: Mapping[str, Any]) -> Issue:
    service = one.service
    evidence = entry.get("evidence") or {}
    return Issue(
        key=f"rolled-back-{service.id}",
        severity="back",
        title=_("%(service)s went back to %(version)s.", service=service.name, version=version)
        if (version := entry.get("fromVersion"))
        else _("%(service)s went back to its old image.", service=service.name),
        detail=str(evidence.get("trigger") or _("The new container did not get healthy.")),
        remedy=_("Look at what it logged, then try again, or hold it back until there is a better one."),
        actions=[
            Action(label=_("See evidence"), href=f"/queue/{job.id}#evidence-{service.id}"),
            Action(label=_("Hold it back"), href=f"/services/{service.stack_id}/{service.id}#rules"),
        ],
    )


def _failed(job: JobRecord, one: Seen, entry: Mapping[str, Any], *, left: bool) -> Issue:
    service = one.service
    evidence = entry.get("evidence") or {}
    to = entry.get("toVersion")
    if not left:
        title = _("The update of %(service)s failed.", service=service.name)
    elif to:
        title = _("%(service)s was left on %(version)s.", service=service.name, version=to)
    else:
        title = _("%(service)s was left on the new image.", service=service.name)
    return Issue(
        key=f"failed-{service.id}",
        severity="bad",
        title=title,
        detail=told_of_job(str(evidence.get("trigger") or entry.get("error") or "")) or _("The job says why."),
        remedy=_("It was not taken back. See what it logged, then correct it or recreate it from the old image.")
        if left
        else _("See what happened, put that right, and try again."),
        actions=[
            Action(label=_("See evidence"), href=f"/queue/{job.id}#{'evidence' if evidence else 'svc'}-{service.id}"),
            Action(label=_("Open service"), href=f"/services/{service.stack_id}/{service.id}"),
        ],
    )


def _discovery_problems(known: Known) -> list[Issue]:
    return [
        Issue(
            key=f"project-{problem.project}",
            severity="warn",
            title=_("%(name)s is missing.", name=problem.project)
            if problem.status == "missing"
            else _("%(name)s cannot be read.", name=problem.project),
            detail=problem.message,
            remedy=problem.remedy,
            actions=[
                Action(label=_("Look again"), href="/discovery/scan", method="post"),
                Action(label=_("Details"), href="/services#problems"),
            ],
        )
        for problem in problems_of(known.projects, archived=False)
    ]


def _registry_issue(host: HostState, now: datetime) -> Issue | None:
    if host.cooling_until is None or host.cooling_until <= now:
        return None
    return Issue(
        key=f"registry-{host.host}",
        severity="warn",
        title=_("%(host)s limits requests until %(at)s UTC.", host=host.host, at=f"{host.cooling_until:%H:%M}"),
        detail=_("Its services keep what was last known; scheduled checks leave it out until then."),
        remedy=_("A read-only account in Docker's config.json (DOCKREV_DOCKER_CONFIG) raises the limit."),
    )


def _failed_checks(seen: Mapping[str, Seen]) -> list[Issue]:
    failed: dict[str, list[str]] = {}
    for one in seen.values():
        if one.record is not None and one.record.last_error:
            failed.setdefault(one.record.last_error, []).append(one.service.name)
    return [
        Issue(
            key=f"check-{number}",
            severity="warn",
            title=ngettext(
                "%(num)s service could not be checked: %(names)s.",
                "%(num)s services could not be checked: %(names)s.",
                len(names),
                names=", ".join(names[:4]) + (" …" if len(names) > 4 else ""),
            ),
            detail=told(error),
            remedy=_("What was known before still stands. Check the registry, its credentials, and the image names."),
            actions=[Action(label=_("Check again"), href="/checks", method="post", fields={"scope": "all"})],
        )
        for number, (error, names) in enumerate(list(failed.items())[:5])
    ]


def _channel_issue(channel: FailingChannel) -> Issue:
    """The first words of what the receiver said; the rest is on the page it leads to."""
    short = textwrap.shorten(channel.error, ERROR_SHOWN, placeholder=" …")
    return Issue(
        key=f"channel-{channel.name}",
        severity="bad" if channel.given_up else "warn",
        title=_("%(channel)s: the last message did not arrive.", channel=channel.label)
        if channel.given_up
        else _("%(channel)s: the last message did not arrive yet.", channel=channel.label),
        detail=short or _("The receiver did not say why."),
        remedy=_("Put its settings right and send a test; it is told here until a message arrives.")
        if channel.given_up
        else _("It is tried again for a day. See that the receiver can be reached, or put the settings right."),
        actions=[Action(label=_("Open notifications"), href=f"/settings/notifications#{channel.name}")],
    )


def _registry_reading(host: HostState, now: datetime) -> RegistryReading:
    cooling = host.cooling_until is not None and host.cooling_until > now
    failing = host.last_error is not None
    state = "limited" if cooling else "failing" if failing else "reachable" if host.last_ok_at else "unused"
    return RegistryReading(
        host=host.host,
        state=state,
        authenticated=host.auth in ("basic", "token"),
        remaining=host.remaining,
        limit=host.limit,
        quota_at=host.quota_at,
        resets_at=host.cooling_until if cooling else None,
        latency_ms=host.latency_ms,
        error=told(host.last_error) if host.last_error else None,
    )


def _inference_reading(known: Known, seen: Mapping[str, Seen]) -> InferenceReading:
    floating = [one.service.id for one in seen.values() if rules.needs_inference(one.service.image_tag)]
    states = [known.inference.get(service_id) for service_id in floating]
    return InferenceReading(
        known=sum(one.version is not None for one in seen.values()),
        total=len(seen),
        pending=sum(state is not None and state.status == "pending" for state in states),
        failed=sum(state is not None and state.reason == "all_failed" for state in states),
    )
