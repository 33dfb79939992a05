"""Which language the supervisor's page is told in, and the switch at its foot: the rules and the cookie of Dockrev's
pages (`core.web.languages`). What is told comes from a small catalogue of its own, loaded when it is first asked for.

JSON is English: the state, errors, what an operation logs. The parts of the page that move speak as the page does.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.web.languages import COOKIE, LANGUAGES, negotiate, speak

CATALOGUE: Final = "supervisor."
"""What its compiled catalogues begin with."""
VARY: Final = {"Vary": "Accept, Accept-Language, Cookie"}
A_YEAR: Final = 365 * 86400
_PARTS: Final = ("/self-upgrade/view", "/self-upgrade/events")


class Speaking:
    """Sets the language around the application, so that refusals and streams speak it too. `otherwise` is for a browser
    that asks for none there is."""

    def __init__(self, app: ASGIApp, otherwise: str) -> None:
        self._app = app
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "http":
            speak(_wanted(Request(scope), self._otherwise), CATALOGUE)
        await self._app(scope, receive, send)


def wants_page(request: Request) -> bool:
    """Whether a person looks at it."""
    return "text/html" in request.headers.get("accept", "")


def _wanted(request: Request, otherwise: str) -> str:
    chosen = request.cookies.get(COOKIE, "")
    if request.url.path.endswith(_PARTS):  # they say what their page speaks, which another tab may have switched since
        chosen = request.query_params.get("language") or chosen
    elif not wants_page(request):
        return "en"
    return negotiate(chosen, request.headers.get("accept-language", ""), otherwise)


def speak_as_asked(request: Request) -> None:
    """For who is not let in and can keep nothing: what the switch of that page asked for."""
    if (asked := request.query_params.get("language", "")) in LANGUAGES:
        speak(asked, CATALOGUE)


def keep(answer: Response, language: str) -> None:
    """Let this browser come back with the language, for a year, here and at Dockrev."""
    answer.set_cookie(COOKIE, language, path="/", max_age=A_YEAR, httponly=True, samesite="lax")


def came_from(request: Request, pages: tuple[str, ...]) -> str:
    """The page of ours that the switch was on, the first of them when it was none; never another site."""
    parts = urlsplit(request.headers.get("referer", ""))
    if parts.netloc != request.headers.get("host", "") or parts.path not in pages:
        return pages[0]
    return parts.path + (f"?{parts.query}" if parts.query else "")
