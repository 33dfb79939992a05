"""Stacks over the API: discovery, archive flags, settings of services (spec §5.2, §5.3, §5.5)."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody

from app.core.web.auth import identity_of
from app.core.web.openapi import UNAUTHORISED, ErrorOut, OkOut
from app.features.stacks.discovery import Discovery
from app.features.stacks.queries import parse_archived
from app.features.stacks.schemas import (
    ProjectListOut,
    ProjectOut,
    RegistrationRefused,
    ScanStarted,
    ServiceSettingsIn,
    ServiceSettingsOut,
)
from app.features.stacks.service import KEEP_URL, Stacks

BAD_FILTER = {**UNAUTHORISED, 400: ResponseSpec(ErrorOut, description="invalid archived filter")}
NO_STACK = {**UNAUTHORISED, 404: ResponseSpec(ErrorOut, description="stack not found")}
NO_SERVICE = {**UNAUTHORISED, 404: ResponseSpec(ErrorOut, description="service not found")}
NO_PROJECT = {**UNAUTHORISED, 404: ResponseSpec(ErrorOut, description="project not found")}
BAD_SETTINGS = {**NO_SERVICE, 400: ResponseSpec(ErrorOut, description="a setting that cannot be; details.field")}
REFUSED = "manual stack registration is disabled; use auto-discovery instead"


@post(
    "/api/discovery/scan",
    status_code=200,
    operation_id="startDiscovery",
    summary="Scan for Compose projects",
    tags=["discovery"],
    responses=UNAUTHORISED,
)
async def discovery_scan(request: Request[Any, Any, Any], discovery: NamedDependency[Discovery]) -> ScanStarted:
    """Starts a job and returns at once; scans wait for each other. The body is ignored."""
    identity = identity_of(request)
    return ScanStarted(job_id=await discovery.request(identity.principal if identity else "unknown"))


@get(
    "/api/discovery/projects",
    operation_id="listDiscoveryProjects",
    summary="What discovery found, by project",
    tags=["discovery"],
    responses=BAD_FILTER,
)
async def project_list(stacks: NamedDependency[Stacks], archived: FromQuery[str | None] = None) -> ProjectListOut:
    """`archived` is exclude (default), include or only."""
    found = await stacks.projects(parse_archived(archived))
    return ProjectListOut(projects=[ProjectOut.of(record) for record in found])


@post(
    "/api/discovery/projects/{project:str}/archive",
    status_code=200,
    operation_id="archiveDiscoveryProject",
    summary="Hide a discovery project",
    tags=["discovery"],
    responses=NO_PROJECT,
)
async def project_archive(stacks: NamedDependency[Stacks], project: FromPath[str]) -> OkOut:
    """The project's stack keeps its own flag. A project that was missing comes back by itself when it is seen."""
    await stacks.archive_project(project)
    return OkOut()


@post(
    "/api/discovery/projects/{project:str}/restore",
    status_code=200,
    operation_id="restoreDiscoveryProject",
    summary="Show a discovery project again",
    tags=["discovery"],
    responses=NO_PROJECT,
)
async def project_restore(stacks: NamedDependency[Stacks], project: FromPath[str]) -> OkOut:
    """Doing it twice is no error."""
    await stacks.restore_project(project)
    return OkOut()


@post(
    "/api/stacks",
    status_code=405,
    operation_id="registerStack",
    summary="Always refused",
    tags=["stacks"],
    responses={**UNAUTHORISED, 405: ResponseSpec(RegistrationRefused, description=REFUSED)},
)
async def stack_create() -> Response[RegistrationRefused]:
    """Stacks exist through discovery only; the body is not looked at."""
    return Response(RegistrationRefused(error=REFUSED), status_code=405, headers={"Allow": "GET"})


@post(
    "/api/stacks/{stack_id:str}/archive",
    status_code=200,
    operation_id="archiveStack",
    summary="Hide a stack",
    tags=["stacks"],
    responses=NO_STACK,
)
async def stack_archive(stacks: NamedDependency[Stacks], stack_id: FromPath[str]) -> OkOut:
    """Its services leave lists and batch actions with it; containers, jobs and settings stay as they are."""
    await stacks.archive_stack(stack_id)
    return OkOut()


@post(
    "/api/stacks/{stack_id:str}/restore",
    status_code=200,
    operation_id="restoreStack",
    summary="Show a stack again",
    tags=["stacks"],
    responses=NO_STACK,
)
async def stack_restore(stacks: NamedDependency[Stacks], stack_id: FromPath[str]) -> OkOut:
    """Doing it twice is no error."""
    await stacks.restore_stack(stack_id)
    return OkOut()


@post(
    "/api/services/{service_id:str}/archive",
    status_code=200,
    operation_id="archiveService",
    summary="Hide a service",
    tags=["services"],
    responses=NO_SERVICE,
)
async def service_archive(stacks: NamedDependency[Stacks], service_id: FromPath[str]) -> OkOut:
    """It leaves lists and batch actions; its container, jobs and settings stay as they are."""
    await stacks.archive_service(service_id)
    return OkOut()


@post(
    "/api/services/{service_id:str}/restore",
    status_code=200,
    operation_id="restoreService",
    summary="Show a service again",
    tags=["services"],
    responses=NO_SERVICE,
)
async def service_restore(stacks: NamedDependency[Stacks], service_id: FromPath[str]) -> OkOut:
    """Doing it twice is no error."""
    await stacks.restore_service(service_id)
    return OkOut()


@get(
    "/api/services/{service_id:str}/settings",
    operation_id="getServiceSettings",
    summary="Settings of a service",
    tags=["services"],
    responses=NO_SERVICE,
)
async def service_settings(stacks: NamedDependency[Stacks], service_id: FromPath[str]) -> ServiceSettingsOut:
    """Rollback, backup choices and the address of its repository."""
    return ServiceSettingsOut.of(await stacks.service_settings(service_id))


@put(
    "/api/services/{service_id:str}/settings",
    operation_id="putServiceSettings",
    summary="Replace the settings of a service",
    tags=["services"],
    responses=BAD_SETTINGS,
)
async def service_settings_save(
    stacks: NamedDependency[Stacks], service_id: FromPath[str], data: JSONBody[ServiceSettingsIn]
) -> OkOut:
    """`repoUrl` left out keeps the stored one; null or blank clears it and none is guessed any more."""
    await stacks.save_service_settings(
        service_id,
        auto_rollback=data.auto_rollback,
        bind_paths=data.backup_targets.bind_paths,
        volume_names=data.backup_targets.volume_names,
        repo_url=data.repo_url if "repo_url" in data.model_fields_set else KEEP_URL,
    )
    return OkOut()


HANDLERS = (
    discovery_scan,
    project_list,
    project_archive,
    project_restore,
    stack_create,
    stack_archive,
    stack_restore,
    service_archive,
    service_restore,
    service_settings,
    service_settings_save,
)
