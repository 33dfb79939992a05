"""What the room decides without asking anybody: addresses, codes, names of devices, counters."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from app.core.errors import InvalidArgument
from app.core.web.languages import N_
from app.core.web.retelling import Retelling
from app.settings import is_address

NAME_LENGTH: Final = 64
# Without letters that look like others: what is read off a screen is typed on a phone.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUPS: Final = 4
_ALIKE: Final = str.maketrans("OILU", "011V")
_SYSTEMS: Final = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("CrOS", "ChromeOS"), ("Windows", "Windows"),
    ("Mac OS X", "macOS"), ("Linux", "Linux"),
)  # fmt: skip
_BROWSERS: Final = (  # the first that is found: the later ones are named by the earlier ones too
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("Vivaldi", "Vivaldi"), ("FxiOS", "Firefox"), ("Firefox/", "Firefox"),
    ("CriOS", "Chrome"), ("Chrome/", "Chrome"), ("Safari/", "Safari"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """The one address at which passkeys work: `https://host[:port]`, or http on this machine's own name."""

    origin: str
    rp_id: str

    @property
    def secure(self) -> bool:
        """Whether cookies are for https only."""
        return self.origin.startswith("https://")


def place_of(address: str) -> Place | None:
    """The place that an address of Dockrev stands for; None where browsers allow no passkey: plain http anywhere but
    at `localhost`, and bare IP addresses (WebAuthn Level 3 §5.1.3, the relying party's id is a domain)."""
    try:
        parts = urlsplit(address.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return None
    if not host or parts.username is not None or not re.fullmatch(r"[a-z0-9.-]{1,253}", host) or _is_ip(host):
        return None
    local = host == "localhost" or host.endswith(".localhost")
    if parts.scheme not in ("http", "https") or (parts.scheme == "http" and not local):
        return None
    usual = {"http": 80, "https": 443}[parts.scheme]
    tail = f":{port}" if port not in (None, usual) else ""
    return Place(f"{parts.scheme}://{host}{tail}", host)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def safe_next(text: str) -> str:
    """Where to go after signing in: a page of ours, else the front page. Never another site, never the API."""
    path = text.partition("?")[0].rstrip("/")
    if not text.startswith("/") or not is_address(text) or not text.isascii():
        return "/"
    if path in ("/login", "/logout") or path.startswith(("/login/", "/api/", "/events")) or path == "/api":
        return "/"
    return text


def new_code() -> str:
    """A code of 80 random bits, in groups that can be read aloud: `7KQ2-M9XD-04TR-HB5W`."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(_GROUPS))


def code_hash(typed: str) -> str:
    """The SHA-256 of a code as it may be typed: small letters, spaces, the letter O for a zero."""
    plain = re.sub(r"[\s-]", "", typed[:64]).upper().translate(_ALIKE)
    return hashlib.sha256(plain.encode()).hexdigest()


def token_hash(token: str) -> str:
    """What is kept of a session's token."""
    return hashlib.sha256(token.encode()).hexdigest()


def went_back(stored: int, told: int) -> bool:
    """Whether an authenticator's counter says that there is a copy of it; both 0 means that it does not count
    (WebAuthn Level 3 §6.1.1)."""
    return (stored > 0 or told > 0) and told <= stored


def device(agent: str) -> str:
    """A browser in words, as they are kept: `Firefox on Linux`; `device_text` tells them to a reader."""
    text = agent[:400]
    browser = next((name for mark, name in _BROWSERS if mark in text), "")
    system = next((name for mark, name in _SYSTEMS if mark in text), "")
    return f"{browser or 'A browser'} on {system}" if system else browser or "An unknown browser"


device_text = Retelling((N_("A browser"), N_("An unknown browser")), (N_("%(browser)s on %(system)s"),))
"""What `device` found, in the reader's language."""


def plain_name(text: str) -> str:
    """A name as it is kept: printable, single spaces, at most NAME_LENGTH characters."""
    return _printable(text)[:NAME_LENGTH].strip()


def checked_name(text: str) -> str:
    """A name that somebody gives an existing passkey, cleaned. Raises InvalidArgument when it is empty or too long."""
    name = _printable(text)
    if not 1 <= len(name) <= NAME_LENGTH:
        raise InvalidArgument(
            "a passkey needs a name" if not name else f"the name of a passkey has at most {NAME_LENGTH} characters",
            hint=f"Give it 1 to {NAME_LENGTH} characters that can be seen.",
            details={"field": "name"},
        )
    return name


def _printable(text: str) -> str:
    return " ".join("".join(character for character in text if character.isprintable()).split())


def b64url(raw: bytes) -> str:
    """base64url without padding, as WebAuthn writes bytes."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_b64url(text: str) -> bytes:
    """Back. Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise ValueError("not base64url") from error
