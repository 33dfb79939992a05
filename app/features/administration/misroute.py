"""Requests for the supervisor that a proxy sent to Dockrev by mistake (spec §5.9)."""

from __future__ import annotations

from typing import Any, Final

from litestar import HttpMethod, Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from app.core.web.view import HTML, Pages

RESERVED: Final = frozenset(
    {
        "api", "static", "schema", "metrics", "events", "services", "stacks", "updates", "queue", "settings", "checks",
        "deploy-check", "deploy-welcome", "ignores", "version-inference", "discovery", "runtime-scans", "sw.js",
        "manifest.webmanifest", "index.html", "palette", "offline", "self-upgrade",
    }
)  # fmt: skip
METHODS: Final = [HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE]
MESSAGE: Final = "this address belongs to the supervisor, but the reverse proxy sent it to Dockrev"


def base_path(self_upgrade_url: str) -> str | None:
    """The supervisor's path on this host, without a slash at its end; None when it is elsewhere or not to be told
    from Dockrev's own pages."""
    path = self_upgrade_url.strip()
    plain = all(char.isascii() and (char.isalnum() or char in "/._~-") for char in path)
    if not path.startswith("/") or path.startswith("//") or not plain:
        return None
    parts = [part for part in path.split("/") if part]
    if not parts or ".." in parts or "." in parts or parts[0] in RESERVED:
        return None
    return "/" + "/".join(parts)


def misroute_handlers(self_upgrade_url: str) -> tuple[ControllerRouterHandler, ...]:
    """The base page tells a person what is wrong, everything below it tells programs. Open to all, as errors are."""
    base = base_path(self_upgrade_url)
    if base is None:
        return ()

    async def page(request: Request[Any, Any, Any]) -> Response[bytes]:
        pages: Pages = request.app.state.pages
        html = pages.bare(request, "deploy/misroute.html", base=base, request_path=request.url.path)
        return Response(html.encode(), media_type=HTML, headers={"Cache-Control": "no-cache"})

    async def below(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        return Response(
            {
                "ok": False,
                "code": "supervisor_misrouted",
                "message": MESSAGE,
                "selfUpgradeUrl": self_upgrade_url,
                "path": request.url.path,
            },
            status_code=502,
            headers={"Cache-Control": "no-store"},
        )

    common: dict[str, Any] = {"include_in_schema": False, "opt": {"public": True}}
    return (
        HTTPRouteHandler(base, http_method=[HttpMethod.GET], status_code=200, **common)(page),
        HTTPRouteHandler(base, http_method=METHODS[1:], status_code=502, **common)(below),
        HTTPRouteHandler(base + "/{below:path}", http_method=METHODS, status_code=502, **common)(below),
    )
