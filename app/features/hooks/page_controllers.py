"""The room's pages and their forms (spec §11.3): GitHub packages, its jobs, its deliveries."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from app.core.errors import InvalidArgument
from app.core.web.answers import Toast, came_from, done
from app.core.web.forms import read_form
from app.core.web.languages import _, ngettext
from app.core.web.openapi import NOT_FOUND
from app.core.web.paging import parse_number
from app.core.web.view import Pages, View, shape
from app.features.hooks.controllers import who
from app.features.hooks.page_schemas import (
    ConflictPage,
    GithubPackagesPage,
    InboxPage,
    Problem,
    TargetPage,
    WebhookJobsPage,
)
from app.features.hooks.pages import HookPages
from app.features.hooks.service import GithubPackages, usable
from app.features.hooks.tracked import selected_filter
from app.features.hooks.work import Resolution

AnyRequest = Request[Any, Any, Any]
Fields = dict[str, list[str]]
HERE: Final = "/settings/ghcr-webhooks"
JOBS: Final = "/queue/ghcr-webhooks"
INBOX: Final = "/queue/ghcr-webhook-inbox"
FORM: Final[dict[str, Any]] = {"status_code": 200, "include_in_schema": False}
TOPICS: Final = ("hooks", "jobs")


def _page(text: str) -> int:
    return parse_number("page", text, default=1, low=1, high=1_000_000)


@get(HERE, operation_id="githubPackagesPage", summary="Page of GitHub packages", tags=["pages"])
async def registry_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    hook_pages: NamedDependency[HookPages],
    q: FromQuery[str] = "",
    chosen: Annotated[str, QueryParameter(name="selectedFilter")] = "",
    webhook: Annotated[str, QueryParameter(name="state", description="A state of webhooks")] = "",
    page: FromQuery[str] = "",
) -> View[GithubPackagesPage]:
    """Settings, targets, tracked repositories with the state of their webhooks."""
    content = await hook_pages.registry(q=q, chosen=chosen, state=webhook, page=_page(page))
    return await pages.show(request, content, "hooks/repo_list.html", topics=TOPICS)


@get(f"{HERE}/add", operation_id="githubTargetPage", summary="Page to add repositories of GitHub", tags=["pages"])
async def target_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    hook_pages: NamedDependency[HookPages],
    text: Annotated[str, QueryParameter(name="input")] = "",
) -> View[TargetPage]:
    """Type an owner or a repository, see what it stands for, pick."""
    return await pages.show(request, await hook_pages.target(text), "hooks/target_add.html")


@get(
    f"{HERE}/conflict/{{owner:str}}/{{repo:str}}",
    operation_id="githubConflictPage",
    summary="Page to settle a conflict of webhooks",
    tags=["pages"],
    responses=NOT_FOUND,
)
async def conflict_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    hook_pages: NamedDependency[HookPages],
    owner: FromPath[str],
    repo: FromPath[str],
) -> View[ConflictPage]:
    """The webhooks that call this Dockrev, to choose the one that stays."""
    return await pages.show(request, await hook_pages.conflict(f"{owner}/{repo}"), "hooks/conflict.html")


@get(JOBS, operation_id="githubJobsPage", summary="Page of GitHub webhook jobs", tags=["pages"])
async def jobs_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    hook_pages: NamedDependency[HookPages],
    cursor: FromQuery[str] = "",
) -> View[WebhookJobsPage]:
    """What was and is done to webhooks."""
    return await pages.show(request, await hook_pages.jobs(cursor), "hooks/job_list.html", topics=TOPICS)


@get(INBOX, operation_id="githubInboxPage", summary="Page of GitHub's deliveries", tags=["pages"])
async def inbox_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    hook_pages: NamedDependency[HookPages],
    decision: FromQuery[str] = "",
    q: FromQuery[str] = "",
    page: FromQuery[str] = "",
) -> View[InboxPage]:
    """Each delivery with its decision, the reason and its jobs."""
    content = await hook_pages.inbox(decision=decision, q=q, page=_page(page))
    return await pages.show(request, content, "hooks/delivery_list.html", topics=TOPICS)


# ---- forms


def _text(fields: Fields, name: str) -> str:
    return (fields.get(name) or [""])[-1].strip()


def _on(fields: Fields, name: str) -> bool:
    return _text(fields, name) == "true"


def _back(request: AnyRequest) -> str:
    """The list as it was narrowed, when the form was on it."""
    return found if (found := came_from(request)).startswith(HERE) else HERE


@post(HERE, **FORM)
async def settings_save(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    github_packages: NamedDependency[GithubPackages],
    hook_pages: NamedDependency[HookPages],
) -> Response[Any]:
    """Switch, callback URL and token; the lists stay. Without JavaScript a mistake comes back with the page."""
    fields = await read_form(request)
    enabled, url = _on(fields, "enabled"), _text(fields, "callbackUrl")
    try:
        await github_packages.settings.change(enabled=enabled, callback_url=url, pat=_text(fields, "pat"))
    except InvalidArgument as error:
        if shape(request) != "page":
            raise
        content = await hook_pages.registry(q="", chosen="", state="", page=1)
        content.settings.enabled, content.settings.callback_url = enabled, url[:2048]
        content.problem = Problem(message=error.message, hint=error.hint)
        view = await pages.show(request, content, "hooks/repo_list.html", topics=TOPICS)
        view.status_code = error.status
        return view
    return done(request, pages, Toast(_("Saved.")), go_to=f"{HERE}#settings")


@post(f"{HERE}/targets/add", **FORM)
async def target_add(
    request: AnyRequest, pages: NamedDependency[Pages], github_packages: NamedDependency[GithubPackages]
) -> Response[Any]:
    """Track what was picked (`repo`, repeated), or with `all` everything the input stands for; then bring in order."""
    fields = await read_form(request)
    everything = _on(fields, "all")
    picked = fields.get("repo", [])
    if not everything and not picked:
        raise InvalidArgument("no repository was picked", hint="Tick at least one.", details={"field": "repo"})
    target, added = await github_packages.add(_text(fields, "input"), None if everything else picked)
    told = ngettext(
        "%(num)s repository of %(owner)s added.", "%(num)s repositories of %(owner)s added.", added, owner=target.owner
    )
    job = ""
    if usable(await github_packages.settings.read()):
        job = (await github_packages.sync_all(who(request))).job_id
        told = ngettext(
            "%(num)s repository of %(owner)s added. Their webhooks are being added.",
            "%(num)s repositories of %(owner)s added. Their webhooks are being added.",
            added,
            owner=target.owner,
        )
    answer = done(request, pages, Toast(told, f"/queue/{job}" if job else ""), go_to=HERE)
    if request.headers.get("hx-request") == "true":
        answer.headers["HX-Redirect"] = HERE
    return answer


@post(f"{HERE}/targets/remove", **FORM)
async def target_remove(
    request: AnyRequest, pages: NamedDependency[Pages], github_packages: NamedDependency[GithubPackages]
) -> Response[Any]:
    """Forget what was typed."""
    fields = await read_form(request)
    await github_packages.settings.remove_target(_text(fields, "input"))
    return done(request, pages, Toast(_("Forgotten. Its repositories stay in the list.")), go_to=f"{HERE}#targets")


@post(f"{HERE}/repos/select", **FORM)
async def repo_select(
    request: AnyRequest, pages: NamedDependency[Pages], github_packages: NamedDependency[GithubPackages]
) -> Response[Any]:
    """Listen to a repository, or not."""
    fields = await read_form(request)
    name, selected = _text(fields, "fullName"), _on(fields, "selected")
    job_id = await github_packages.select(name, selected, who(request))
    if not selected:
        told = _("%(name)s is left alone. Its webhook stays on GitHub; what it sends is ignored.", name=name)
    elif job_id:
        told = _("%(name)s is selected. Its webhook is being added.", name=name)
    else:
        told = _("%(name)s is selected.", name=name)
    toast = Toast(told, f"/queue/{job_id}" if job_id else "", tone="up" if job_id else "ok")
    return done(request, pages, toast, go_to=_back(request))


@post(f"{HERE}/repos/sync", **FORM)
async def repo_sync(
    request: AnyRequest, pages: NamedDependency[Pages], github_packages: NamedDependency[GithubPackages]
) -> Response[Any]:
    """Bring one webhook in order."""
    name = _text(await read_form(request), "fullName")
    enqueued = await github_packages.sync_repo(name, who(request))
    told = _("The webhook of %(name)s is being brought in order.", name=name)
    return done(request, pages, Toast(told, f"/queue/{enqueued.job_id}", tone="up"), go_to=_back(request))


@post(f"{HERE}/repos/delete", **FORM)
async def repo_delete(
    request: AnyRequest, pages: NamedDependency[Pages], github_packages: NamedDependency[GithubPackages]
) -> Response[Any]:
    """Remove the webhook on GitHub, then the repository from the list."""
    name = _text(await read_form(request), "fullName")
    job_id = await github_packages.delete(name, who(request))
    told = _("The webhook of %(name)s is being removed; then it leaves the list.", name=name)
    return done(request, pages, Toast(told, f"/queue/{job_id}", tone="back"), go_to=_back(request))


@post(f"{HERE}/repos/bulk", **FORM)
async def repo_bulk(
    request: AnyRequest, pages: NamedDependency[Pages], github_packages: NamedDependency[GithubPackages]
) -> Response[Any]:
    """Select everything that matches, or nothing of it."""
    fields = await read_form(request)
    selected = _on(fields, "selected")
    count = await github_packages.select_matching(
        _text(fields, "q"), selected_filter(_text(fields, "selectedFilter")), selected
    )
    if selected:
        told = ngettext("%(num)s repository is selected.", "%(num)s repositories are selected.", count)
    else:
        told = ngettext("%(num)s repository is not selected.", "%(num)s repositories are not selected.", count)
    return done(request, pages, Toast(told), go_to=_back(request))


@post(f"{HERE}/sync-all", **FORM)
async def sync_all(
    request: AnyRequest, pages: NamedDependency[Pages], github_packages: NamedDependency[GithubPackages]
) -> Response[Any]:
    """Bring all webhooks in order."""
    await read_form(request)
    enqueued = await github_packages.sync_all(who(request))
    told = _("All webhooks are being brought in order.")
    return done(request, pages, Toast(told, f"/queue/{enqueued.job_id}", tone="up"), go_to=_back(request))


@post(f"{HERE}/audit", **FORM)
async def audit(
    request: AnyRequest, pages: NamedDependency[Pages], github_packages: NamedDependency[GithubPackages]
) -> Response[Any]:
    """Only look."""
    await read_form(request)
    enqueued = await github_packages.audit(who(request))
    told = _("Looking at all webhooks; nothing is changed.")
    return done(request, pages, Toast(told, f"/queue/{enqueued.job_id}", tone="up"), go_to=_back(request))


@post(f"{HERE}/conflict/{{owner:str}}/{{repo:str}}", **FORM)
async def conflict_settle(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    github_packages: NamedDependency[GithubPackages],
    owner: FromPath[str],
    repo: FromPath[str],
) -> Response[Any]:
    """Keep one webhook (`keep`), remove those that were shown beside it (`shown`)."""
    fields = await read_form(request)
    keep = parse_number("keep", _text(fields, "keep"), default=0, low=1, high=2**63 - 1)
    shown = [parse_number("shown", text, default=0, low=1, high=2**63 - 1) for text in fields.get("shown", [])[:50]]
    choice = Resolution(keep, tuple(number for number in shown if number != keep))
    name = f"{owner}/{repo}"
    synced = (await github_packages.sync(who(request), repos=[name], choices={name: choice}))[0]
    if synced.enqueued is None:
        raise InvalidArgument(synced.problem or "nothing can be done now", hint="Reload the page and choose again.")
    told = _("Webhook %(keep)s of %(name)s stays, the others are being removed.", keep=keep, name=name)
    answer = done(request, pages, Toast(told, f"/queue/{synced.enqueued.job_id}", tone="up"), go_to=HERE)
    if request.headers.get("hx-request") == "true":
        answer.headers["HX-Redirect"] = HERE
    return answer


HANDLERS = (
    registry_page, target_page, conflict_page, jobs_page, inbox_page, settings_save, target_add, target_remove,
    repo_select, repo_sync, repo_delete, repo_bulk, sync_all, audit, conflict_settle,
)  # fmt: skip
