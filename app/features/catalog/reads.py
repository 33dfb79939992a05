"""Everything known about stacks and services in a handful of queries, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.core.jobs import JobEngine, JobFilter, JobRecord, JobStatus
from app.core.web.languages import _
from app.features.catalog.rows import Busy, Seen, by_state, matches, service_row, service_state, state_counts
from app.features.catalog.schemas import DiscoveryProblem, ServiceRow, ServiceState, StackGroup
from app.features.jobs import Names
from app.features.stacks import Archived, ProjectRecord, ServiceRecord, StackRecord, Stacks, hint_text, problem_text
from app.features.versions import NewerVersions, VersionInference, VersionRecord, Versions

CHANGING = ("update", "rollback")


@dataclass(frozen=True, slots=True)
class Known:
    """One reading of stacks, evidence and running jobs; everything a list needs is computed from it."""

    stacks: Sequence[StackRecord]
    projects: Sequence[ProjectRecord]
    records: Mapping[str, VersionRecord]
    inference: Mapping[str, VersionInference]
    newer: Mapping[str, NewerVersions] = field(default_factory=dict)
    running: Sequence[JobRecord] = ()
    busy: Mapping[str, Busy] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        """Names for the rows of jobs, without asking again."""
        return Names(
            services={
                service.id: (stack.id, stack.name, service.name) for stack in self.stacks for service in stack.services
            },
            stacks={stack.id: stack.name for stack in self.stacks},
        )


class Catalog:
    """Reads for the pages of stacks and services."""

    def __init__(self, stacks: Stacks, versions: Versions, jobs: JobEngine) -> None:
        self._stacks = stacks
        self._versions = versions
        self._jobs = jobs

    async def known(self, archived: Archived = "include") -> Known:
        """Read everything: six queries, two more while a job runs."""
        async with self._jobs.db.reading():
            return await self._known(archived)

    async def _known(self, archived: Archived) -> Known:
        stacks = await self._stacks.stacks(archived)
        records, newer = await self._versions.records_and_newer()
        running = await self._running()
        return Known(
            stacks=stacks,
            projects=await self._stacks.projects("include"),
            records=records,
            inference=await self._versions.inference_state(records.values()),
            newer=newer,
            running=running,
            busy=await self._busy(running),
        )

    async def counted(self) -> Known:
        """What counting states needs and no more, in three queries, two more while a job runs."""
        async with self._jobs.db.reading():
            records, newer = await self._versions.records_and_newer()
            running = await self._running()
            return Known(
                stacks=await self._stacks.stacks("exclude"),
                projects=(),
                records=records,
                inference={},
                newer=newer,
                running=running,
                busy=await self._busy(running),
            )

    def row(self, known: Known, service: ServiceRecord) -> ServiceRow:
        """One service as a row."""
        return service_row(
            service,
            known.records.get(service.id),
            known.inference.get(service.id),
            known.newer.get(service.id),
            busy=known.busy.get(service.id),
            is_dockrev=self._versions.is_dockrev(service.image_ref),
        )

    def seen(self, known: Known) -> dict[str, Seen]:
        """Everything that is not archived, by service id, with its state; rows are drawn only of what is shown."""
        return {
            service.id: Seen(
                service,
                record := known.records.get(service.id),
                ServiceState.UPDATING
                if service.id in known.busy
                else service_state(service, record, known.newer.get(service.id)),
            )
            for stack in known.stacks
            if not stack.archived
            for service in stack.services
            if not service.archived
        }

    def actionable(self, known: Known, services: Sequence[ServiceRecord] | None = None) -> set[str]:
        """What an update of everything (or of these services) would cover."""
        every = services if services is not None else [s for stack in known.stacks for s in stack.services]
        return self._versions.actionable(every, known.records) - set(known.busy)

    async def _running(self) -> list[JobRecord]:
        if not self._jobs.running:
            return []
        return await self._jobs.store.search(JobFilter(statuses=(JobStatus.RUNNING,), limit=50))

    async def _busy(self, running: Sequence[JobRecord]) -> dict[str, Busy]:
        changing = [job for job in running if job.type in CHANGING and job.payload.get("mode") != "dry-run"]
        if not changing:
            return {}
        async with self._jobs.db.session() as session:
            targets = await self._jobs.store.targets(session, [job.id for job in changing])
        return {service_id: busy_of(job, service_id) for job in changing for _, service_id in targets[job.id]}


def busy_of(job: JobRecord, service_id: str) -> Busy:
    """Where a job stands with one of its services."""
    entry = next((e for e in job.summary.get("timeline", []) if e.get("key") == service_id), None)
    steps = entry["steps"] if entry else []
    step = next((s["step"] for s in reversed(steps) if s.get("status") == "run"), None) or _between(steps)
    percent = entry.get("pullPercent") if entry and step == "pull" else None
    return Busy(job.id, str(step).replace("_", " ").capitalize(), percent)


def _between(steps: Sequence[Mapping[str, str]]) -> str:
    """Of a service nobody works on now: how it ended, or that it waits for the others."""
    last = steps[-1]["step"] if steps else "queued"
    return last if last in ("queued", "settled", "rolled_back", "unchanged") else "waits"


def group_of(stack: StackRecord, rows: Sequence[ServiceRow], project: ProjectRecord | None) -> StackGroup:
    """A stack with the rows that are shown of it; counts are over all of them."""
    reason, _, more = ((project.last_error if project else None) or "").partition(". ")
    return StackGroup(
        id=stack.id,
        name=stack.name,
        discovery=project.status.value if project else "missing",
        problem=problem_text(reason, brief=True) or None,
        remedy=hint_text(project.hint) if project and project.hint else more or None,
        config_files=list(stack.compose_files),
        service_total=len(stack.services),
        counts=[count for count in state_counts((row.state for row in rows), first="all")[1:] if count.count],
        services=by_state(rows),
        archived=stack.archived,
    )


def filtered(group: StackGroup, *, state: str, q: str) -> StackGroup:
    """The group with only the rows that match."""
    return group.model_copy(update={"services": [row for row in group.services if matches(row, state=state, q=q)]})


def problems_of(projects: Sequence[ProjectRecord], *, archived: bool) -> list[DiscoveryProblem]:
    """Projects that are missing or cannot be read, with what to do."""
    return [
        DiscoveryProblem(
            project=project.project,
            status=project.status.value,
            message=_problem(project),
            remedy=hint_text(project.hint) if project.hint else _remedy(project),
            config_files=list(project.config_files or ()),
            stack_id=project.stack_id,
            archived=project.archived,
            last_seen_at=project.last_seen_at,
        )
        for project in projects
        if project.status.value != "active" and (archived or not project.archived)
    ]


def _problem(project: ProjectRecord) -> str:
    if project.last_error:
        return problem_text(project.last_error)
    return _("None of its containers runs") if project.status.value == "missing" else _("It cannot be read")


def _remedy(project: ProjectRecord) -> str:
    if project.status.value == "missing":
        return _("Start it again with docker compose up -d, or archive it. Its settings and history are kept.")
    return _("Correct the files it names, then look for stacks again.")
