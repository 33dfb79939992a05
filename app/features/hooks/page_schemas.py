"""What the room's pages show (spec §11.3); the same is answered as JSON."""

from __future__ import annotations

from app.core.web.schema import ApiModel, Maybe
from app.features.hooks.schemas import (
    DeliveryListOut,
    GithubSettingsOut,
    OverviewOut,
    RepoListOut,
    RepoOut,
    ResolvedOut,
)
from app.features.jobs.schemas import JobRow
from app.features.preferences import SectionLink


class Problem(ApiModel):
    """What went wrong, and the remedy."""

    message: str
    hint: str


class RepoQuery(ApiModel):
    """What the list of repositories is narrowed to."""

    q: str
    selected_filter: str
    state: str


class PageLinks(ApiModel):
    """Which page of how many."""

    page: int
    pages: int


class GithubPackagesPage(ApiModel):
    """`/settings/ghcr-webhooks`. `suggested` are repositories whose images run here and that are not tracked; with
    `problem` the settings are as somebody typed them, and nothing was saved."""

    settings: GithubSettingsOut
    suggested_callback_url: Maybe[str] = None
    standing: OverviewOut
    usable: bool
    repos: RepoListOut
    query: RepoQuery
    at: PageLinks
    suggested: list[str]
    problem: Maybe[Problem] = None
    sections: list[SectionLink]


class TargetPage(ApiModel):
    """`/settings/ghcr-webhooks/add`: what an input stands for, to pick from. `more` repositories are not shown."""

    input: str
    resolved: Maybe[ResolvedOut] = None
    more: int = 0
    problem: Maybe[Problem] = None
    token_missing: bool
    sections: list[SectionLink]


class HookOut(ApiModel):
    """A webhook on GitHub that calls this Dockrev."""

    id: int
    url: str
    events: list[str]
    active: bool


class ConflictPage(ApiModel):
    """`/settings/ghcr-webhooks/conflict/{owner}/{repo}`: the webhooks as GitHub has them now."""

    repo: RepoOut
    hooks: list[HookOut]
    problem: Maybe[Problem] = None
    sections: list[SectionLink]


class WebhookJobsPage(ApiModel):
    """`/queue/ghcr-webhooks`."""

    standing: OverviewOut
    usable: bool
    jobs: list[JobRow]
    next_cursor: Maybe[str] = None
    cursor: str


class InboxPage(ApiModel):
    """`/queue/ghcr-webhook-inbox`. `names` of the services that were matched are looked up by job."""

    enabled: bool
    deliveries: DeliveryListOut
    decision: str
    q: str
    at: PageLinks
