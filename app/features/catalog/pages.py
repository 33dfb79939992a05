"""The pages of services and stacks, put together from one reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.adapters.engine import Engine
from app.core.errors import AdapterError, InvalidArgument
from app.core.jobs import JobFilter
from app.core.web.languages import told
from app.features.backups import BackupRecord, Backups, Target
from app.features.catalog.details import (
    backup_row,
    compose_files,
    container_info,
    digest_tags,
    evidence_of,
    ignore_row,
    inference_info,
    settings_of,
)
from app.features.catalog.newer import version_rows
from app.features.catalog.plan_schemas import UpdatePlan
from app.features.catalog.plans import plan_page
from app.features.catalog.reads import Catalog, Known, filtered, group_of, problems_of
from app.features.catalog.rows import full_rail, state_counts
from app.features.catalog.schemas import (
    ServiceListPage,
    ServicePage,
    ServiceQuery,
    ServiceRow,
    StackGroup,
    StackPage,
)
from app.features.jobs import JobReads
from app.features.stacks import Runtime, StackRecord, Stacks
from app.features.updates import Updates
from app.features.versions import IgnoreRules, Inference, VersionList, VersionLists, Versions
from app.settings import Settings

HISTORY = 20
ROWS_SHOWN = 300


class CatalogPages:
    """Builds the content of `/services`, `/stacks/{id}` and `/services/{stack}/{service}`."""

    def __init__(
        self,
        *,
        settings: Settings,
        engine: Engine,
        catalog: Catalog,
        stacks: Stacks,
        versions: Versions,
        inference: Inference,
        ignore_rules: IgnoreRules,
        version_lists: VersionLists,
        runtime: Runtime,
        backups: Backups,
        updates: Updates,
        job_reads: JobReads,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._catalog = catalog
        self._stacks = stacks
        self._versions = versions
        self._inference = inference
        self._ignore_rules = ignore_rules
        self._version_lists = version_lists
        self._runtime = runtime
        self._backups = backups
        self._updates = updates
        self._job_reads = job_reads

    async def service_list(self, query: ServiceQuery) -> ServiceListPage:
        """All stacks with the services that match."""
        known = await self._catalog.known()
        groups, shown = self._groups(known, archived=query.archived), 0
        wanted: list[StackGroup] = []
        for group in groups:
            kept = filtered(group, state=query.state, q=query.q)
            if kept.services or (query.state == "all" and not query.q):
                kept.services = kept.services[: max(0, ROWS_SHOWN - shown)]
                shown += len(kept.services)
                wanted.append(kept)
        rows = [row for group in groups for row in group.services if not row.archived]
        if query.sort != "name":
            wanted.sort(key=lambda group: (not _has_decision(group), group.name))
        else:
            wanted.sort(key=lambda group: group.name)
        return ServiceListPage(
            service_total=len(rows),
            stack_total=sum(not stack.archived for stack in known.stacks),
            archived_total=sum(stack.archived for stack in known.stacks)
            + sum(service.archived for stack in known.stacks for service in stack.services),
            discovered_at=max((p.last_scan_at for p in known.projects if p.last_scan_at), default=None),
            counts=state_counts((row.state for row in rows), first="all"),
            query=query,
            groups=wanted,
            problems=problems_of(known.projects, archived=query.archived),
            closest=None if wanted or not query.q else _closest(query.q, rows),
            self_upgrade_url=self._settings.self_upgrade_url,
        )

    def _groups(self, known: Known, *, archived: bool) -> list[StackGroup]:
        projects = {project.stack_id: project for project in known.projects if project.stack_id}
        return [
            group_of(
                stack,
                [self._catalog.row(known, service) for service in stack.services if archived or not service.archived],
                projects.get(stack.id),
            )
            for stack in known.stacks
            if archived or not stack.archived
        ]

    async def stack(self, stack_id: str) -> StackPage:
        """One stack; NotFound when it is unknown."""
        record = await self._stacks.stack(stack_id)
        known = await self._catalog.known()
        project = next((p for p in known.projects if p.stack_id == stack_id), None)
        group = group_of(record, [self._catalog.row(known, service) for service in record.services], project)
        checks = await self._versions.last_checks([stack_id])
        group.last_check_at = checks.get(stack_id)
        states = [self._runtime.service(record.project, service.name).state for service in record.services]
        return StackPage(
            stack=group,
            actionable=len(self._catalog.actionable(known, record.services)),
            running=sum(state in ("running", "partial", "restarting") for state in states),
            files=await compose_files(record),
            found_by=f"com.docker.compose.project={record.project}",
            last_seen_at=project.last_seen_at if project else None,
            backups=[backup_row(backup) for backup in await self._backups.recent(stack_id)],
            backup_keep_last=record.backup_keep_last,
            history=await self._job_reads.recent(JobFilter(stack_id=stack_id, limit=HISTORY), known.names),
            self_upgrade_url=self._settings.self_upgrade_url,
        )

    async def service(self, stack_id: str, service_id: str) -> ServicePage:
        """One service with its evidence, plan, rules, settings and history; NotFound when it is unknown."""
        service = await self._stacks.service(service_id)
        stack = await self._stacks.stack(stack_id)
        known = await self._catalog.known()
        record = known.records.get(service_id)
        self._inference.note_read([record] if record else [])
        row = self._catalog.row(known, service)
        rules = await self._ignore_rules.all(service_id)
        snapshots = await self._versions.snapshots(record) if record else {}
        listed = await self._listed(service_id)
        targets, sizes = await self._targets(stack, service_id)
        plan = None
        if record is not None and record.has_candidate and not row.is_dockrev:
            plan = plan_page(await self._updates.plan("service", service_id=service_id, allow_arch_mismatch=True))
        return ServicePage(
            service=row,
            container=await container_info(self._engine, self._runtime, service),
            rail=full_rail(row, known.newer.get(service_id), held=_is_held(row, listed)),
            evidence=evidence_of(record, snapshots, self._versions.host_platform),
            plan=plan,
            digest_tags=digest_tags(record, snapshots),
            versions=version_rows(listed.versions) if listed else [],
            versions_checked_at=listed.checked_at if listed else None,
            versions_refreshing=listed.refreshing if listed else False,
            versions_error=told(listed.error) if listed and listed.error else None,
            inference=inference_info(record, known.inference.get(service_id), snapshots),
            ignores=[ignore_row(rule, record, known.newer.get(service_id)) for rule in rules],
            settings=settings_of(service, targets, sizes),
            history=await self._job_reads.recent(JobFilter(service_id=service_id, limit=HISTORY), known.names),
            stack_archived=stack.archived,
            self_upgrade_url=self._settings.self_upgrade_url,
        )

    async def _listed(self, service_id: str) -> VersionList | None:
        """The versions across tags, None while there is nothing to tell; looking brings what is missing."""
        try:
            found = await self._version_lists.of(service_id)
        except InvalidArgument:  # the image is no reference, which the row says already
            return None
        return found if isinstance(found, VersionList) else None

    async def plan(
        self, scope: str, stack_id: str | None, service_id: str | None, *, allow_arch_mismatch: bool
    ) -> UpdatePlan:
        """What an update of this scope would do now."""
        found = await self._updates.plan(
            scope, stack_id=stack_id, service_id=service_id, allow_arch_mismatch=allow_arch_mismatch
        )
        return plan_page(found)

    async def _targets(
        self, stack: StackRecord, service_id: str
    ) -> tuple[Sequence[Target], Mapping[tuple[str, str], int]]:
        """What a backup would hold; nothing while the engine is away."""
        try:
            return await self._backups.targets(stack, service_id), await self._backups.known_sizes(stack.id)
        except AdapterError:
            return [], {}

    async def last_backup(self) -> BackupRecord | None:
        """The newest backup of all."""
        return next(iter(await self._backups.recent()), None)


def _is_held(row: ServiceRow, listed: VersionList | None) -> bool:
    """Whether the candidate was tried and taken back."""
    versions = listed.versions if listed else ()
    return any(one.state == "held" and one.digest == row.candidate_digest for one in versions)


def _has_decision(group: StackGroup) -> bool:
    return any(row.state not in ("ok", "unknown") for row in group.services)


def _closest(q: str, rows: list[ServiceRow]) -> ServiceRow | None:
    names = {row.name.lower(): row for row in rows}
    from difflib import get_close_matches  # rarely needed

    found = get_close_matches(q.strip().lower(), list(names), n=1, cutoff=0.5)
    return names[found[0]] if found else None
