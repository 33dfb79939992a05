"""Every page with every kind of model: full, empty, offline, hostile, fifty services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.core.web.assets import Assets
from app.core.web.presentation import install
from app.features.access.page_schemas import AuditQuery, TokensPage
from app.features.catalog import plan_schemas as p
from app.features.catalog import schemas as c
from app.features.jobs import schemas as j
from app.features.versions import page_schemas as v
from tests.unit.web.pages import access, base, catalog, hostile, jobs, notifications, overview, settings
from tests.unit.web.pages.base import EVIL, NOW

ROOT = Path(__file__).resolve().parents[4]


def environment() -> Environment:
    """As the application makes it: strict, escaping."""
    made = Environment(
        loader=FileSystemLoader(ROOT / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return install(made, Assets(ROOT / "static"), now=lambda: NOW)


@dataclass(frozen=True)
class Case:
    """A template and what it is given."""

    template: str
    context: Callable[[], dict[str, Any]]

    def render(self, made: Environment) -> str:
        return made.get_template(self.template).render(**base.context(**self.context()))


_ERRORS = {"request_id": "req_01JD9K4W7M", "request_path": "/queue"}
_BARE = {"frame": base.frame(nav=[], pill=None, user=None, topics=[])}
_OVERVIEW, _SERVICES, _SERVICE = "overview/overview.html", "services/service_list.html", "services/service_detail.html"
_STACK, _JOB, _JOBS = "stacks/stack_detail.html", "jobs/job_detail.html", "jobs/job_list.html"
_NOTIFICATIONS = "notifications/notification_settings.html"
_INFERENCE, _UPDATE, _REFUSED = (
    "inference/inference_overview.html",
    "services/update_new.html",
    "errors/unauthorised.html",
)

_SETTINGS, _DEPLOY = "settings/settings.html", "deploy/deploy_check.html"
_TOKENS, _AUDIT = "access/token_list.html", "access/audit_list.html"

CASES: dict[str, Case] = {
    "settings": Case(_SETTINGS, lambda: {"page": settings.settings_page()}),
    "settings refused": Case(_SETTINGS, lambda: {"page": settings.settings_refused()}),
    "settings hostile": Case(_SETTINGS, lambda: {"page": settings.settings_hostile()}),
    "tokens": Case(_TOKENS, lambda: {"page": access.tokens()}),
    "tokens empty": Case(_TOKENS, lambda: {"page": TokensPage(tokens=[], sections=access.SECTIONS)}),
    "tokens hostile": Case(_TOKENS, lambda: {"page": access.tokens_hostile()}),
    "token made": Case("access/token_made.html", lambda: {"page": access.made()}),
    "token revoke hostile": Case(
        "access/token_revoke.html", lambda: {"page": access.revoke(name=EVIL, created_by=EVIL)}
    ),
    "audit": Case(_AUDIT, lambda: {"page": access.audit()}),
    "audit empty": Case(_AUDIT, lambda: {"page": access.audit(events=[], next_cursor=None)}),
    "audit missed": Case(_AUDIT, lambda: {"page": access.audit(events=[], query=AuditQuery(means="github"))}),
    "audit hostile": Case(_AUDIT, lambda: {"page": access.audit_hostile()}),
    "deploy check": Case(_DEPLOY, lambda: {"page": settings.deploy_page()}),
    "deploy check hostile": Case(_DEPLOY, lambda: {"page": settings.deploy_hostile()}),
    "overview": Case(_OVERVIEW, lambda: {"page": overview.overview()}),
    "overview 50": Case(_OVERVIEW, lambda: {"page": overview.overview(50)}),
    "overview empty": Case(_OVERVIEW, lambda: {"page": overview.overview_empty()}),
    "overview offline": Case(_OVERVIEW, lambda: {"page": overview.overview_empty(False), **hostile.offline_frame()}),
    "overview decided": Case(_OVERVIEW, lambda: {"page": hostile.no_decision()}),
    "overview hostile": Case(_OVERVIEW, hostile.hostile_overview),
    "services": Case(_SERVICES, lambda: {"page": catalog.service_list()}),
    "services 50": Case(_SERVICES, lambda: {"page": catalog.service_list(50)}),
    "services empty": Case(_SERVICES, lambda: {"page": catalog.service_list(0)}),
    "services offline": Case(_SERVICES, lambda: {"page": catalog.service_list(0), **hostile.offline_frame()}),
    "services missed": Case(_SERVICES, lambda: {"page": hostile.missed_search()}),
    "services hostile": Case(
        _SERVICES,
        lambda: {
            "page": catalog.service_list(
                4,
                groups=[hostile.hostile_group()],
                query=c.ServiceQuery(q=EVIL),
                problems=[
                    c.DiscoveryProblem(project=EVIL, status="invalid", message=EVIL, remedy=EVIL, config_files=[EVIL])
                ],
            )
        },
    ),
    "service": Case(_SERVICE, lambda: {"page": catalog.service_page()}),
    "service bare": Case(_SERVICE, lambda: {"page": catalog.service_page_bare()}),
    "service hostile": Case(_SERVICE, lambda: {"page": hostile.hostile_service()}),
    "stack": Case(_STACK, lambda: {"page": catalog.stack_page()}),
    "stack empty": Case(_STACK, lambda: {"page": c.StackPage(stack=catalog.group(1, []))}),
    "stack hostile": Case(_STACK, lambda: {"page": hostile.hostile_stack()}),
    "job": Case(_JOB, lambda: {"page": jobs.job_page()}),
    "job check": Case(_JOB, lambda: {"page": jobs.check_page()}),
    "job ended": Case(_JOB, lambda: {"page": hostile.ended_job()}),
    "job queued": Case(_JOB, lambda: {"page": j.JobPage(job=jobs.job(1, status="queued", steps=[], started_at=None))}),
    "job hostile": Case(_JOB, lambda: {"page": hostile.hostile_job()}),
    "jobs": Case(_JOBS, lambda: {"page": jobs.job_list()}),
    "jobs empty": Case(_JOBS, lambda: {"page": j.JobListPage()}),
    "jobs missed": Case(_JOBS, lambda: {"page": j.JobListPage(query=j.JobQuery(status="failed", type="update"))}),
    "inference": Case(_INFERENCE, lambda: {"page": overview.inference_page()}),
    "inference empty": Case(_INFERENCE, lambda: {"page": v.InferencePage(known=0, services_total=0, floating_total=0)}),
    "inference hostile": Case(_INFERENCE, lambda: {"page": hostile.hostile_inference()}),
    "notifications": Case(_NOTIFICATIONS, lambda: {"page": notifications.page()}),
    "notifications empty": Case(_NOTIFICATIONS, lambda: {"page": notifications.empty()}),
    "notifications hostile": Case(_NOTIFICATIONS, lambda: {"page": notifications.hostile()}),
    "update many": Case(_UPDATE, lambda: {"plan": catalog.plan(3)}),
    "update one": Case(_UPDATE, lambda: {"plan": catalog.plan(1, busy_job_id="job_1")}),
    "update none": Case(_UPDATE, lambda: {"plan": p.UpdatePlan(scope="all", arch_mismatches=1)}),
    "refused": Case(_REFUSED, lambda: {"error": base.refusal(), **_ERRORS, **_BARE}),
    "refused sender": Case(
        _REFUSED,
        lambda: {
            "error": base.refusal(reason="authz_no_match", currentUser=EVIL, currentGroups=[EVIL]),
            "sender": {"address": "172.18.0.4", "trusted": False, "ignored": ("Remote-User", EVIL)},
            "logout_url": "/oauth2/sign_out",
            **_ERRORS,
            **_BARE,
        },
    ),
    "refused open": Case(
        _REFUSED,
        lambda: {"error": base.refusal(reason="authz_config_missing", allowedUserMasked=None), **_ERRORS, **_BARE},
    ),
    "error": Case("errors/error.html", lambda: {"error": base.error(), **_ERRORS, **_BARE}),
    "error hostile": Case("errors/error.html", lambda: {"error": base.error(EVIL), **_ERRORS, **_BARE}),
}

FRAGMENTS: dict[str, Case] = {
    "alert": Case("errors/_alert.html", lambda: {"error": base.error(EVIL), **_ERRORS}),
    "toast": Case("ui/_toast.html", lambda: {"toast": base.toast()}),
    "dialog": Case("services/_update_dialog.html", lambda: {"plan": catalog.plan(3)}),
    "pill": Case("ui/_pill.html", dict),
    "banners": Case("ui/_banners.html", hostile.offline_frame),
    "job now": Case(
        "jobs/_now.html", lambda: {"job": jobs.running_job(), "now": jobs.track(3, "running", jobs.running_steps())}
    ),
    "job now, no track": Case("jobs/_now.html", lambda: {"job": jobs.check_page().job, "now": None}),
    "job track": Case(
        "jobs/_track.html", lambda: {"item": jobs.track(3, "running", jobs.running_steps()), "oob": True}
    ),
    "job lines": Case("jobs/_log_lines.html", lambda: {"lines": jobs.log_lines(3)}),
}
