"""A stream outlives the request that opened it: with what lets somebody in comes a question, whether it still does.

Tokens and sessions end at once: who ends one says `access_changed`, and every stream asks about its own. What ends by
itself (expired, idle, removed by another process) is noticed at the next keep-alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

from app.core.errors import DockrevError

StillIn = Callable[[], Awaitable[bool]]
T = TypeVar("T")
_waiting: set[asyncio.Event] = set()


class Connection(Protocol):
    """A request of any ASGI framework."""

    @property
    def scope(self) -> Any:
        """The scope as the server made it."""


class ShutOut(Exception):
    """The stream is over: what let its listener in has ended."""


def holds_while(connection: Connection, still_in: StillIn) -> None:
    """Say how to ask whether this connection may go on: without identifying it anew, and cheaply."""
    connection.scope["state"]["still_in"] = still_in


def question_of(connection: Connection) -> StillIn | None:
    """What `holds_while` said; None for who was let in by a proxy or without a name, which nobody takes back."""
    found: StillIn | None = connection.scope.get("state", {}).get("still_in")
    return found


def access_changed() -> None:
    """A token or a session has ended: let all streams ask about theirs."""
    for woken in _waiting:
        woken.set()


async def shut_out(still_in: StillIn, seconds: float) -> None:
    """Returns once `still_in` says no; it is asked now, at every `access_changed` and every `seconds`. When it cannot
    be asked, the answer is no: whoever listens comes back and is asked for everything again."""
    woken = asyncio.Event()
    _waiting.add(woken)
    try:
        while await still_in():
            try:
                async with asyncio.timeout(seconds):
                    await woken.wait()
            except TimeoutError:
                pass  # time to ask again
            woken.clear()
    except DockrevError:
        return
    finally:
        _waiting.discard(woken)


async def while_let_in(source: AsyncIterator[T], still_in: StillIn, seconds: float) -> AsyncGenerator[T]:
    """What `source` gives until it ends. Raises ShutOut once `still_in` says no; nothing is given after that."""
    out = asyncio.ensure_future(shut_out(still_in, seconds))
    coming: asyncio.Task[T | None] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(_next(source))
            await asyncio.wait({out, coming}, return_when=asyncio.FIRST_COMPLETED)
            if out.done():
                out.result()
                raise ShutOut
            if (item := coming.result()) is None:
                return
            yield item
    finally:
        tasks = {task for task in (out, coming) if task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _next(source: AsyncIterator[T]) -> T | None:
    """The next item; None at the end."""
    return await anext(source, None)
