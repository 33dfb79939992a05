"""Webhooks over the API: those on GitHub (spec §5.6 sync, §5b), and the two that others call (§5.7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from litestar import Request, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, JSONBody, QueryParameter
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.core.feature import Container
from app.core.web.openapi import STREAM, UNAUTHORISED, ErrorOut
from app.core.web.paging import parse_number
from app.core.web.sse import event_stream, json_event, resume_point
from app.features.access import remark
from app.features.hooks import outputs, schemas
from app.features.hooks.controllers import BAD, REFUSED, TAGS, who
from app.features.hooks.deliveries import Deliveries, parse_decision
from app.features.hooks.intake import EVENT_NAME, Intake, answer
from app.features.hooks.service import GithubPackages, Synced
from app.features.hooks.trigger import Trigger
from app.features.hooks.work import Resolution

AnyRequest = Request[Any, Any, Any]
MAX_DELIVERY = 2_000_000


@post(
    "/api/github-packages/sync",
    status_code=200,
    operation_id="syncGithubRepos",
    summary="Bring webhooks in order",
    tags=TAGS,
    responses=BAD,
)
async def sync(
    request: AnyRequest,
    github_packages: NamedDependency[GithubPackages],
    data: JSONBody[schemas.SyncInput | None] = None,
) -> schemas.SyncOut:
    """A job per repository. `resolveConflicts` says which webhook stays where several call this Dockrev."""
    wanted = data or schemas.SyncInput()
    found = await github_packages.sync(
        who(request),
        repos=wanted.repos,
        choices={
            each.repo: Resolution(each.keep_hook_id, tuple(each.delete_hook_ids)) for each in wanted.resolve_conflicts
        },
        dry_run=wanted.dry_run,
    )
    results = [_result(each) for each in found]
    return schemas.SyncOut(ok=all(each.action is not schemas.SyncAction.ERROR for each in results), results=results)


def _result(synced: Synced) -> schemas.SyncResult:
    if synced.problem is not None:
        return schemas.SyncResult(repo=synced.repo, action=schemas.SyncAction.ERROR, message=synced.problem)
    message = "dry run: nothing was enqueued"
    if synced.enqueued is not None:
        word = "reused pending job" if synced.enqueued.reused else "enqueued job"
        message = f"{word} {synced.enqueued.job_id}"
    return schemas.SyncResult(
        repo=synced.repo, action=schemas.SyncAction.QUEUED, hook_id=synced.hook_id, message=message
    )


@get(
    "/api/github-packages/webhook/overview",
    operation_id="getGithubWebhooks",
    summary="How the webhooks on GitHub stand",
    tags=TAGS,
    responses=UNAUTHORISED,
)
async def overview(github_packages: NamedDependency[GithubPackages]) -> schemas.OverviewOut:
    """Counts of selected repositories, and the jobs that wait and run."""
    return outputs.overview_out(await github_packages.standing())


@post(
    "/api/github-packages/webhook/sync-all",
    status_code=200,
    operation_id="syncAllGithubRepos",
    summary="Bring all webhooks in order in one job",
    tags=TAGS,
    responses=BAD,
)
async def sync_all(request: AnyRequest, github_packages: NamedDependency[GithubPackages]) -> schemas.EnqueuedOut:
    """The body is ignored."""
    done = await github_packages.sync_all(who(request))
    return schemas.EnqueuedOut(job_id=done.job_id, reused=done.reused)


@post(
    "/api/github-packages/webhook/sync-repo",
    status_code=200,
    operation_id="syncGithubRepo",
    summary="Bring one webhook in order",
    tags=TAGS,
    responses=REFUSED,
)
async def sync_repo(
    request: AnyRequest, github_packages: NamedDependency[GithubPackages], data: JSONBody[schemas.RepoNamed]
) -> schemas.EnqueuedOut:
    """Adds what is missing, corrects what is there; several webhooks stay as they are, in conflict."""
    done = await github_packages.sync_repo(data.full_name, who(request))
    return schemas.EnqueuedOut(job_id=done.job_id, reused=done.reused)


@get(
    "/api/github-packages/webhook/deliveries",
    operation_id="listGithubDeliveries",
    summary="What GitHub delivered",
    tags=TAGS,
    responses=BAD,
)
async def delivery_list(
    deliveries: NamedDependency[Deliveries],
    page: FromQuery[str | None] = None,
    per_page: Annotated[str | None, QueryParameter(name="perPage", description="1 to 200")] = None,
    decision: FromQuery[str | None] = None,
    q: FromQuery[str | None] = None,
) -> schemas.DeliveryListOut:
    """Newest first; only deliveries whose signature was right. `q` is a part of id, repository, reason or job."""
    found = await deliveries.page(
        decision=parse_decision(decision),
        q=q or "",
        page=parse_number("page", page, default=1, low=1, high=1_000_000),
        per_page=parse_number("perPage", per_page, default=50, low=1, high=200),
    )
    return outputs.deliveries_out(found)


@get(
    "/api/github-packages/webhook/deliveries/events",
    operation_id="streamGithubDeliveries",
    summary="Deliveries as they come",
    tags=TAGS,
    responses={**STREAM, **UNAUTHORISED},
)
async def delivery_events(request: AnyRequest, intake: NamedDependency[Intake]) -> EventSourceResponse:
    """Server-sent events named `github_packages_delivery_event`; after a gap the first one is `resync_required`."""
    after, ring = resume_point(request), intake.ring

    async def source(closing: anyio.Event) -> AsyncIterator[ServerSentEvent]:
        async for event_id, document in ring.follow(after or ring.latest, closing):
            yield json_event(EVENT_NAME, document, event_id)

    return event_stream(request, "deliveries", source)


@post(
    "/api/webhooks/github-packages",
    status_code=200,
    operation_id="takeGithubDelivery",
    summary="A delivery of GitHub",
    tags=["webhooks"],
    opt={"public": True},
    request_max_body_size=MAX_DELIVERY,
    responses={
        400: ResponseSpec(ErrorOut, description="no delivery id, no JSON in UTF-8, or a body that is too large"),
        401: ResponseSpec(
            ErrorOut, description="`details.reason`: invalid_signature, or webhook_secret_not_configured"
        ),
        500: ResponseSpec(ErrorOut, description="nothing came of it: deliver it again"),
    },
)
async def delivery_take(request: AnyRequest, intake: NamedDependency[Intake]) -> schemas.DeliveryTaken:
    """Decides by `X-GitHub-Event`, `X-Hub-Signature-256` and body; checks the services that run the published image."""
    return schemas.taken(answer(await intake.take(request.headers, request.body)))


async def require_secret(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Guard: before the body is read, so that a stranger learns nothing about bodies."""
    container: Container = connection.app.state.container
    given = connection.headers.getall("x-dockrev-webhook-secret", [])
    signed = await container.get(Trigger).require(given[0] if len(given) == 1 else None)
    connection.scope["state"]["webhook_secret"] = signed


@post(
    "/api/webhooks/trigger",
    status_code=200,
    operation_id="triggerWebhook",
    summary="Check or update, for who knows the shared secret",
    tags=["webhooks"],
    opt={"public": True},
    guards=[require_secret],
    responses={
        400: ResponseSpec(ErrorOut, description="a member is missing, wrong, or does not fit the scope"),
        401: ResponseSpec(ErrorOut, description="X-Dockrev-Webhook-Secret is missing, wrong, or not configured"),
        404: ResponseSpec(ErrorOut, description="stack or service not found"),
        409: ResponseSpec(ErrorOut, description="the target is out of date, or another operation owns the service"),
    },
)
async def webhook_trigger(
    request: AnyRequest, trigger: NamedDependency[Trigger], data: JSONBody[schemas.TriggerInput]
) -> schemas.TriggerStarted:
    """An update applies exactly the targets that are named, checked as those of `POST /api/updates`."""
    remark(request, secret=request.scope["state"]["webhook_secret"].value)
    return schemas.TriggerStarted(job_id=await trigger.start(data))


HANDLERS = (
    sync,
    overview,
    sync_all,
    sync_repo,
    delivery_list,
    delivery_events,
    delivery_take,
    webhook_trigger,
)
