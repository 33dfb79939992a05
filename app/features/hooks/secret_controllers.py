"""The secrets of webhooks: over the API, and the page `/settings/webhook-secrets`, which works without JavaScript."""

from __future__ import annotations

from typing import Any, Final

import structlog
from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from app.core.errors import DockrevError, InvalidArgument
from app.core.web.answers import Toast, done
from app.core.web.forms import read_form
from app.core.web.fresh import require_fresh
from app.core.web.openapi import NOT_FOUND, UNAUTHORISED, ErrorOut, OkOut
from app.core.web.paging import parse_number
from app.core.web.view import Pages, View, shape
from app.features.access import remark
from app.features.hooks.controllers import who
from app.features.hooks.page_schemas import Problem
from app.features.hooks.secret_schemas import (
    RotatedOut,
    RotateInput,
    SecretMadePage,
    WebhookSecretOut,
    WebhookSecretsOut,
    WebhookSecretsPage,
)
from app.features.hooks.secrets import MAX_OVERLAP_HOURS, OVERLAP_HOURS, WebhookSecrets, Which, parse_which
from app.features.hooks.service import GithubPackages, usable
from app.features.preferences import Sections

log = structlog.get_logger(__name__)
AnyRequest = Request[Any, Any, Any]
HERE: Final = "/settings/webhook-secrets"
FORM: Final[dict[str, Any]] = {"status_code": 200, "include_in_schema": False}
NEVER_STORED: Final = {"Cache-Control": "no-store"}


async def rotated(
    request: AnyRequest, secrets: WebhookSecrets, packages: GithubPackages, which: Which, hours: int
) -> RotatedOut:
    """A new secret for who asks; the webhooks on GitHub get theirs by a job."""
    require_fresh(request)
    remark(request, overlapHours=hours)
    value = await secrets.rotate(which, hours)
    made = RotatedOut(secret=WebhookSecretOut.of(await secrets.state(which)), value=value)
    if which is Which.GITHUB:
        try:
            made.job_id, made.reused = await _brought(packages, who(request))
        except DockrevError as error:  # the secret is made: it has to be told whatever becomes of the webhooks
            log.warning("the new secret was not brought to GitHub", cause=error.message)
    return made


async def _brought(packages: GithubPackages, by: str) -> tuple[str | None, bool | None]:
    """The job that brings it to the webhooks, if there are any, and whether it was under way."""
    selected = (await packages.repos.page(per_page=1)).selected_total
    if not selected or not usable(await packages.settings.read()):
        return None, None
    enqueued = await packages.sync_all(by)
    return enqueued.job_id, enqueued.reused


@get(
    "/api/webhook-secrets",
    operation_id="listWebhookSecrets",
    summary="Secrets of webhooks",
    tags=["webhooks"],
    responses=UNAUTHORISED,
)
async def secret_list(webhook_secrets: NamedDependency[WebhookSecrets]) -> WebhookSecretsOut:
    """How they stand, masked: which were changed, until when the old one counts, whether it is still used."""
    return WebhookSecretsOut(secrets=[WebhookSecretOut.of(state) for state in await webhook_secrets.states()])


@post(
    "/api/webhook-secrets/{which:str}/rotate",
    status_code=200,
    operation_id="rotateWebhookSecret",
    summary="Make a new webhook secret",
    tags=["webhooks"],
    responses={
        **UNAUTHORISED,
        **NOT_FOUND,
        400: ResponseSpec(ErrorOut, description="overlapHours is not between 0 and 168"),
    },
)
async def secret_rotate(
    request: AnyRequest,
    webhook_secrets: NamedDependency[WebhookSecrets],
    github_packages: NamedDependency[GithubPackages],
    which: FromPath[str],
    data: JSONBody[RotateInput | None] = None,
) -> Response[RotatedOut]:
    """`value` is told this once. The one before counts for `overlapHours`; an older one ends. `which` is `trigger` or
    `github-packages`."""
    hours = (data or RotateInput()).overlap_hours
    made = await rotated(request, webhook_secrets, github_packages, parse_which(which), hours)
    return Response(made, headers=NEVER_STORED)


@delete(
    "/api/webhook-secrets/{which:str}/previous",
    status_code=200,
    operation_id="endWebhookSecret",
    summary="End the old webhook secret",
    tags=["webhooks"],
    responses={**UNAUTHORISED, **NOT_FOUND},
)
async def secret_end(webhook_secrets: NamedDependency[WebhookSecrets], which: FromPath[str]) -> OkOut:
    """It counts no more, before its time is over."""
    await webhook_secrets.end_previous(parse_which(which))
    return OkOut()


@get(HERE, operation_id="webhookSecretsPage", summary="Page of webhooks' secrets", tags=["pages"])
async def secrets_page(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    webhook_secrets: NamedDependency[WebhookSecrets],
    sections: NamedDependency[Sections],
) -> View[WebhookSecretsPage]:
    """Whether the old ones are still used, and forms to make new ones."""
    return await pages.show(request, await _page(webhook_secrets, sections), "hooks/secret_list.html")


@post(f"{HERE}/{{which:str}}/rotate", **FORM)
async def page_rotate(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    webhook_secrets: NamedDependency[WebhookSecrets],
    github_packages: NamedDependency[GithubPackages],
    sections: NamedDependency[Sections],
    which: FromPath[str],
) -> Response[Any]:
    """A page with the secret, which is shown this once."""
    typed = (await read_form(request)).get("overlapHours", [""])[-1]
    try:
        hours = parse_number("overlapHours", typed, default=OVERLAP_HOURS, low=0, high=MAX_OVERLAP_HOURS)
        made = await rotated(request, webhook_secrets, github_packages, parse_which(which), hours)
    except InvalidArgument as error:
        if shape(request) != "page":
            raise
        content = await _page(webhook_secrets, sections)
        content.problem = Problem(message=error.message, hint=error.hint)
        refused: View[Any] = await pages.show(request, content, "hooks/secret_list.html")
        refused.status_code = error.status
        return refused
    view: View[Any] = await pages.show(
        request, SecretMadePage(made=made, sections=sections.links()), "hooks/secret_made.html"
    )
    view.headers.update(NEVER_STORED)
    return view


@post(f"{HERE}/{{which:str}}/end", **FORM)
async def page_end(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    webhook_secrets: NamedDependency[WebhookSecrets],
    which: FromPath[str],
) -> Response[Any]:
    """End the old one."""
    await read_form(request)
    await webhook_secrets.end_previous(parse_which(which))
    answer = done(request, pages, Toast("The old secret counts no more.", tone="back"), go_to=HERE)
    if request.headers.get("hx-request") == "true":
        answer.headers["HX-Redirect"] = HERE
    return answer


async def _page(secrets: WebhookSecrets, sections: Sections) -> WebhookSecretsPage:
    found = [WebhookSecretOut.of(state) for state in await secrets.states()]
    return WebhookSecretsPage(secrets=found, sections=sections.links())


HANDLERS: Final = (secret_list, secret_rotate, secret_end, secrets_page, page_rotate, page_end)
