"""HEAD, as monitors and link checkers ask (RFC 9110 §9.3.2)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.web.heads import Heads
from tests.web.test_contract import running


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, made):
        yield made


@pytest.mark.parametrize("path", ["/api/health", "/", "/api/stacks", "/static/sw.js", "/api/nothing", "/api/checks"])
async def test_a_head_is_a_get_without_its_body(api: httpx.AsyncClient, path: str) -> None:
    whole, head = await api.get(path), await api.head(path)
    assert head.status_code == whole.status_code
    assert head.content == b"" and head.headers["content-type"] == whole.headers["content-type"]
    assert "content-security-policy" in head.headers or "content-security-policy" not in whole.headers


async def test_a_head_is_allowed_where_a_get_is(api: httpx.AsyncClient) -> None:
    assert (await api.delete("/api/jobs")).headers["allow"] == "GET, HEAD"
    assert (await api.head("/api/checks")).headers["allow"] == "POST"


async def test_nobody_gets_in_by_a_head(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allowed_user="alice") as (_, api):
        assert (await api.head("/api/stacks")).status_code == 401
        assert (await api.head("/api/health")).status_code == 200


async def test_the_head_of_a_stream_ends() -> None:
    sent: list[Any] = []
    ended = asyncio.Event()

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        assert scope["method"] == "GET"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async def keep(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        await asyncio.sleep(60)

    began = time.monotonic()
    await Heads(stream)({"type": "http", "method": "HEAD"}, receive, keep)  # type: ignore[arg-type]
    await asyncio.wait_for(ended.wait(), 1)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[1]["body"] == b"" and time.monotonic() - began < 10


async def test_a_handler_that_fails_before_its_headers_is_not_hidden() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no headers yet")

    async def nothing(*_: Any) -> Any:
        """Neither end is reached: the handler fails first."""

    with pytest.raises(ValueError, match="no headers"):
        await Heads(broken)({"type": "http", "method": "HEAD"}, nothing, nothing)  # type: ignore[arg-type]
