"""What a person or the API asks for, one function each (spec §5.6, §5b)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.errors import DockrevError, InvalidArgument
from app.core.events import EntitiesChanged, EventBus
from app.core.jobs import JobEngine, JobStatus
from app.features.hooks.jobs import TYPES, Enqueued, WebhookJobs
from app.features.hooks.lookup import Lookup
from app.features.hooks.models import WebhookState
from app.features.hooks.records import GithubSettings, RepoRecord
from app.features.hooks.rules import names, urls
from app.features.hooks.rules.names import Target
from app.features.hooks.settings import HookSettings
from app.features.hooks.tracked import SelectedFilter, TrackedRepos
from app.features.hooks.work import Resolution


@dataclass(frozen=True, slots=True)
class Synced:
    """One repository of a sync: its job, or why there is none."""

    repo: str
    enqueued: Enqueued | None = None
    problem: str | None = None
    hook_id: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How the webhooks stand; `states` counts the selected repositories."""

    states: dict[WebhookState, int]
    jobs_queued: int
    jobs_running: int
    running_job_id: str | None
    last_audit_at: datetime | None


class GithubPackages:
    """Tracked repositories and their webhooks. Raises InvalidArgument, NotFound and Conflict with the spec's texts."""

    def __init__(
        self,
        *,
        settings: HookSettings,
        repos: TrackedRepos,
        lookup: Lookup,
        webhooks: WebhookJobs,
        jobs: JobEngine,
        bus: EventBus,
    ) -> None:
        self.settings = settings
        self.repos = repos
        self.lookup = lookup
        self._webhooks = webhooks
        self._jobs = jobs
        self._bus = bus

    async def select(self, full_name: str, selected: bool, created_by: str) -> str | None:
        """Track it and set its flag; the id of the job that registers its webhook, when one is to be registered."""
        name = names.full_name(full_name)
        if selected and (known := await self.repos.find(name)) is not None and known.leaving:
            await self._webhooks.register(known, created_by)  # refused: its webhook is being removed
        repo = await self.repos.select(name, selected)
        self._changed()
        if not selected or not usable(await self.settings.read()):
            return None
        return (await self._webhooks.register(repo, created_by)).job_id

    async def select_matching(self, q: str, chosen: SelectedFilter, selected: bool) -> int:
        """The flag of all rows that match; how many."""
        affected = await self.repos.select_matching(q, chosen, selected)
        self._changed()
        return affected

    async def delete(self, full_name: str, created_by: str) -> str:
        """The id of the job that removes its webhook, and then the row."""
        repo = await self.repos.get(names.full_name(full_name))
        return (await self._webhooks.unregister(repo, created_by)).job_id

    async def add(self, text: str, only: Collection[str] | None = None) -> tuple[Target, int]:
        """Keep a target and track its repositories; see `Lookup.add`."""
        added = await self.lookup.add(text, only)
        self._changed()
        return added

    async def sync_repo(self, full_name: str, created_by: str) -> Enqueued:
        """Bring one webhook in order."""
        repo = await self.repos.get(names.full_name(full_name))
        await self._require_usable()
        return await self._webhooks.sync_repo(repo, created_by)

    async def sync_all(self, created_by: str) -> Enqueued:
        """Bring all webhooks in order, in one job."""
        await self._require_usable()
        return await self._webhooks.sync_all(created_by)

    async def audit(self, created_by: str) -> Enqueued:
        """Look at all webhooks now."""
        await self._require_usable()
        found = await self._webhooks.audit(created_by, "ui")
        if found is None:
            raise InvalidArgument("no tracked repos selected", hint="Add repositories and select them first.")
        return found

    async def sync(
        self,
        created_by: str,
        *,
        repos: Sequence[str] | None = None,
        choices: dict[str, Resolution] | None = None,
        dry_run: bool = False,
    ) -> list[Synced]:
        """A job for each repository; `choices` are by name and settle conflicts. Nothing is enqueued in a dry run."""
        await self._require_usable()
        chosen = {"/".join(names.full_name(text, "repo")).lower(): each for text, each in (choices or {}).items()}
        if repos is None:
            wanted = {repo.key: repo.full_name for repo in await self.repos.selected()}
        else:
            parsed = ["/".join(names.full_name(text, "repos")) for text in repos]
            wanted = {name.lower(): name for name in parsed}
        for text in choices or {}:
            wanted.setdefault(text.strip().lower(), text.strip())
        return [await self._sync_one(name, chosen.get(key), created_by, dry_run) for key, name in wanted.items()]

    async def _sync_one(self, name: str, choice: Resolution | None, created_by: str, dry_run: bool) -> Synced:
        try:
            repo = await self.repos.get(names.full_name(name))
            if not repo.selected:
                return Synced(repo.full_name, problem="repo is not selected")
            if repo.leaving:
                return Synced(repo.full_name, problem="repo unregister in progress")
            if dry_run:
                return Synced(repo.full_name, hook_id=repo.hook_id)
            enqueued = await self._webhooks.sync_repo(repo, created_by, choice)
        except DockrevError as error:
            return Synced(name, problem=f"{error.message}. {error.hint}".rstrip(". "))
        return Synced(repo.full_name, enqueued, hook_id=repo.hook_id)

    async def standing(self) -> Standing:
        """How the webhooks stand, and what is being done."""
        async with self._jobs.db.session() as session:
            active = await self._jobs.store.active(session, TYPES)
        running = [job.id for job in active if job.status is JobStatus.RUNNING]
        return Standing(
            await self.repos.counts(),
            len(active) - len(running),
            len(running),
            running[0] if running else None,
            await self.repos.last_audit(),
        )

    async def conflict(self, full_name: str) -> RepoRecord:
        """The repository whose conflict is to be settled. Raises NotFound."""
        return await self.repos.get(names.full_name(full_name))

    async def _require_usable(self) -> None:
        settings = await self.settings.read()
        if not settings.enabled:
            raise InvalidArgument(
                "github packages webhook is disabled", hint="Enable it in the settings.", details={"field": "enabled"}
            )
        urls.require_callback(settings.callback_url)

    def _changed(self) -> None:
        self._bus.publish(EntitiesChanged("hooks"))


def usable(settings: GithubSettings) -> bool:
    """Whether webhooks can be registered: on, and with a callback URL that GitHub can call."""
    try:
        return settings.enabled and bool(urls.callback_url(settings.callback_url))
    except InvalidArgument:
        return False
