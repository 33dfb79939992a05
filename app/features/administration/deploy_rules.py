"""What the deploy check says (spec §5.7): its checks in their order, and what each finding means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.adapters.registry import ImageRef, InvalidReference
from app.features.administration.deploy_schemas import CheckOut, NaReason, OverallOut
from app.features.administration.registry_logins import Logins, judge
from app.features.preferences import Readiness

SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class Spec:
    """A check before it is made; `impact` is what is lost when it fails."""

    title: str
    group: Literal["core", "feature"]
    impact: str


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
        "Access rules", "core", "Anybody who reaches this address could update containers."
    ),
    "core.forward_auth_request_authorization": Spec(
        "This request", "core", "Nobody can use Dockrev through the proxy."
    ),
    "core.docker_engine": Spec("Docker engine", "core", "Nothing can be discovered, checked or updated."),
    "core.compose_access": Spec("Compose files", "core", "Services whose files cannot be read cannot be updated."),
    "core.service_image_ref_valid": Spec(
        "Image references", "core", "A service with a reference nobody can read is never checked."
    ),
    "core.update_executor_ready": Spec("Compose program", "core", "Updates and rollbacks cannot be carried out."),
    "feature.registry_auth": Spec(
        "Registry logins", "feature", "Images of private registries cannot be checked or pulled."
    ),
    "feature.notifications.email": Spec("E-mail", "feature", "Messages by e-mail are lost."),
    "feature.notifications.webhook": Spec("Webhook", "feature", "Messages to the webhook are lost."),
    "feature.notifications.telegram": Spec("Telegram", "feature", "Messages over Telegram are lost."),
    "feature.notifications.web_push": Spec("Web push", "feature", "Devices get no pushes."),
    "feature.github_packages": Spec(
        "GitHub packages", "feature", "New images on GitHub are found only by the next check."
    ),
}
GOOD: Final = "All required capabilities are available"
BAD: Final = "At least one required capability is unavailable"


def told(check_id: str, outcome: Outcome) -> CheckOut:
    """A check as it is told: core checks are always required, features when they are on."""
    spec = CHECKS[check_id]
    return CheckOut(
        id=check_id,
        title=spec.title,
        group=spec.group,
        required=spec.group == "core" or outcome.status != "na",
        status=outcome.status,
        na_reason=outcome.na_reason,
        summary=outcome.summary,
        impact=spec.impact,
        evidence=outcome.evidence,
        recommendation="" if outcome.status == "pass" else outcome.recommendation,
    )


def overall(checks: Sequence[CheckOut]) -> OverallOut:
    """`fail` if and only if a required check failed."""
    blocking = [check.id for check in checks if check.required and check.status == "fail"]
    return OverallOut(
        result="fail" if blocking else "pass", blocking_check_ids=blocking, summary=BAD if blocking else GOOD
    )


def some(things: Iterable[str]) -> str:
    """The first few, and how many more."""
    listed = list(things)
    more = f" (+{len(listed) - SHOWN} more)" if len(listed) > SHOWN else ""
    return ", ".join(text[:300] for text in listed[:SHOWN]) + more


def compose_files(paths: Sequence[str], bad: Sequence[str]) -> Outcome:
    """`bad` are those that are no absolute path of an existing file. Nothing to look at is a failure too."""
    if not paths:
        return Outcome(
            "fail",
            "no Compose file is known",
            "no stack was discovered yet",
            "Start a Compose project on this host, or press Look for stacks on the services page; containers without "
            "Compose labels are not seen.",
        )
    if bad:
        return Outcome(
            "fail",
            f"{len(bad)} of {len(paths)} Compose files cannot be read",
            some(bad),
            "Mount the folders of your Compose files into Dockrev at the same absolute path as on the host, readable.",
        )
    return Outcome("pass", "every Compose file is there", f"{len(paths)} files, for example {paths[0][:300]}")


def image_references(declared: Sequence[tuple[str, str]]) -> Outcome:
    """Pairs of a service's name and its reference."""
    bad = [f"{name}: {reference[:120]}" for name, reference in declared if parsed(reference) is None]
    if bad:
        return Outcome(
            "fail",
            f"{len(bad)} of {len(declared)} services have an invalid image reference",
            some(bad),
            "Correct the image in the Compose file: [registry/]name[:tag][@sha256:…], then run discovery.",
        )
    return Outcome("pass", "every image reference can be read", f"{len(declared)} services")


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
                "no login, which public images do not need",
                f"asked anonymously: {hosts}{problem and f'; {problem}'}",
                "Only if images there are private: run docker login and name its config.json in DOCKREV_DOCKER_CONFIG.",
                "missing_prerequisite",
            )
        return Outcome(
            "na", "logins are there, whether needed or not", some(verdict.potential), na_reason="not_applicable"
        )
    reason: NaReason = "not_applicable" if has_files else "missing_prerequisite"
    words = "no registry in use needs a login" if has_files else "no stack is known yet"
    hosts = some(sorted({ref.registry for ref in refs})) or "no image in use"
    return Outcome("na", words, f"images from: {hosts}" if refs else hosts, na_reason=reason)


def _required_logins(hosts: Sequence[str], missing: Sequence[str], logins: Logins | None) -> Outcome:
    problem = _config_problem(logins)
    if not problem and not missing:
        return Outcome("pass", "every private registry has a login", some(hosts))
    return Outcome(
        "fail",
        "a private registry has no login",
        f"without login: {some(missing or hosts)}{problem and f'; {problem}'}",
        "Run docker login for it, and name that config.json in DOCKREV_DOCKER_CONFIG, readable for Dockrev.",
    )


def _config_problem(logins: Logins | None) -> str:
    if logins is None:
        return "DOCKREV_DOCKER_CONFIG is not set"
    return f"the Docker config cannot be used: {logins.problem}" if logins.problem else ""


def feature(said: Readiness, where: str) -> Outcome:
    """A feature with a switch; `where` is the page on which it is set."""
    if not said.enabled:
        kept = said.evidence or "nothing is set up"
        return Outcome("na", "switched off", kept, f"Set it up at {where} when you want it.", "disabled_by_switch")
    if said.missing:
        return Outcome(
            "fail",
            f"switched on, but {some(said.missing)} {'is' if len(said.missing) == 1 else 'are'} missing",
            said.evidence or "its switch is on",
            f"Complete it or switch it off at {where}.",
        )
    return Outcome("pass", "switched on and complete", said.evidence or "nothing is missing")
