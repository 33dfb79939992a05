"""Forms of pages: same-site rule for everything unsafe, token for forms, values checked by pydantic."""

from __future__ import annotations

import hmac
import secrets
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler
from pydantic import BaseModel, ValidationError

from app.core.errors import Forbidden, InvalidArgument
from app.core.web.auth import AuthPolicy

CSRF_COOKIE: Final = "dockrev_csrf"
CSRF_FIELD: Final = "csrf"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

M = TypeVar("M", bound=BaseModel)


def require_same_site(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard: a browser on another site can neither post a form nor fetch with the owner's session.

    Browsers say where a request comes from (`Sec-Fetch-Site`, `Origin`); scripts say nothing and are let through.
    """
    if connection.scope["method"] in SAFE_METHODS or handler.opt.get("public"):  # type: ignore[typeddict-item]
        return
    site = connection.headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return
    origin = connection.headers.get("origin")
    if site is None and origin is None:
        return
    if site is None and origin is not None and urlsplit(origin).netloc.lower() in _own_hosts(connection):
        return
    raise Forbidden("this request came from another site", hint="Open Dockrev itself and repeat the action there.")


def _own_hosts(connection: ASGIConnection[Any, Any, Any, Any]) -> set[str]:
    hosts = {connection.headers.get("host", "").lower()}
    policy: AuthPolicy = connection.app.state.auth_policy
    if policy.trusts(connection) and (forwarded := connection.headers.get("x-forwarded-host")):
        hosts.add(forwarded.split(",")[0].strip().lower())
    return hosts - {""}


def csrf_token(request: Request[Any, Any, Any]) -> tuple[str, Cookie | None]:
    """The form token of this browser, and the cookie to set when it has none yet."""
    present = request.cookies.get(CSRF_COOKIE, "")
    if 20 <= len(present) <= 100:
        return present, None
    token = secrets.token_urlsafe(24)
    return token, Cookie(key=CSRF_COOKIE, value=token, path="/", httponly=True, samesite="strict")


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
    expected = request.cookies.get(CSRF_COOKIE, "")
    if not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise Forbidden("the form's token is missing or old", hint="Reload the page and send the form again.")
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
