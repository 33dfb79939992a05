"""A proxy in front of a registry that shows its clients what real registries do on bad days.

    with FaultProxy(lab.registry) as proxy:
        proxy.latency = 0.05
        proxy.add(Rule(path=r"/manifests/", method="HEAD", status=429, headers={"Retry-After": "2"}, times=1))
        …
        assert proxy.count(method="GET", path=r"/manifests/") == 0

It runs in a thread of its own, so that a test's event loop may wait for it. Settings and rules may be changed
at any time; requests that are already on their way keep what they started with.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from collections.abc import AsyncIterator
from types import TracebackType
from urllib.parse import quote

from tests.lab.fault_rules import WRONG_DIGEST, RateLimit, Recorded, Rule, error_answer
from tests.lab.httpwire import Answer, Closed, Request, head_bytes, is_chunked, read_request
from tests.lab.registry import Registry
from tests.lab.tokens import TokenServer
from tests.lab.upstream import Upstream

__all__ = ["WRONG_DIGEST", "FaultProxy", "RateLimit", "Recorded", "Rule", "TokenServer"]


class FaultProxy:
    """See the module. `upstream`'s own credentials are added to what is passed on."""

    def __init__(self, upstream: Registry) -> None:
        self.upstream = upstream
        self.latency = 0.0
        self.tokens: TokenServer | None = None
        self.rate_limit: RateLimit | None = None
        self.page_size: int | None = None
        self.absolute_links = False
        self.requests: list[Recorded] = []
        self.connections = 0
        self.port = 0
        self._registry = Upstream(upstream)
        self._rules: list[Rule] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._done: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)

    # -- for tests -------------------------------------------------------------------------------------

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://{self.host}"

    def ref(self, repo: str, tag: str) -> str:
        """The image reference to write into a compose file."""
        return f"{self.host}/{repo}:{tag}"

    def add(self, rule: Rule) -> Rule:
        """Let the rule act from now on; returns it, for its `hits`."""
        self._rules.insert(0, rule)
        return rule

    def clear(self) -> None:
        """Forget rules, recordings and all settings."""
        self._rules.clear()
        self.requests.clear()
        self.latency, self.tokens, self.rate_limit = 0.0, None, None
        self.page_size, self.absolute_links = None, False

    def count(self, method: str | None = None, path: str = "", status: int | None = None) -> int:
        """How many recorded requests match (`path` is a regular expression). Token requests count too."""
        return sum(
            method in (None, each.method) and status in (None, each.status) and bool(re.search(path, each.path))
            for each in list(self.requests)
        )

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fault proxy did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._done:
            self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    # -- the server ------------------------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._done.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._registry.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._one(await read_request(reader), writer):
                pass  # the next request of the same connection
        except (Closed, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # hung up, or cut off as a fault rule wanted it
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays open."""
        started = time.monotonic()
        rule = self._acting(request)
        await asyncio.sleep(self.latency + rule.latency)
        answer = Answer(0) if rule.drop else await self._answer(request, rule)
        # Before it is sent: whoever has the answer must find the request recorded.
        self.requests.append(
            Recorded(
                request.method,
                request.path,
                dict(request.query),
                request.headers,
                answer.status,
                started,
                time.monotonic() - started,
                answer.headers,
            )
        )
        try:
            return not rule.drop and await self._send(request, answer, rule, writer)
        finally:
            answer.finish()

    def _acting(self, request: Request) -> Rule:
        for rule in list(self._rules):
            if not rule.matches(request):
                continue
            if rule.skip:
                rule.skip -= 1
            elif rule.times is None or rule.hits < rule.times:
                rule.hits += 1
                return rule
        return Rule()

    async def _answer(self, request: Request, rule: Rule) -> Answer:
        if rule.status is not None:
            answer = error_answer(rule.status)
        elif self.tokens and request.path == "/token":
            answer = self.tokens.answer(request)
        else:
            refusal = self.tokens.challenge(request, f"{self.url}/token") if self.tokens else None
            answer = refusal or self._quota(request) or await self._upstream(request)
        if rule.body is not None:
            answer.finish()
            answer.body, answer.stream = rule.body, None
            answer.headers = {k: v for k, v in answer.headers.items() if k.lower() != "content-length"}
        if rule.wrong_digest:
            answer.headers = {k: v for k, v in answer.headers.items() if k.lower() != "docker-content-digest"}
            answer.headers["Docker-Content-Digest"] = WRONG_DIGEST
        gone = {name.lower() for name in rule.remove_headers} | {name.lower() for name in rule.headers}
        answer.headers = {k: v for k, v in answer.headers.items() if k.lower() not in gone} | dict(rule.headers)
        return answer

    def _quota(self, request: Request) -> Answer | None:
        """The 429 of a used-up quota; counts the pull otherwise."""
        quota = self.rate_limit
        if quota is None or request.method != "GET" or "/manifests/" not in request.path:
            return None
        if quota.remaining > 0:
            quota.remaining -= 1
            return None
        answer = error_answer(429, "You have reached your unauthenticated pull rate limit.")
        answer.headers |= quota.headers()
        if quota.retry_after is not None:
            answer.headers["Retry-After"] = str(quota.retry_after)
        return answer

    async def _upstream(self, request: Request) -> Answer:
        answer = await self._registry.ask(request)
        if self.page_size and request.path.endswith("/tags/list") and answer.status == 200:
            assert answer.stream
            return self._page(request, b"".join([part async for part in answer.stream]))
        if self.rate_limit and "/manifests/" in request.path:
            answer.headers |= self.rate_limit.headers()
        return answer

    def _page(self, request: Request, body: bytes) -> Answer:
        """One page of a tag list, with the way to the next."""
        assert self.page_size
        content = json.loads(body)
        query = dict(request.query)
        size = min(int(query.get("n") or self.page_size), self.page_size)
        tags = sorted(tag for tag in content.get("tags") or [] if tag > query.get("last", ""))
        answer = Answer(200, {"Content-Type": "application/json"})
        if len(tags) > size:
            base = self.url if self.absolute_links else ""
            link = f"{base}{request.path}?last={quote(tags[size - 1])}&n={size}"
            answer.headers["Link"] = f'<{link}>; rel="next"'
        answer.body = json.dumps({**content, "tags": tags[:size]}).encode()
        return answer

    async def _send(self, request: Request, answer: Answer, rule: Rule, writer: asyncio.StreamWriter) -> bool:
        """Write the answer as the rule wants it; whether the connection stays open."""
        keep_alive = rule.cut_body is None and request.headers.get("connection", "").lower() != "close"
        head = head_bytes(answer, keep_alive=keep_alive)
        if rule.slow_headers:
            step = max(1, len(head) // 10)
            for start in range(0, len(head), step):
                writer.write(head[start : start + step])
                await writer.drain()
                await asyncio.sleep(rule.slow_headers / 10)
        else:
            writer.write(head)
        if request.method == "HEAD":
            answer.body = b""
        await self._send_body(answer, rule, writer, chunked=request.method != "HEAD" and is_chunked(answer))
        await writer.drain()
        return keep_alive

    async def _send_body(self, answer: Answer, rule: Rule, writer: asyncio.StreamWriter, *, chunked: bool) -> None:
        left = rule.cut_body
        async for part in answer.stream or _once(answer.body):
            if left is not None:
                part, left = part[:left], left - len(part[:left])
            if rule.slow_body:
                await asyncio.sleep(rule.slow_body)
            if part:
                writer.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                await writer.drain()
            if left == 0:
                return
        if chunked and left is None:
            writer.write(b"0\r\n\r\n")


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
