"""Which requests are answered in the reader's language: pages and fragments, never JSON; and the switch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from litestar import Request, Response, post
from litestar.datastructures import Cookie
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect
from litestar.types import ASGIApp, Receive, Scope, Send

from app.core.errors import InvalidArgument
from app.core.web.answers import came_from
from app.core.web.forms import read_form
from app.core.web.languages import COOKIE, LANGUAGES, negotiate, speak, spoken
from app.core.web.origin import refuse_other_sites
from app.core.web.view import shape

ADDRESS: Final = "/language"
A_YEAR: Final = 365 * 86400
_SILENT: Final = ("/api/", "/static/", "/health", "/metrics")  # nothing that anybody reads as a page


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """For what is written to somebody who asked for nothing, such as a message: `language` for as long as it lasts."""
    before = spoken()
    speak(language)
    try:
        yield
    finally:
        speak(before)


class Speaking:
    """Sets the language around the application, so that refusals and streams speak it too. `otherwise` is for a browser
    that asks for none there is."""

    def __init__(self, app: ASGIApp, otherwise: str) -> None:
        self._app = app
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == ScopeType.HTTP:
            speak("en" if scope["path"].startswith(_SILENT) else _wanted(Request(scope), self._otherwise))
        await self._app(scope, receive, send)


def _wanted(request: Request[Any, Any, Any], otherwise: str) -> str:
    if shape(request) == "json":
        return "en"
    return negotiate(request.cookies.get(COOKIE, ""), request.headers.get("accept-language", ""), otherwise)


@post(ADDRESS, opt={"public": True}, include_in_schema=False, status_code=303)
async def _choose(request: Request[Any, Any, Any]) -> Response[Any]:
    """Keep the language for a year in this browser, and go back to the page the form was on."""
    refuse_other_sites(request, request.app.state.auth_policy)
    chosen = (await read_form(request)).get("language", [""])[-1]
    if chosen not in LANGUAGES:
        raise InvalidArgument("language is not one of those there are", details={"field": "language"})
    answer = Redirect(came_from(request), status_code=303)
    answer.set_cookie(Cookie(key=COOKIE, value=chosen, path="/", max_age=A_YEAR, httponly=True, samesite="lax"))
    return answer


def language_switch() -> HTTPRouteHandler:
    """The route of the switch; open to everybody, since the 401 page has it too."""
    return _choose
