"""Streams end with what opened them: a token or a session, taken back or over, on the application behind real HTTP."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from litestar import Litestar

from app.core.web import sse
from app.core.web.listening import access_changed
from app.features.access import acts
from app.features.access.models import Scope
from app.features.access.tokens import Tokens
from app.features.passkeys.sessions import Sessions
from tests.fakes.authenticator import Authenticator
from tests.web.test_contract import STK, SVC, running
from tests.web.test_passkeys import COOKIE, ORIGIN, Moving, Visitor, house
from tests.web.test_routes_walk import routes_of

API = (
    "/api/jobs/events",
    "/api/version-inference/events",
    "/api/github-packages/webhook/deliveries/events",
)
PATIENCE = 30.0
Stream = AsyncIterator[str]


@asynccontextmanager
async def served(app: Litestar) -> AsyncIterator[str]:
    """The running application at a port of this machine."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
        task = asyncio.ensure_future(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def opened(base: str, path: str, headers: dict[str, str]) -> AsyncIterator[Stream]:
    """A stream that has begun."""
    async with (
        httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client,
        client.stream("GET", base + path, headers=headers) as answer,
    ):
        assert answer.status_code == 200, (path, answer.status_code)
        lines = answer.aiter_lines()
        assert (await anext(lines)).startswith(":")
        yield lines


async def rest(lines: Stream) -> str:
    """What comes until it ends; a stream that is cut raises."""
    async with asyncio.timeout(PATIENCE):
        return "\n".join([line async for line in lines])


async def goes_on(lines: Stream) -> None:
    """Nothing ends within a moment."""
    ended = asyncio.ensure_future(rest(lines))
    done, _ = await asyncio.wait({ended}, timeout=1.0)
    ended.cancel()
    await asyncio.gather(ended, return_exceptions=True)
    assert not done


def open_now() -> int:
    return sum(sse.open_streams.values())


async def test_every_stream_of_a_token_ends_when_it_is_revoked(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, owner), served(app) as base, AsyncExitStack() as stack:
        before = open_now()
        tokens = app.state["container"].get(Tokens)
        gone, text = await tokens.create("leaked", Scope.READ, None, "test")
        _, kept = await tokens.create("kept", Scope.READ, None, "test")
        job = (await owner.post("/api/discovery/scan")).json()["jobId"]
        bearer = {"Authorization": f"Bearer {text}"}
        paths = (*API, f"/api/jobs/{job}/events")
        streams = [await stack.enter_async_context(opened(base, path, bearer)) for path in paths]
        other = await stack.enter_async_context(opened(base, API[0], {"Authorization": f"Bearer {kept}"}))
        asked = time.monotonic()
        assert (await owner.delete(f"/api/tokens/{gone.id}")).status_code == 200
        told = await asyncio.gather(*map(rest, streams))
        assert time.monotonic() - asked < sse.KEEP_ALIVE_SECONDS / 2
        for path, text_of in zip(paths, told, strict=True):
            assert "event: bye" in text_of and "retry: 1000" in text_of, path
        async with httpx.AsyncClient(trust_env=False) as client:
            again = await client.get(base + API[0], headers=bearer)
        assert again.status_code == 401
        assert again.json()["error"]["details"]["reason"] == "token_revoked"
        await goes_on(other)
        await stack.aclose()
        async with asyncio.timeout(PATIENCE):
            while open_now() > before:
                await asyncio.sleep(0.05)


async def test_a_stream_ends_with_the_time_of_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_SECONDS", 0.1)
    moving = Moving()
    async with running(tmp_path, clock=moving.clock()) as (app, _), served(app) as base:
        _, text = await app.state["container"].get(Tokens).create("month", Scope.READ, 30, "test")
        async with opened(base, API[0], {"Authorization": f"Bearer {text}"}) as lines:
            moving.on(days=29)
            await goes_on(lines)
        async with opened(base, API[0], {"Authorization": f"Bearer {text}"}) as lines:
            moving.on(days=1)
            assert "event: bye" in await rest(lines)


@asynccontextmanager
async def signed_in(app: Litestar, device: Authenticator) -> AsyncIterator[tuple[Visitor, dict[str, str]]]:
    """A browser, and the cookie with which its streams come."""
    visitor = Visitor(app)
    if await app.state["container"].get(Sessions).all():
        assert (await visitor.login(device)).status_code == 200
    else:
        assert (await visitor.enrol(device)).status_code == 200
    yield visitor, {"Cookie": f"{COOKIE}={visitor.http.cookies[COOKIE]}"}
    await visitor.http.aclose()


async def test_streams_of_a_session_end_when_it_is_signed_out(tmp_path: Path) -> None:
    device = Authenticator(ORIGIN)
    async with (
        house(tmp_path) as (app, _),
        served(app) as base,
        signed_in(app, device) as (here, cookie),
        signed_in(app, device) as (there, lost),
        opened(base, "/events?topics=all", cookie) as mine,
        opened(base, "/events?topics=all", lost) as theirs,
        opened(base, API[0], lost) as api,
    ):
        asked = time.monotonic()
        assert (await here.form("/settings/passkeys/sessions/end-others")).status_code == 303
        told = await asyncio.gather(rest(theirs), rest(api))
        assert time.monotonic() - asked < sse.KEEP_ALIVE_SECONDS / 2
        assert all("event: bye" in text for text in told)
        assert not await there.allowed()
        await goes_on(mine)


async def test_a_session_whose_token_changed_goes_on_until_its_passkey_is_removed(tmp_path: Path) -> None:
    device = Authenticator(ORIGIN)
    async with (
        house(tmp_path) as (app, moving),
        served(app) as base,
        signed_in(app, device) as (visitor, cookie),
    ):
        async with opened(base, "/events?topics=all", cookie) as lines:
            moving.on(days=2)
            assert await visitor.allowed()  # and gets a new token
            assert visitor.http.cookies[COOKIE] not in cookie["Cookie"]
            access_changed()
            await goes_on(lines)
        fresh = {"Cookie": f"{COOKIE}={visitor.http.cookies[COOKIE]}"}
        async with opened(base, "/events?topics=all", fresh) as lines:
            assert (await visitor.login(device)).status_code == 200
            assert "event: bye" in await rest(lines)  # who signs in again leaves the session from before
        fresh = {"Cookie": f"{COOKIE}={visitor.http.cookies[COOKIE]}"}
        async with opened(base, "/events?topics=all", fresh) as lines:
            key = (await visitor.http.get("/settings/passkeys", headers={"Accept": "application/json"})).json()
            path = f"/settings/passkeys/{key['passkeys'][0]['id']}/remove"
            assert (await visitor.form(path, last="yes")).status_code == 303
            assert "event: bye" in await rest(lines)


async def test_who_is_nobody_listens_until_there_is_a_passkey(tmp_path: Path) -> None:
    async with house(tmp_path) as (app, _), served(app) as base, opened(base, API[0], {}) as lines:
        visitor = Visitor(app)
        assert (await visitor.enrol(Authenticator(ORIGIN))).status_code == 200
        assert "event: bye" in await rest(lines)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(base + API[0])).status_code == 401


