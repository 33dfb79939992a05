"""Who comes with an API token, and how often somebody may ask: the first thing that every request of the API meets."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, ClassVar, Final, NoReturn

from litestar.connection import ASGIConnection
from litestar.types import Message
from litestar.types import Scope as RequestScope

from app.core.clock import Clock
from app.core.errors import DockrevError, Forbidden
from app.core.web.auth import AuthPolicy, Identity, from_this_machine, header_values
from app.core.web.listening import holds_while
from app.features.access import acts
from app.features.access.addresses import client_address, network_of
from app.features.access.buckets import Buckets, Quota
from app.features.access.secret import PREFIX
from app.features.access.tokens import Token, Tokens, Unrecognised

AnyConnection = ASGIConnection[Any, Any, Any, Any]
_JWT: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


class RateLimited(DockrevError):
    """Too many requests; `Retry-After` says when the next one is answered."""

    code: ClassVar[str] = "rate_limited"
    status: ClassVar[int] = 429


class Gate:
    """A means of identity (`core.web.auth.Means`). `per_minute` requests for each token, and for each address that
    comes without one; 0 is no limit. Pages are not counted, nor is this machine itself."""

    def __init__(self, tokens: Tokens, policy: AuthPolicy, clock: Clock, per_minute: int, failures: int) -> None:
        self._tokens = tokens
        self._policy = policy
        self._requests = Buckets(per_minute, clock.monotonic) if per_minute else None
        self._failures = Buckets(failures, clock.monotonic)

    async def identify(self, connection: AnyConnection) -> Identity | None:
        """The token's identity. A bad one is refused here (401, 403, 429), whatever else the request carries."""
        template, text = str(connection.scope.get("path_template", "")), self._bearer(connection)
        if not acts.takes_tokens(template):
            if text is not None and text.startswith(PREFIX):
                raise Forbidden("API tokens count at /api only", hint="Pages are for people: open them in a browser.")
            return None
        address = client_address(connection, self._policy)
        if text is None:
            if not from_this_machine(connection):
                self._count(connection, f"address:{network_of(address)}")
            return None
        token = self._tokens.recognise(text)
        if isinstance(token, Unrecognised):
            self._refuse(connection, token, address)
        connection.scope["state"]["token"] = token
        self._count(connection, token.id)
        self._tokens.used(token, address)
        needed = acts.needed(str(connection.scope.get("method", "GET")), template)
        if not token.scope.covers(needed):
            raise Forbidden(
                f"this needs a token with the scope {needed.value}",
                hint=f"The token {token.name} has the scope {token.scope.value}. Make another one for this.",
                details={"neededScope": needed.value, "tokenScope": token.scope.value},
            )
        holds_while(connection, partial(self._tokens.stands, token.id))
        return Identity(token.principal, token.name, (), "token")

    def _bearer(self, connection: AnyConnection) -> str | None:
        """What stands after `Bearer`, None without. What a proxy adds of its own (oauth2-proxy sends its ID token so)
        is no token of ours, and no way past one: it counts only together with the identity of an allow-list."""
        sent = header_values(connection, "authorization")
        found = [value.partition(" ") for value in sent if value.partition(" ")[0].lower() == "bearer"]
        if not found:
            return None
        if len(found) > 1:
            return ""
        text = found[0][2].strip()
        if _JWT.fullmatch(text) and self._policy.has_allow_list and any(self._policy.presented(connection)):
            return None
        return text

    def _refuse(self, connection: AnyConnection, why: Unrecognised, address: str) -> NoReturn:
        """Guessing is hopeless anyway; the limit keeps it from filling logs and the audit trail."""
        state = connection.scope["state"]
        state["bad_token"] = True
        quota = self._failures.take(network_of(address))
        if not quota.allowed:
            state["quota"] = quota
            raise RateLimited("too many requests with bad API tokens", hint="Put the right token into the script.")
        raise self._policy.refusal(why.reason, why.message)

    def _count(self, connection: AnyConnection, key: str) -> None:
        if self._requests is None:
            return
        quota = connection.scope["state"]["quota"] = self._requests.take(key)
        if not quota.allowed:
            raise RateLimited(
                "too many requests",
                hint="Ask less often, or raise DOCKREV_API_RATE_LIMIT.",
                details={"retryAfterSeconds": quota.wait},
            )


def token_of(connection: AnyConnection) -> Token | None:
    """The token with which a request came; None when somebody came by other means."""
    token: Token | None = connection.scope["state"].get("token")
    return token


async def answer_headers(message: Message, scope: RequestScope) -> None:
    """Hook: tell clients what is left to them (the names are those of the IETF's draft on rate limit headers), and of a
    token that does not count that it is the token (RFC 6750 §3)."""
    if message["type"] != "http.response.start":
        return
    state, told = scope["state"], {}
    quota: Quota | None = state.get("quota")
    if quota is not None:
        told = {"ratelimit-limit": quota.limit, "ratelimit-remaining": quota.remaining, "ratelimit-reset": quota.reset}
        if not quota.allowed:
            told["retry-after"] = quota.wait
    headers = [(name.encode(), str(value).encode()) for name, value in told.items()]
    if state.get("bad_token") and message["status"] == 401:
        headers.append((b"www-authenticate", b'Bearer realm="Dockrev", error="invalid_token"'))
    if headers:
        message["headers"] = [*message.get("headers", ()), *headers]
