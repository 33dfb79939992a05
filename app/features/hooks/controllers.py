"""GitHub packages over the API: settings, repositories, targets (spec §5.6)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Request, get, post, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, JSONBody, QueryParameter

from app.core.web.auth import identity_of
from app.core.web.openapi import UNAUTHORISED, ErrorOut, OkOut
from app.core.web.paging import parse_number
from app.features.hooks import outputs, schemas
from app.features.hooks.service import GithubPackages
from app.features.hooks.tracked import selected_filter

AnyRequest = Request[Any, Any, Any]
TAGS: Final = ["github-packages"]
BAD: Final = {**UNAUTHORISED, 400: ResponseSpec(ErrorOut, description="what is wrong, and in which field")}
REFUSED: Final = {
    **BAD,
    404: ResponseSpec(ErrorOut, description="repo is not tracked"),
    409: ResponseSpec(ErrorOut, description="its webhook is being removed"),
}
GITHUB: Final = {
    **BAD,
    422: ResponseSpec(
        ErrorOut, description="`details.reason`: ghcr_pat_missing, or ghcr_pat_invalid_or_scope_insufficient"
    ),
    500: ResponseSpec(
        ErrorOut, description="`details.reason`: github_upstream_timeout, or github_upstream_unavailable"
    ),
}


def who(request: AnyRequest) -> str:
    """Whom a job names as its creator."""
    identity = identity_of(request)
    return identity.principal if identity else "unknown"


@get(
    "/api/github-packages/settings",
    operation_id="getGithubPackages",
    summary="Settings of GitHub packages",
    tags=TAGS,
    responses=UNAUTHORISED,
)
async def settings_get(github_packages: NamedDependency[GithubPackages]) -> schemas.GithubSettingsOut:
    """Token and webhook secret are masked, and left out when there are none."""
    settings = await github_packages.settings.read()
    repos = await github_packages.repos.page(per_page=1)
    return outputs.settings_out(settings, await github_packages.settings.targets(), repos)


@put(
    "/api/github-packages/settings",
    operation_id="putGithubPackages",
    summary="Change the settings of GitHub packages",
    tags=TAGS,
    responses=BAD,
)
async def settings_put(
    github_packages: NamedDependency[GithubPackages], data: JSONBody[schemas.GithubSettingsInput]
) -> OkOut:
    """A token that is omitted, null, blank or masked stays; lists that are left out stay. The secret is made once."""
    await github_packages.settings.change(
        enabled=data.enabled,
        callback_url=data.callback_url,
        pat=data.pat,
        targets=None if data.targets is None else [target.input for target in data.targets],
        repos=None if data.repos is None else [(repo.full_name, repo.selected) for repo in data.repos],
    )
    return OkOut()


@get(
    "/api/github-packages/repos",
    operation_id="listGithubRepos",
    summary="Tracked repositories",
    tags=TAGS,
    responses=BAD,
)
async def repo_list(
    github_packages: NamedDependency[GithubPackages],
    page: FromQuery[str | None] = None,
    per_page: Annotated[str | None, QueryParameter(name="perPage", description="1 to 200")] = None,
    q: FromQuery[str | None] = None,
    chosen: Annotated[
        str | None, QueryParameter(name="selectedFilter", description="all, selected or unselected")
    ] = None,
) -> schemas.RepoListOut:
    """A page by owner and name; `q` is a part of `owner/repo`."""
    found = await github_packages.repos.page(
        q=q or "",
        chosen=selected_filter(chosen),
        page=parse_number("page", page, default=1, low=1, high=1_000_000),
        per_page=parse_number("perPage", per_page, default=50, low=1, high=200),
    )
    return outputs.repos_out(found)


@post(
    "/api/github-packages/repos/selected",
    status_code=200,
    operation_id="selectGithubRepo",
    summary="Select a repository, or not",
    tags=TAGS,
    responses={**BAD, 409: REFUSED[409]},
)
async def repo_select(
    request: AnyRequest, github_packages: NamedDependency[GithubPackages], data: JSONBody[schemas.RepoChosen]
) -> schemas.RepoSelectedOut:
    """Tracks it if it is not. Selecting registers its webhook, while the integration is on and has a callback URL."""
    return schemas.RepoSelectedOut(job_id=await github_packages.select(data.full_name, data.selected, who(request)))


@post(
    "/api/github-packages/repos/delete",
    status_code=200,
    operation_id="deleteGithubRepo",
    summary="Track a repository no more",
    tags=TAGS,
    responses={**BAD, 404: REFUSED[404]},
)
async def repo_delete(
    request: AnyRequest, github_packages: NamedDependency[GithubPackages], data: JSONBody[schemas.RepoNamed]
) -> schemas.RepoDeletedOut:
    """A job removes its webhook on GitHub; the row goes when that worked."""
    return schemas.RepoDeletedOut(job_id=await github_packages.delete(data.full_name, who(request)))


@post(
    "/api/github-packages/repos/bulk-selected",
    status_code=200,
    operation_id="selectGithubRepos",
    summary="Select all repositories that match, or not",
    tags=TAGS,
    responses=BAD,
)
async def repo_select_all(
    github_packages: NamedDependency[GithubPackages], data: JSONBody[schemas.BulkInput]
) -> schemas.BulkOut:
    """All rows that match the filter, not only those of one page. No webhook is touched: synchronise for that."""
    chosen = selected_filter(data.selected_filter)
    return schemas.BulkOut(affected=await github_packages.select_matching(data.q or "", chosen, data.selected))


@post(
    "/api/github-packages/targets/add",
    status_code=200,
    operation_id="addGithubTarget",
    summary="Track the repositories of an owner, or one",
    tags=TAGS,
    responses=GITHUB,
)
async def target_add(
    github_packages: NamedDependency[GithubPackages], data: JSONBody[schemas.TargetTyped]
) -> schemas.TargetAddedOut:
    """They are selected; those that are tracked already stay as they are and are not counted."""
    target, added = await github_packages.add(data.input)
    return schemas.TargetAddedOut(kind=target.kind, owner=target.owner, repos_added=added)


@post(
    "/api/github-packages/targets/remove",
    status_code=200,
    operation_id="removeGithubTarget",
    summary="Forget a target",
    tags=TAGS,
    responses=BAD,
)
async def target_remove(github_packages: NamedDependency[GithubPackages], data: JSONBody[schemas.TargetTyped]) -> OkOut:
    """Its repositories stay tracked. No error when there is no such target."""
    await github_packages.settings.remove_target(data.input)
    return OkOut()


@post(
    "/api/github-packages/resolve",
    status_code=200,
    operation_id="resolveGithubTarget",
    summary="Which repositories an input stands for",
    tags=TAGS,
    responses=GITHUB,
)
async def target_resolve(
    github_packages: NamedDependency[GithubPackages], data: JSONBody[schemas.TargetTyped]
) -> schemas.ResolvedOut:
    """Nothing is stored. An owner needs a token, one repository does not."""
    found = await github_packages.lookup.resolve(data.input)
    return outputs.resolved_out(found, found.repos)


HANDLERS = (
    settings_get,
    settings_put,
    repo_list,
    repo_select,
    repo_delete,
    repo_select_all,
    target_add,
    target_remove,
    target_resolve,
)
