"""The test button and `POST /api/notifications/test`: a message at once, past the outbox (spec §5.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from app.core.clock import Clock
from app.core.events import EntitiesChanged, EventBus
from app.core.ids import new_id
from app.features.notifications import payload
from app.features.notifications.courier import Courier
from app.features.notifications.devices import Devices
from app.features.notifications.outbox import Outbox, Outcome
from app.features.notifications.payload import Origin
from app.features.notifications.settings import NotificationSettings, SettingsStore
from app.features.notifications.texts import Texts
from app.features.preferences import Preferences

DEFAULT_MESSAGE = "dockrev test"


class Tester:
    """Sends test messages and says how each channel took it."""

    def __init__(
        self,
        *,
        settings: SettingsStore,
        devices: Devices,
        courier: Courier,
        outbox: Outbox,
        texts: Texts,
        preferences: Preferences,
        bus: EventBus,
        clock: Clock,
        app_version: str,
    ) -> None:
        self._settings = settings
        self._devices = devices
        self._courier = courier
        self._outbox = outbox
        self._texts = texts
        self._preferences = preferences
        self._bus = bus
        self._clock = clock
        self._app_version = app_version

    async def send(self, message: str = DEFAULT_MESSAGE, channel: str | None = None) -> dict[str, Outcome]:
        """To one channel even when it is off, or to all that are on; event switches do not matter. Never raises for a
        channel that fails."""
        settings = await self._settings.read()
        origin = Origin(self._app_version, self._clock.now(), await self._preferences.public_base_url())
        document = payload.test_message(message, channel, self._texts.test(message), origin)
        channels = (channel,) if channel else settings.channels
        event = f"test:{new_id('req')}"
        with self._texts.speaking():
            outcomes = await asyncio.gather(*(self._one(event, each, document, settings) for each in channels))
        self._bus.publish(EntitiesChanged("notifications"))
        return dict(zip(channels, outcomes, strict=True))

    async def _one(
        self, event: str, channel: str, document: Mapping[str, Any], settings: NotificationSettings
    ) -> Outcome:
        targets = [device.endpoint for device in await self._devices.all()] if channel == "webPush" else [""]
        for_it = payload.for_channel(document, channel, event)

        async def take(number: int, target: str) -> Outcome:
            message_id = f"{event.removeprefix('test:')}.{number}"
            outcome = await self._courier.take(message_id, channel, target, for_it, settings)
            await self._outbox.record(event, document, channel, target, outcome)
            return outcome

        return together(await asyncio.gather(*(take(n, target) for n, target in enumerate(targets or [""]))))


def together(outcomes: list[Outcome]) -> Outcome:
    """Of several devices: good when one got it; what went wrong with others is a remark. Pure."""
    good = [outcome for outcome in outcomes if outcome.ok]
    bad = [outcome for outcome in outcomes if not outcome.ok]
    if not good:
        return bad[0]
    if bad:
        return Outcome(ok=True, remark=f"{len(bad)} of {len(outcomes)} devices did not get it: {bad[0].error}")
    return good[0]
