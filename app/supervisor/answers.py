"""How the supervisor answers: who may ask, the JSON envelope, pages; on Starlette, which is small."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qs

import structlog
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.core.errors import DockrevError, Internal, InvalidArgument, MethodNotAllowed, NotFound
from app.core.web.assets import Assets
from app.core.web.auth import Identity
from app.core.web.languages import script_texts, spoken
from app.core.web.origin import CSRF_COOKIE, CSRF_FIELD, form_token, refuse_other_sites, require_token
from app.core.web.presentation import install
from app.settings import project_root
from app.supervisor.door import Door
from app.supervisor.settings import SupervisorSettings
from app.supervisor.speaking import CATALOGUE, VARY, speak_as_asked, wants_page
from app.supervisor.telling import told

log = structlog.get_logger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
MAX_BODY: Final = 100_000
FORM: Final = "application/x-www-form-urlencoded"
HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY"}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def guarded(handler: Handler, *, public: bool = False) -> Handler:
    """Identity and the same-site rule first, errors in one envelope last."""

    async def answer(request: Request) -> Response:
        try:
            if not public:
                door: Door = request.app.state.door
                refuse_other_sites(request, door.policy)
                request.state.identity = await door.let_in(request)
            response = await handler(request)
            if not public:
                await door.renew(request, response)
            return response
        except DockrevError as error:
            return problem(request, error)
        except Exception as error:
            return _unexpected(request, error)

    return answer


def identity_of(request: Request) -> Identity:
    """Who asks."""
    identity: Identity = request.state.identity
    return identity


def json_answer(document: Any, status: int = 200) -> Response:
    """Never kept by anybody."""
    return JSONResponse(document, status, headers={**HEADERS, "Cache-Control": "no-store"})


def problem(request: Request, error: DockrevError, headers: dict[str, str] | None = None) -> Response:
    """The envelope, or for people a page with the remedy."""
    if wants_page(request):
        return _bare_page(request, error, headers or {})
    details = dict(error.details)
    if error.hint and error.status != 401:
        details["hint"] = error.hint
    answer = json_answer({"error": {"code": error.code, "message": error.message, "details": details}}, error.status)
    answer.headers.update({**VARY, **(headers or {})})
    return answer


async def on_http(request: Request, error: Exception) -> Response:
    """What the framework found."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = {"Allow": (error.headers or {}).get("Allow", "GET")}
        return problem(request, MethodNotAllowed(f"{request.method} is not allowed here"), allowed)
    if error.status_code == 404:
        return problem(request, NotFound("there is nothing at this address"))
    return problem(request, InvalidArgument("the request cannot be read"))


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request failed", path=request.url.path, exc_info=error)
    return problem(request, Internal("internal error", details={"cause": type(error).__name__}))


# ---- bodies


async def read_body(request: Request) -> bytes:
    """The body, at most 100 kB. Raises InvalidArgument."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise InvalidArgument("the request body is too large", details={"field": "body"})
    return body


async def read_json(request: Request) -> Any:
    """A JSON body. Raises InvalidArgument."""
    try:
        return json.loads(await read_body(request))
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("the body must be JSON", details={"field": "body"}) from error


def is_form(request: Request) -> bool:
    """Whether a browser sent a form."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower() == FORM


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, after its token was found good. Raises Forbidden, InvalidArgument."""
    try:
        fields = parse_qs((await read_body(request)).decode(), keep_blank_values=True, max_num_fields=20)
    except (ValueError, UnicodeError) as error:
        raise InvalidArgument("the form cannot be read", details={"field": "body"}) from error
    form = {name: values[-1] for name, values in fields.items()}
    require_token(form.pop(CSRF_FIELD, ""), request.cookies.get(CSRF_COOKIE, ""))
    return form


# ---- pages


class Templates:
    """The supervisor's own templates, and the addresses of what they load."""

    def __init__(self, settings: SupervisorSettings) -> None:
        self.assets = Assets(project_root() / "static", f"{settings.base_path}/static")
        loader = FileSystemLoader(project_root() / "templates" / "supervisor")
        made = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self.environment = install(made, self.assets)
        self.environment.filters["told"] = _told
        self.environment.globals.update(
            base=settings.base_path,
            version=settings.effective_version,
            script_texts=lambda: script_texts(spoken(), CATALOGUE),
        )
        for name in self.environment.list_templates():
            self.environment.get_template(name)  # now, for what that takes is given back soon after the start: 1 MB

    def render(self, name: str, **context: Any) -> str:
        """A template as text."""
        return self.environment.get_template(name).render(**context)


def _told(text: str, *, begin: bool = False) -> str:
    """What was kept or raised in English, in the reader's language; marked as English where nobody translated it.
    `begin` gives it a capital letter."""
    found = told(text)
    shown = found[:1].upper() + found[1:] if begin else found
    return Markup('<span lang="en">{}</span>').format(shown) if found == text and spoken() != "en" else shown


def page(request: Request, name: str, status: int = 200, **context: Any) -> Response:
    """A page with the token for its forms."""
    templates: Templates = request.app.state.templates
    token, is_new = form_token(request.cookies.get(CSRF_COOKIE, ""))
    html = templates.render(name, csrf_token=token, **context)
    headers = {**HEADERS, **VARY, "Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    answer = HTMLResponse(html, status, headers=headers)
    if is_new:
        answer.set_cookie(CSRF_COOKIE, token, path="/", httponly=True, samesite="strict")
    return answer


def _bare_page(request: Request, error: DockrevError, headers: dict[str, str]) -> Response:
    """A page that loads nothing: who is not let in gets no files either (spec §5.8: only the icon is public)."""
    import secrets

    templates: Templates = request.app.state.templates
    nonce = secrets.token_urlsafe(12)
    sender = request.app.state.door.policy.sender(request) if error.status == 401 else None
    speak_as_asked(request)
    html = templates.render(
        "problem.html",
        error=error,
        nonce=nonce,
        request_path=request.url.path[:200],
        sender=sender,
        method=request.method,
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    kept = {**HEADERS, **VARY, **headers, "Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return HTMLResponse(html, error.status, headers=kept)
