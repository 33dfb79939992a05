"""Forward auth: who is asking, and may they (spec §3.1 to §3.3).

Identity headers count only from trusted proxies. Without an allow-list the development bypass opens to this machine
only, unless it was widened on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

from app.core.errors import AuthRequired
from app.core.web.ignored import IgnoredHeaders

if TYPE_CHECKING:  # the supervisor lives by this policy too, without the framework
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

Network = IPv4Network | IPv6Network
# What proxies add when they pass on a request of somebody else.
PROXY_HEADERS = (
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "forwarded",
    "x-real-ip",
    "via",
    "cf-connecting-ip",
    "true-client-ip",
)


class Connection(Protocol):
    """A request of any ASGI framework."""

    @property
    def scope(self) -> Any:
        """The scope as the server made it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who was let in. `principal` is what jobs record as their creator; `name` and `email` are only shown."""

    principal: str
    user: str
    groups: tuple[str, ...]
    matched_by: Literal["user", "group", "anonymous_dev", "token", "passkey"]
    name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who is at the other end of the connection; `ignored` names the identity headers that did not count."""

    address: str
    trusted: bool
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthPolicy:
    """The rules, from the environment.

    `anonymous` is `loopback` (the default), `any` (set explicitly) or `off`; an allow-list overrules it. A header named
    '' is none. `ignored` is what came from others than trusted proxies.
    """

    user_header: str = "X-Forwarded-User"
    group_header: str = "Remote-Groups"
    allowed_user: str | None = None
    allowed_group: str | None = None
    anonymous: Literal["loopback", "any", "off"] = "loopback"
    trusted_proxies: Sequence[Network] = field(default=())
    name_header: str = ""
    email_header: str = ""
    group_separator: str = ","
    logout_url: str | None = None
    ignored: IgnoredHeaders = field(default_factory=IgnoredHeaders, compare=False, repr=False)

    @property
    def has_allow_list(self) -> bool:
        """Whether somebody in particular is allowed."""
        return self.allowed_user is not None or self.allowed_group is not None

    @property
    def open_to_anyone(self) -> bool:
        """Whether every page must carry a warning."""
        return not self.has_allow_list and self.anonymous == "any"

    def trusts(self, connection: Connection) -> bool:
        """Whether the peer may speak for others. A unix socket has no address and is local."""
        address = peer_address(connection)
        return address is None or any(address in network for network in self.trusted_proxies)

    def sender(self, connection: Connection) -> Sender:
        """Who sent this request, and what of it did not count."""
        address, trusted = peer_address(connection), self.trusts(connection)
        names = (self.user_header, self.group_header, self.name_header, self.email_header)
        ignored = () if trusted else tuple(name for name in names if name and header_values(connection, name))
        return Sender("this machine" if address is None else str(address), trusted, ignored)

    def identify(self, connection: Connection) -> Identity:
        """Decide in the order of spec §3.2; raises AuthRequired with the body of §3.3."""
        if (sender := self.sender(connection)).ignored:
            self.ignored.note(sender.address, sender.ignored)
        return self._with_names(self._decided(connection), connection)

    def _decided(self, connection: Connection) -> Identity:
        user, groups = self.presented(connection)
        if user and self.allowed_user is not None and user == self.allowed_user:
            return Identity(user, user, groups, "user")
        if self.allowed_group is not None and self.allowed_group in groups:
            return Identity(user or f"group:{self.allowed_group}", user, groups, "group")
        if not self.has_allow_list:
            if self.anonymous == "any" or (self.anonymous == "loopback" and from_this_machine(connection)):
                return Identity(user or "anonymous", user or "anonymous", groups, "anonymous_dev")
            raise self.refusal("authz_config_missing", "authorization target is not configured", user, groups)
        if not user and not groups:
            raise self.refusal("identity_missing", "forward auth identity is missing", user, groups)
        raise self.refusal("authz_no_match", "forward auth identity is not allowed", user, groups)

    def presented(self, connection: Connection) -> tuple[str, tuple[str, ...]]:
        """User and groups as a trusted proxy tells them; a header sent twice with different values is not believed."""
        if not self.trusts(connection):
            return "", ()
        user = _single(header_values(connection, self.user_header))
        groups = _single(header_values(connection, self.group_header)).split(self.group_separator)
        return user, tuple(part for part in (piece.strip() for piece in groups) if part)

    def _with_names(self, identity: Identity, connection: Connection) -> Identity:
        """Name and address of somebody who was let in by name or group."""
        if identity.matched_by == "anonymous_dev" or not (self.name_header or self.email_header):
            return identity
        name = _in_words(_single(header_values(connection, self.name_header)))
        return replace(identity, name=name, email=_single(header_values(connection, self.email_header)))

    def refusal(self, reason: str, message: str, user: str = "", groups: Sequence[str] = ()) -> AuthRequired:
        """The 401 of spec §3.3."""
        return AuthRequired(
            "auth required",
            hint="Reach Dockrev through your forward-auth proxy, or see the page of this answer for the settings.",
            details={
                "reason": reason,
                "message": message,
                "forwardHeaderName": self.user_header,
                "groupHeaderName": self.group_header,
                "allowedUserMasked": mask(self.allowed_user),
                "allowedGroupMasked": mask(self.allowed_group),
                "currentUser": user or None,
                "currentGroups": [mask(group) for group in groups],
                "avatarUrl": None,
                "authorizationMode": "user_or_group",
            },
        )


