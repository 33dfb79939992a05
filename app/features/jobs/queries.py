"""What other rooms read of jobs."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.jobs import JobEngine, JobFilter, JobStatus
from app.features.jobs.pages import Names, job_row
from app.features.jobs.schemas import FilterCount, JobRow
from app.features.stacks import Stacks

RUNNING_SHOWN = 20
WAITING_SHOWN = 50


class JobReads:
    """Rows of jobs with the names of what they are about."""

    def __init__(self, jobs: JobEngine, stacks: Stacks) -> None:
        self.jobs = jobs
        self._stacks = stacks

    async def names(self) -> Names:
        """Names of everything known, archived things too."""
        stacks = await self._stacks.stacks("include")
        return Names(
            services={
                service.id: (stack.id, stack.name, service.name) for stack in stacks for service in stack.services
            },
            stacks={stack.id: stack.name for stack in stacks},
        )

    async def running(self, names: Names | None = None) -> list[JobRow]:
        """What runs now, newest first."""
        found = await self.jobs.store.search(JobFilter(statuses=(JobStatus.RUNNING,), limit=RUNNING_SHOWN))
        if not found:
            return []
        known = names or await self.names()
        return [job_row(job, known) for job in found[:RUNNING_SHOWN]]

    async def waiting(self, names: Names | None = None) -> list[JobRow]:
        """What waits for a worker, in its order."""
        found = await self.jobs.store.search(JobFilter(statuses=(JobStatus.QUEUED,), limit=WAITING_SHOWN))
        if not found:
            return []
        known = names or await self.names()
        return [job_row(job, known) for job in reversed(found[:WAITING_SHOWN])]

    async def recent(self, wanted: JobFilter, names: Names | None = None) -> list[JobRow]:
        """Rows of a search; may hold one more than the limit, which tells of a next page."""
        found = await self.jobs.store.search(wanted)
        known = names or (await self.names() if found else Names())
        return [job_row(job, known) for job in found]

    async def counts(self) -> tuple[list[FilterCount], list[str]]:
        """Jobs by status for the filter of the list, and the types there are."""
        totals = await self.jobs.store.counts()
        by_status: dict[str, int] = {}
        for (_, status), number in totals.items():
            by_status[status.value] = by_status.get(status.value, 0) + number
        order: Sequence[str] = ("success", "rolled_back", "failed", "cancelled")
        counts = [FilterCount(key="all", count=sum(by_status.values()))]
        counts += [FilterCount(key=key, count=by_status[key]) for key in order if by_status.get(key)]
        return counts, sorted({kind for kind, _ in totals})
