"""The outbox's worker: takes what is due to its channel, notes how it went, sleeps until something is due again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from app.core.clock import Clock
from app.core.errors import DockrevError
from app.core.events import EntitiesChanged, EventBus
from app.core.jobs import JobEngine
from app.features.notifications.courier import Courier
from app.features.notifications.outbox import Delivery, Outbox, Outcome
from app.features.notifications.settings import SettingsStore

log = structlog.get_logger(__name__)

AT_ONCE: Final = 8
LONGEST_SLEEP: Final = 60.0
STOP_SECONDS: Final = 1.5


class Worker:
    """One per process."""

    def __init__(
        self, outbox: Outbox, courier: Courier, settings: SettingsStore, jobs: JobEngine, bus: EventBus, clock: Clock
    ) -> None:
        self._outbox = outbox
        self._courier = courier
        self._settings = settings
        self._jobs = jobs
        self._bus = bus
        self._clock = clock
        self._woken = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Something was queued."""
        self._woken.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._woken.clear()
            free = AT_ONCE - len(self._sending)
            claimed = await self._outbox.claim(free) if free > 0 else []
            for delivery in claimed:
                task = asyncio.get_running_loop().create_task(self._send(delivery))
                self._sending.add(task)
                task.add_done_callback(self._ended)
            if not claimed:
                await self._sleep()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._woken.set()

    async def _sleep(self) -> None:
        """Until somebody wakes it, or the next try is due."""
        due = await self._outbox.next_due()
        seconds = LONGEST_SLEEP
        if due is not None and len(self._sending) < AT_ONCE:
            seconds = min(max((due - self._clock.now()).total_seconds(), 0.05), LONGEST_SLEEP)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _send(self, delivery: Delivery) -> None:
        settings = await self._settings.read()
        if delivery.channel in settings.enabled:
            outcome = await self._courier.take(
                delivery.message_id, delivery.channel, delivery.target, delivery.payload, settings
            )
        else:
            outcome = Outcome(ok=False, error="the channel was switched off", permanent=True)
        try:
            await self._outbox.finish(delivery, outcome)
        except DockrevError as error:  # it stays claimed, and is sent again after the next start
            log.error("result of a notification could not be kept", delivery=delivery.id, cause=error.message)
            return
        except Exception:
            log.exception("result of a notification could not be kept", delivery=delivery.id)
            return
        if delivery.job_id:
            self._jobs.wake()
        self._bus.publish(EntitiesChanged("notifications"))

    async def stop(self) -> None:
        """Let what is being sent end, for a moment: what is cut off would be sent again at the next start."""
        if self._sending:
            await asyncio.wait(set(self._sending), timeout=STOP_SECONDS)
        for task in self._sending:
            task.cancel()
