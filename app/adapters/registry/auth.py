"""Which Authorization a registry request carries: none, Basic, or a Bearer token (spec §7.3).

Nothing is presented before a host has asked for it with a 401. From then on its scheme is known, and later requests
bring the right header at once. Tokens are kept by realm, service and scope until shortly before they expire; one
token serves many repositories where the token server allows several scopes.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode, urlsplit
from weakref import WeakValueDictionary

from app.adapters.registry.challenges import Challenge, parse_challenges
from app.adapters.registry.credentials import Credential, Credentials
from app.adapters.registry.errors import RegistryAuthError, RegistryError
from app.adapters.registry.limits import AuthKind
from app.adapters.registry.transport import Answer, Call, Transport
from app.core.clock import Clock

_BATCH = 20
_DEFAULT_LIFE = 60.0
_MARGIN = 10.0
_MAX_TOKENS = 2000
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")


@dataclass(slots=True)
class HostAuth:
    """What is known of one registry's ways.

    A `plain` registry may name a plain token server, but only where plain HTTP is allowed too (`is_plain`): its word
    must not bring credentials onto the wire anywhere else.
    """

    registry: str
    plain: bool
    is_plain: Callable[[str], bool] = lambda _: False
    scheme: str = ""  # "" unknown, "none", "basic", "bearer"
    realm: str = ""
    service: str = ""
    several_scopes: bool = True
    batches: dict[str, tuple[str, ...]] = field(default_factory=dict)
    probe: asyncio.Event | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a request may present.

    `kind` says for the page whose quota counts: a token got without credentials is still anonymous. `names` are the
    repositories the token covers; a `fresh` one was fetched just now.
    """

    header: str | None = field(default=None, repr=False)
    kind: AuthKind = "anonymous"
    names: tuple[str, ...] = ()
    fresh: bool = False

    @property
    def is_batch(self) -> bool:
        """Whether the token was asked for with several scopes."""
        return len(self.names) > 1


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    expires_at: float
    kind: AuthKind = "anonymous"


