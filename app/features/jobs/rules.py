"""What a job's summary means, in words (spec §5.4 `resultReason`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.core.jobs import JobStatus
from app.core.web.languages import N_, _
from app.core.web.schema import ApiModel, Maybe
from app.features.jobs.stored import told

_BROUGHT_BACK = N_("The previous image was brought back.")
_STEPS = {
    "compose_config": (
        N_("Compose cannot use the files of the stack"),
        N_("Nothing was changed; the containers run as before."),
    ),
    "locate": (N_("What runs could not be looked at"), N_("Nothing of this service was changed.")),
    "pull": (N_("The image could not be pulled"), N_("Nothing was changed; the old container kept running.")),
    "health": (N_("The new container did not get healthy"), _BROUGHT_BACK),
    "container_missing_after_update": (N_("The new container was gone"), _BROUGHT_BACK),
    "pull_target_tag": (N_("The tag could not be pulled after the update"), _BROUGHT_BACK),
    "sync_configured_tag": (N_("The configured tag could not be moved"), _BROUGHT_BACK),
    "up": (N_("Compose could not recreate the container"), _BROUGHT_BACK),
    "network_dependents": (N_("What lives in its container did not come back"), _BROUGHT_BACK),
    "restart_dependents": (N_("What is restarted with it did not come back"), _BROUGHT_BACK),
    "backup": (N_("The backup failed"), N_("Nothing was updated.")),
}
_INTERRUPTED = {
    "server_restart": (
        N_("Dockrev was restarted"),
        N_("The job could not end; the services were read again at start."),
    ),
    "server_shutdown": (
        N_("Dockrev was stopped"),
        N_("The job could not end; the services are read again at the next start."),
    ),
    "stopped": (N_("Stopped on request"), N_("Nothing was changed; the containers run as before.")),
    "stale_check": (N_("The check took over two hours"), N_("It was ended so that a new one could start.")),
}


class ResultReason(ApiModel):
    """Why a job did not simply succeed."""

    summary: str
    detail: str
    raw: Maybe[str] = None


def result_reason(status: JobStatus, summary: Mapping[str, Any]) -> ResultReason | None:
    """A sentence, what follows from it, and the raw cause; None for a job that runs or went well."""
    if not status.final or status is JobStatus.SUCCESS:
        return None
    cause = str(summary.get("cause", ""))
    if cause in _INTERRUPTED:
        head, detail = _INTERRUPTED[cause]
        return ResultReason(summary=str(head), detail=str(detail), raw=cause)
    for update in _updates(summary):
        step = str(update.get("failureStep", ""))
        if not step:
            continue
        raw = str(update.get("lastError", "")) or None
        if step == "pull" and raw and _rate_limited(raw):
            return ResultReason(
                summary=_("The registry limits pulls at the moment"),
                detail=_("Wait for the limit to pass, or give Dockrev registry credentials."),
                raw=raw,
            )
        if step not in _STEPS:
            return ResultReason(summary=_("The step %(step)s failed", step=step), detail="", raw=raw)
        head, detail = _STEPS[step]
        told_detail = str(detail)
        if status is JobStatus.FAILED and detail == _BROUGHT_BACK:
            told_detail = _("The previous image could not be confirmed; look at the service now.")
            if raw and "left as it is" in raw:
                told_detail = _("The new container was left as it is: this service does not roll back by itself.")
        return ResultReason(summary=str(head), detail=told_detail, raw=raw)
    if failures := summary.get("hardFailures"):
        total = summary.get("total", failures)
        told_failures = _("%(failures)s of %(total)s could not be done", failures=failures, total=total)
        return ResultReason(summary=told_failures, detail=told(str(summary.get("firstError", ""))))
    error = told(str(summary.get("error", ""))) or _("The job ended without saying why")
    return ResultReason(summary=error, detail=told(str(summary.get("hint", ""))))


def _updates(summary: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "failureStep" in summary:
        yield summary
    for stack in summary.get("stacks", []):
        if isinstance(stack, Mapping):
            for part in ("update", "backup"):
                if isinstance(stack.get(part), Mapping):
                    yield stack[part]


def _rate_limited(text: str) -> bool:
    lowered = text.lower()
    return "toomanyrequests" in lowered or "rate limit" in lowered or "429" in lowered
