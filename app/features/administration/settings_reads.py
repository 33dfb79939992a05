"""Puts the page of the settings together."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from litestar import Request

from app.core.web.auth import AuthPolicy, identity_of
from app.core.web.languages import N_
from app.features.administration.settings_schemas import (
    BackupCard,
    MonitorCard,
    ScheduleCard,
    SettingsPage,
    ignored_sender,
)
from app.features.preferences import (
    GHCR_AUDIT,
    RETENTION_DAYS,
    SAMPLE_INTERVALS,
    UPDATE_CHECK,
    BackupDefaults,
    HouseSettings,
    Preferences,
    ScheduleName,
    Sections,
    auth_out,
)
from app.features.preferences.cron_words import explained
from app.features.schedules import Scheduler
from app.settings import Settings

FOLDER_SECONDS: Final = 1.0
OPEN_TO: Final = {"loopback": N_("this machine only"), "any": N_("everybody who can reach it"), "off": N_("nobody")}


class SettingsReads:
    """Everything the page shows."""

    def __init__(
        self,
        settings: Settings,
        preferences: Preferences,
        scheduler: Scheduler,
        sections: Sections,
        passkeys: Callable[[], Awaitable[int]],
    ) -> None:
        self._settings = settings
        self._preferences = preferences
        self._scheduler = scheduler
        self._sections = sections
        self._passkeys = passkeys

    async def page(self, request: Request[Any, Any, Any]) -> SettingsPage:
        """As it is now."""
        now = await self._preferences.read()
        policy: AuthPolicy = request.app.state.auth_policy
        identity, monitor = identity_of(request), now.monitor
        return SettingsPage(
            auth=auth_out(request),
            person=identity.name if identity else "",
            email=identity.email if identity else "",
            logout_url=policy.logout_url if policy.has_allow_list else None,
            ignored=ignored_sender(policy),
            allowed=policy.has_allow_list,
            passkeys=await self._passkeys(),
            open_to=str(OPEN_TO[policy.anonymous]),
            backup=await backup_card(now.backup),
            monitor=MonitorCard(
                enabled=monitor.enabled,
                sample_interval_seconds=monitor.sample_interval_seconds,
                intervals=list(SAMPLE_INTERVALS),
                retention_days=RETENTION_DAYS,
            ),
            schedules=[self._schedule(UPDATE_CHECK, now), self._schedule(GHCR_AUDIT, now)],
            zone=self._scheduler.zone_name,
            public_base_url=now.public_base_url,
            version=self._settings.effective_version,
            self_upgrade_url=self._settings.self_upgrade_url,
            sections=self._sections.links(),
        )

    def _schedule(self, name: ScheduleName, now: HouseSettings) -> ScheduleCard:
        schedule, works = now.schedule(name), self._scheduler.does_something(name)
        return ScheduleCard(
            name=name,
            enabled=schedule.enabled,
            cron=schedule.cron,
            explanation=explained(schedule.cron),
            next_run_at=self._scheduler.next_run(schedule) if works else None,
            works=works,
        )


async def backup_card(backup: BackupDefaults) -> BackupCard:
    """The defaults, with how their folder is; a folder that does not answer is not waited for."""
    card = BackupCard(
        enabled=backup.enabled,
        require_success=backup.require_success,
        base_dir=backup.base_dir,
        skip_targets_over_bytes=backup.skip_targets_over_bytes,
    )
    try:
        async with asyncio.timeout(FOLDER_SECONDS):
            card.folder, card.folder_text, card.free_bytes = await asyncio.to_thread(_look_at, Path(backup.base_dir))
    except TimeoutError:
        card.folder, card.folder_text = "bad", "does not answer"
    return card


def _look_at(folder: Path) -> tuple[str, str, int | None]:
    """Whether an archive could be written there, and how much room there is."""
    free: int | None = None
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        with suppress(OSError):
            free = shutil.disk_usage(there).free
        writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    except OSError as error:
        return "bad", (error.strerror or "cannot be looked at").lower(), free
    if not there.is_dir():
        return "bad", "is not a folder", free
    if not writable:
        return "bad", "is not writable for Dockrev", free
    return ("ok", "is writable", free) if there == folder else ("new", "is made with the first backup", free)
