"""Hooks: webhooks that call Dockrev, and those Dockrev keeps on GitHub so that it is called (spec §5.6, §5.7, §9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.core.background import Background, every
from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.core.feature import Container, Feature
from app.core.jobs import JobEngine, JobRecord
from app.core.web.languages import N_, ngettext
from app.features.hooks import controllers, page_controllers, secret_controllers, webhook_controllers
from app.features.hooks.deliveries import Deliveries
from app.features.hooks.intake import Intake
from app.features.hooks.jobs import Anomalies, WebhookJobs
from app.features.hooks.lookup import Lookup
from app.features.hooks.pages import HookPages
from app.features.hooks.records import RepoRecord
from app.features.hooks.secrets import WebhookSecrets
from app.features.hooks.service import GithubPackages
from app.features.hooks.settings import HookSettings
from app.features.hooks.tracked import TrackedRepos
from app.features.hooks.trigger import Trigger
from app.features.hooks.work import Result
from app.features.jobs import JobReads
from app.features.notifications import Notifications, RepoAnomaly
from app.features.preferences import GHCR_AUDIT, Preferences, Readiness, ReadinessBoard, Sections
from app.features.schedules import ScheduledActions
from app.features.stacks import Discovery, Stacks
from app.features.updates import Updates
from app.features.versions import Checks
from app.settings import Settings

__all__ = ["FEATURE", "GithubPackages", "WebhookJobs"]

PURGE_SECONDS: Final = 86400.0
HOUR_SECONDS: Final = 3600.0
READINESS: Final = "feature.github_packages"


def _setup(container: Container) -> None:
    db, clock, bus = container.get(Database), container.get(Clock), container.get(EventBus)
    settings, jobs, stacks = container.get(Settings), container.get(JobEngine), container.get(Stacks)
    stored = container.put(HookSettings, HookSettings(db, clock))
    repos = container.put(TrackedRepos, TrackedRepos(db, clock))
    secrets = container.put(WebhookSecrets, WebhookSecrets(db, clock, settings.webhook_secret))
    deliveries = container.put(Deliveries, Deliveries(db, clock))
    checks = container.get(Checks)
    webhooks = container.put(
        WebhookJobs,
        WebhookJobs(
            jobs=jobs,
            repos=repos,
            settings=stored,
            bus=bus,
            clock=clock,
            api_url=settings.github_api_url,
            anomalies=_announce(container),
        ),
    )
    lookup = Lookup(stored, repos, stacks, clock, settings.github_api_url)
    container.put(
        GithubPackages,
        GithubPackages(settings=stored, repos=repos, lookup=lookup, webhooks=webhooks, jobs=jobs, bus=bus),
    )
    container.put(
        Intake,
        Intake(
            settings=stored,
            secrets=secrets,
            repos=repos,
            deliveries=deliveries,
            stacks=stacks,
            checks=checks,
            discovery=container.get(Discovery),
            bus=bus,
        ),
    )
    container.put(
        HookPages,
        HookPages(
            packages=container.get(GithubPackages),
            deliveries=deliveries,
            stacks=stacks,
            job_reads=container.get(JobReads),
            preferences=container.get(Preferences),
            sections=container.get(Sections),
            clock=clock,
            api_url=settings.github_api_url,
        ),
    )
    container.get(Sections).add("github-packages", "webhook-secrets")
    container.put(Trigger, Trigger(checks, container.get(Updates), secrets))
    container.get(ScheduledActions).add(GHCR_AUDIT, webhooks.audit)
    container.get(ReadinessBoard).add(READINESS, lambda: _readiness(stored, repos))


def _announce(container: Container) -> Anomalies:
    async def announce(job: JobRecord, odd: Sequence[tuple[RepoRecord, Result]]) -> None:
        repos = [RepoAnomaly(repo.owner, repo.repo, result.state.value, result.error) for repo, result in odd]
        await container.get(Notifications).announce_anomaly(job, repos)

    return announce


async def _readiness(stored: HookSettings, repos: TrackedRepos) -> Readiness:
    """What the deploy check asks (spec §5.7): callback URL, token, secret and at least one selected repository."""
    settings, page = await stored.read(), await repos.page(per_page=1)
    parts = (
        (N_("callback URL"), bool(settings.callback_url)),
        (N_("token"), bool(settings.pat)),
        (N_("webhook secret"), bool(settings.secret)),
        (N_("selected repository"), page.selected_total > 0),
    )
    missing = tuple(str(name) for name, there in parts if not there)
    selected = ngettext(
        "%(chosen)s of %(num)s repository selected",
        "%(chosen)s of %(num)s repositories selected",
        page.total,
        chosen=page.selected_total,
    )
    return Readiness(settings.enabled, missing, selected)


async def _start(container: Container) -> None:
    await container.get(Deliveries).release_unfinished()
    background = container.get(Background)
    background.keep("interrupted webhook jobs", container.get(WebhookJobs).resume)
    background.keep("delivery clean-up", lambda: every(PURGE_SECONDS, container.get(Deliveries).purge))
    background.keep("old webhook secrets", lambda: every(HOUR_SECONDS, container.get(WebhookSecrets).purge))


FEATURE = Feature(
    name="hooks",
    setup=_setup,
    handlers=(
        *controllers.HANDLERS,
        *webhook_controllers.HANDLERS,
        *page_controllers.HANDLERS,
        *secret_controllers.HANDLERS,
    ),
    provides={
        "github_packages": GithubPackages,
        "deliveries": Deliveries,
        "intake": Intake,
        "trigger": Trigger,
        "hook_pages": HookPages,
        "webhook_secrets": WebhookSecrets,
    },
    start=_start,
)
