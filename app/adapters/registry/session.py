"""Requests to a registry's API with the right Authorization, whatever the host turns out to want (spec §7.3)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.adapters.registry.auth import Authenticator, Grant, HostAuth, auth_error
from app.adapters.registry.challenges import parse_challenges
from app.adapters.registry.errors import RegistryAuthError
from app.adapters.registry.limits import HostGate, HostState
from app.adapters.registry.references import ImageRef, canonical_registry
from app.adapters.registry.transport import Answer, Call, Transport

# Ask, learn the scheme, fall back from a shared token, refresh a stale one: nothing needs a fifth try.
_MAX_TRIES = 4


@dataclass(frozen=True, slots=True)
class Query:
    """A request in a repository. `path` starts with `/v2/<name>/` and may carry a query string."""

    ref: ImageRef
    method: str
    path: str
    kind: str
    headers: dict[str, str] = field(default_factory=dict)
    background: bool = False


class Session:
    """Hosts, their schemes and their gates."""

    def __init__(self, transport: Transport, authenticator: Authenticator, plain_hosts: Collection[str]) -> None:
        self._transport = transport
        self._auth = authenticator
        self._plain_hosts = frozenset(host.strip().lower() for host in plain_hosts)
        self._hosts: dict[str, HostAuth] = {}

    def warm(self, registry: str, names: Collection[str]) -> None:
        """See RegistryClient.warm."""
        self._auth.warm(self._host(canonical_registry(registry)), names)

    def states(self) -> list[HostState]:
        """Every registry asked so far, and every host that rests or whose quota is known; by name."""
        return [self._transport.gate(host).state() for host in sorted({*self._hosts, *self._transport.notable()})]

    def state(self, registry: str) -> HostState:
        """One registry's."""
        return self._transport.gate(registry).state()

    def base(self, ref: ImageRef) -> str:
        """`https://host`, or `http://host` for loopback and the hosts of the setting."""
        return f"{'http' if self._host(ref.registry).plain else 'https'}://{ref.api_host}"

    async def request(self, query: Query) -> Answer:
        """The registry's answer: below 500 and neither 401, 403 nor 429. Raises the RegistryError tree."""
        await self._transport.restore()
        host, gate = self._host(query.ref.registry), self._transport.gate(query.ref.registry)
        async with _first_alone(host):
            try:
                return await self._authorised(query, host, gate)
            except RegistryAuthError as error:
                gate.failed(error.message)
                raise

    async def _authorised(self, query: Query, host: HostAuth, gate: HostGate) -> Answer:
        alone = refreshed = False
        name, url = query.ref.name, self.base(query.ref) + query.path
        for _ in range(_MAX_TRIES):
            grant = await self._auth.grant(host, name, alone=alone, background=query.background)
            headers = {**query.headers, "Authorization": grant.header} if grant.header else query.headers
            call = Call(query.method, url, query.kind, headers, background=query.background)
            answer = await self._transport.send(call, gate)
            if answer.status not in (401, 403):
                self._accepted(host, gate, grant, answer, fell_back=alone)
                return answer
            if grant.is_batch:
                # The shared token may lack this repository; whether the server is to blame shows next.
                alone = True
            elif answer.status == 403:
                raise auth_error(host, name, bool(grant.header), "it answered 403")
            elif grant.names:
                hopeless = grant.fresh and _insufficient_scope(answer)
                self._auth.discard(host, grant.names)
                if refreshed or hopeless:
                    raise auth_error(host, name, grant.kind == "token", "it refused a new token")
                refreshed = True
                self._auth.learn(host, answer)
            elif not self._another_way(host, grant, answer):
                raise auth_error(host, name, bool(grant.header), "it answered 401")
        raise auth_error(host, name, True, "it answered 401 again and again")

    def _another_way(self, host: HostAuth, grant: Grant, answer: Answer) -> bool:
        """Whether the challenge names a scheme other than the one just refused."""
        before = host.scheme
        return self._auth.learn(host, answer) is not None and host.scheme != before

    def _accepted(self, host: HostAuth, gate: HostGate, grant: Grant, answer: Answer, *, fell_back: bool) -> None:
        gate.auth = grant.kind
        if answer.status >= 400:
            return
        if not host.scheme:
            host.scheme = "none"
        if fell_back:
            # The same repository, refused with the shared token, is readable with its own.
            host.several_scopes = False

    def _host(self, registry: str) -> HostAuth:
        if registry not in self._hosts:
            self._hosts[registry] = HostAuth(registry, self._is_plain(registry), self._is_plain)
        return self._hosts[registry]

    def _is_plain(self, registry: str) -> bool:
        name = host_name(registry)
        return is_loopback(name) or name in self._plain_hosts or registry in self._plain_hosts


@asynccontextmanager
async def _first_alone(host: HostAuth) -> AsyncIterator[None]:
    """Let the first request to an unknown host go ahead alone, so that one 401, not seven, teaches its scheme."""
    if host.scheme:
        yield
    elif host.probe is None:
        host.probe = asyncio.Event()
        try:
            yield
        finally:
            host.probe.set()
    else:
        await host.probe.wait()
        yield


def host_name(registry: str) -> str:
    """The host without its port: `[::1]:5000` → `::1`."""
    if registry.startswith("["):
        return registry[1:].partition("]")[0]
    return registry.partition(":")[0]


def is_loopback(name: str) -> bool:
    """`localhost`, 127.0.0.0/8, ::1: what the Docker engine itself speaks plain HTTP to."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _insufficient_scope(answer: Answer) -> bool:
    challenges = parse_challenges(answer.headers.get_list("www-authenticate"))
    return any(challenge.params.get("error") == "insufficient_scope" for challenge in challenges)