def header_values(connection: Connection, name: str) -> list[str]:
    """All values sent under this name."""
    wanted = name.lower().encode("latin-1", "replace")
    return [_text(value) for key, value in connection.scope["headers"] if key.lower() == wanted]


def header(connection: Connection, name: str) -> str:
    """The first value sent under this name, '' without one."""
    return next(iter(header_values(connection, name)), "")


def _text(value: bytes) -> str:
    """Providers send names as UTF-8; HTTP's own reading is Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _single(values: Sequence[str]) -> str:
    """The one value. Caddy before 2.9 sends its own `{http.…}` where the provider answered without the header."""
    distinct = {value.strip() for value in values}
    value = distinct.pop() if len(distinct) == 1 else ""
    return "" if value.startswith("{http.") and value.endswith("}") else value


def _in_words(name: str) -> str:
    """A name that is not ASCII as Tailscale sends it (RFC 2047), decoded."""
    if not name.startswith("=?"):
        return name
    from email.errors import HeaderParseError  # rare
    from email.header import decode_header, make_header

    try:
        return str(make_header(decode_header(name)))
    except (HeaderParseError, LookupError, ValueError):
        return name


def mask(text: str | None) -> str | None:
    """`alice` → `al***ce`; short names keep less (spec §3.3)."""
    if text is None:
        return None
    if len(text) <= 2:
        return "**"
    if len(text) <= 4:
        return f"{text[0]}**{text[-1]}"
    return f"{text[:2]}***{text[-2:]}"


def peer_address(connection: Connection) -> IPv4Address | IPv6Address | None:
    """The address of the socket's other end; None for a unix socket or a test transport."""
    client = connection.scope.get("client")
    if not client:
        return None
    try:
        address = ip_address(client[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def from_this_machine(connection: Connection) -> bool:
    """A loopback peer that is not a proxy for somebody else, asking for a name of this machine.

    The name matters: a hostile page may point its own domain at 127.0.0.1 (DNS rebinding). So does HTTP/1.0: nginx
    speaks it to what it passes on to unless told otherwise, with 127.0.0.1 as the name; browsers and curl do not.
    """
    address = peer_address(connection)
    if address is not None and not address.is_loopback:
        return False
    if address is not None and connection.scope.get("http_version") == "1.0":
        return False
    if any(header_values(connection, name) for name in PROXY_HEADERS):
        return False
    try:
        host = urlsplit("//" + header(connection, "host")).hostname or ""
    except ValueError:  # like "["
        return False
    return host in ("", "localhost") or host.endswith(".localhost") or _is_ip(host) or address is None


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class Means(Protocol):
    """Another way to say who asks than the proxy's headers; a room brings it (`core.web.around`)."""

    async def identify(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Identity | None:
        """Who asks; None when the request does not use this means. One that uses it wrongly raises (AuthRequired …),
        so that a bad credential never falls back to another means."""
        ...


async def require_identity(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard of every route that is not marked `public`; the identity is kept on the connection's state."""
    if handler.opt.get("public"):
        return
    for means in connection.app.state.get("means", ()):
        if (identity := await means.identify(connection)) is not None:
            break
    else:
        identity = connection.app.state.auth_policy.identify(connection)
    connection.scope["state"]["identity"] = identity


def identity_of(connection: Connection) -> Identity | None:
    """Who asks; None on public routes and before the guard ran."""
    identity: Identity | None = connection.scope.get("state", {}).get("identity")
    return identity
