"""Challenges that wait for their answer: each counts once, for a few minutes, in the browser that asked for it."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from app.features.passkeys.rules import token_hash

SECONDS: Final = 300.0
KEPT: Final = 200
PER_NETWORK: Final = 10
Kind = Literal["login", "touch", "enrol", "add"]


@dataclass(frozen=True, slots=True)
class Ceremony:
    """One that began. `network` is who asked; `handle` and `code_id` are those of a new passkey."""

    kind: Kind
    challenge: bytes
    origin: str
    network: str
    handle: bytes = b""
    code_id: str = ""


class Ceremonies:
    """In memory, bounded: who begins many loses the oldest of them, not those of others."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._open: OrderedDict[str, tuple[float, Ceremony]] = OrderedDict()

    def begin(self, ceremony: Ceremony) -> str:
        """The ticket that the browser must bring with its answer."""
        now = self._monotonic()
        self._open = OrderedDict((key, entry) for key, entry in self._open.items() if entry[0] > now)
        own = [key for key, (_, known) in self._open.items() if known.network == ceremony.network]
        for key in own[: max(0, len(own) - PER_NETWORK + 1)]:
            del self._open[key]
        if len(self._open) >= KEPT:
            self._open.popitem(last=False)
        ticket = secrets.token_urlsafe(32)
        self._open[token_hash(ticket)] = (now + SECONDS, ceremony)
        return ticket

    def take(self, ticket: str, kind: Kind) -> Ceremony | None:
        """The ceremony of a ticket, for the first who asks; None when there is none of this kind."""
        ends, ceremony = self._open.pop(token_hash(ticket), (0.0, None))
        return ceremony if ceremony is not None and ceremony.kind == kind and ends > self._monotonic() else None

    def __len__(self) -> int:
        return len(self._open)
