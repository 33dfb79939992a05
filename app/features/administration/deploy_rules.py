"""What the deploy check says (spec §5.7): its checks in their order, and what each finding means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.adapters.registry import ImageRef, InvalidReference
from app.core.web.languages import N_, _, ngettext
from app.features.administration.deploy_schemas import CheckOut, NaReason, OverallOut
from app.features.administration.registry_logins import Logins, judge
from app.features.preferences import Readiness

SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class Spec:
    """A check before it is made; `impact` is what is lost when it fails."""

    title: N_
    group: Literal["core", "feature"]
    impact: N_


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found."""

    status: Literal["pass", "fail", "na"]
    summary: str
    evidence: str = ""
    recommendation: str = ""
    na_reason: NaReason | None = None


CHECKS: Final = {
    "core.forward_auth_authorization_config": Spec(
        N_("Access rules"), "core", N_("Anybody who reaches this address could update containers.")
    ),
    "core.forward_auth_request_authorization": Spec(
        N_("This request"), "core", N_("Nobody can use Dockrev through the proxy.")
    ),
    "core.docker_engine": Spec(N_("Docker engine"), "core", N_("Nothing can be discovered, checked or updated.")),
    "core.compose_access": Spec(
        N_("Compose files"), "core", N_("Services whose files cannot be read cannot be updated.")
    ),
    "core.service_image_ref_valid": Spec(
        N_("Image references"), "core", N_("A service with a reference nobody can read is never checked.")
    ),
    "core.update_executor_ready": Spec(
        N_("Compose program"), "core", N_("Updates and rollbacks cannot be carried out.")
    ),
    "feature.registry_auth": Spec(
        N_("Registry logins"), "feature", N_("Images of private registries cannot be checked or pulled.")
    ),
    "feature.notifications.email": Spec(N_("E-mail"), "feature", N_("Messages by e-mail are lost.")),
    "feature.notifications.webhook": Spec(N_("Webhook"), "feature", N_("Messages to the webhook are lost.")),
    "feature.notifications.telegram": Spec(N_("Telegram"), "feature", N_("Messages over Telegram are lost.")),
    "feature.notifications.web_push": Spec(N_("Web push"), "feature", N_("Devices get no pushes.")),
    "feature.github_packages": Spec(
        N_("GitHub packages"), "feature", N_("New images on GitHub are found only by the next check.")
    ),
}
GOOD: Final = N_("All required capabilities are available")
BAD: Final = N_("At least one required capability is unavailable")


def told(check_id: str, outcome: Outcome) -> CheckOut:
    """A check as it is told: core checks are always required, features when they are on."""
    spec = CHECKS[check_id]
    return CheckOut(
        id=check_id,
        title=str(spec.title),
        group=spec.group,
        required=spec.group == "core" or outcome.status != "na",
        status=outcome.status,
        na_reason=outcome.na_reason,
        summary=outcome.summary,
        impact=str(spec.impact),
        evidence=outcome.evidence,
        recommendation="" if outcome.status == "pass" else outcome.recommendation,
    )


def overall(checks: Sequence[CheckOut]) -> OverallOut:
    """`fail` if and only if a required check failed."""
    blocking = [check.id for check in checks if check.required and check.status == "fail"]
    return OverallOut(
        result="fail" if blocking else "pass", blocking_check_ids=blocking, summary=str(BAD if blocking else GOOD)
    )


def some(things: Iterable[str]) -> str:
    """The first few, and how many more."""
    listed = list(things)
    more = _(" (+%(count)s more)", count=len(listed) - SHOWN) if len(listed) > SHOWN else ""
    return ", ".join(text[:300] for text in listed[:SHOWN]) + more


def compose_files(paths: Sequence[str], bad: Sequence[str]) -> Outcome:
    """`bad` are those that are no absolute path of an existing file. Nothing to look at is a failure too."""
    if not paths:
        return Outcome(
            "fail",
            _("no Compose file is known"),
            _("no stack was discovered yet"),
            _(
                "Start a Compose project on this host, or press Look for stacks on the services page; containers "
                "without Compose labels are not seen."
            ),
        )
    if bad:
        return Outcome(
            "fail",
            _("%(bad)s of %(total)s Compose files cannot be read", bad=len(bad), total=len(paths)),
            some(bad),
            _(
                "Mount the folders of your Compose files into Dockrev at the same absolute path as on the host, "
                "readable."
            ),
        )
    evidence = _("%(count)s files, for example %(path)s", count=len(paths), path=paths[0][:300])
    return Outcome("pass", _("every Compose file is there"), evidence)


