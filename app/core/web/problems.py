"""Every error in one place: the JSON envelope of spec §3.6, an alert fragment, or a page with the remedy."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, ValidationException
from litestar.response import Redirect
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import DBAPIError

from app.core.db.database import explain_storage_error
from app.core.errors import (
    AuthRequired,
    DockrevError,
    Internal,
    InvalidArgument,
    MethodNotAllowed,
    NotFound,
    StepUpRequired,
)
from app.core.ids import new_id
from app.core.web.auth import AuthPolicy
from app.core.web.view import HTML, VARY, Pages, shape

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]
_OF_CLASS: Final = re.compile(r"a valid dictionary or instance of \w+")


def envelope(error: DockrevError) -> dict[str, Any]:
    """`{"error":{"code","message","details"}}`; the remedy travels in `details.hint` (but for the fixed 401 body)."""
    details = dict(error.details)
    if error.hint and not isinstance(error, AuthRequired):
        details["hint"] = error.hint
    return {"error": {"code": error.code, "message": error.message, "details": details}}


def respond(request: AnyRequest, error: DockrevError, headers: dict[str, str] | None = None) -> Response[Any]:
    """The error in the shape this request understands; `status` is the error's own."""
    wanted, extra = shape(request), {**VARY, **(headers or {})}
    pages: Pages | None = request.app.state.get("pages")
    if wanted == "json" or pages is None or request.headers.get("accept") == "text/event-stream":  # led nowhere
        return Response(envelope(error), status_code=error.status, headers=extra, media_type="application/json")
    if isinstance(error, AuthRequired | StepUpRequired) and error.login:
        if wanted == "page":
            return Redirect(error.login, status_code=303, headers={**extra, "Cache-Control": "no-store"})
        extra["HX-Redirect"] = error.login
    context: dict[str, Any] = {"error": error, "request_id": new_id("req"), "request_path": request.url.path}
    if wanted == "fragment":
        extra["HX-Retarget"], extra["HX-Reswap"] = "#toasts", "beforeend"
        html, cookie = pages.bare(request, "errors/_alert.html", **context), None
    elif isinstance(error, AuthRequired) and "forwardHeaderName" in error.details:  # else another means refused
        policy: AuthPolicy = request.app.state.auth_policy
        context["sender"], context["logout_url"] = policy.sender(request), policy.logout_url
        html, cookie = pages.bare_with_cookie(request, "errors/unauthorised.html", **context)
    else:
        html, cookie = pages.bare_with_cookie(request, "errors/error.html", **context)
    return Response(
        html.encode(), status_code=error.status, headers=extra, media_type=HTML, cookies=[cookie] if cookie else None
    )


def on_known(request: AnyRequest, error: DockrevError) -> Response[Any]:
    """What Dockrev raised on purpose."""
    return respond(request, error)


def on_http(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """What the framework found: unknown paths, wrong methods, bodies that do not fit (always 400, spec §3.6)."""
    headers: dict[str, str] = {}
    if isinstance(error, ValidationException):
        known: DockrevError = _invalid_body(error)
    elif isinstance(error, MethodNotAllowedException):
        known = MethodNotAllowed(f"{request.method} is not allowed here")
        headers["Allow"] = _allowed(request)
    elif error.status_code == HTTPStatus.NOT_FOUND:
        known = NotFound("there is nothing at this address")
    elif error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        known = InvalidArgument("the request body is too large", details={"field": "body"})
    elif 400 <= error.status_code < 500:
        known = InvalidArgument("the request body cannot be read", details={"field": "body"})
    else:
        log.error("framework error", status=error.status_code, detail=error.detail, path=request.url.path)
        known = Internal("internal error", details={"cause": error.detail})
    return respond(request, known, headers)


def _invalid_body(error: ValidationException) -> InvalidArgument:
    found = [
        {"field": _field(item.get("key")), "problem": _problem(str(item.get("message", "")))}
        for item in (error.extra if isinstance(error.extra, list) else [])
        if isinstance(item, dict)
    ] or [{"field": "body", "problem": "does not have the expected shape"}]
    first = found[0]
    return InvalidArgument(
        f"{first['field']}: {first['problem']}", details={"field": first["field"], "errors": found[:20]}
    )


def _problem(told: str) -> str:
    """The words of pydantic without the names of our classes; of a body that is not there the framework tells a key."""
    if told == "'data'":
        return "is missing; JSON is expected"
    return _OF_CLASS.sub("an object", told.removeprefix("Value error, "))[:300]


def _field(key: object) -> str:
    return "body" if key in (None, "", "data") else str(key)


def _allowed(request: AnyRequest) -> str:
    """Methods of this path: the framework does not tell, but can be asked for each."""
    found = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if _routes(request, method)]
    if "GET" in found:
        found.insert(1, "HEAD")  # see heads.py
    return ", ".join(found) or "GET, HEAD"


def _routes(request: AnyRequest, method: str) -> bool:
    try:
        request.app.asgi_router.handle_routing(path=request.url.path, method=method)
    except HTTPException:
        return False
    return True


def on_database(request: AnyRequest, error: DBAPIError) -> Response[Any]:
    """SQLite's own failures: a full disk or a locked file is said plainly, anything else is our fault."""
    return respond(request, explain_storage_error(error) or _unexpected(request, error))


def on_nested(request: AnyRequest, error: RecursionError) -> Response[Any]:
    """A body of thousands of brackets; anything else that recurses without end is our fault."""
    if "deserializ" not in str(error):
        return on_unexpected(request, error)
    return respond(request, InvalidArgument("the request body is nested too deeply", details={"field": "body"}))


def on_unexpected(request: AnyRequest, error: Exception) -> Response[Any]:
    """Anything else: logged with its traceback, told without it."""
    return respond(request, _unexpected(request, error))


def _unexpected(request: AnyRequest, error: Exception) -> Internal:
    log.error("request failed", path=request.url.path, method=request.method, exc_info=error)
    return Internal("internal error", details={"cause": type(error).__name__})


HANDLERS: ExceptionHandlersMap = {
    DockrevError: on_known,
    HTTPException: on_http,
    DBAPIError: on_database,
    RecursionError: on_nested,
    Exception: on_unexpected,
}