class Authenticator:
    """Grants for requests, learnt from challenges. One instance serves all registries."""

    def __init__(self, credentials: Credentials, transport: Transport, clock: Clock) -> None:
        self._credentials = credentials
        self._transport = transport
        self._clock = clock
        self._tokens: dict[tuple[str, str, tuple[str, ...]], _Token] = {}
        self._locks: WeakValueDictionary[tuple[str, tuple[str, ...]], asyncio.Lock] = WeakValueDictionary()

    def warm(self, host: HostAuth, names: Collection[str]) -> None:
        """Remember that these repositories will be asked soon, so that their tokens are fetched together."""
        ordered = sorted(set(names))
        for start in range(0, len(ordered), _BATCH):
            batch = tuple(ordered[start : start + _BATCH])
            host.batches.update(dict.fromkeys(batch, batch))

    async def grant(self, host: HostAuth, name: str, *, alone: bool = False, background: bool = False) -> Grant:
        """What to present for a repository. `alone` asks for a token of its own. Raises RegistryError."""
        if host.scheme == "basic":
            credential = await self._credentials.for_registry(host.registry)
            header = credential.basic() if credential else None
            return Grant(header, "basic" if header else "anonymous")
        if host.scheme != "bearer":
            return Grant()
        single = (name,)
        batch = host.batches.get(name, single) if host.several_scopes and not alone else single
        for names in (single, batch):
            if token := self._cached(host, names):
                return Grant(f"Bearer {token.value}", token.kind, names)
        try:
            return await self._fetch(host, batch, background)
        except RegistryAuthError:
            if batch == single:
                raise
        # One repository nobody may read can spoil the whole batch, or the server dislikes several scopes.
        host.several_scopes = False
        return await self._fetch(host, single, background)

    def learn(self, host: HostAuth, answer: Answer) -> Challenge | None:
        """Take in a 401's challenge; None when it offers nothing Dockrev knows. Raises RegistryAuthError."""
        offered = {c.scheme: c for c in reversed(parse_challenges(answer.headers.get_list("www-authenticate")))}
        if bearer := offered.get("bearer"):
            realm = bearer.params.get("realm", "")
            self._check_realm(host, realm)
            host.scheme, host.realm, host.service = "bearer", realm, bearer.params.get("service", "")
            return bearer
        if basic := offered.get("basic"):
            host.scheme = "basic"
            return basic
        return None

    def discard(self, host: HostAuth, names: tuple[str, ...]) -> None:
        """Forget a token the registry refused."""
        self._tokens.pop((host.realm, host.service, names), None)

    def _cached(self, host: HostAuth, names: tuple[str, ...]) -> _Token | None:
        token = self._tokens.get((host.realm, host.service, names))
        return token if token and token.expires_at > self._clock.monotonic() else None

    async def _fetch(self, host: HostAuth, names: tuple[str, ...], background: bool) -> Grant:
        """One request however many callers wait for the same scopes."""
        lock = self._locks.setdefault((host.realm, names), asyncio.Lock())
        async with lock:
            token = self._cached(host, names)
            if token is None:
                token = await self._ask(host, names, background)
                self._prune()
                self._tokens[host.realm, host.service, names] = token
        return Grant(f"Bearer {token.value}", token.kind, names, fresh=True)

    async def _ask(self, host: HostAuth, names: tuple[str, ...], background: bool) -> _Token:
        credential = await self._credentials.for_registry(host.registry)
        call = _token_call(host, names, credential, background)
        answer = await self._transport.send(call, self._transport.gate(urlsplit(host.realm).netloc))
        if answer.status in (400, 401, 403, 404, 405):
            raise auth_error(host, names[0], bool(credential), f"its token server answered {answer.status}")
        if answer.status != 200:
            raise RegistryError(f"the token server of {host.registry} answered {answer.status}", permanent=False)
        token = _read_token(answer.body, self._clock.monotonic())
        if token is None:
            raise RegistryError(f"the token server of {host.registry} gave no token", permanent=False)
        return replace(token, kind="token") if credential else token

    def _check_realm(self, host: HostAuth, realm: str) -> None:
        """A realm over plain HTTP would put the credentials on the wire for all to read."""
        parts = urlsplit(realm)
        allowed = ("https", "http") if host.plain and host.is_plain(parts.netloc) else ("https",)
        if parts.scheme not in allowed or not parts.hostname or parts.username is not None:
            raise RegistryAuthError(
                f"{host.registry} names a token server that is not safe to send credentials to",
                hint="The token server must be an https address; correct the registry's realm setting.",
            )

    def _prune(self) -> None:
        if len(self._tokens) >= _MAX_TOKENS:
            now = self._clock.monotonic()
            self._tokens = {key: token for key, token in self._tokens.items() if token.expires_at > now}


def auth_error(host: HostAuth, name: str, had_credential: bool, why: str) -> RegistryAuthError:
    """The refusal in words an owner can act on."""
    hint = (
        f"Check that the credentials for {host.registry} are still valid and may read {name}."
        if had_credential
        else f"If {name} is private, run `docker login {host.registry}` for the config Dockrev reads."
    )
    return RegistryAuthError(f"{host.registry} does not let Dockrev read {name}: {why}", hint=hint)


def _token_call(host: HostAuth, names: tuple[str, ...], credential: Credential | None, background: bool) -> Call:
    scopes = [f"repository:{name}:pull" for name in names]
    if credential and credential.identity_token:
        form = {
            "grant_type": "refresh_token",
            "service": host.service,
            "scope": " ".join(scopes),
            "client_id": "dockrev",
            "refresh_token": credential.identity_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return Call("POST", host.realm, "token", headers, urlencode(form).encode(), background)
    query = [("service", host.service)] if host.service else []
    query += [("scope", scope) for scope in scopes]
    url = host.realm + ("&" if "?" in host.realm else "?") + urlencode(query)
    basic = credential.basic() if credential else None
    return Call("GET", url, "token", {"Authorization": basic} if basic else {}, background=background)


def _read_token(body: bytes, now: float) -> _Token | None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    value = data.get("token") or data.get("access_token")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        return None
    life = data.get("expires_in")
    seconds = float(life) if isinstance(life, int) and not isinstance(life, bool) and life > 0 else _DEFAULT_LIFE
    # Half of a very short life is all the use it has; a margin would make it useless.
    return _Token(value, now + max(min(seconds, 86400.0) - _MARGIN, min(seconds, _MARGIN) / 2))
