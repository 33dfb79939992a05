"""The jobs that look at and change webhooks on GitHub (spec §9.4): enqueued once, run by few workers."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from app.adapters.github import GitHub
from app.core.clock import Clock
from app.core.errors import Conflict, InvalidArgument
from app.core.events import EntitiesChanged, EventBus
from app.core.ids import new_id
from app.core.jobs import JobContext, JobEngine, JobKind, JobOutcome, JobRecord, JobStatus, NewJob, Progress
from app.features.hooks.models import Op, WebhookState
from app.features.hooks.records import BUSY, RepoRecord
from app.features.hooks.rules.names import full_name
from app.features.hooks.rules.urls import callback_url
from app.features.hooks.settings import HookSettings
from app.features.hooks.tracked import TrackedRepos
from app.features.hooks.work import Resolution, Result, Wanted, Worker, hook_documents

log = structlog.get_logger(__name__)

WEBHOOK: Final = "github_packages_webhook"
SYNC_ALL: Final = "github_packages_webhook_sync_all"
SYNC_REPO: Final = "github_packages_webhook_sync_repo"
TYPES: Final = (WEBHOOK, SYNC_ALL, SYNC_REPO)
PARALLEL: Final = 5
REPOS_TOLD: Final = 500
AUDIT_ALL: Final = "audit_all"

Anomalies = Callable[[JobRecord, Sequence[tuple[RepoRecord, Result]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The job that does it; `reused` when it was there already."""

    job_id: str
    reused: bool


