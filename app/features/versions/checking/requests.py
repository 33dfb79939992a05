"""The registry side of a check: each tag once, seven at a time (spec §7.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from app.adapters.registry import ImageRef, RegistryClient, RegistryError, TagState
from app.core.errors import DockrevError

WORKERS: Final = 7
STAGGER_SECONDS: Final = 1.0
log = structlog.get_logger(__name__)

Pair = tuple[str, str]
"""Canonical repository and tag."""


@dataclass(frozen=True, slots=True)
class TagQuestion:
    """One tag to ask about; `running` is the digest that all its users run, None when they differ."""

    ref: ImageRef
    tag: str
    running: str | None

    @property
    def pair(self) -> Pair:
        """What it is known by."""
        return self.ref.repo, self.tag


class TagQuestions:
    """Asks in the order given. `answer` waits for one; leaving the block stops what is still under way.

    The workers of background work start one second apart (spec §7.5), so that a schedule does not knock at a registry
    with everything at once; where a person waits they start together.
    """

    def __init__(
        self,
        client: RegistryClient,
        questions: Iterable[TagQuestion],
        *,
        background: bool,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._background = background
        self._sleep = sleep
        self._questions = {question.pair: question for question in questions}
        self._answers: Mapping[Pair, asyncio.Future[TagState]] = {}
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> TagQuestions:
        loop = asyncio.get_running_loop()
        self._answers = {pair: loop.create_future() for pair in self._questions}
        self._prepare()
        waiting = iter(self._questions.values())
        stagger = STAGGER_SECONDS if self._background else 0.0
        count = min(WORKERS, len(self._questions))
        self._workers = [loop.create_task(self._work(waiting, number * stagger)) for number in range(count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for answer in self._answers.values():
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen: nobody may have waited for it
            answer.cancel()

    async def answer(self, pair: Pair) -> TagState:
        """What the registry said. Raises the RegistryError tree, or whatever went wrong in asking."""
        return await asyncio.shield(self._answers[pair])

    def _prepare(self) -> None:
        names: dict[str, set[str]] = {}
        for question in self._questions.values():
            names.setdefault(question.ref.registry, set()).add(question.ref.name)
        for registry, repositories in names.items():
            self._client.warm(registry, repositories)

    async def _work(self, waiting: Iterable[TagQuestion], delay: float) -> None:
        if delay:
            await self._sleep(delay)
        for question in waiting:
            answer = self._answers[question.pair]
            try:
                state = await self._client.check(
                    question.ref, question.tag, running=question.running, background=self._background
                )
            except (RegistryError, DockrevError) as error:
                answer.set_exception(error)
            except Exception as error:
                log.exception("asking a registry failed unexpectedly", repo=question.ref.repo)
                answer.set_exception(error)
            else:
                answer.set_result(state)
