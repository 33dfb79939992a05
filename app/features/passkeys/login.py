"""Signing in, the code for who cannot, and a further passkey: the steps behind the forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import structlog

from app.core.clock import Clock
from app.core.errors import AuthRequired
from app.features.access.addresses import network_of
from app.features.access.buckets import Buckets
from app.features.access.gate import RateLimited
from app.features.passkeys import proof
from app.features.passkeys.ceremonies import Ceremonies, Ceremony, Kind
from app.features.passkeys.codes import Codes
from app.features.passkeys.door import AnyRequest, Door
from app.features.passkeys.keys import Passkey, Passkeys
from app.features.passkeys.rules import Place, device, place_of, went_back
from app.features.passkeys.sessions import Session, Sessions
from app.features.passkeys.touches import Touches

log = structlog.get_logger(__name__)

STEPS_PER_MINUTE: Final = 30
CODES_PER_MINUTE: Final = 5


@dataclass(frozen=True, slots=True)
class Begun:
    """Options for the browser, and the ticket that it brings back."""

    options: dict[str, Any]
    ticket: str


class Login:
    """One for all browsers; what has begun is kept in memory."""

    def __init__(
        self, door: Door, keys: Passkeys, codes: Codes, sessions: Sessions, touches: Touches, clock: Clock
    ) -> None:
        self._door = door
        self._keys = keys
        self._codes = codes
        self._sessions = sessions
        self._touches = touches
        self._ceremonies = Ceremonies(clock.monotonic)
        self._steps = Buckets(STEPS_PER_MINUTE, clock.monotonic)
        self._tries = Buckets(CODES_PER_MINUTE, clock.monotonic)

    async def begin_login(self, request: AnyRequest, kind: Kind = "login") -> Begun:
        """A challenge to sign, to sign in or as a touch. Raises RateLimited, Conflict."""
        place, network = await self._door.place(request), self._count(request, self._steps)
        asked = await proof.ask_for_known(place)
        return Begun(asked.options, self._ceremonies.begin(Ceremony(kind, asked.challenge, place.origin, network)))

    async def begin_enrol(self, request: AnyRequest, code: str) -> Begun:
        """A challenge for who has a code, which is not spent by this. Raises RateLimited, Forbidden, Conflict."""
        place, network = await self._door.place(request), self._count(request, self._tries)
        code_id = await self._codes.check(code)
        return await self._begin_new("enrol", place, network, code_id)

    async def begin_add(self, request: AnyRequest) -> Begun:
        """A challenge for who is signed in. Raises RateLimited, Conflict."""
        place, network = await self._door.place(request), self._count(request, self._steps)
        return await self._begin_new("add", place, network)

    async def finish_login(self, request: AnyRequest, answer: str) -> tuple[Passkey, str]:
        """The passkey that signed, and a token for the new session. Raises AuthRequired."""
        key = await self._proved(request, "login", answer)
        return key, await self._open(request, key)

    async def touch(self, request: AnyRequest, known: Session, answer: str) -> Passkey:
        """The passkey that was touched in a session, which is fresh from now on. Raises AuthRequired."""
        key = await self._proved(request, "touch", answer)
        self._touches.note(known.id)
        return key

    async def _proved(self, request: AnyRequest, kind: Kind, answer: str) -> Passkey:
        ceremony, place = self._taken(request, kind)
        try:
            told = proof.parse_answer(answer)
            key = await self._keys.by_credential(told["id"])
            if key is None:
                raise refused(
                    "passkey_unknown", "this passkey is not known here; it was removed, or is of another Dockrev"
                )
            count = await proof.check_known(place, ceremony.challenge, key, told)
        except proof.Unproven as error:
            log.warning("passkey refused", why=str(error)[:200], address=self._door.address(request))
            raise refused("passkey_refused", "the passkey's answer was not accepted; try again") from error
        address = self._door.address(request)
        if went_back(key.sign_count, count) or not await self._keys.used(key.id, count, address):
            await self._keys.alarm(key.id)
            log.error("the counter of a passkey went back: is there a copy of it?", passkey=key.name, address=address)
            raise refused(
                "passkey_counter",
                f"the counter of the passkey {key.name} went back, as that of a copy does; "
                "sign in with another one and remove it",
            )
        return key

    async def finish_new(self, request: AnyRequest, kind: Kind, answer: str, name: str) -> Passkey:
        """Keep a new passkey. Raises AuthRequired, Forbidden, Conflict."""
        ceremony, place = self._taken(request, kind)
        try:
            made = await proof.check_new(place, ceremony.challenge, ceremony.handle, proof.parse_answer(answer))
        except proof.Unproven as error:
            log.warning("new passkey refused", why=str(error)[:200], address=self._door.address(request))
            raise refused("passkey_refused", "the new passkey was not accepted; try again") from error
        key = await self._keys.add(made, name, code_id=ceremony.code_id)
        log.warning("a passkey was added", passkey=key.name, by=kind, address=self._door.address(request))
        return key

    async def open_after_enrolling(self, request: AnyRequest, key: Passkey) -> str:
        """Who just added a passkey with a code is signed in."""
        return await self._open(request, key)

    async def _open(self, request: AnyRequest, key: Passkey) -> str:
        agent = device(request.headers.get("user-agent", ""))
        before = self._door.token(request)  # never kept: a token from before signing in may be known to somebody else
        opened, token = await self._sessions.open(key.id, agent, self._door.address(request), instead_of=before)
        self._touches.note(opened)
        return token

    async def _begin_new(self, kind: Kind, place: Place, network: str, code_id: str = "") -> Begun:
        handle = await self._keys.handle()
        asked = await proof.ask_for_new(place, self._door.owner, handle, await self._keys.all())
        ceremony = Ceremony(kind, asked.challenge, place.origin, network, handle, code_id)
        return Begun(asked.options, self._ceremonies.begin(ceremony))

    def _taken(self, request: AnyRequest, kind: Kind) -> tuple[Ceremony, Place]:
        self._count(request, self._steps)
        ceremony = self._ceremonies.take(self._door.ticket(request), kind)
        place = place_of(ceremony.origin) if ceremony else None
        if ceremony is None or place is None:
            raise refused("challenge_gone", "that took too long, or was answered before; begin again")
        return ceremony, place

    def _count(self, request: AnyRequest, buckets: Buckets) -> str:
        network = network_of(self._door.address(request))
        quota = buckets.take(network)
        if not quota.allowed:
            request.scope["state"]["quota"] = quota
            raise RateLimited("too many tries", hint=f"Wait {quota.wait} s and try again.")
        return network


def refused(reason: str, message: str) -> AuthRequired:
    """A 401 whose message is the remedy; it leads nowhere."""
    return AuthRequired(message, details={"reason": reason, "message": message})
