"""Schedules: what is done by itself, at the times its owner wrote as cron (spec §7.11)."""

from __future__ import annotations

from app.core.background import Background
from app.core.clock import Clock
from app.core.events import EventBus
from app.core.feature import Container, Feature
from app.features.preferences import UPDATE_CHECK, Preferences, SettingsChanged
from app.features.schedules.actions import ScheduledActions
from app.features.schedules.service import Scheduler
from app.features.versions import Checks

__all__ = ["FEATURE", "ScheduledActions", "Scheduler"]


def _setup(container: Container) -> None:
    checks = container.get(Checks)
    actions = container.put(ScheduledActions, ScheduledActions())
    actions.add(UPDATE_CHECK, lambda: checks.start("all", created_by="schedule", reason="schedule"))
    scheduler = container.put(Scheduler, Scheduler(container.get(Preferences), actions, container.get(Clock)))
    container.get(EventBus).on(SettingsChanged, scheduler.note_settings)
    container.get(Background).keep("schedules", scheduler.run)


FEATURE = Feature(name="schedules", setup=_setup, provides={"scheduler": Scheduler})
