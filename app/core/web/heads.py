"""HEAD: what a GET would answer, without its body (RFC 9110 §9.3.2). Monitors ask this way; Litestar refuses it."""

from __future__ import annotations

import asyncio
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

END_SECONDS: Final = 1.0
"""How long a handler may go on after its headers went out; a stream would do so for ever."""


class Heads:
    """Answers HEAD wherever there is a GET; everything else is the application's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != ScopeType.HTTP or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        told = asyncio.Event()

        async def head_only(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                told.set()

        answering = asyncio.ensure_future(self._app({**scope, "method": "GET"}, receive, head_only))
        telling = asyncio.ensure_future(told.wait())
        try:
            await asyncio.wait({answering, telling}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({answering}, timeout=END_SECONDS)
        finally:
            telling.cancel()
            if not answering.done():
                answering.cancel()
        if answering.done() and not answering.cancelled():
            answering.result()