async def test_an_idle_session_ends_its_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_SECONDS", 0.1)
    device = Authenticator(ORIGIN)
    async with (
        house(tmp_path) as (app, moving),
        served(app) as base,
        signed_in(app, device) as (_, cookie),
        opened(base, "/events?topics=all", cookie) as lines,
    ):
        moving.on(days=14)
        assert "event: bye" in await rest(lines)


async def test_every_route_of_the_api_takes_a_token_and_counts_it(tmp_path: Path) -> None:
    """Streams too, which is why it is asked over real HTTP."""
    names = {"{service_id}": SVC, "{stack_id}": STK, "{which}": "trigger", "{backup_id}": "bkp_1"}
    async with running(tmp_path, auth_allowed_user="alice") as (app, owner), served(app) as base:
        _, text = await app.state["container"].get(Tokens).create("reader", Scope.ADMIN, None, "test")
        job = (await owner.post("/api/discovery/scan", headers={"X-Forwarded-User": "alice"})).json()["jobId"]
        paths = {path for method, path, public in routes_of(app) if method == "GET" and not public}
        walked = sorted(path for path in paths if acts.takes_tokens(path))
        assert len(walked) > 25
        async with httpx.AsyncClient(base_url=base, timeout=PATIENCE, trust_env=False) as client:
            for template in walked:
                path = template.replace("{job_id}", job)
                for name, value in names.items():
                    path = path.replace(name, value)
                async with client.stream("GET", path, headers={"Authorization": f"Bearer {text}"}) as answer:
                    assert answer.status_code not in (401, 403, 405, 429), (path, answer.status_code)
                    assert {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"} <= set(answer.headers), path
                async with client.stream("GET", path) as answer:
                    assert answer.status_code == 401, path
