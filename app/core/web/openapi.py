"""Pieces of the OpenAPI document that many handlers share."""

from __future__ import annotations

from typing import Any, Final

from litestar.openapi.datastructures import ResponseSpec

from app.core.web.schema import ApiModel


class ErrorBody(ApiModel):
    """What went wrong: a stable code, a sentence, and facts (`field`, `existingJobId`, `reason`, `hint` …)."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorOut(ApiModel):
    """The envelope of every error."""

    error: ErrorBody


class OkOut(ApiModel):
    """Done."""

    ok: bool = True


NOT_FOUND: Final = {404: ResponseSpec(ErrorOut, description="there is no such thing")}
UNAUTHORISED: Final = {401: ResponseSpec(ErrorOut, description="no accepted identity")}
STREAM: Final = {
    200: ResponseSpec(str, media_type="text/event-stream", description="an endless stream of server-sent events")
}
