"""The two schedules (spec §7.11): armed from the settings, read once more right before they fire, never caught up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

import structlog

from app.core.clock import LOCAL_TIME, Clock
from app.core.errors import Conflict, DockrevError
from app.features.preferences import (
    GHCR_AUDIT,
    UPDATE_CHECK,
    Preferences,
    Schedule,
    ScheduleName,
    SettingsChanged,
    cron,
)
from app.features.schedules.actions import ScheduledActions

log = structlog.get_logger(__name__)

NAMES: Final[tuple[ScheduleName, ...]] = (UPDATE_CHECK, GHCR_AUDIT)
POLL_SECONDS: Final = 30.0
SHORTEST_WAIT: Final = 0.05
MISSED_AFTER: Final = timedelta(seconds=90)
"""A machine that slept through the moment does not make up for it; three looks late is busy, more was asleep."""


@dataclass(frozen=True, slots=True)
class _Armed:
    """When a schedule, as it was written then, comes round."""

    schedule: Schedule
    at: datetime | None


class Scheduler:
    """See the module. `run` is its loop, `step` one look, which never waits for the time to pass."""

    def __init__(
        self, preferences: Preferences, actions: ScheduledActions, clock: Clock, zone: tzinfo = LOCAL_TIME
    ) -> None:
        self._preferences = preferences
        self._actions = actions
        self._clock = clock
        self._zone = zone
        self._armed: dict[ScheduleName, _Armed] = {}
        self._moved = asyncio.Event()

    def next_run(self, schedule: Schedule) -> datetime | None:
        """When it comes round next; None while it is off or is no schedule."""
        if not schedule.enabled:
            return None
        try:
            return cron.next_run(schedule.cron, self._clock.now(), self._zone)
        except cron.CronProblem:
            return None

    def does_something(self, name: ScheduleName) -> bool:
        """Whether a room has something to do for it."""
        return self._actions.get(name) is not None

    @property
    def zone_name(self) -> str:
        """What the time zone is called, like CEST."""
        return self._clock.now().astimezone(self._zone).tzname() or "local time"

    async def note_settings(self, _: SettingsChanged) -> None:
        """Settings changed: arm anew at once."""
        self.wake()

    def wake(self) -> None:
        """Look now instead of at the next look."""
        self._moved.set()

    async def run(self) -> None:
        """For ever: look, wait for the next time or for a change of the settings, 30 s at most."""
        while True:
            self._moved.clear()
            wait = await self.step()
            with suppress(TimeoutError):  # no settings changed: something is due, or it is time to look again
                async with asyncio.timeout(wait):
                    await self._moved.wait()

    async def step(self) -> float:
        """Arm what changed, fire what is due; returns the seconds until the next look."""
        settings = await self._preferences.read()
        for name in NAMES:
            self._arm(name, settings.schedule(name))
            if self._is_due(name):
                await self._fire(name)
        return self._wait()

    def _arm(self, name: ScheduleName, schedule: Schedule) -> None:
        armed = self._armed.get(name)
        if armed is not None and armed.schedule == schedule:
            return
        at = self.next_run(schedule)
        if schedule.enabled and at is None:
            log.warning("stored cron expression is invalid, its schedule rests", schedule=name, cron=schedule.cron)
        self._armed[name] = _Armed(schedule, at)

    def _is_due(self, name: ScheduleName) -> bool:
        at = self._armed[name].at
        return at is not None and at <= self._clock.now()

    async def _fire(self, name: ScheduleName) -> None:
        armed = self._armed.pop(name)
        now_wanted = (await self._preferences.read()).schedule(name)
        self._arm(name, now_wanted)
        if now_wanted != armed.schedule or armed.at is None:
            return
        late = self._clock.now() - armed.at
        if late > MISSED_AFTER:
            log.info("a scheduled run was missed and is not made up for", schedule=name, seconds=late.total_seconds())
            return
        action = self._actions.get(name)
        if action is None:
            return
        try:
            await action()
        except Conflict as conflict:
            log.info("a scheduled run is skipped", schedule=name, cause=conflict.message)
        except DockrevError as error:
            log.warning("a scheduled run could not start", schedule=name, cause=error.message)
        except Exception:
            log.exception("a scheduled run could not start", schedule=name)

    def _wait(self) -> float:
        now = self._clock.now()
        waits = [(armed.at - now).total_seconds() for armed in self._armed.values() if armed.at is not None]
        return max(SHORTEST_WAIT, min(POLL_SECONDS, *waits, POLL_SECONDS))
