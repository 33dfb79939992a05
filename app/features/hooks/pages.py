"""Puts the room's pages together."""

from __future__ import annotations

from typing import Final

from app.adapters.github import GitHub, GitHubError
from app.core.clock import Clock
from app.core.errors import DockrevError
from app.core.jobs import JobFilter
from app.core.web.paging import decode_cursor, encode_cursor
from app.features.hooks import outputs, schemas
from app.features.hooks.deliveries import Deliveries, parse_decision
from app.features.hooks.jobs import TYPES
from app.features.hooks.lookup import told
from app.features.hooks.matching import deployed_repos
from app.features.hooks.models import WebhookState
from app.features.hooks.page_schemas import (
    ConflictPage,
    GithubPackagesPage,
    HookOut,
    InboxPage,
    PageLinks,
    Problem,
    RepoQuery,
    TargetPage,
    WebhookJobsPage,
)
from app.features.hooks.rules.urls import CALLBACK_PATH, ours
from app.features.hooks.service import GithubPackages, usable
from app.features.hooks.tracked import selected_filter
from app.features.jobs import JobReads
from app.features.preferences import Preferences, Sections
from app.features.stacks import Stacks

REPOS_SHOWN: Final = 50
PICKS_SHOWN: Final = 200
DELIVERIES_SHOWN: Final = 50
JOBS_SHOWN: Final = 50
SUGGESTED: Final = 20


class HookPages:
    """Reads for the pages."""

    def __init__(
        self,
        *,
        packages: GithubPackages,
        deliveries: Deliveries,
        stacks: Stacks,
        job_reads: JobReads,
        preferences: Preferences,
        sections: Sections,
        clock: Clock,
        api_url: str,
    ) -> None:
        self._packages = packages
        self._deliveries = deliveries
        self._stacks = stacks
        self._job_reads = job_reads
        self._preferences = preferences
        self._sections = sections
        self._clock = clock
        self._api_url = api_url

    async def registry(self, *, q: str, chosen: str, state: str, page: int) -> GithubPackagesPage:
        """Settings, targets and tracked repositories. Raises InvalidArgument for an unknown filter."""
        only = WebhookState(state) if state in list(WebhookState) else None
        found = await self._packages.repos.page(
            q=q, chosen=selected_filter(chosen), state=only, page=page, per_page=REPOS_SHOWN
        )
        settings = await self._packages.settings.read()
        base = await self._preferences.public_base_url()
        return GithubPackagesPage(
            settings=outputs.settings_out(settings, await self._packages.settings.targets(), found),
            suggested_callback_url=base.rstrip("/") + CALLBACK_PATH if base else None,
            standing=outputs.overview_out(await self._packages.standing()),
            usable=usable(settings),
            repos=outputs.repos_out(found),
            query=RepoQuery(q=q[:200], selected_filter=chosen or "all", state=only.value if only else ""),
            at=_links(page, found.filtered_total, REPOS_SHOWN),
            suggested=await self._suggested(),
            sections=self._sections.links(),
        )

    async def target(self, text: str) -> TargetPage:
        """What an input stands for; a failure is part of the page, so that it can be typed again."""
        settings = await self._packages.settings.read()
        page = TargetPage(input=text[:400], token_missing=not settings.pat, sections=self._sections.links())
        if not text.strip():
            return page
        try:
            found = await self._packages.lookup.resolve(text)
        except DockrevError as error:
            page.problem = _problem(error)
            return page
        # What runs here is what one wants to hear of.
        in_order = sorted(found.repos, key=lambda repo: (not repo.deployed, not repo.selected, repo.full_name.lower()))
        page.resolved = outputs.resolved_out(found, in_order[:PICKS_SHOWN])
        page.more = max(0, len(in_order) - PICKS_SHOWN)
        return page

    async def conflict(self, full_name: str) -> ConflictPage:
        """The webhooks to choose from, as GitHub has them now. Raises NotFound."""
        repo = await self._packages.conflict(full_name)
        page = ConflictPage(repo=schemas.RepoOut.of(repo), hooks=[], sections=self._sections.links())
        settings = await self._packages.settings.read()
        try:
            async with GitHub(self._api_url, settings.pat, now=self._clock.now) as github:
                found = ours(await github.hooks(repo.owner, repo.repo), settings.callback_url)
        except GitHubError as error:
            known = told(error, repo.owner)
            page.problem = Problem(message=error.message, hint=known.hint)
            return page
        page.hooks = [
            HookOut(id=hook.id, url=hook.url, events=list(hook.events), active=hook.active) for hook in found[:50]
        ]
        return page

    async def jobs(self, cursor: str) -> WebhookJobsPage:
        """The room's jobs, newest first. Raises InvalidCursor."""
        wanted = JobFilter(types=TYPES, before=decode_cursor(cursor) if cursor else None, limit=JOBS_SHOWN)
        rows = await self._job_reads.recent(wanted)
        more = rows[JOBS_SHOWN - 1] if len(rows) > JOBS_SHOWN else None
        return WebhookJobsPage(
            standing=outputs.overview_out(await self._packages.standing()),
            usable=usable(await self._packages.settings.read()),
            jobs=rows[:JOBS_SHOWN],
            next_cursor=encode_cursor(more.created_at, more.id) if more else None,
            cursor=cursor,
        )

    async def inbox(self, *, decision: str, q: str, page: int) -> InboxPage:
        """Deliveries, newest first. Raises InvalidArgument for an unknown filter."""
        found = await self._deliveries.page(
            decision=parse_decision(decision), q=q, page=page, per_page=DELIVERIES_SHOWN
        )
        return InboxPage(
            enabled=(await self._packages.settings.read()).enabled,
            deliveries=outputs.deliveries_out(found),
            decision=decision or "all",
            q=q[:200],
            at=_links(page, found.filtered_total, DELIVERIES_SHOWN),
        )

    async def _suggested(self) -> list[str]:
        """Repositories whose images run here and that are not tracked."""
        running = sorted(deployed_repos(await self._stacks.select("all")))
        found: list[str] = []
        for full_name in running:
            owner, _, repo = full_name.partition("/")
            if len(found) < SUGGESTED and await self._packages.repos.find((owner, repo)) is None:
                found.append(full_name)
        return found


def _links(page: int, total: int, per_page: int) -> PageLinks:
    return PageLinks(page=page, pages=max(1, -(-total // per_page)))


def _problem(error: DockrevError) -> Problem:
    cause = error.details.get("cause")
    said = cause if isinstance(cause, str) and error.status >= 422 else error.message
    detail = error.details.get("error")
    return Problem(message=f"{said}: {detail}" if isinstance(detail, str) else said, hint=error.hint)
