"""What a job's summary means, in words (spec §5.4 `resultReason`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.core.jobs import JobStatus
from app.core.web.schema import ApiModel, Maybe

_STEPS = {
    "compose_config": (
        "Compose cannot use the files of the stack",
        "Nothing was changed; the containers run as before.",
    ),
    "locate": ("What runs could not be looked at", "Nothing of this service was changed."),
    "pull": ("The image could not be pulled", "Nothing was changed; the old container kept running."),
    "health": ("The new container did not get healthy", "The previous image was brought back."),
    "container_missing_after_update": ("The new container was gone", "The previous image was brought back."),
    "pull_target_tag": ("The tag could not be pulled after the update", "The previous image was brought back."),
    "sync_configured_tag": ("The configured tag could not be moved", "The previous image was brought back."),
    "up": ("Compose could not recreate the container", "The previous image was brought back."),
    "network_dependents": ("What lives in its network did not come back", "The previous image was brought back."),
    "restart_dependents": ("What is restarted with it did not come back", "The previous image was brought back."),
    "backup": ("The backup failed", "Nothing was updated."),
}
_INTERRUPTED = {
    "server_restart": ("Dockrev was restarted", "The job could not end; the services were read again at start."),
    "server_shutdown": ("Dockrev was stopped", "The job could not end; the services are read again at the next start."),
    "stopped": ("Stopped on request", "Nothing was changed; the containers run as before."),
    "stale_check": ("The check took over two hours", "It was ended so that a new one could start."),
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
        return ResultReason(summary=head, detail=detail, raw=cause)
    for update in _updates(summary):
        step = str(update.get("failureStep", ""))
        if not step:
            continue
        raw = str(update.get("lastError", "")) or None
        if step == "pull" and raw and _rate_limited(raw):
            return ResultReason(
                summary="The registry limits pulls at the moment",
                detail="Wait for the limit to pass, or give Dockrev registry credentials.",
                raw=raw,
            )
        head, detail = _STEPS.get(step, (f"The step {step} failed", ""))
        if status is JobStatus.FAILED and detail.startswith("The previous"):
            detail = "The previous image could not be confirmed; look at the service now."
            if raw and "left as it is" in raw:
                detail = "The new container was left as it is: this service does not roll back by itself."
        return ResultReason(summary=head, detail=detail, raw=raw)
    if failures := summary.get("hardFailures"):
        head = f"{failures} of {summary.get('total', failures)} could not be done"
        return ResultReason(summary=head, detail=str(summary.get("firstError", "")))
    error = str(summary.get("error", "")) or "The job ended without saying why"
    return ResultReason(summary=error, detail=str(summary.get("hint", "")))


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
