"""The forms of all pages. Each checks its token, calls one function of a room, answers with a toast or a redirect."""

from __future__ import annotations

import json
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.core.errors import InvalidArgument
from app.core.jobs import JobEngine
from app.core.web.answers import Toast, done
from app.core.web.auth import identity_of
from app.core.web.forms import parse, read_form
from app.core.web.languages import N_, _
from app.core.web.view import Pages
from app.features.stacks import Discovery, Scope, Stacks
from app.features.updates import UpdateInput, Updates, fresh_for
from app.features.versions import Checks, DigestTags, IgnoreRules, RuntimeScans, rules

AnyRequest = Request[Any, Any, Any]
SCOPES: dict[str, Scope] = {"service": "service", "stack": "stack", "all": "all"}
PAGE: dict[str, Any] = {"status_code": 200, "include_in_schema": False}


def _who(request: AnyRequest) -> str:
    identity = identity_of(request)
    return identity.principal if identity else "unknown"


def _one(fields: dict[str, list[str]], name: str, default: str = "") -> str:
    values = fields.get(name) or [default]
    return values[-1].strip()


def _scope(fields: dict[str, list[str]]) -> tuple[Scope, str | None, str | None]:
    scope = SCOPES.get(_one(fields, "scope", "all"))
    if scope is None:
        raise InvalidArgument("scope must be service, stack or all", details={"field": "scope"})
    return scope, _one(fields, "stackId") or None, _one(fields, "serviceId") or None


@post("/checks", **PAGE)
async def check_start(
    request: AnyRequest, pages: NamedDependency[Pages], checks: NamedDependency[Checks]
) -> Response[Any]:
    """Ask the registries now."""
    scope, stack_id, service_id = _scope(await read_form(request))
    job_id = await checks.start(scope, stack_id=stack_id, service_id=service_id, created_by=_who(request))
    return done(request, pages, Toast(_("Checking for new versions."), f"/queue/{job_id}", tone="up"))


@post("/runtime-scans", **PAGE)
async def runtime_scan_start(
    request: AnyRequest, pages: NamedDependency[Pages], runtime_scans: NamedDependency[RuntimeScans]
) -> Response[Any]:
    """Compare what is stored with what runs."""
    scope, stack_id, service_id = _scope(await read_form(request))
    job_id = await runtime_scans.start(scope, stack_id=stack_id, service_id=service_id, created_by=_who(request))
    return done(request, pages, Toast(_("Comparing with what runs."), f"/queue/{job_id}", tone="up"))


@post("/discovery/scan", **PAGE)
async def discovery_start(
    request: AnyRequest, pages: NamedDependency[Pages], discovery: NamedDependency[Discovery]
) -> Response[Any]:
    """Look for Compose projects."""
    await read_form(request)
    job_id = await discovery.request(_who(request), "ui")
    return done(request, pages, Toast(_("Looking for stacks."), f"/queue/{job_id}", tone="up"))


@post("/updates", **PAGE)
async def update_start(
    request: AnyRequest, pages: NamedDependency[Pages], updates: NamedDependency[Updates]
) -> Response[Any]:
    """Apply exactly the plan that was shown, or dry-run it."""
    fields = await read_form(request)
    wanted = update_request(fields)
    fresh_for(request, wanted)
    job_id = await updates.start(wanted, _who(request))
    text = _("Dry run started.") if wanted.mode == "dry-run" else _("Update started.")
    answer = done(request, pages, Toast(text, f"/queue/{job_id}", tone="up"))
    if request.headers.get("hx-request") == "true":
        answer.headers["HX-Redirect"] = f"/queue/{job_id}"
    return answer


@post("/queue/{job_id:str}/stop", **PAGE)
async def job_stop(
    request: AnyRequest, pages: NamedDependency[Pages], jobs: NamedDependency[JobEngine], job_id: FromPath[str]
) -> Response[Any]:
    """Ask an update to stop before it changes anything."""
    await read_form(request)
    await jobs.request_stop(job_id, _who(request))
    text = _("The job stops before it changes anything.")
    return done(request, pages, Toast(text, tone="back"), go_to=f"/queue/{job_id}")


def update_request(fields: dict[str, list[str]]) -> UpdateInput:
    """The body of `POST /api/updates` from the form's fields."""
    scope, stack_id, service_id = _scope(fields)
    try:
        targets = [json.loads(text) for text in fields.get("target", [])[:1000]]
    except ValueError as error:
        raise InvalidArgument("target cannot be read", details={"field": "target"}) from error
    values: dict[str, Any] = {
        "scope": scope,
        "stackId": stack_id,
        "serviceId": service_id,
        "mode": _one(fields, "mode", "apply"),
        "backupMode": _one(fields, "backupMode", "inherit"),
        "allowArchMismatch": _one(fields, "allowArchMismatch") == "true",
        "reason": "ui",
    }
    if scope == "service":
        only = targets[0] if len(targets) == 1 and isinstance(targets[0], dict) else {}
        values |= {key: only.get(key) for key in ("targetTag", "targetDigest", "pullTags")}
    else:
        values["targets"] = targets
    return parse(UpdateInput, values)


