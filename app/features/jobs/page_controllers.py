"""The pages of jobs: `/queue` and `/queue/{jobId}`."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from app.core.jobs import JobEngine, JobStatus
from app.core.web.paging import encode_cursor
from app.core.web.view import Pages, View
from app.features.jobs.controllers import NOT_FOUND, find_job_and_log, job_filter
from app.features.jobs.pages import job_page
from app.features.jobs.queries import JobReads
from app.features.jobs.schemas import JobListPage, JobPage, JobQuery

PAGE_SIZE = 50


@get("/queue", operation_id="jobListPage", summary="Page of jobs", tags=["pages"])
async def job_list_page(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    job_reads: NamedDependency[JobReads],
    status: FromQuery[str] = "all",
    kind: Annotated[str, QueryParameter(name="type")] = "",
    cursor: FromQuery[str] = "",
) -> View[JobListPage]:
    """Running, waiting, history."""
    final = ",".join(item.value for item in JobStatus if item.final)
    wanted = job_filter(
        cursor=cursor, limit=str(PAGE_SIZE), types=kind, status=final if status in ("", "all") else status
    )
    names = await job_reads.names()
    history = await job_reads.recent(wanted, names)
    more = history[PAGE_SIZE - 1] if len(history) > PAGE_SIZE else None
    counts, types = await job_reads.counts()
    content = JobListPage(
        running=await job_reads.running(names),
        waiting=await job_reads.waiting(names),
        history=history[:PAGE_SIZE],
        counts=counts,
        types=types,
        query=JobQuery(status=status or "all", type=kind, cursor=cursor),
        next_cursor=encode_cursor(more.created_at, more.id) if more else None,
    )
    return await pages.show(request, content, "jobs/job_list.html", topics=("jobs", "engine"))


@get("/queue/{job_id:str}", operation_id="jobPage", summary="Page of one job", tags=["pages"], responses=NOT_FOUND)
async def job_detail_page(
    request: Request[Any, Any, Any],
    pages: NamedDependency[Pages],
    jobs: NamedDependency[JobEngine],
    job_reads: NamedDependency[JobReads],
    job_id: FromPath[str],
) -> View[JobPage]:
    """Timeline, evidence, log."""
    job, rows, last_id = await find_job_and_log(jobs, job_id)
    content = job_page(job, await job_reads.names(), rows, last_id)
    return await pages.show(
        request, content, "jobs/job_detail.html", topics=(f"job:{job_id}@{last_id}", "jobs", "engine")
    )


HANDLERS = (job_list_page, job_detail_page)
