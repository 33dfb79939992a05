"""A browser that comes for the first time in its session is led to a deploy check that fails, once (spec §11.1).

Only the overview leads, and only browsers that keep cookies: one that has shown our cookie gets a redirect, one that
comes without any gets its page, and is asked to come back once to show that it keeps it. JSON callers and fragments are
never led, and nobody waits for a check: what counts is how the last one ended.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect

from app.core.clock import Clock
from app.core.web.origin import CSRF_COOKIE
from app.core.web.view import shape
from app.features.administration.deploy_check import DeployCheck
from app.features.preferences import Preferences

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]
COOKIE: Final = "dockrev_welcome"
SEEN: Final = Cookie(key=COOKIE, value="seen", path="/", httponly=True, samesite="lax")
"""For the session: nobody is led to what they have seen."""

ONCE_MORE: Final = "welcome"
FIRST_LOOK_SECONDS: Final = 3.0
FRESH_SECONDS: Final = 60.0


class Welcome:
    """Decides who is led."""

    def __init__(self, check: DeployCheck, preferences: Preferences, clock: Clock, *, sandbox: bool) -> None:
        self._check = check
        self._preferences = preferences
        self._clock = clock
        self._sandbox = sandbox
        self._looked_at = float("-inf")
        self._look_again = asyncio.Event()

    async def lead(self, request: AnyRequest) -> Response[Any] | None:
        """The redirect for this request to the overview, or None."""
        if CSRF_COOKIE not in request.cookies or not await self._wanted(request):
            return None
        return Redirect("/deploy-check", status_code=303, cookies=[SEEN])

    async def invite(self, request: AnyRequest, answer: Response[Any]) -> None:
        """Ask a browser that came without cookies to come back once."""
        if ONCE_MORE not in request.query_params and await self._wanted(request):
            answer.headers["Refresh"] = f"0; url=/?{ONCE_MORE}=1"

    async def _wanted(self, request: AnyRequest) -> bool:
        asks_more = set(request.query_params) - {ONCE_MORE}
        if self._sandbox or asks_more or COOKIE in request.cookies or shape(request) != "page":
            return False
        if self._clock.monotonic() - self._looked_at > FRESH_SECONDS:
            self._look_again.set()
        return bool(self._check.failing) and not (await self._preferences.deploy_welcome()).never_auto_open

    async def run(self) -> None:
        """For ever: look once after the start, and again when somebody comes and the last look is old."""
        await asyncio.sleep(FIRST_LOOK_SECONDS)
        while True:
            if not self._sandbox and not (await self._preferences.deploy_welcome()).never_auto_open:
                await self._check.report()
                self._looked_at = self._clock.monotonic()
            await self._look_again.wait()
            self._look_again.clear()


async def lead_to_deploy_check(request: AnyRequest) -> Response[Any] | None:
    """`before_request` of the overview."""
    welcome: Welcome = request.app.state.container.get(Welcome)
    return await welcome.lead(request)