@post("/services/{stack_id:str}/{service_id:str}/ignores", **PAGE)
async def ignore_add(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    ignore_rules: NamedDependency[IgnoreRules],
    stack_id: FromPath[str],
    service_id: FromPath[str],
) -> Response[Any]:
    """A new rule; it takes effect with the next check, which is started at once."""
    fields = await read_form(request)
    kind, value, note = _one(fields, "kind"), _one(fields, "value"), _one(fields, "note")
    if (problem := rules.validate(kind, value)) is not None:
        raise InvalidArgument(problem, details={"field": "value" if kind in rules.KINDS else "kind"})
    await ignore_rules.add(service_id, kind, value, note=note[:1000] or None)
    here = f"/services/{stack_id}/{service_id}"
    return done(request, pages, Toast(_("Rule added. It counts from the next check on.")), go_to=f"{here}#rules")


@post("/ignores/{rule_id:str}/delete", **PAGE)
async def ignore_delete(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    ignore_rules: NamedDependency[IgnoreRules],
    rule_id: FromPath[str],
) -> Response[Any]:
    """Remove a rule."""
    await read_form(request)
    gone = await ignore_rules.delete(rule_id)
    text = _("Rule removed. It counts from the next check on.") if gone else _("It was gone already.")
    return done(request, pages, Toast(text))


@post("/services/{stack_id:str}/{service_id:str}/version-inference/refresh", **PAGE)
async def inference_refresh(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    digest_tags: NamedDependency[DigestTags],
    stack_id: FromPath[str],
    service_id: FromPath[str],
) -> Response[Any]:
    """Find out again which tags share a digest."""
    fields = await read_form(request)
    await digest_tags.refresh(service_id, _one(fields, "digest"))
    here = f"/services/{stack_id}/{service_id}"
    return done(request, pages, Toast(_("Looking up the version."), tone="up"), go_to=f"{here}#inference")


@post("/services/{stack_id:str}/{service_id:str}/settings", **PAGE)
async def settings_save(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    stacks: NamedDependency[Stacks],
    stack_id: FromPath[str],
    service_id: FromPath[str],
) -> Response[Any]:
    """Save the settings of a service; targets that the form does not name keep their choice."""
    fields = await read_form(request)
    now = await stacks.service_settings(service_id)
    bind_paths, volume_names = dict(now.bind_paths), dict(now.volume_names)
    for name, values in fields.items():
        kind, _colon, target = name.removeprefix("backup:").partition(":")
        if name.startswith("backup:") and target:
            (volume_names if kind == "volume" else bind_paths)[target] = values[-1]
    await stacks.save_service_settings(
        service_id,
        auto_rollback=_one(fields, "autoRollback", "true") == "true",
        bind_paths=bind_paths,
        volume_names=volume_names,
        repo_url=_one(fields, "repoUrl"),
    )
    return done(request, pages, Toast(_("Saved.")), go_to=f"/services/{stack_id}/{service_id}#settings")


ARCHIVED = N_("Archived. It is hidden and left out of updates; nothing was stopped.")
RESTORED = N_("Restored.")


@post("/services/{stack_id:str}/{service_id:str}/{action:str}", **PAGE)
async def service_archive(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    stacks: NamedDependency[Stacks],
    stack_id: FromPath[str],
    service_id: FromPath[str],
    action: FromPath[str],
) -> Response[Any]:
    """Archive or restore a service."""
    await read_form(request)
    if _is_archive(action):
        await stacks.archive_service(service_id)
        return done(request, pages, Toast(str(ARCHIVED)))
    await stacks.restore_service(service_id)
    return done(request, pages, Toast(str(RESTORED)))


@post("/stacks/{stack_id:str}/{action:str}", **PAGE)
async def stack_archive(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    stacks: NamedDependency[Stacks],
    stack_id: FromPath[str],
    action: FromPath[str],
) -> Response[Any]:
    """Archive or restore a stack."""
    await read_form(request)
    if _is_archive(action):
        await stacks.archive_stack(stack_id)
        return done(request, pages, Toast(str(ARCHIVED)))
    await stacks.restore_stack(stack_id)
    return done(request, pages, Toast(str(RESTORED)))


@post("/discovery/projects/{project:str}/{action:str}", **PAGE)
async def project_archive(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    stacks: NamedDependency[Stacks],
    project: FromPath[str],
    action: FromPath[str],
) -> Response[Any]:
    """Archive or restore what discovery found."""
    await read_form(request)
    if _is_archive(action):
        await stacks.archive_project(project)
        return done(request, pages, Toast(_("Archived. It is shown again when its containers run.")))
    await stacks.restore_project(project)
    return done(request, pages, Toast(str(RESTORED)))


def _is_archive(action: str) -> bool:
    if action not in ("archive", "restore"):
        raise InvalidArgument("the action must be archive or restore", details={"field": "action"})
    return action == "archive"


HANDLERS = (
    check_start,
    runtime_scan_start,
    discovery_start,
    update_start,
    job_stop,
    ignore_add,
    ignore_delete,
    inference_refresh,
    settings_save,
    service_archive,
    stack_archive,
    project_archive,
)
