"""Who comes to the supervisor: with a pass that Dockrev gave (`core.web.passes`), else by forward auth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import Response

from app.core.clock import utc_now
from app.core.errors import AuthRequired, StepUpRequired
from app.core.web.auth import AuthPolicy, Identity
from app.core.web.listening import holds_while
from app.core.web.pass_key import NoKey, PassKey, key_id
from app.core.web.passes import (
    COOKIE,
    FRESH_SECONDS,
    OPEN_PATH,
    SECURE,
    BadPass,
    Pass,
    read,
    renewed,
    sent_in,
    sign,
    wants_touch,
)
from app.supervisor.state import Book

log = structlog.get_logger(__name__)

STEP_UP: Final = "step_up_required"


def _seconds() -> float:
    return utc_now().timestamp()


class Door:
    """`key` is None where passkeys are off: then there are no passes and forward auth alone decides. `step_up` is what
    is set here; a pass says what Dockrev asks for, and the stricter of both counts.

    With passkeys on nobody is let in without a name, this machine neither.
    """

    def __init__(
        self,
        policy: AuthPolicy,
        key: PassKey | None = None,
        *,
        step_up: bool = False,
        base_path: str = "/supervisor",
        now: Callable[[], float] = _seconds,
    ) -> None:
        self.policy = policy
        self._key = key
        self._step_up = step_up
        self._base = base_path
        self._now = now

    async def let_in(self, request: Request) -> Identity:
        """Who it is; the pass is kept on the request. Raises AuthRequired; a bad pass does not shut out whom the proxy
        names."""
        request.state.known_pass, trouble = None, "missing"
        if self._key is None:
            return self.policy.identify(request)
        try:
            if sent := sent_in(request):
                known = await self._read(sent)
                request.state.known_pass = known
                holds_while(request, partial(self._stands, sent))
                return Identity(known.who, known.who, (), "passkey")
        except BadPass as error:
            trouble = error.reason
        except NoKey:
            trouble = "no_key"
        try:
            identity = self.policy.identify(request)
        except AuthRequired as error:
            raise await self._with_remedy(error, trouble) from error
        if identity.matched_by == "anonymous_dev":
            refusal = self.policy.refusal("identity_missing", "open the supervisor from Dockrev")
            raise await self._with_remedy(refusal, trouble)
        return identity

    async def _stands(self, sent: str) -> bool:
        """Whether a pass still opens; streams ask."""
        try:
            await self._read(sent)
        except (BadPass, NoKey):
            return False
        return True

    def require_touch(self, request: Request, book: Book, *, back: bool = False, again: dict[str, str]) -> None:
        """Before what replaces Dockrev, where a touch is asked for. Raises StepUpRequired, which leads to one and back
        to a form filled with `again`.

        For going `back`, that with which the operation was begun counts too: Dockrev, which asks, may be gone.
        """
        known = known_pass(request)
        if known is None:
            return
        since = self._now() - FRESH_SECONDS
        if back and book.op_id:
            since = min(since, book.started_at.timestamp() - FRESH_SECONDS)
        if not wants_touch(known, since, here=self._step_up):
            return
        error = StepUpRequired(
            "this needs a touch of a passkey",
            hint="Touch one now and send this again within 5 minutes. Dockrev must be up for it; when it is not, a "
            "shell on the host can do what this page shows under By hand.",
            details={"reason": STEP_UP},
        )
        error.login = f"{OPEN_PATH}?{urlencode({'touch': '1', **again})}"
        raise error

    async def renew(self, request: Request, answer: Response) -> None:
        """Hand the browser a longer pass while it is used."""
        known = known_pass(request)
        longer = renewed(known, self._now()) if known else None
        if longer is None or self._key is None or "no-store" not in answer.headers.get("cache-control", ""):
            return
        secure = SECURE + COOKIE in request.cookies
        try:
            text = sign(longer, await asyncio.to_thread(self._key.read))
        except NoKey:
            return
        answer.set_cookie(
            SECURE + COOKIE if secure else COOKIE,
            text,
            max_age=longer.exp - int(self._now()),
            path=self._base,
            secure=secure,
            httponly=True,
            samesite="strict",
        )

    async def tell(self) -> None:
        """At the start: say what is missing, before somebody stands in front of a closed door."""
        if self._key is None:
            return
        try:
            await asyncio.to_thread(self._key.read)
        except NoKey as error:
            log.warning(
                "no key of passes yet: Dockrev makes it when the supervisor is first opened from there; both must see "
                "the same file",
                path=str(self._key.path),
                cause=str(error),
            )

    def _key_id(self) -> str | None:
        assert self._key is not None
        try:
            return key_id(self._key.read())
        except NoKey:
            return None

    async def _read(self, text: str) -> Pass:
        assert self._key is not None
        return read(text, await asyncio.to_thread(self._key.read), self._now())

    async def _with_remedy(self, error: AuthRequired, trouble: str) -> AuthRequired:
        """The way to a pass; and which key is read here, so that Dockrev can tell whether it is its own."""
        error.details["pass"] = trouble
        error.details["keyId"] = await asyncio.to_thread(self._key_id)
        error.login = OPEN_PATH
        return error


def known_pass(request: Request) -> Pass | None:
    """The pass somebody was let in with; None by other means."""
    known: Pass | None = getattr(request.state, "known_pass", None)
    return known
