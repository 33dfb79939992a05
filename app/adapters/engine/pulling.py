"""One pull from its messages to its result."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from app.adapters.engine.errors import (
    EngineError,
    EngineRefused,
    NoSuchImage,
    PullFailed,
    classify_pull,
    clean_told,
)
from app.adapters.engine.progress import PullProgress
from app.adapters.engine.records import PullResult

OnProgress = Callable[[PullProgress], Awaitable[None] | None]

MIN_SECONDS_BETWEEN_REPORTS = 0.1


async def pull_image(
    ref: str,
    batches: AsyncIterator[list[Mapping[str, Any]]],
    on_progress: OnProgress | None,
    timeout: float,
) -> PullResult:
    """Read the engine's messages to the end. Raises PullFailed; EngineUnreachable when the engine goes away."""
    progress = PullProgress()
    try:
        async with asyncio.timeout(timeout) as limit:
            await _read(ref, batches, progress, on_progress)
    except TimeoutError:
        if not limit.expired():
            raise
        raise PullFailed(ref, "timeout", f"it took longer than {timeout:g} s") from None
    except (EngineRefused, NoSuchImage) as exc:
        raise _failed(ref, exc) from exc
    progress.finish()
    await _report(on_progress, progress)
    return PullResult(ref, progress.digest, progress.downloaded)


async def _read(
    ref: str,
    batches: AsyncIterator[list[Mapping[str, Any]]],
    progress: PullProgress,
    on_progress: OnProgress | None,
) -> None:
    clock, reported = asyncio.get_running_loop().time, 0.0
    async for batch in batches:
        for message in batch:
            told = message.get("error") or (message.get("errorDetail") or {}).get("message")
            if told:
                raise PullFailed(ref, classify_pull(str(told)), clean_told(told))
            progress.feed(message)
        if clock() - reported >= MIN_SECONDS_BETWEEN_REPORTS:
            reported = clock()
            await _report(on_progress, progress)


async def _report(on_progress: OnProgress | None, progress: PullProgress) -> None:
    if on_progress is not None:
        answer = on_progress(progress)
        if inspect.isawaitable(answer):
            await answer


def _failed(ref: str, exc: EngineError) -> PullFailed:
    """The engine said no before it sent the first message."""
    told = exc.message.partition("): ")[2] or exc.message
    reason = "not_found" if isinstance(exc, NoSuchImage) else classify_pull(told)
    return PullFailed(ref, reason, told)
