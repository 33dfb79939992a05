"""The supervisor's routes (spec §10.1). The ones that act on a container do not exist yet."""

from __future__ import annotations

import secrets
from typing import Any

from jinja2 import Environment, FileSystemLoader
from litestar import Request, Response, Router, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from app.core.clock import utc_now
from app.core.errors import DockrevError, Internal, InvalidArgument, MethodNotAllowed, NotFound
from app.core.web.schema import ApiModel
from app.settings import project_root
from app.supervisor.settings import SupervisorSettings
from app.supervisor.state import UpgradeState, read_state

AnyRequest = Request[Any, Any, Any]
REPOSITORY = "https://github.com/ivanli-cn/dockrev"


class HealthOut(ApiModel):
    """`GET {base}/health`."""

    ok: bool = True


class VersionOut(ApiModel):
    """`GET {base}/version`."""

    version: str
    repository: str = REPOSITORY
    developer_name: str = "Dockrev"
    developer_url: str = REPOSITORY


@get("/health")
async def health() -> HealthOut:
    """Alive."""
    return HealthOut()


@get("/version")
async def version(state: State) -> VersionOut:
    """The supervisor's version."""
    settings: SupervisorSettings = state.settings
    return VersionOut(version=settings.effective_version)


def _current(settings: SupervisorSettings) -> UpgradeState:
    return read_state(settings.state_path, now=utc_now(), image=settings.target_image_repo)


@get("/self-upgrade", sync_to_thread=True)
def self_upgrade(state: State) -> UpgradeState:
    """The state of the current and the past upgrades."""
    return _current(state.settings)


@get("/favicon.png", opt={"public": True}, sync_to_thread=True)
def favicon() -> Response[bytes]:
    """The only thing shown to anybody."""
    picture = (project_root() / "app" / "supervisor" / "favicon.png").read_bytes()
    return Response(picture, media_type="image/png", headers={"Cache-Control": "public, max-age=86400"})


@get("/", sync_to_thread=True)
def console(request: AnyRequest, state: State) -> Response[bytes]:
    """The page for people; needs no file of Dockrev's own pages."""
    current = _current(state.settings)
    return page(request, 200, title=f"Dockrev upgrades: {current.state.replace('_', ' ')}", state=current)


def router(base_path: str) -> Router:
    """All routes below the base path."""
    return Router(base_path, route_handlers=[console, health, version, self_upgrade, favicon])


def environment() -> Environment:
    """Templates of the supervisor alone."""
    return Environment(loader=FileSystemLoader(project_root() / "templates" / "supervisor"), autoescape=True)


def page(request: AnyRequest, status: int, **context: Any) -> Response[bytes]:
    """Render the one template."""
    settings: SupervisorSettings = request.app.state.settings
    nonce = secrets.token_urlsafe(12)
    html = request.app.state.templates.get_template("status.html").render(
        base=settings.base_path, version=settings.effective_version, nonce=nonce, **context
    )
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return Response(html.encode(), status_code=status, media_type="text/html", headers=headers)


def on_known(request: AnyRequest, error: DockrevError) -> Response[Any]:
    """The envelope, or for people the page with the remedy."""
    if "text/html" in request.headers.get("accept", ""):
        return page(request, error.status, title=error.message, error=error)
    document = {"error": {"code": error.code, "message": error.message, "details": error.details}}
    return Response(document, status_code=error.status, media_type="application/json")


def on_http(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """What the framework found."""
    if error.status_code == 404:
        return on_known(request, NotFound("there is nothing at this address"))
    if error.status_code == 405:
        answer = on_known(request, MethodNotAllowed(f"{request.method} is not allowed here"))
        answer.headers["Allow"] = "GET"
        return answer
    if error.status_code < 500:
        return on_known(request, InvalidArgument("the request cannot be read"))
    return on_unexpected(request, error)


def on_unexpected(request: AnyRequest, error: Exception) -> Response[Any]:
    """Anything else."""
    import structlog

    structlog.get_logger(__name__).error("request failed", path=request.url.path, exc_info=error)
    return on_known(request, Internal("internal error", details={"cause": type(error).__name__}))
