"""Long-running tasks of the process: started together, restarted when they die, stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)


class Background:
    """Keeps named loops alive. A loop that raises is logged and started again after 1, 2, 4 … 60 s."""

    def __init__(self) -> None:
        self._factories: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = False

    def keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Register a loop; it runs from `start` on. A loop that returns is done."""
        self._factories.append((name, loop))
        if self._started:
            self._spawn(name, loop)

    def start(self) -> None:
        """Start everything registered so far."""
        self._started = True
        for name, loop in self._factories:
            self._spawn(name, loop)

    def _spawn(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(name, loop), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        delay = 1.0
        while True:
            try:
                await loop()
                return
            except Exception:
                log.exception("background loop died, starting again", loop=name, seconds=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 60.0)

    async def stop(self, timeout: float = 2.0) -> None:
        """Cancel all loops and wait for them, at most `timeout` seconds."""
        self._started = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)


async def every(seconds: float, action: Callable[[], Awaitable[object]], *, at_once: bool = True) -> None:
    """Run `action` again and again, `seconds` apart; one failure is logged and does not end the rhythm."""
    if not at_once:
        await asyncio.sleep(seconds)
    while True:
        try:
            await action()
        except Exception:
            log.exception("periodic action failed", action=getattr(action, "__qualname__", repr(action)))
        await asyncio.sleep(seconds)