def image_references(declared: Sequence[tuple[str, str]]) -> Outcome:
    """Pairs of a service's name and its reference."""
    bad = [f"{name}: {reference[:120]}" for name, reference in declared if parsed(reference) is None]
    if bad:
        return Outcome(
            "fail",
            _("%(bad)s of %(total)s services have an invalid image reference", bad=len(bad), total=len(declared)),
            some(bad),
            _("Correct the image in the Compose file: [registry/]name[:tag][@sha256:…], then run discovery."),
        )
    return Outcome("pass", _("every image reference can be read"), _("%(count)s services", count=len(declared)))


def parsed(reference: str) -> ImageRef | None:
    """The reference, or None when nobody can read it."""
    try:
        return ImageRef.parse(reference)
    except InvalidReference:
        return None


def registry_logins(refs: Sequence[ImageRef], logins: Logins | None, has_files: bool) -> Outcome:
    """`logins` is None without a Docker config."""
    verdict = judge(refs, logins or Logins())
    if verdict.required:
        return _required_logins(verdict.required, verdict.missing_required, logins)
    problem = _config_problem(logins)
    if verdict.potential:
        if problem or verdict.missing_potential:
            hosts = some(verdict.missing_potential or verdict.potential)
            return Outcome(
                "na",
                _("no login, which public images do not need"),
                _("asked anonymously: %(hosts)s", hosts=hosts) + (problem and f"; {problem}"),
                _(
                    "Only if images there are private: run docker login and name its config.json in "
                    "DOCKREV_DOCKER_CONFIG."
                ),
                "missing_prerequisite",
            )
        return Outcome(
            "na", _("logins are there, whether needed or not"), some(verdict.potential), na_reason="not_applicable"
        )
    reason: NaReason = "not_applicable" if has_files else "missing_prerequisite"
    words = _("no registry in use needs a login") if has_files else _("no stack is known yet")
    hosts = some(sorted({ref.registry for ref in refs})) or _("no image in use")
    return Outcome("na", words, _("images from: %(hosts)s", hosts=hosts) if refs else hosts, na_reason=reason)


def _required_logins(hosts: Sequence[str], missing: Sequence[str], logins: Logins | None) -> Outcome:
    problem = _config_problem(logins)
    if not problem and not missing:
        return Outcome("pass", _("every private registry has a login"), some(hosts))
    return Outcome(
        "fail",
        _("a private registry has no login"),
        _("without login: %(hosts)s", hosts=some(missing or hosts)) + (problem and f"; {problem}"),
        _("Run docker login for it, and name that config.json in DOCKREV_DOCKER_CONFIG, readable for Dockrev."),
    )


def _config_problem(logins: Logins | None) -> str:
    if logins is None:
        return _("DOCKREV_DOCKER_CONFIG is not set")
    return _("the Docker config cannot be used: %(problem)s", problem=logins.problem) if logins.problem else ""


def feature(said: Readiness, where: str) -> Outcome:
    """A feature with a switch; `where` is the page on which it is set."""
    if not said.enabled:
        kept = said.evidence or _("nothing is set up")
        return Outcome(
            "na",
            _("switched off"),
            kept,
            _("Set it up at %(where)s when you want it.", where=where),
            "disabled_by_switch",
        )
    if said.missing:
        return Outcome(
            "fail",
            ngettext(
                "switched on, but %(what)s is missing",
                "switched on, but %(what)s are missing",
                len(said.missing),
                what=some(said.missing),
            ),
            said.evidence or _("its switch is on"),
            _("Complete it or switch it off at %(where)s.", where=where),
        )
    return Outcome("pass", _("switched on and complete"), said.evidence or _("nothing is missing"))
