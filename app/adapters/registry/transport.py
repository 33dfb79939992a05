"""One HTTP call to a registry: permit, timeouts, size limit, redirects, retries, notes for the page.

Knows nothing of authentication and manifests; `send` returns every final answer below 500 except 429.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

from app.adapters.registry.errors import (
    BadManifest,
    RateLimited,
    RegistryError,
    RegistryRefused,
    RegistryTimeout,
    RegistryUnreachable,
)
from app.adapters.registry.limits import HostGate, RetryPolicy, parse_retry_after
from app.adapters.registry.manifests import MAX_BODY
from app.adapters.registry.store import ManifestStore
from app.core.clock import Clock
from app.core.errors import DockrevError

if TYPE_CHECKING:
    from app.adapters._httpx import httpx

CONNECT_SECONDS = 3.0
REQUEST_SECONDS = 8.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_USER_AGENT = "dockrev"

Observer = Callable[[str, str, str, str, float], None]


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `kind` (manifest, config, tags, token) is for the metrics; `background` yields to a cool-down."""

    method: str
    url: str
    kind: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = field(default=None, repr=False)
    background: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; header names are looked up without regard to case. `url` is where it came from."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: httpx.URL


class Transport:
    """Sends calls over one connection pool, opened with the first call."""

    def __init__(
        self,
        policy: RetryPolicy,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        observer: Observer | None,
        store: ManifestStore,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        self._observer = observer
        self._store = store
        self._restored = False
        self._gates: dict[str, HostGate] = {}
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    def gate(self, host: str) -> HostGate:
        """The gate of a host, made on first use."""
        if host not in self._gates:
            self._gates[host] = HostGate(host, self._policy, self._clock, self._store.remember_host)
        return self._gates[host]

    def notable(self) -> list[str]:
        """Hosts that rest, or whose quota is known, asked or not."""
        return [host for host, gate in self._gates.items() if gate.notable]

    async def restore(self) -> None:
        """Take up, once, what an earlier process knew of hosts. Raises what the store raises."""
        if self._restored:
            return
        for known in await self._store.hosts():
            self.gate(known.host).restore(known)
        self._restored = True

    async def aclose(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def send(self, call: Call, gate: HostGate) -> Answer:
        """Send until there is an answer to act on.

        A failed connection or a 5xx is tried once more, a 429 as the policy says. Raises RegistryUnreachable,
        RegistryTimeout, RateLimited, RegistryCoolingDown, RegistryRefused, BadManifest.
        """
        tries = rate_limits = 0
        while True:
            started = self._clock.monotonic()
            try:
                answer = await self._permitted(call, gate)
                if answer.status >= 500 and answer.status != 501:
                    raise RegistryUnreachable(f"{gate.host} answered {answer.status}", hint="Try again later.")
            except RegistryUnreachable as error:
                tries += 1
                if tries > 1 or isinstance(error, RegistryTimeout):
                    raise
                await self._sleep(self._policy.delay(0, None))
                continue
            if answer.status != 429:
                if answer.status not in (401, 403):
                    gate.succeeded(started)
                return answer
            retry_after = parse_retry_after(answer.headers.get("retry-after"), self._clock.now())
            if rate_limits >= gate.retries_after_429():
                await self._rest(gate, retry_after)
                raise RateLimited(
                    f"{gate.host} refused the request: too many requests",
                    hint="Log in to the registry for a higher limit, or wait until the limit is renewed.",
                    retry_after=retry_after,
                )
            await self._sleep(self._policy.delay(rate_limits, retry_after))
            rate_limits += 1

    async def _rest(self, gate: HostGate, retry_after: float | None) -> None:
        """Start the cool-down; its begin is written at once, since a process killed now must not ask again."""
        first = gate.cooling_until is None
        gate.cool_down(retry_after)
        if first:
            # A database in trouble tells its own story; here the rate limit is the news.
            with suppress(DockrevError):
                await self._store.flush()

    async def _permitted(self, call: Call, gate: HostGate) -> Answer:
        """One try under a permit, which is given back before anybody sleeps. Tells gate and observer how it went."""
        gate.admit(background=call.background)
        async with gate.permits:
            gate.admit(background=call.background)
            started, outcome = self._clock.monotonic(), "cancelled"
            try:
                answer = await self._once(call, gate.host)
                outcome = _outcome(answer.status)
                gate.answered(answer.headers, started)
                if answer.status == 429 or answer.status >= 500:
                    gate.failed(f"answered {answer.status}")
                return answer
            except RegistryError as error:
                timeout = isinstance(error, RegistryTimeout)
                outcome = "timeout" if timeout else "error" if error.permanent else "unreachable"
                gate.failed(error.message, timeout=timeout)
                raise
            finally:
                if self._observer is not None:
                    self._observer(gate.host, call.method, call.kind, outcome, self._clock.monotonic() - started)

    async def _once(self, call: Call, host: str) -> Answer:
        from app.adapters._httpx import httpx

        client = await self._open()
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await self._follow(client, call, host)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise RegistryTimeout(
                f"{host} did not answer in time", hint="Check the network between Dockrev and the registry."
            ) from error
        except httpx.ConnectError as error:
            raise _connect_error(host, error) from error
        except httpx.TransportError as error:
            raise RegistryUnreachable(f"the answer of {host} was cut off", hint="Try again later.") from error
        except (httpx.InvalidURL, UnicodeError, ValueError) as error:
            raise RegistryRefused(f"{host} sent an address Dockrev cannot use") from error

    async def _follow(self, client: httpx.AsyncClient, call: Call, host: str) -> Answer:
        """The call and its redirects; Authorization stays with the host it was meant for."""
        from app.adapters._httpx import httpx

        url, headers = httpx.URL(call.url), call.headers
        for _ in range(_MAX_REDIRECTS + 1):
            request = client.build_request(call.method, url, headers=headers, content=call.content)
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                body = await _read(response, host)
            finally:
                await response.aclose()
            location = response.headers.get("location")
            if response.status_code not in _REDIRECTS or not location:
                return Answer(response.status_code, response.headers, body, url)
            target = url.join(location)
            if target.scheme not in ("http", "https") or (url.scheme == "https" and target.scheme == "http"):
                raise RegistryRefused(f"{host} redirected to an address that is not https")
            if not _same_origin(url, target):
                if call.content is not None:
                    raise RegistryRefused(f"{host} redirected a request that carries credentials to another host")
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            url = target
        raise RegistryRefused(f"{host} redirected more than {_MAX_REDIRECTS} times")

    async def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            async with self._opening:
                if self._client is None:
                    self._client = await _build_client()
        return self._client


async def _build_client() -> httpx.AsyncClient:
    from app.adapters._httpx import httpx, trust_store

    context: ssl.SSLContext = await asyncio.to_thread(trust_store)
    return httpx.AsyncClient(
        verify=context,
        timeout=httpx.Timeout(REQUEST_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=30),
        # identity: a digest is taken over the bytes as sent, and a size limit over unpacked ones comes too late.
        headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
        # A registry has no business setting cookies here.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # A proxy from the environment is for the world outside.
        mounts={"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None},
    )


async def _read(response: httpx.Response, host: str) -> bytes:
    packed = response.headers.get("content-encoding", "identity").lower() != "identity"
    if packed and response.status_code < 300 and response.request.method != "HEAD":
        raise BadManifest(f"{host} sent a packed answer although none was asked for")
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > MAX_BODY:
            raise BadManifest(f"the answer of {host} is larger than {MAX_BODY // 1024**2} MB")
        chunks.append(chunk)
    return b"".join(chunks)


def _connect_error(host: str, error: BaseException) -> RegistryUnreachable:
    text = str(error).lower()
    if "certificate" in text:
        return RegistryUnreachable(
            f"the certificate of {host} is not trusted",
            hint="Add the authority that signed it to the system's trust store of the machine or container.",
        )
    if "wrong_version_number" in text or "wrong version number" in text or "record layer failure" in text:
        return RegistryUnreachable(
            f"{host} does not speak https", hint="List it among the registries that Dockrev may ask over plain HTTP."
        )
    return RegistryUnreachable(f"{host} cannot be reached", hint="Check its name, the network and the registry.")


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _outcome(status: int) -> str:
    known = {304: "not_modified", 401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "rate_limited"}
    if status in known:
        return known[status]
    return "ok" if status < 400 else "server_error" if status >= 500 else "refused"
