"""Jobs over the API (spec §5.4, §6.2, §6.3)."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, QueryParameter
from sse_starlette import EventSourceResponse

from app.core.errors import InvalidArgument, NotFound
from app.core.jobs import JobEngine, JobFilter, JobRecord, JobStatus, LogRow
from app.core.web.auth import identity_of
from app.core.web.openapi import STREAM, ErrorOut
from app.core.web.paging import decode_cursor, encode_cursor, parse_number
from app.core.web.sse import event_stream, resume_point
from app.features.jobs.api_schemas import JobDetailOut, JobListOut, JobOut, JobStopOut, JobWithLog, LogLine
from app.features.jobs.streams import all_job_events, one_job_events

NOT_FOUND = {404: ResponseSpec(ErrorOut, description="job not found")}
NOT_STOPPABLE = "`details.reason`: apply_committed, job_finished, or not_eligible for jobs that cannot be stopped"
BAD_QUERY = {400: ResponseSpec(ErrorOut, description="a bad cursor, limit or filter")}


def job_filter(
    *,
    cursor: str | None = None,
    limit: str | None = None,
    types: str | None = None,
    status: str | None = None,
    stack_id: str | None = None,
    service_id: str | None = None,
) -> JobFilter:
    """The query of a job list, checked; raises InvalidArgument or InvalidCursor."""
    statuses: list[JobStatus] = []
    for name in filter(None, (status or "").split(",")):
        if name not in JobStatus.__members__.values():
            raise InvalidArgument(f"invalid status filter: {name[:40]}", details={"field": "status"})
        statuses.append(JobStatus(name))
    return JobFilter(
        types=tuple(filter(None, (types or "").split(",")))[:20],
        statuses=tuple(statuses),
        stack_id=stack_id or None,
        service_id=service_id or None,
        before=decode_cursor(cursor) if cursor else None,
        limit=parse_number("limit", limit, default=100, low=1, high=200),
    )


async def find_job(jobs: JobEngine, job_id: str) -> JobRecord:
    """The job, or NotFound."""
    job = await jobs.store.get(job_id)
    if job is None:
        raise NotFound("job not found", details={"jobId": job_id[:64]})
    return job


async def find_job_and_log(jobs: JobEngine, job_id: str) -> tuple[JobRecord, list[LogRow], int]:
    """The job, its newest lines and the id its stream goes on from, all of one moment; or NotFound.

    A job that ends between two reads would leave its reader with the end in the id and not in the job.
    """
    async with jobs.db.reading():
        job = await find_job(jobs, job_id)
        lines, last_id = await jobs.store.logs(job_id)
    return job, lines, last_id


@get("/api/jobs", operation_id="listJobs", summary="Jobs, newest first", tags=["jobs"], responses=BAD_QUERY)
async def job_list(
    jobs: NamedDependency[JobEngine],
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[str | None] = None,
    status: FromQuery[str | None] = None,
    kind: Annotated[str | None, QueryParameter(name="type", description="Types of jobs, separated by commas")] = None,
    stack_id: Annotated[str | None, QueryParameter(name="stackId")] = None,
    service_id: Annotated[str | None, QueryParameter(name="serviceId")] = None,
) -> JobListOut:
    """A page of jobs without their logs; `nextCursor` is there when there is more."""
    wanted = job_filter(cursor=cursor, limit=limit, types=kind, status=status, stack_id=stack_id, service_id=service_id)
    found = await jobs.store.search(wanted)
    page = found[: wanted.limit]
    more = encode_cursor(page[-1].created_at, page[-1].id) if len(found) > wanted.limit else None
    return JobListOut(jobs=[JobOut.of(job) for job in page], next_cursor=more)


@get("/api/jobs/{job_id:str}", operation_id="getJob", summary="One job and its log", tags=["jobs"], responses=NOT_FOUND)
async def job_detail(jobs: NamedDependency[JobEngine], job_id: FromPath[str]) -> JobDetailOut:
    """The job with its newest 500 log lines."""
    job, lines, last_id = await find_job_and_log(jobs, job_id)
    detail = JobWithLog.of(job, logs=[LogLine.of(row) for row in lines], logs_last_id=last_id)
    assert isinstance(detail, JobWithLog)
    return JobDetailOut(job=detail)


@get("/api/jobs/events", operation_id="streamJobs", summary="Events of all jobs", tags=["jobs"], responses=STREAM)
async def job_events(request: Request[Any, Any, Any], jobs: NamedDependency[JobEngine]) -> EventSourceResponse:
    """Server-sent events named `job_event`; resume with `Last-Event-ID` or `?afterId=`."""
    after = resume_point(request)
    return event_stream(request, "jobs", lambda closing: all_job_events(jobs, after, closing))


@get(
    "/api/jobs/{job_id:str}/events",
    operation_id="streamJob",
    summary="Log and events of one job",
    tags=["jobs"],
    responses={**STREAM, **NOT_FOUND},
)
async def job_event_stream(
    request: Request[Any, Any, Any], jobs: NamedDependency[JobEngine], job_id: FromPath[str]
) -> EventSourceResponse:
    """Server-sent events; without a resume point the whole log is replayed."""
    await find_job(jobs, job_id)
    after = resume_point(request)
    return event_stream(request, "job", lambda closing: one_job_events(jobs, job_id, after, closing))


@post(
    "/api/jobs/{job_id:str}/stop",
    status_code=200,
    operation_id="stopJob",
    summary="Stop an update before it changes anything",
    tags=["jobs"],
    responses={**NOT_FOUND, 409: ResponseSpec(ErrorOut, description=NOT_STOPPABLE)},
)
async def job_stop(
    request: Request[Any, Any, Any], jobs: NamedDependency[JobEngine], job_id: FromPath[str]
) -> JobStopOut:
    """Honoured until the first container is recreated: what runs is finished, then the job ends as `cancelled`.

    The body is ignored. Asking again is no error.
    """
    identity = identity_of(request)
    outcome = await jobs.request_stop(job_id, identity.principal if identity else "unknown")
    return JobStopOut(job_id=job_id, outcome=outcome)


HANDLERS = (job_list, job_detail, job_events, job_event_stream, job_stop)
