"""Which channels do not get through: kept in memory, so that the overview tells it without asking the database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.core.clock import Clock
from app.core.events import EntitiesChanged
from app.features.notifications.models import DeliveryState
from app.features.notifications.outbox import LastDelivery, Outbox
from app.features.notifications.pages import LABELS
from app.features.notifications.settings import SettingsStore

LONG: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class FailingChannel:
    """A channel that is on and whose newest message did not arrive. `given_up` is false while it is tried again."""

    name: str
    label: str
    error: str
    given_up: bool


class Failing:
    """Read anew with every attempt and every change of the settings."""

    def __init__(self, outbox: Outbox, settings: SettingsStore, clock: Clock) -> None:
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._last: dict[str, LastDelivery] = {}
        self._reading = asyncio.Lock()

    async def note(self, event: EntitiesChanged) -> None:
        """Something was sent, or was not."""
        if event.domain == "notifications":
            await self.refresh()

    async def refresh(self) -> None:
        """Read how the newest message of each channel that is on ended."""
        async with self._reading:  # one after the other: the last one to read has read the newest
            self._last = await self._outbox.last((await self._settings.read()).channels)

    def now(self) -> Sequence[FailingChannel]:
        """Those whose newest message was given up, or is tried again for more than ten minutes."""
        now = self._clock.now()
        return [
            FailingChannel(name, LABELS[name], last.error, last.state is DeliveryState.FAILED)
            for name, last in self._last.items()
            if last.state is DeliveryState.FAILED
            or (last.state is not DeliveryState.DELIVERED and last.error and now - last.since > LONG)
        ]
