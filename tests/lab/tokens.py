"""The token server behind a Bearer challenge, as registries with the Docker token protocol have one."""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl

from tests.lab.httpwire import Answer, Request

_REPOSITORY = re.compile(r"^/v2/(?P<repo>.+)/(?:manifests|blobs|tags)/")


@dataclass(frozen=True)
class TokenRequest:
    """What one request for a token asked for."""

    scopes: tuple[str, ...]
    service: str
    user: str | None
    status: int


@dataclass
class TokenServer:
    """Issues and checks tokens. Settings may be changed while it runs.

    `ttl`: seconds a token is good for; `announce_ttl` says so with `expires_in` (else the client has to
    assume 60 s). `credentials`: user and password, when anonymous requests get 401. `max_scopes`: how many
    scopes one token may have (1: a server that ignores all but the first). `answer_field`: under which name
    the token is sent.
    """

    ttl: float = 300.0
    announce_ttl: bool = True
    credentials: tuple[str, str] | None = None
    max_scopes: int = 100
    answer_field: Literal["token", "access_token"] = "token"
    service: str = "lab registry"
    requests: list[TokenRequest] = field(default_factory=list)
    _issued: dict[str, tuple[float, frozenset[str]]] = field(default_factory=dict)

    def answer(self, request: Request) -> Answer:
        """Handle a request to `/token` (GET, or POST as OAuth2 clients send it)."""
        fields = request.query
        if request.method == "POST":
            fields = parse_qsl(request.body.decode("latin-1"))
        scopes = tuple(scope for name, value in fields if name == "scope" for scope in value.split())
        given = dict(fields)
        user = _basic(request.headers.get("authorization", ""))
        if request.method == "POST" and given.get("grant_type") == "password":
            user = (given.get("username", ""), given.get("password", ""))
        refused = self.credentials is not None and user != self.credentials
        status = 401 if refused else 200
        self.requests.append(TokenRequest(scopes, given.get("service", ""), user[0] if user else None, status))
        if refused:
            return _error(401, "UNAUTHORIZED", "incorrect username or password")
        return self._issue(scopes[: self.max_scopes])

    def _issue(self, scopes: Sequence[str]) -> Answer:
        token = secrets.token_urlsafe(32)
        repos = frozenset(scope.split(":")[1] for scope in scopes if scope.startswith("repository:"))
        self._issued[token] = (time.monotonic() + self.ttl, repos)
        content: dict[str, object] = {self.answer_field: token}
        if self.announce_ttl:
            content["expires_in"] = max(1, int(self.ttl))
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def challenge(self, request: Request, realm: str) -> Answer | None:
        """The 401 for a request without a good token; None when it may pass."""
        match = _REPOSITORY.match(request.path)
        repo = match["repo"] if match else None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        reason = ""
        if scheme.lower() == "bearer":
            expires, repos = self._issued.get(token, (0.0, frozenset()))
            if expires < time.monotonic():
                reason = "invalid_token"
            elif repo is None or repo in repos:
                return None
            else:
                reason = "insufficient_scope"
        parts = [f'realm="{realm}"', f'service="{self.service}"']
        if repo:
            actions = "pull" if request.method in ("GET", "HEAD") else "pull,push"
            parts.append(f'scope="repository:{repo}:{actions}"')
        if reason:
            parts.append(f'error="{reason}"')
        answer = _error(401, "UNAUTHORIZED", "authentication required")
        answer.headers["WWW-Authenticate"] = "Bearer " + ",".join(parts)
        return answer

    def revoke_all(self) -> None:
        """Make every token issued so far worthless."""
        self._issued.clear()


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user, password


def _error(status: int, code: str, message: str) -> Answer:
    body = json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}).encode()
    return Answer(status, {"Content-Type": "application/json"}, body)