class _Pending(Exception):
    """Raised inside the inserting transaction: this is being done already."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id


class WebhookJobs:
    """Enqueues and runs. One repository is worked on by one job at a time."""

    def __init__(
        self,
        *,
        jobs: JobEngine,
        repos: TrackedRepos,
        settings: HookSettings,
        bus: EventBus,
        clock: Clock,
        api_url: str,
        anomalies: Anomalies,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._jobs = jobs
        self._repos = repos
        self._settings = settings
        self._bus = bus
        self._clock = clock
        self._api_url = api_url
        self._anomalies = anomalies
        self._sleep = sleep
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        jobs.register(JobKind(WEBHOOK, self._run_webhook, workers=1))
        jobs.register(JobKind(SYNC_ALL, self._run_sync_all, workers=1))
        jobs.register(JobKind(SYNC_REPO, self._run_sync_repo, workers=PARALLEL))

    # ---- enqueueing

    async def register(self, repo: RepoRecord, created_by: str) -> Enqueued:
        """Make sure the repository has its webhook. Raises Conflict while it is being removed."""
        return await self._enqueue(WEBHOOK, Op.REGISTER, [repo], created_by)

    async def unregister(self, repo: RepoRecord, created_by: str) -> Enqueued:
        """Remove its webhook and then its row."""
        return await self._enqueue(WEBHOOK, Op.UNREGISTER, [repo], created_by)

    async def sync_repo(self, repo: RepoRecord, created_by: str, resolution: Resolution | None = None) -> Enqueued:
        """The same as `register`, and where several webhooks are in conflict, keep the chosen one.

        Raises Conflict `repo unregister in progress`, and, since a choice must not get lost, when another job for the
        repository waits or runs while a choice was made.
        """
        if not repo.selected:
            raise InvalidArgument("repo is not selected", hint="Select it first.", details={"fullName": repo.full_name})
        return await self._enqueue(SYNC_REPO, Op.SYNC, [repo], created_by, resolution=resolution)

    async def sync_all(self, created_by: str) -> Enqueued:
        """All selected repositories in one job. Raises `no tracked repos selected`."""
        repos = [repo for repo in await self._repos.selected() if not repo.leaving]
        if not repos:
            raise InvalidArgument("no tracked repos selected", hint="Add repositories and select them first.")
        return await self._enqueue(SYNC_ALL, Op.SYNC, repos, created_by)

    async def audit(self, created_by: str = "schedule", reason: str = "schedule") -> Enqueued | None:
        """Look at the webhooks of all selected repositories; None when there is nothing to look at.

        The action of the schedule `ghcrWebhookAudit` (spec §7.11): an audit that waits or runs is not repeated.
        """
        settings = await self._settings.read()
        if not settings.enabled or not await self._repos.selected():
            return None
        return await self._enqueue(WEBHOOK, None, [], created_by, reason)

    async def _enqueue(
        self,
        kind: str,
        op: Op | None,
        repos: Sequence[RepoRecord],
        created_by: str,
        reason: str = "ui",
        resolution: Resolution | None = None,
    ) -> Enqueued:
        """`op` None is the audit: it looks at everything and owns nothing."""
        about = repos[0] if kind != SYNC_ALL and repos else None
        payload: dict[str, Any] = {"op": op.value if op else AUDIT_ALL}
        if about is not None:
            payload["repo"] = about.full_name
        payload["about"] = _about(op, about)
        if resolution is not None:
            payload |= {"keepHookId": resolution.keep, "deleteHookIds": list(resolution.delete)}
        new = NewJob(
            type=kind,
            scope="service" if about else "all",
            created_by=created_by,
            reason=reason,
            service_id=about.key if about else None,
            payload=payload,
            id=new_id("job"),
        )

        async def guard(session: AsyncSession) -> None:
            self._require_free(await self._jobs.store.active(session, TYPES), new, resolution)
            if op is not None:
                await self._repos.mark_queued(session, repos, op, new.id)

        try:
            job_id = await self._jobs.submit(new, guard=guard)
        except _Pending as pending:
            return Enqueued(pending.job_id, True)
        return Enqueued(job_id, False)

    @staticmethod
    def _require_free(active: Sequence[JobRecord], new: NewJob, resolution: Resolution | None) -> None:
        for job in active:
            same = job.service_id == new.service_id
            if same and job.type == new.type and job.payload.get("op") == new.payload["op"]:
                if resolution is None:
                    raise _Pending(job.id)
                raise Conflict(
                    "another job works on this repo",
                    hint="Choose again when it has ended.",
                    details={"existingJobId": job.id},
                )
            leaving = job.payload.get("op") == Op.UNREGISTER and new.payload["op"] != Op.UNREGISTER
            if same and new.service_id and leaving:
                raise Conflict("repo unregister in progress", details={"existingJobId": job.id})

    async def resume(self) -> None:
        """At start: what a dead process had promised to do is enqueued again."""
        owners: dict[str, list[RepoRecord]] = defaultdict(list)
        for repo in await self._repos.unfinished():
            owners[repo.webhook_job_id or ""].append(repo)
        for job_id, repos in owners.items():
            job = await self._jobs.store.get(job_id) if job_id else None
            if job is None:
                for repo in repos:
                    error = "it was interrupted; synchronise it again"
                    await self._repos.write(repo, webhook_state=WebhookState.ERROR, last_error=error)
                continue
            await self._enqueue(job.type, Op(job.payload["op"]), repos, job.created_by, job.reason, _resolution(job))

    # ---- running

    async def _run_webhook(self, ctx: JobContext) -> JobOutcome:
        if ctx.job.payload["op"] == AUDIT_ALL:
            return await self._run_audit(ctx)
        return await self._run_one(ctx, Op(ctx.job.payload["op"]))

    async def _run_sync_repo(self, ctx: JobContext) -> JobOutcome:
        return await self._run_one(ctx, Op.SYNC)

    async def _run_one(self, ctx: JobContext, op: Op) -> JobOutcome:
        repo = await self._repos.find(full_name(ctx.job.payload["repo"]))
        story = Story(ctx, op.value, [repo] if repo else [])
        if repo is None:
            ctx.log("it is not tracked any more: nothing to do")
        else:
            await self._each(story, [repo], op)
        return story.end()

    async def _run_sync_all(self, ctx: JobContext) -> JobOutcome:
        mine = [repo for repo in await self._repos.unfinished() if repo.webhook_job_id == ctx.job.id]
        story = Story(ctx, Op.SYNC.value, mine)
        await self._each(story, mine, Op.SYNC)
        return story.end()

    async def _run_audit(self, ctx: JobContext) -> JobOutcome:
        repos = [repo for repo in await self._repos.selected() if not repo.leaving]
        story = Story(ctx, AUDIT_ALL, repos)
        await self._each(story, repos, Op.AUDIT)
        odd = [(repo, result) for repo, result in story.results if result.state is not WebhookState.OK]
        if odd:
            await self._anomalies(ctx.job, odd)
        return story.end()

    async def _each(self, story: Story, repos: Sequence[RepoRecord], op: Op) -> None:
        """Every repository, five at a time; what cannot even be begun is told of each."""
        free = asyncio.Semaphore(PARALLEL)
        try:
            async with self._worker(op) as worker:

                async def one(repo: RepoRecord) -> None:
                    async with free, self._locks[repo.key]:
                        await self._do(story, worker, repo, op)

                async with asyncio.TaskGroup() as group:
                    for repo in repos:
                        group.create_task(one(repo))
        except InvalidArgument as error:
            for repo in repos:
                text = f"{error.message}. {error.hint}".strip()
                await self._keep(story, repo, op, Result(WebhookState.ERROR, None, text, action="error"))

    @asynccontextmanager
    async def _worker(self, op: Op) -> AsyncIterator[Worker]:
        """A connection with what is stored now. Raises InvalidArgument saying what is missing."""
        settings = await self._settings.read()
        url = callback_url(settings.callback_url)
        if op is not Op.UNREGISTER and not settings.enabled:
            raise InvalidArgument("github packages webhook is disabled", hint="Enable it in the settings.")
        if not url or not settings.secret:
            raise InvalidArgument("callbackUrl is required", hint="Store the callback URL in the settings.")
        if not settings.pat:
            raise InvalidArgument("pat is required", hint="Store a token in the settings.")
        async with GitHub(self._api_url, settings.pat, now=self._clock.now) as github:
            yield Worker(github, Wanted(url, settings.secret), self._sleep)

    async def _do(self, story: Story, worker: Worker, repo: RepoRecord, op: Op) -> None:
        now = await self._repos.find((repo.owner, repo.repo))
        if now is None or (op is not Op.UNREGISTER and now.leaving):
            story.skip(repo, "it is not tracked any more")
            return
        if op is Op.AUDIT and now.webhook_state in BUSY:
            story.skip(repo, "another job is at it")
            return
        if op is Op.AUDIT:
            result = await worker.audit(repo.owner, repo.repo)
        else:
            await self._repos.write(repo, webhook_state=WebhookState.RUNNING, webhook_job_id=story.job_id, last_op=op)
            self._bus.publish(EntitiesChanged("hooks"))
            if op is Op.UNREGISTER:
                result = await worker.unregister(repo.owner, repo.repo, now.hook_id)
            else:
                result = await worker.sync(repo.owner, repo.repo, story.resolution)
        await self._keep(story, repo, op, result)

    async def _keep(self, story: Story, repo: RepoRecord, op: Op, result: Result) -> None:
        now = self._clock.now()
        if op is Op.UNREGISTER and not result.failed:
            await self._repos.remove(repo)
            story.ctx.event("ghcr_repo_deleted", repo=repo.full_name)
        else:
            values: dict[str, Any] = {"webhook_state": result.state, "last_error": result.error, "last_op": op}
            if result.state in (WebhookState.OK, WebhookState.MISSING):
                values["hook_id"] = result.hook_id
            if op is Op.AUDIT:
                values["last_audit_at"] = now
            elif result.state is WebhookState.OK:
                values["last_sync_at"] = now
            await self._repos.write(repo, **values)
        story.add(repo, result)
        self._bus.publish(EntitiesChanged("hooks"))


class Story:
    """What one job tells while it goes on, and its summary (spec §9.4)."""

    def __init__(self, ctx: JobContext, op: str, repos: Sequence[RepoRecord]) -> None:
        self.ctx = ctx
        self.job_id = ctx.job.id
        self.resolution = _resolution(ctx.job)
        self.results: list[tuple[RepoRecord, Result]] = []
        self._op = op
        self._total = len(repos)
        self._skipped = 0
        self._about = {"repo": repos[0].full_name} if len(repos) == 1 else {}
        ctx.event("ghcr_webhook_job_started", op=op, total=self._total, **self._about)
        self._progress()

    def add(self, repo: RepoRecord, result: Result) -> None:
        """One repository is done."""
        self.results.append((repo, result))
        told = result.error or _words(result)
        self.ctx.log(f"{repo.full_name}: {told}", "info" if result.error is None else "warn")
        self._progress()

    def skip(self, repo: RepoRecord, why: str) -> None:
        """It is left as it is."""
        self._skipped += 1
        self.ctx.log(f"{repo.full_name}: left out, {why}")
        self._progress()

    def end(self) -> JobOutcome:
        """The counters; failed when GitHub did not let us do something."""
        counters = self._counters()
        self.ctx.progress(_progress(self._op, self._total, self._total, "done"), force=True)
        self.ctx.event("ghcr_webhook_job_finished", op=self._op, **self._about, **counters)
        summary: dict[str, Any] = {"op": self._op, **counters, "repos": self._told()}
        if not counters["hardFailures"]:
            return JobOutcome(summary=summary)
        first = next(f"{repo.full_name}: {result.error}" for repo, result in self.results if result.failed)
        return JobOutcome(JobStatus.FAILED, {**summary, "firstError": first})  # `error` is a counter here

    def _counters(self) -> dict[str, int]:
        states = Counter(result.state for _, result in self.results)
        return {
            "total": self._total,
            "ok": states[WebhookState.OK],
            "missing": states[WebhookState.MISSING],
            "conflict": states[WebhookState.CONFLICT],
            "error": states[WebhookState.ERROR],
            "deleted": sum(result.deleted for _, result in self.results),
            "hardFailures": states[WebhookState.ERROR],
        }

    def _told(self) -> list[dict[str, Any]]:
        """Each repository; those that need somebody first, since of very many the rest is left out."""
        odd_first = sorted(self.results, key=lambda pair: (pair[1].state is WebhookState.OK, pair[0].key))
        return [_document(repo, result) for repo, result in odd_first[:REPOS_TOLD]]

    def _progress(self) -> None:
        self.ctx.progress(_progress(self._op, len(self.results) + self._skipped, self._total, "running"))


def _progress(op: str, current: int, total: int, phase: str) -> Progress:
    percent = 100 * current / total if total else 100
    return Progress(phase, f"{op.replace('_', ' ')} on GitHub", current, total, percent)


def _document(repo: RepoRecord, result: Result) -> dict[str, Any]:
    told: dict[str, Any] = {"repo": repo.full_name, "state": result.state.value, "action": result.action}
    if result.hook_id is not None:
        told["hookId"] = result.hook_id
    if result.error:
        told["error"] = result.error
    if result.hooks:
        told["conflictHooks"] = hook_documents(result.hooks)
    return told


def _words(result: Result) -> str:
    match result.action:
        case "created":
            return f"webhook {result.hook_id} added"
        case "updated":
            return f"webhook {result.hook_id} is as it should be"
        case "deleted":
            return f"{result.deleted} webhooks removed" if result.deleted != 1 else "webhook removed"
    return "its webhook is in place"


def _about(op: Op | None, repo: RepoRecord | None) -> str:
    """What the job is about, as the end of its title: "Webhook …", "Webhook sync …"."""
    if repo is None:
        return "audit" if op is None else "of all repositories"
    match op:
        case Op.REGISTER:
            return f"for {repo.full_name}"
        case Op.UNREGISTER:
            return f"removal from {repo.full_name}"
    return f"of {repo.full_name}"


def _resolution(job: JobRecord) -> Resolution | None:
    keep: Any = job.payload.get("keepHookId")
    return Resolution(keep, tuple(job.payload.get("deleteHookIds", ()))) if isinstance(keep, int) else None
