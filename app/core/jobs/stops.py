"""The cooperative stop of a job (spec §7.9): asked for at any time, honoured until the job says that it is committed.

Kept in the job's own row, so that the question and the commit meet in one transaction and a restart knows of both. A
job can be stopped when it was submitted with `stoppable`; nothing that runs is ever killed for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from app.core.clock import rfc3339
from app.core.errors import Conflict
from app.core.jobs.models import Job

CONTROL: Final = "stop"
STOPPED: Final = "stopped"

StopState = Literal["possible", "requested", "committed"]
StopAnswer = Literal["requested", "already_requested"]


class JobStopped(Exception):
    """Raised in a job's handler when somebody asked to stop it; the job ends as cancelled."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by

    @property
    def summary(self) -> dict[str, Any]:
        """What the job tells of its end."""
        return {"error": f"stopped on request of {self.by}", "cause": STOPPED}


def stop_state(payload: Mapping[str, Any]) -> StopState | None:
    """Where a job's stop stands; None when the job has no such control."""
    control = payload.get(CONTROL)
    if not isinstance(control, Mapping):
        return None
    if "committedAt" in control:
        return "committed"
    return "requested" if "requestedAt" in control else "possible"


def ask(job: Job, by: str, now: datetime) -> StopAnswer:
    """Inside a transaction: note that `by` wants the job to stop. Raises Conflict when it cannot be honoured."""
    if job.status.final:
        raise _refused(job, "job_finished", "the job has ended", "There is nothing left to stop.")
    match stop_state(job.payload):
        case None:
            raise _refused(job, "not_eligible", "this job cannot be stopped", "Only an update that applies something.")
        case "committed":
            hint = "Its first container is being recreated; the job runs to its end, or takes back what fails."
            raise _refused(job, "apply_committed", "the apply is committed", hint)
        case "requested":
            return "already_requested"
        case "possible":
            job.payload = {**job.payload, CONTROL: {"requestedAt": rfc3339(now), "requestedBy": by}}
            return "requested"


def commit(job: Job, now: datetime) -> bool:
    """Inside a transaction: from now on nothing stops the job; whether that is new. Raises JobStopped."""
    state = stop_state(job.payload)
    if state == "requested":
        raise JobStopped(str(job.payload[CONTROL].get("requestedBy", "")))
    if state == "possible":
        job.payload = {**job.payload, CONTROL: {"committedAt": rfc3339(now)}}
    return state == "possible"


def stopped_by(payload: Mapping[str, Any]) -> JobStopped | None:
    """The stop that a job was asked for and had not passed its commit point against."""
    return JobStopped(str(payload[CONTROL].get("requestedBy", ""))) if stop_state(payload) == "requested" else None


def _refused(job: Job, reason: str, message: str, hint: str) -> Conflict:
    return Conflict(message, hint=hint, details={"reason": reason, "jobId": job.id, "status": job.status.value})
