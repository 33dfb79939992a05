"""The route of static files."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from app.core.errors import NotFound
from app.core.web.assets import ASK_AGAIN, FOREVER, Assets


def static_handler(assets: Assets) -> HTTPRouteHandler:
    """The route of `/static`; open to everybody, since the 401 page needs it too."""

    @get("/static/{name:path}", opt={"public": True}, include_in_schema=False, sync_to_thread=True)
    def static_file(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        try:
            asset = assets.get(name.lstrip("/"))
        except FileNotFoundError as error:
            raise NotFound("there is nothing at this address") from error
        lasting = request.query_params.get("v") == asset.version
        headers = {"Cache-Control": FOREVER if lasting else ASK_AGAIN, "ETag": f'"{asset.version}"'}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers, media_type=asset.media_type)
        return Response(asset.content, headers=headers, media_type=asset.media_type)

    return static_file
