"""Where an unsafe request comes from, and the token of forms: what keeps other sites out, for any ASGI framework."""

from __future__ import annotations

import hmac
import secrets
from typing import Final
from urllib.parse import urlsplit

from app.core.errors import Forbidden
from app.core.web.auth import AuthPolicy, Connection, header

CSRF_COOKIE: Final = "dockrev_csrf"
CSRF_FIELD: Final = "csrf"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def refuse_other_sites(connection: Connection, policy: AuthPolicy) -> None:
    """A browser on another site can neither post a form nor fetch with the owner's session. Raises Forbidden.

    Browsers say where a request comes from (`Sec-Fetch-Site`, `Origin`); scripts say nothing and are let through.
    """
    if connection.scope["method"] in SAFE_METHODS:
        return
    site, origin = header(connection, "sec-fetch-site"), header(connection, "origin")
    if site in ("same-origin", "none") or not (site or origin):
        return
    if not site and urlsplit(origin).netloc.lower() in _own_hosts(connection, policy):
        return
    raise Forbidden("this request came from another site", hint="Open Dockrev itself and repeat the action there.")


def _own_hosts(connection: Connection, policy: AuthPolicy) -> set[str]:
    hosts = {header(connection, "host").lower()}
    if policy.trusts(connection) and (forwarded := header(connection, "x-forwarded-host")):
        hosts.add(forwarded.split(",")[0].strip().lower())
    return hosts - {""}


def form_token(present: str) -> tuple[str, bool]:
    """The token for a browser whose cookie holds `present`, and whether it is a new one that must be set."""
    return (present, False) if 20 <= len(present) <= 100 else (secrets.token_urlsafe(24), True)


def require_token(sent: str, expected: str) -> None:
    """The token in a form must be that of the cookie. Raises Forbidden."""
    if not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise Forbidden("the form's token is missing or old", hint="Reload the page and send the form again.")
