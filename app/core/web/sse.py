"""Server-sent events: the rules all streams share (spec §6.1)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any, Final

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.core.web.listening import Connection, ShutOut, question_of, while_let_in

if TYPE_CHECKING:  # the supervisor streams too, without the framework
    from litestar import Request

KEEP_ALIVE_SECONDS: Final = 15
SEND_TIMEOUT_SECONDS: Final = 10.0
GRACE_SECONDS: Final = 1.0

open_streams: dict[str, int] = {}


def resume_point(request: Request[Any, Any, Any]) -> int:
    """The larger of `Last-Event-ID` and `?afterId=`; whatever is not a natural number counts as 0."""
    return max(
        _natural(request.headers.get("last-event-id")),
        _natural(request.query_params.get("afterId")),
    )


def _natural(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0


def json_event(name: str, data: dict[str, Any], event_id: int | None = None) -> ServerSentEvent:
    """One JSON object on one line."""
    body = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return ServerSentEvent(data=body, event=name, id=None if event_id is None else str(event_id), sep="\n")


def html_event(name: str, html: str, event_id: int | None = None) -> ServerSentEvent:
    """A fragment for a browser."""
    return ServerSentEvent(data=html, event=name, id=None if event_id is None else str(event_id), sep="\n")


def comment() -> ServerSentEvent:
    """Sent at once, so that proxies pass the stream on and `open` fires in the browser."""
    return ServerSentEvent(comment="keep-alive", sep="\n")


def event_stream(
    connection: Connection, name: str, source: Callable[[anyio.Event], AsyncIterator[ServerSentEvent]]
) -> EventSourceResponse:
    """Serve `source`; it is given an event that is set when the server shuts down and shall then return.

    Keep-alive comments go out every 15 s; a client that does not read for 10 s is dropped. A stream ends with the token
    or the session that opened it (`core.web.listening`); who comes back is refused like anybody.
    """
    closing, still_in = anyio.Event(), question_of(connection)

    async def counted() -> AsyncIterator[ServerSentEvent]:
        open_streams[name] = open_streams.get(name, 0) + 1
        over = False
        try:
            yield comment()
            events = source(closing)
            async with AsyncExitStack() as stack:
                if still_in is not None:
                    guarded = while_let_in(events, still_in, KEEP_ALIVE_SECONDS)
                    events = await stack.enter_async_context(aclosing(guarded))
                try:
                    async for event in events:
                        yield event
                except ShutOut:
                    over = True
            if over or closing.is_set():
                yield ServerSentEvent(event="bye", data="{}", retry=1000, sep="\n")
        finally:
            open_streams[name] -= 1

    return EventSourceResponse(
        counted(),
        headers={"Cache-Control": "no-cache"},
        ping=KEEP_ALIVE_SECONDS,
        ping_message_factory=comment,
        send_timeout=SEND_TIMEOUT_SECONDS,
        shutdown_event=closing,
        shutdown_grace_period=GRACE_SECONDS,
        sep="\n",
    )
