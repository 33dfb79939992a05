"""The whole log of a job as a file: text to read and to attach to a report, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Final

from litestar import get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from app.core.clock import rfc3339
from app.core.errors import InvalidArgument
from app.core.jobs import JobEngine, LogRow
from app.core.web.openapi import ErrorOut
from app.features.jobs.controllers import NOT_FOUND, find_job

AT_ONCE: Final = 500
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def as_text(row: LogRow) -> str:
    """A line for a terminal: what containers wrote may neither move its cursor nor look like a line of ours."""
    told = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", row.msg).rstrip("\n").replace("\n", "\n    ")
    return f"{rfc3339(row.ts)} {row.level:<5} {told}\n"


async def lines_of(jobs: JobEngine, job_id: str) -> AsyncIterator[LogRow]:
    """All lines there are now, oldest first, a few hundred at once; events are no lines."""
    after, last = 0, (await jobs.store.logs(job_id, limit=1))[1]
    while after < last and (rows := await jobs.store.rows_after(after, job_id=job_id, limit=AT_ONCE)):
        for row in rows:
            if row.level != "event" and row.id <= last:
                yield row
        after = rows[-1].id


async def text_of(jobs: JobEngine, job_id: str) -> AsyncIterator[str]:
    """The log as text."""
    async for row in lines_of(jobs, job_id):
        yield as_text(row)


async def json_of(jobs: JobEngine, job_id: str) -> AsyncIterator[str]:
    """One document, `{"jobId", "lines": [{"ts", "level", "msg"}]}`."""
    yield f'{{"jobId":{json.dumps(job_id)},"lines":['
    comma = ""
    async for row in lines_of(jobs, job_id):
        yield comma + json.dumps({"ts": rfc3339(row.ts), "level": row.level, "msg": row.msg}, ensure_ascii=False)
        comma = ",\n"
    yield "]}\n"


_FORMATS: Final = {
    "text": (text_of, "text/plain; charset=utf-8", "log"),
    "json": (json_of, "application/json", "json"),
}


@get(
    "/api/jobs/{job_id:str}/log",
    operation_id="downloadJobLog",
    summary="The whole log of a job",
    tags=["jobs"],
    media_type="text/plain",
    responses={**NOT_FOUND, 400: ResponseSpec(ErrorOut, description="no such format")},
)
async def job_log(
    jobs: NamedDependency[JobEngine],
    job_id: FromPath[str],
    wanted: Annotated[str, QueryParameter(name="format", description="text (the default) or json")] = "text",
) -> Stream:
    """Every line, not only the newest 500; of a running job those up to now."""
    if wanted not in _FORMATS:
        raise InvalidArgument(f"invalid format: {wanted[:40]}", details={"field": "format"}, hint="Use text or json.")
    job = await find_job(jobs, job_id)
    make, media_type, ending = _FORMATS[wanted]
    headers = {"Content-Disposition": f'attachment; filename="{job.id}.{ending}"', "Cache-Control": "no-store"}
    return Stream(make(jobs, job.id), media_type=media_type, headers=headers)


HANDLERS: Final = (job_log,)
