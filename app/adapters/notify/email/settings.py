"""The one address in which everything about mail is said (spec §8.1).

    smtp://user:password@mail.example:587?to=a@example,b@example&from=dockrev@example
    smtps://…   TLS from the first byte, port 465

Further parameters: `tls=required|auto|off` (STARTTLS; `auto` uses it where it is offered) and `verify=no`.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parseaddr
from typing import Final, Literal, cast
from urllib.parse import unquote, urlsplit

from app.adapters.notify.errors import NotConfigured

EXAMPLE: Final = "smtp://user:password@mail.example:587?to=you@example"
Tls = Literal["required", "auto", "off"]
_PORTS: Final = {"smtp": 587, "smtps": 465}
_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Where mail is handed over, as whom, and to whom it goes."""

    host: str
    port: int
    implicit_tls: bool
    tls: Tls
    verify: bool
    user: str | None
    password: str | None
    recipients: tuple[str, ...]
    sender: str

    @classmethod
    def parse(cls, url: str) -> SmtpSettings:
        """Read the address. Raises NotConfigured naming the part that is wrong, never the address itself.

        Recipients may still be missing: they are asked for when something is sent.
        """
        text = url.strip()
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise _wrong("host or port cannot be read") from error
        if len(text) > _MAX or not text.isprintable() or " " in text:
            raise _wrong("it has characters that no address has, or too many of them")
        if parts.scheme not in _PORTS:
            raise _wrong("it must begin with smtp:// or smtps://")
        if not host or port == 0:
            raise _wrong("the host is missing")
        query = _query(parts.query)
        tls = query.get("tls", ["auto"])[-1].lower()
        if tls not in ("required", "auto", "off"):
            raise _wrong("tls must be required, auto or off")
        sender = query.get("from", [f"dockrev@{host}"])[-1].strip()
        recipients = [part.strip() for value in query.get("to", []) for part in value.split(",") if part.strip()]
        for address in (sender, *recipients):
            if not _is_address(address):
                raise _wrong(f"{address[:80]} is not an e-mail address")
        return cls(
            host=host,
            port=port or _PORTS[parts.scheme],
            implicit_tls=parts.scheme == "smtps",
            tls=cast("Tls", tls),
            verify=query.get("verify", ["yes"])[-1].lower() not in ("no", "false", "off", "0"),
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password or "") if parts.username else None,
            recipients=tuple(dict.fromkeys(recipients)),
            sender=sender,
        )


def _query(text: str) -> dict[str, list[str]]:
    """By hand: the usual reader turns the `+` of `me+dockrev@example` into a space."""
    found: dict[str, list[str]] = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name:
            found.setdefault(unquote(name).lower(), []).append(unquote(value))
    return found


def _is_address(text: str) -> bool:
    """Good enough to hand to a mail server: one `@`, something on both sides, nothing that could end a header."""
    name, address = parseaddr(text)
    local, _, domain = address.rpartition("@")
    plain = text.isprintable() and not any(char in address for char in " \t<>,;\"'()[]\\")
    return plain and bool(local) and bool(domain) and len(text) <= 320 and name.isprintable()


def _wrong(what: str) -> NotConfigured:
    return NotConfigured(f"the SMTP address cannot be used: {what}", hint=f"It should look like {EXAMPLE}")
