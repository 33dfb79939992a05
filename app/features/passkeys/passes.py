"""Passes for the supervisor: made for who is signed in, all void once somebody is signed out by hand."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

from litestar.datastructures import Cookie

from app.core.clock import Clock
from app.core.errors import Unavailable
from app.core.web.auth import header
from app.core.web.pass_key import NoKey, PassKey
from app.core.web.passes import COOKIE, LIFETIME, SECURE, WHO_LENGTH, Pass, sign
from app.features.passkeys.door import AnyConnection, Door
from app.features.passkeys.sessions import Session
from app.features.passkeys.touches import Touches

REMEDY: Final = (
    "Let DOCKREV_PASS_KEY_PATH lie in a folder that Dockrev may write to and the supervisor may read, on a disk with "
    "space."
)


class Passes:
    """`address` is where the supervisor is (`DOCKREV_SELF_UPGRADE_URL`)."""

    def __init__(self, key: PassKey, door: Door, touches: Touches, clock: Clock, address: str) -> None:
        self._key = key
        self._door = door
        self._touches = touches
        self._clock = clock
        self.address = address

    def reaches(self, connection: AnyConnection) -> bool:
        """Whether a cookie from here gets there: it must be on this host, at whatever port."""
        host = urlsplit("//" + header(connection, "host")).hostname
        return self._path() != "" and (urlsplit(self.address).hostname or host) == host

    async def make(self, connection: AnyConnection, known: Session) -> Cookie:
        """A pass of this session, with its last touch; ends with it, too. Raises Unavailable."""
        now = int(self._clock.now().timestamp())
        age = self._touches.age(known.id)
        made = Pass(
            who=self._door.owner[:WHO_LENGTH],
            sid=known.id,
            iat=now,
            exp=min(now + LIFETIME, int(known.ends_at.timestamp())),
            touch_at=0 if age is None else int(now - age),
            step_up=self._touches.wanted,
        )
        try:
            text = sign(made, await asyncio.to_thread(self._key.take))
        except NoKey as error:
            raise Unavailable(
                f"the key of passes {self._key.path} cannot be had: {error}",
                hint=REMEDY,
                details={"reason": "pass_key"},
            ) from error
        return self._cookie(connection, text, made.exp - now)

    def none(self, connection: AnyConnection) -> Cookie:
        """Takes the pass of this browser away."""
        return self._cookie(connection, "", 0)

    async def void(self) -> None:
        """End all that there are: called when a session was ended. Raises Unavailable when they still count."""
        try:
            await asyncio.to_thread(self._key.change)
        except NoKey as error:
            raise Unavailable(
                "the browser is signed out, but its pass for the supervisor still counts for up to two days: the key "
                f"{self._key.path} cannot be changed ({error})",
                hint=f"Remove that file on the host. {REMEDY}",
                details={"reason": "pass_key"},
            ) from error

    def _cookie(self, connection: AnyConnection, text: str, seconds: int) -> Cookie:
        secure = self._door.over_https(connection)
        return Cookie(
            key=SECURE + COOKIE if secure else COOKIE, value=text, max_age=seconds, path=self._path() or "/supervisor",
            secure=secure, httponly=True, samesite="strict",
        )  # fmt: skip

    def _path(self) -> str:
        return urlsplit(self.address).path.rstrip("/")
