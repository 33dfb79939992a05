"""Tries an idempotent engine step again (spec §7.8). `compose up` never comes here."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.core.errors import AdapterError
from app.features.updates.records import Failure, StepFailed
from app.settings import Settings

T = TypeVar("T")


def delay_before(attempt: int, base: float, most: float, chance: float) -> float:
    """Seconds before try number `attempt` + 1: base·2^(attempt-1) plus up to a third of base, capped."""
    doubled: float = base * 2 ** min(max(attempt, 1) - 1, 20)
    return min(doubled + chance * base / 3, most)


async def idempotent(
    step: str, settings: Settings, action: Callable[[], Awaitable[T]], on_retry: Callable[[str], None]
) -> T:
    """The action's result, after as many tries as the settings allow for errors that may pass.

    Raises StepFailed with what was tried.
    """
    from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

    base, most = settings.update_idempotent_retry_base_ms / 1000, settings.update_idempotent_retry_max_ms / 1000
    attempts = settings.update_idempotent_retry_max_attempts

    async def attempt() -> T:  # tenacity awaits only what it can see to be a coroutine function
        return await action()

    def pause(state: RetryCallState) -> float:
        return delay_before(state.attempt_number, base, most, random.random())  # noqa: S311  # jitter is no secret

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        on_retry(f"{step}: try {state.attempt_number} of {attempts} failed ({error}), trying again")

    retrying = AsyncRetrying(
        stop=stop_after_attempt(attempts),
        wait=pause,
        retry=retry_if_exception(lambda error: isinstance(error, AdapterError) and not error.permanent),
        before_sleep=tell,
        reraise=True,
    )
    try:
        return await retrying(attempt)
    except AdapterError as error:
        made = int(retrying.statistics.get("attempt_number", 1))
        retry = {
            "attempts": made,
            "maxAttempts": attempts,
            "baseMs": settings.update_idempotent_retry_base_ms,
            "maxMs": settings.update_idempotent_retry_max_ms,
        }
        raise StepFailed(Failure(step, error.message, _remedy(error), retry)) from error


def _remedy(error: AdapterError) -> str:
    """A socket proxy's refusal hides behind the failed pull; its remedy is the one that helps."""
    cause = error.__cause__
    refused_by_proxy = isinstance(cause, AdapterError) and cause.details.get("status") == 403
    return cause.hint if refused_by_proxy and isinstance(cause, AdapterError) else error.hint
