"""Puts the page together from the settings, the outbox and the devices."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Final

from app.adapters.notify import NotifyError, SmtpSettings
from app.core.errors import NotFound
from app.core.web.languages import _
from app.features.notifications import rules
from app.features.notifications.controllers import settings_out
from app.features.notifications.devices import DeviceRecord, Devices
from app.features.notifications.outbox import LastDelivery, Outbox
from app.features.notifications.page_schemas import ChannelOut, DeviceOut, LastOut, NotificationsPage
from app.features.notifications.payload import CHANNELS
from app.features.notifications.settings import NotificationSettings, SettingsStore
from app.features.notifications.stored import told
from app.features.preferences import Preferences, Readiness, ReadinessBoard, Sections

LABELS: Final = {"email": "E-mail", "webhook": "Webhook", "telegram": "Telegram", "webPush": "Web push"}


def device_id(endpoint: str) -> str:
    """What stands for a device on a page: the browser can work it out for itself, nobody can send with it."""
    return hashlib.sha256(endpoint.encode()).hexdigest()[:32]


class NotificationPages:
    """Reads for the page."""

    def __init__(
        self,
        settings: SettingsStore,
        devices: Devices,
        outbox: Outbox,
        preferences: Preferences,
        sections: Sections,
        language: str,
    ) -> None:
        self._sections = sections
        self._language = language
        self._settings = settings
        self._devices = devices
        self._outbox = outbox
        self._preferences = preferences

    async def page(self) -> NotificationsPage:
        """Everything the page shows."""
        settings = await self._settings.read()
        last = await self._outbox.last(CHANNELS)
        return NotificationsPage(
            settings=settings_out(settings),
            channels=[_channel(name, settings, last.get(name)) for name in CHANNELS],
            devices=[_device(device) for device in await self._devices.all()],
            default_subject=rules.DEFAULT_SUBJECT,
            language=self._language,
            public_base_url=await self._preferences.public_base_url(),
            sections=self._sections.links(),
        )

    async def endpoint(self, identifier: str) -> str:
        """The endpoint of a device. Raises NotFound."""
        for device in await self._devices.all():
            if device_id(device.endpoint) == identifier:
                return device.endpoint
        raise NotFound("device not found", hint="It was removed already; reload the page.")


CHECKS: Final = {
    "email": "feature.notifications.email",
    "webhook": "feature.notifications.webhook",
    "telegram": "feature.notifications.telegram",
    "webPush": "feature.notifications.web_push",
}


def answer_for_checks(board: ReadinessBoard, settings: SettingsStore) -> None:
    """Let the deploy check know which channels are on and complete (spec §5.7)."""

    def asker(name: str) -> Callable[[], Awaitable[Readiness]]:
        async def ask() -> Readiness:
            found = await settings.read()
            evidence = where(name, found)
            if name == "webPush" and found.public_key:
                evidence = _("pushes are signed with a key of %(subject)s", subject=found.subject)
            return Readiness(name in found.enabled, found.missing(name), evidence)

        return ask

    for name, check_id in CHECKS.items():
        board.add(check_id, asker(name))


def _channel(name: str, settings: NotificationSettings, last: LastDelivery | None) -> ChannelOut:
    kept = {
        "email": settings.smtp_url,
        "webhook": settings.webhook_url,
        "telegram": settings.bot_token or settings.chat_id,
        "webPush": settings.public_key or settings.private_key,
    }
    missing = [member for member in settings.missing(name) if member != "vapidSubject"]  # there is a default to send
    return ChannelOut(
        name=name,
        label=_(LABELS[name]),
        enabled=name in settings.enabled,
        stored=bool(kept[name]),
        where=where(name, settings),
        missing=missing,
        last=_last(last) if last else None,
    )


def where(name: str, settings: NotificationSettings) -> str:
    """The part of what is stored that is no secret: who is written to, and through which host."""
    if name == "email" and settings.smtp_url:
        try:
            smtp = SmtpSettings.parse(settings.smtp_url)
        except NotifyError:
            return ""
        to, through = ", ".join(smtp.recipients) or _("nobody yet"), f"{smtp.host}:{smtp.port}"
        return _("%(recipients)s through %(host)s", recipients=to, host=through)
    if name == "webhook" and settings.webhook_url:
        return settings.webhook_url.split("://", 1)[-1].split("/", 1)[0].split("?", 1)[0].rpartition("@")[2]
    if name == "telegram" and settings.chat_id:
        return _("chat %(id)s", id=settings.chat_id)
    return ""


def _last(last: LastDelivery) -> LastOut:
    return LastOut(
        at=last.at,
        state=last.state.value,
        title=last.title,
        error=told(last.error),
        delivered=last.delivered,
        of=last.of,
        attempts=last.attempts,
        next_try_at=last.next_try_at,
    )


def _device(device: DeviceRecord) -> DeviceOut:
    return DeviceOut(
        id=device_id(device.endpoint),
        name=device.name,
        created_at=device.created_at,
        last_delivery_at=device.last_delivery_at,
        last_error=told(device.last_error or ""),
    )
