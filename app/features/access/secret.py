"""What a token looks like: `dkr_01JD…_` and 49 letters and digits.

After the prefix, by which people and secret scanners know it, come the token's id, 256 bits of chance and a checksum,
so that one that was mistyped or cut off is told from one that is not known. What is kept of it is its SHA-256: a slow
password hash protects what people choose, which can be guessed; 256 bits from the system's generator cannot be, and a
request should not cost a tenth of a second. All functions are pure but `new_secret`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from typing import Final

PREFIX: Final = "dkr_"
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHANCE: Final = 43  # 62**43 > 2**256
_SUM: Final = 6
_SHAPE: Final = re.compile(r"dkr_([0-9A-HJKMNP-TV-Z]{26})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


def new_secret(token_id: str) -> str:
    """The text to hand out for the token `tok_…`."""
    chance = _base62(secrets.randbits(256), _CHANCE)
    body = f"{PREFIX}{token_id.removeprefix('tok_')}_{chance}"
    return body + _checksum(body)


def id_in(text: str) -> str | None:
    """The id `tok_…` of the token that `text` claims to be; None when it was mistyped or cut off: its form or its
    checksum is wrong."""
    found = _SHAPE.fullmatch(text)
    if found is None or _checksum(text[:-_SUM]) != found[3]:
        return None
    return f"tok_{found[1]}"


def hash_of(text: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(text.encode()).hexdigest()


def same(text: str, stored: str) -> bool:
    """Whether `text` is the token whose hash is stored; takes as long for a wrong one as for the right one."""
    return hmac.compare_digest(hash_of(text), stored)


def hint(token_id: str) -> str:
    """What a list shows of a token, enough to find it in a script: the end of the part that is no secret."""
    return f"{PREFIX}…{token_id[-6:]}_…"


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _SUM)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        digits.append(_LETTERS[rest])
    return "".join(reversed(digits))
