"""The job engine: anything that takes longer than a request, or changes the host, is a job (spec §4, §5.4, §7.9).

It knows no feature's words: kinds of jobs are registered by rooms.
"""

from app.core.jobs.context import JobContext, Progress
from app.core.jobs.engine import JobEngine, JobKind, JobOutcome, NewJob
from app.core.jobs.models import Job, JobLog, JobStatus, JobTarget
from app.core.jobs.stops import JobStopped, StopAnswer, StopState
from app.core.jobs.store import JobFilter, JobRecord, JobStore, LogRow

__all__ = [
    "Job",
    "JobContext",
    "JobEngine",
    "JobFilter",
    "JobKind",
    "JobLog",
    "JobOutcome",
    "JobRecord",
    "JobStatus",
    "JobStopped",
    "JobStore",
    "JobTarget",
    "LogRow",
    "NewJob",
    "Progress",
    "StopAnswer",
    "StopState",
]
