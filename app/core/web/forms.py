"""Forms of pages: same-site rule for everything unsafe, token for forms, values checked by pydantic."""

from __future__ import annotations

from typing import Any, TypeVar

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler
from pydantic import BaseModel, ValidationError

from app.core.errors import InvalidArgument
from app.core.web.origin import CSRF_COOKIE, CSRF_FIELD, form_token, refuse_other_sites, require_token

M = TypeVar("M", bound=BaseModel)


def require_same_site(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard: a browser on another site can neither post a form nor fetch with the owner's session."""
    if not handler.opt.get("public"):
        refuse_other_sites(connection, connection.app.state.auth_policy)


def csrf_token(request: Request[Any, Any, Any]) -> tuple[str, Cookie | None]:
    """The form token of this browser, and the cookie to set when it has none yet."""
    token, is_new = form_token(request.cookies.get(CSRF_COOKIE, ""))
    return token, Cookie(key=CSRF_COOKIE, value=token, path="/", httponly=True, samesite="strict") if is_new else None


async def read_form(request: Request[Any, Any, Any]) -> dict[str, list[str]]:
    """The fields of a posted form, after its token was found good. Raises Forbidden, InvalidArgument."""
    kind = request.headers.get("content-type", "").split(";")[0].strip()
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raise InvalidArgument("a form was expected", details={"field": "content-type"})
    try:
        data = await request.form()
        fields = {key: [str(value) for value in data.getall(key)] for key in data}
    except (ValueError, UnicodeError) as error:
        raise InvalidArgument("the form cannot be read", details={"field": "body"}) from error
    sent = (fields.pop(CSRF_FIELD, [""]) or [""])[0]
    require_token(sent, request.cookies.get(CSRF_COOKIE, ""))
    return fields


def parse(model: type[M], values: dict[str, Any]) -> M:
    """Validate; the first problem becomes InvalidArgument naming its field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid(error) from error


def invalid(error: ValidationError) -> InvalidArgument:
    """pydantic's findings as one error: message about the first, all of them in `details.errors`."""
    found = [
        {"field": ".".join(str(part) for part in item["loc"]) or "body", "problem": item["msg"]}
        for item in error.errors(include_url=False, include_input=False, include_context=False)[:20]
    ]
    first = found[0]
    return InvalidArgument(f"{first['field']}: {first['problem']}", details={"field": first["field"], "errors": found})
