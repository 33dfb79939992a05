"""Settings over the API (spec §5.5, §5.7)."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, get, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from app.core.web.auth import AuthPolicy, identity_of, mask
from app.core.web.openapi import UNAUTHORISED, ErrorOut, OkOut
from app.features.preferences import schemas
from app.features.preferences.rules import HouseSettings, Schedule
from app.features.preferences.service import Preferences

RETENTION_DAYS: Final = 7
REFUSED: Final = {**UNAUTHORISED, 400: ResponseSpec(ErrorOut, description="what is wrong, and in which field")}


def settings_out(settings: HouseSettings, auth: schemas.AuthOut) -> schemas.SettingsOut:
    """The settings as they go over the wire."""
    backup, monitor = settings.backup, settings.monitor
    return schemas.SettingsOut(
        backup=schemas.BackupOut(
            enabled=backup.enabled,
            require_success=backup.require_success,
            base_dir=backup.base_dir,
            skip_targets_over_bytes=backup.skip_targets_over_bytes,
        ),
        resource_monitor=schemas.MonitorOut(
            enabled=monitor.enabled,
            sample_interval_seconds=monitor.sample_interval_seconds,
            retention_days=RETENTION_DAYS,
        ),
        schedules=schemas.SchedulesOut(
            update_check=_schedule(settings.update_check), ghcr_webhook_audit=_schedule(settings.ghcr_audit)
        ),
        instance=schemas.InstanceOut(public_base_url=settings.public_base_url),
        auth=auth,
    )


def _schedule(schedule: Schedule) -> schemas.ScheduleOut:
    return schemas.ScheduleOut(enabled=schedule.enabled, cron=schedule.cron)


def auth_out(request: Request[Any, Any, Any]) -> schemas.AuthOut:
    """Who asks and why that one was let in: names that are allowed are masked, so are groups (spec §3.3)."""
    policy: AuthPolicy = request.app.state.auth_policy
    identity = identity_of(request)
    return schemas.AuthOut(
        forward_header_name=policy.user_header,
        group_header_name=policy.group_header,
        allow_anonymous_in_dev=policy.anonymous != "off",
        allowed_user_masked=mask(policy.allowed_user),
        allowed_group_masked=mask(policy.allowed_group),
        current_user=(identity.user or None) if identity else None,
        current_groups=[masked for group in (identity.groups if identity else ()) if (masked := mask(group))],
        matched_by=identity.matched_by if identity else "anonymous_dev",
    )


@get("/api/settings", operation_id="getSettings", summary="Settings", tags=["settings"], responses=UNAUTHORISED)
async def settings_get(
    request: Request[Any, Any, Any], preferences: NamedDependency[Preferences]
) -> schemas.SettingsOut:
    """Everything that can be set while Dockrev runs, and how this request was let in."""
    return settings_out(await preferences.read(), auth_out(request))


@put("/api/settings", operation_id="putSettings", summary="Change settings", tags=["settings"], responses=REFUSED)
async def settings_put(preferences: NamedDependency[Preferences], data: JSONBody[schemas.SettingsInput]) -> OkOut:
    """`backup` always; other sections that are left out stay. All of it is stored, or nothing."""
    await preferences.change(data.change())
    return OkOut()


@get(
    "/api/deploy-welcome",
    operation_id="getDeployWelcome",
    summary="Whether the deploy check shows itself",
    tags=["settings"],
    responses=UNAUTHORISED,
)
async def welcome_get(preferences: NamedDependency[Preferences]) -> schemas.WelcomeOut:
    """While `neverAutoOpen` is false, a browser is led to a failing deploy check once per session."""
    now = await preferences.deploy_welcome()
    return schemas.WelcomeOut(never_auto_open=now.never_auto_open, updated_at=now.updated_at)


@put(
    "/api/deploy-welcome",
    operation_id="putDeployWelcome",
    summary="Decide whether the deploy check shows itself",
    tags=["settings"],
    responses=REFUSED,
)
async def welcome_put(
    preferences: NamedDependency[Preferences], data: JSONBody[schemas.WelcomeInput]
) -> schemas.WelcomeStored:
    """The decision, with its time."""
    now = await preferences.set_deploy_welcome(data.never_auto_open)
    assert now.updated_at is not None
    return schemas.WelcomeStored(never_auto_open=now.never_auto_open, updated_at=now.updated_at)


HANDLERS = (settings_get, settings_put, welcome_get, welcome_put)
