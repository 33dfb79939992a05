"""The OpenAPI document at `/schema`: what the framework writes, completed with what it cannot know."""

from __future__ import annotations

import asyncio
import threading
import zlib
from typing import Any, Final

from litestar import Request, Router
from litestar._openapi.plugin import OpenAPIPlugin
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from app.api_examples import ANSWERS, REQUESTS
from app.core.memory import give_back
from app.features.access import needed_scope

Connection = ASGIConnection[Any, Any, Any, Any]
PUBLIC: Final = frozenset({"health", "version"})
_ENVELOPE: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorOut"}}}
_WORDS: Final = {
    "400": "something in the request is wrong; `details.field` names it",
    "401": "no accepted identity",
    "403": "the token has too little scope: `details.neededScope`",
    "429": "too many requests: `Retry-After` says when the next one is answered",
}
_NEEDED: Final = {"getDigestTags": "digest", "getDigestTagsSnapshot": "digest"}
"""Parameters that handlers ask for themselves, to say more than the framework would."""
_SCHEMES: Final = {
    "token": {
        "type": "http", "scheme": "bearer", "bearerFormat": "dkr_…",
        "description": "An API token, made on the page of settings or by `POST /api/tokens`.",
    },
    "proxy": {
        "type": "apiKey", "in": "header", "name": "X-Forwarded-User",
        "description": "What a trusted proxy says of who asks; the header's name is a setting.",
    },
}  # fmt: skip


class Document(JsonRenderPlugin):
    """Serves the document as JSON at `/schema` and `/schema/openapi.json`; one per application.

    It is made once, when it is first asked for, and kept compressed (some 30 kB) instead of the objects it is made from
    (some 10 MB).
    """

    def __init__(self) -> None:
        super().__init__(path=["/", "/openapi.json"])
        self._packed: bytes | None = None
        self._making = threading.Lock()

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The framework's document, completed."""
        return self.text(request)

    def text(self, request: Any) -> bytes:
        """The completed document as JSON. Takes up to a second the first time: then it is for a thread."""
        with self._making:
            if self._packed is None:
                plugin = next(one for one in request.app.plugins if isinstance(one, OpenAPIPlugin))
                text = self.render_json(request, complete(plugin.provide_openapi_schema()))
                self._packed = zlib.compress(text, 9)
                plugin._openapi, plugin._openapi_schema = None, {"openapi": "3.1.0"}  # not made for each request
                give_back()
        return zlib.decompress(self._packed)


def kept(connection: Connection) -> Document:
    """The document of the application that was asked."""
    config = connection.app.openapi_config
    assert config is not None
    return next(plugin for plugin in config.render_plugins if isinstance(plugin, Document))


async def ready(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard, since the framework's own handler would make the document in the event loop."""
    await asyncio.to_thread(kept(connection).text, connection)


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Every error is the envelope, every route but the public ones can answer 401, every operation has its example."""
    paths = {
        path: {method: _operation(operation, method.upper(), path) for method, operation in item.items()}
        for path, item in document["paths"].items()
    }
    components = {**document.get("components", {}), "securitySchemes": _SCHEMES}
    return {**document, "paths": paths, "components": components}


def _operation(operation: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    name = operation.get("operationId", "")
    responses = {code: dict(response) for code, response in operation.get("responses", {}).items()}
    public = name in PUBLIC or path.startswith("/api/webhooks/")  # those have secrets of their own
    scope = None if public else needed_scope(method, path)
    added = ("401",) * (name not in PUBLIC) + ("403", "429") * (scope is not None)
    for code in _WORDS:
        if code in responses or code in added:
            given = responses.get(code, {}).get("description") or _WORDS[code]
            words = (
                _WORDS[code] if "Exception" in given or given == "Bad request syntax or unsupported method" else given
            )
            responses[code] = {"description": words, "content": _ENVELOPE}
    if name in ANSWERS:
        success = "202" if "202" in responses and "200" not in responses else "200"
        _add_example(responses[success].get("content", {}), ANSWERS[name])
    done = {**operation, "responses": dict(sorted(responses.items())), "security": _security(public, scope)}
    if scope is not None:
        done["description"] = f"{operation.get('description', '')}\n\nScope of a token: `{scope}`.".strip()
    if name in _NEEDED:
        done["parameters"] = [
            {**one, "required": one["required"] or one["name"] == _NEEDED[name]} for one in operation["parameters"]
        ]
    if name in REQUESTS and "requestBody" in done:
        body = done["requestBody"] = dict(done["requestBody"])
        _add_example(body.get("content", {}), REQUESTS[name])
    return done


def _security(public: bool, scope: str | None) -> list[dict[str, list[str]]]:
    """Who is let in: at the API by token or proxy, on pages by the proxy, where it is public anybody."""
    if public:
        return []
    return [{"token": []}, {"proxy": []}] if scope is not None else [{"proxy": []}]


def _add_example(content: dict[str, Any], example: Any) -> None:
    if "application/json" in content:
        content["application/json"] = {**content["application/json"], "example": example}


def openapi_config(version: str) -> OpenAPIConfig:
    """For the application."""
    return OpenAPIConfig(
        title="Dockrev",
        version=version,
        summary="See what runs on a Docker host, what is new, what it really is, and change it.",
        openapi_router=Router("/schema", route_handlers=[], include_in_schema=False, guards=[ready]),
        use_handler_docstrings=True,
        render_plugins=[Document()],
    )
