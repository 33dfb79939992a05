"""The rooms of this house, lowest first. A new room adds one line."""

from __future__ import annotations

from app.core.feature import Feature
from app.features import (
    access,
    administration,
    backups,
    catalog,
    homeassistant,
    hooks,
    jobs,
    notifications,
    overview,
    passkeys,
    preferences,
    schedules,
    stacks,
    updates,
    versions,
)

INSTALLED: tuple[Feature, ...] = (
    preferences.FEATURE,
    stacks.FEATURE,
    access.FEATURE,
    passkeys.FEATURE,
    versions.FEATURE,
    schedules.FEATURE,
    backups.FEATURE,
    updates.FEATURE,
    notifications.FEATURE,
    administration.FEATURE,
    jobs.FEATURE,
    catalog.FEATURE,
    hooks.FEATURE,
    homeassistant.FEATURE,
    overview.FEATURE,
)
