"""A pass: what Dockrev hands to a browser so that the supervisor, which has no database, knows who comes.

A cookie of JSON and its HMAC-SHA256 under a key that both processes read from a file (`pass_key`). It says who, since
when, until when, when that one last touched a passkey, and whether Dockrev asks for a touch before what can break much:
then the supervisor asks too, whatever is set there. Pure, but for the names of its cookie.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from app.core.web.auth import Connection, from_this_machine, header_values

COOKIE: Final = "dockrev_pass"
SECURE: Final = (
    "__Secure-"  # the browser itself refuses such a cookie over plain http; `__Host-` would not allow a path
)
AUDIENCE: Final = "supervisor"
OPEN_PATH: Final = "/self-upgrade/open"
"""Where Dockrev hands one out and leads to the supervisor."""
LIFETIME: Final = 12 * 3600
LONGEST: Final = 48 * 3600
"""Seconds after its first signing to which it can be renewed without Dockrev."""
RENEWED_AFTER: Final = 1800
FRESH_SECONDS: Final = 300
SKEW: Final = 60
MAX_LENGTH: Final = 1536
WHO_LENGTH: Final = 60
_VERSION: Final = 2
_NUMBERS: Final = ("iat", "exp", "touch_at")
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{16,1400}\.[A-Za-z0-9_-]{43}", re.ASCII)
_CONTEXT: Final = b"dockrev pass\0"


class BadPass(Exception):
    """It opens nothing. `reason` is `expired`, `refused` or `ambiguous`; never a part of the pass."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Pass:
    """Times are seconds since 1970; `touch_at` 0 is never. `sid` is the session that it was made in, `step_up` what
    Dockrev itself asks for."""

    who: str
    sid: str
    iat: int
    exp: int
    touch_at: int = 0
    step_up: bool = False
    aud: str = AUDIENCE
    v: int = _VERSION


def sign(known: Pass, key: bytes) -> str:
    """The text of the cookie."""
    body = _b64(_canonical(known))
    return f"{body}.{_mac(body, key)}"


def read(text: str, key: bytes, now: float) -> Pass:
    """The pass that a text is. Raises BadPass; the signature is looked at before anything that it signs."""
    if len(text) > MAX_LENGTH or not _FORM.fullmatch(text):
        raise BadPass("refused")
    body, _, mac = text.partition(".")
    if not hmac.compare_digest(_mac(body, key).encode(), mac.encode()):
        raise BadPass("refused")
    known = _parsed(body)
    whole = 0 < known.iat < known.exp <= known.iat + LONGEST and known.touch_at >= 0
    if known.aud != AUDIENCE or not whole or max(known.iat, known.touch_at) > now + SKEW:
        raise BadPass("refused")
    if known.exp <= now:
        raise BadPass("expired")
    return known


def wants_touch(known: Pass, since: float, *, here: bool) -> bool:
    """Whether a touch after `since` is wanting where Dockrev or the supervisor (`here`) asks for one."""
    return (known.step_up or here) and known.touch_at <= since


def renewed(known: Pass, now: float) -> Pass | None:
    """The same for longer, when it is time for that; None when it is not, or when only Dockrev can make a new one: that
    of a session which ends before stays as it is."""
    until = min(int(now) + LIFETIME, known.iat + LONGEST)
    ends_before = known.exp < known.iat + LIFETIME
    if ends_before or now - (known.exp - LIFETIME) < RENEWED_AFTER or until <= known.exp:
        return None
    return replace(known, exp=until)


def sent_in(connection: Connection) -> str:
    """What a request brings, '' when nothing. Raises BadPass when it brings several that differ: one was planted.

    Over plain http it counts on this machine only.
    """
    names = (SECURE + COOKIE, COOKIE) if from_this_machine(connection) else (SECURE + COOKIE,)
    found = {
        value.strip()
        for line in header_values(connection, "cookie")
        for name, is_one, value in (part.strip().partition("=") for part in line.split(";"))
        if is_one and name in names and value.strip()
    }
    if len(found) > 1:
        raise BadPass("ambiguous")
    return found.pop() if found else ""


def _parsed(body: str) -> Pass:
    try:
        document = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError) as error:
        raise BadPass("refused") from error
    if not isinstance(document, dict) or set(document) != set(Pass.__dataclass_fields__):
        raise BadPass("refused")
    texts, numbers = (document["who"], document["sid"], document["aud"]), [document[n] for n in ("v", *_NUMBERS)]
    whole = all(_is_text(text) for text in texts) and all(type(number) is int for number in numbers)
    if not whole or type(document["step_up"]) is not bool:
        raise BadPass("refused")
    known = Pass(**document)
    if known.v != _VERSION or _b64(_canonical(known)) != body:
        raise BadPass("refused")
    return known


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= WHO_LENGTH and value.isprintable()


def _canonical(known: Pass) -> bytes:
    return json.dumps(asdict(known), sort_keys=True, separators=(",", ":")).encode()


def _mac(body: str, key: bytes) -> str:
    return _b64(hmac.new(key, _CONTEXT + body.encode(), hashlib.sha256).digest())


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
