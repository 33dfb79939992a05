"""Who comes with a session, and where those are led who come with nothing."""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.types import Message
from litestar.types import Scope as RequestScope

from app.core.errors import AuthRequired, Conflict
from app.core.web.auth import AuthPolicy, Identity, from_this_machine, header
from app.core.web.listening import holds_while
from app.features.access.addresses import client_address
from app.features.passkeys.ceremonies import SECONDS
from app.features.passkeys.keys import Passkeys
from app.features.passkeys.rules import Place, place_of, safe_next
from app.features.passkeys.sessions import ABSOLUTE, Session, Sessions
from app.features.preferences import Preferences

AnyConnection = ASGIConnection[Any, Any, Any, Any]
AnyRequest = Request[Any, Any, Any]
SESSION: Final = "dockrev_session"
TICKET: Final = "dockrev_ceremony"
HOST: Final = "__Host-"  # the browser itself refuses such a cookie from another host, and without https


class Door:
    """A means of identity (`core.web.auth.Means`): the session cookie. Without one the rules of forward auth count,
    but once there is a passkey, nobody is let in without a name."""

    def __init__(
        self,
        sessions: Sessions,
        keys: Passkeys,
        policy: AuthPolicy,
        preferences: Preferences,
        origin: str | None,
    ) -> None:
        self._sessions = sessions
        self._keys = keys
        self._policy = policy
        self._preferences = preferences
        self._origin = origin

    @property
    def owner(self) -> str:
        """Whose passkeys they are: jobs and the audit trail name the owner as forward auth would."""
        return self._policy.allowed_user or "owner"

    async def identify(self, connection: AnyConnection) -> Identity | None:
        """The owner, by session; else what forward auth says. Raises AuthRequired, which leads a browser to /login."""
        if (known := await self.session(connection)) is not None:
            holds_while(connection, partial(self._sessions.stands, known.id))
            return Identity(self.owner, self.owner, (), "passkey")
        try:
            identity = self._policy.identify(connection)
        except AuthRequired as error:
            error.login = login_address(connection)
            raise
        if identity.matched_by == "anonymous_dev" and await self._keys.count():
            refusal = self._policy.refusal("identity_missing", "sign in with a passkey")
            refusal.login = login_address(connection)
            raise refusal
        if identity.matched_by == "anonymous_dev":
            holds_while(connection, self._open_to_all)
        return identity

    async def _open_to_all(self) -> bool:
        """Whether nobody has to sign in yet."""
        return not await self._keys.count()

    async def session(self, connection: AnyConnection) -> Session | None:
        """The session that a request brings; kept on the connection's state, with a new token when it is time."""
        token = self.token(connection)
        known = await self._sessions.find(token) if token else None
        if known is not None:
            state = connection.scope["state"]
            state["passkey_session"] = known
            fresh = await self._sessions.seen(known, token, self.address(connection))
            if fresh is not None:
                seconds = int((known.ends_at - known.rotated_at).total_seconds())
                state["session_cookie"] = self.cookie(connection, fresh, seconds)
        return known

    def token(self, connection: AnyConnection) -> str:
        """What stands in the cookie: over plain http it counts on this machine only."""
        if sent := connection.cookies.get(HOST + SESSION):
            return sent
        return connection.cookies.get(SESSION, "") if from_this_machine(connection) else ""

    def ticket(self, connection: AnyConnection) -> str:
        """The ticket of a ceremony that was begun in this browser."""
        if sent := connection.cookies.get(HOST + TICKET):
            return sent
        return connection.cookies.get(TICKET, "") if from_this_machine(connection) else ""

    def cookie(self, connection: AnyConnection, token: str, seconds: int = int(ABSOLUTE.total_seconds())) -> Cookie:
        """The session cookie; `token` '' takes it away. Lax, so that a link in a message leads to the page: whatever
        changes something needs the token of a form, too."""
        secure = self.over_https(connection)
        name = HOST + SESSION if secure else SESSION
        age = seconds if token else 0
        return Cookie(key=name, value=token, max_age=age, path="/", secure=secure, httponly=True, samesite="lax")

    def ticket_cookie(self, connection: AnyConnection, ticket: str) -> Cookie:
        """The cookie that binds a challenge to the browser; '' takes it away."""
        secure = self.over_https(connection)
        name, age = HOST + TICKET if secure else TICKET, int(SECONDS) if ticket else 0
        return Cookie(key=name, value=ticket, max_age=age, path="/", secure=secure, httponly=True, samesite="strict")

    def over_https(self, connection: AnyConnection) -> bool:
        """Everywhere but on this machine by its own name without a proxy."""
        host = urlsplit("//" + header(connection, "host")).hostname or ""
        local = host == "localhost" or host.endswith(".localhost")
        return not (local and from_this_machine(connection) and connection.scope.get("scheme") == "http")

    def address(self, connection: AnyConnection) -> str:
        """From where it comes."""
        return client_address(connection, self._policy)

    async def place(self, connection: AnyConnection) -> Place:
        """Where passkeys work: as set, else the instance's public address, else this machine. Raises Conflict."""
        told = self._origin or await self._preferences.public_base_url()
        if told is None and not self.over_https(connection):
            told = f"http://{header(connection, 'host')}"
        place = place_of(told or "")
        if place is None:
            raise Conflict(
                "passkeys need to know Dockrev's own https address",
                hint="Set DOCKREV_PASSKEYS_ORIGIN to it, like https://dockrev.example.com, and start Dockrev again. "
                "Browsers allow no passkeys at plain http or at an IP address.",
                details={"reason": "passkeys_origin_missing"},
            )
        return place


def login_address(connection: AnyConnection, page: str = "/login") -> str:
    """`page` with the page that was asked for, or with that of the form that was sent."""
    if header(connection, "hx-request") == "true" and header(connection, "hx-boosted") != "true":
        wanted = header(connection, "hx-current-url")
    elif connection.scope.get("method") in ("GET", "HEAD"):
        query = connection.scope.get("query_string", b"").decode("latin-1")
        wanted = connection.scope["path"] + (f"?{query}" if query else "")
    else:
        wanted = header(connection, "referer")
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return page
    safe = safe_next(parts.path + (f"?{parts.query}" if parts.query else ""))
    return page if safe == "/" else f"{page}?next={quote(safe, safe='/')}"


def session_of(request: AnyRequest) -> Session | None:
    """The session with which somebody was let in; None by other means."""
    known: Session | None = request.scope["state"].get("passkey_session")
    return known


async def renew_cookie(message: Message, scope: RequestScope) -> None:
    """Hook: hand the browser its new token."""
    cookie: Cookie | None = scope["state"].get("session_cookie")
    if cookie is None or message["type"] != "http.response.start":
        return
    message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.to_header(header="").encode())]
