"""Puts the supervisor together."""

from __future__ import annotations

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.plugins.pydantic import PydanticPlugin

from app.core.errors import DockrevError
from app.core.web.auth import AuthPolicy, require_identity
from app.supervisor.controllers import environment, on_http, on_known, on_unexpected, router
from app.supervisor.settings import SupervisorSettings


def create_supervisor(settings: SupervisorSettings, policy: AuthPolicy) -> Litestar:
    """The ASGI application; `policy` is the forward auth it shares with Dockrev."""
    return Litestar(
        route_handlers=[router(settings.base_path)],
        guards=[require_identity],
        exception_handlers={DockrevError: on_known, HTTPException: on_http, Exception: on_unexpected},
        plugins=[PydanticPlugin(prefer_alias=True)],
        openapi_config=None,
        response_headers={"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"},
        request_max_body_size=100_000,
        state=State({"settings": settings, "auth_policy": policy, "templates": environment()}),
        logging_config=None,
    )
