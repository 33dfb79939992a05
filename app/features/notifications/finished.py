"""Jobs that ended since we looked last, in the order they did: read from the job log, so that no restart hides one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.core.jobs import Job, JobLog, JobRecord, JobTarget
from app.features.notifications.payload import ServiceFacts
from app.features.stacks import ServiceRecord

_MARK: Final = '{"type":"job_finished"%'
AT_ONCE: Final = 50
SCHEDULE: Final = "schedule"
GITHUB: Final = "github_webhook"  # what hooks writes as the source of a check it started or joined


@dataclass(frozen=True, slots=True)
class Finished:
    """A job, and the row of the log that says it ended."""

    row_id: int
    job: JobRecord


async def finished_after(session: AsyncSession, row_id: int) -> tuple[list[Finished], int]:
    """Jobs that ended after that row, oldest first, and how far the log was read."""
    newest = (await session.exec(select(func.max(JobLog.id)))).one() or 0
    if newest <= row_id:
        return [], row_id
    query = (
        select(JobLog.id, Job)
        .join(Job, col(Job.id) == col(JobLog.job_id))
        .where(col(JobLog.id) > row_id, col(JobLog.id) <= newest, JobLog.level == "event", col(JobLog.msg).like(_MARK))
        .order_by(col(JobLog.id))
        .limit(AT_ONCE)
    )
    found = [Finished(number or 0, JobRecord.of(job)) for number, job in (await session.exec(query)).all()]
    return found, found[-1].row_id if len(found) == AT_ONCE else newest


async def service_ids(session: AsyncSession, job_id: str) -> list[str]:
    """Services a job was about."""
    return list((await session.exec(select(JobTarget.service_id).where(JobTarget.job_id == job_id))).all())


def facts_of(job: JobRecord, services: list[ServiceRecord]) -> list[ServiceFacts]:
    """The services by name, with the versions the job's timeline tells."""
    timeline = job.summary.get("timeline")
    lines = {entry.get("key"): entry for entry in timeline if isinstance(entry, dict)} if timeline else {}
    found = []
    for service in sorted(services, key=lambda service: (service.stack_name, service.name)):
        line = lines.get(service.id, {})
        found.append(
            ServiceFacts(
                stack_id=service.stack_id,
                stack_name=service.stack_name,
                service_id=service.id,
                service_name=service.name,
                current_display_tag=str(line.get("fromVersion") or ""),
                candidate_display_tag=str(line.get("toVersion") or ""),
            )
        )
    return found


def is_unattended(job: JobRecord) -> bool:
    """Whether a schedule or a delivery of GitHub wanted this check (spec §8.4.1): nobody waits there for its end."""
    audit = job.summary.get("audit")
    return job.reason == SCHEDULE or (isinstance(audit, dict) and audit.get("source") == GITHUB)


def error_of(job: JobRecord) -> str:
    """What went wrong, from the summary of its stacks or its own; empty when nothing did."""
    stacks = job.summary.get("stacks")
    for stack in stacks if isinstance(stacks, list) else ():
        for part in ("update", "backup"):
            told = stack.get(part) if isinstance(stack, dict) else None
            if isinstance(told, dict) and (error := told.get("lastError") or told.get("error")):
                return str(error)
    return str(job.summary.get("lastError") or job.summary.get("error") or "")
