"""Takes one message to one channel, as the settings are now; whatever goes wrong comes back as an Outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from app.adapters.notify import (
    EmailSender,
    Gone,
    NotConfigured,
    NotifyError,
    PushPool,
    Sender,
    SmtpSettings,
    TelegramSender,
    TelegramSettings,
    Unreachable,
    WebhookSender,
    WebPushSender,
    WebPushSettings,
)
from app.features.notifications.devices import Devices
from app.features.notifications.outbox import Outcome
from app.features.notifications.redact import redact
from app.features.notifications.settings import NotificationSettings
from app.features.notifications.texts import Texts
from app.features.notifications.waiting import Waiting

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Routes:
    """What the environment says about the ways out."""

    telegram_api_url: str
    push_allowed_origins: frozenset[str]


class Courier:
    """Knows every channel."""

    def __init__(self, devices: Devices, texts: Texts, routes: Routes, pool: PushPool, waiting: Waiting) -> None:
        self._devices = devices
        self._texts = texts
        self._routes = routes
        self._pool = pool
        self._waiting = waiting

    async def take(
        self,
        message_id: str,
        channel: str,
        target: str,
        document: Mapping[str, Any],
        settings: NotificationSettings,
    ) -> Outcome:
        """One attempt. Never raises; the error's text holds no secret."""
        try:
            sender = await self._sender(channel, target, settings)
            if channel == "webPush" and (count := await self._waiting.count()) is not None:
                document = {**document, "updatesWaiting": count}  # as it is when it is sent, not when it was queued
            remark = await sender.send(self._texts.message(message_id, channel, document))
        except NotifyError as error:
            text = f"{error.message}. {error.hint}".strip() if error.hint else error.message
            wait = error.retry_after if isinstance(error, Unreachable) else None
            return Outcome(
                ok=False,
                error=redact(text, settings.secrets),
                permanent=error.permanent,
                gone=isinstance(error, Gone),
                retry_after=wait,
            )
        except Exception as error:
            # A traceback could quote an address with its password: the type has to do.
            log.error("notification failed unexpectedly", channel=channel, kind=type(error).__name__)
            return Outcome(ok=False, error=f"unexpected {type(error).__name__}")
        return Outcome(ok=True, remark=redact(remark, settings.secrets))

    async def _sender(self, channel: str, target: str, settings: NotificationSettings) -> Sender:
        if channel == "email":
            if not settings.smtp_url:
                raise NotConfigured("no SMTP address is set", hint="Store one in the notification settings.")
            return EmailSender(SmtpSettings.parse(settings.smtp_url))
        if channel == "webhook":
            if not settings.webhook_url:
                raise NotConfigured("no URL is set", hint="Store one in the notification settings.")
            return WebhookSender(settings.webhook_url)
        if channel == "telegram":
            api_url = self._routes.telegram_api_url
            return TelegramSender(TelegramSettings.of(settings.bot_token, settings.chat_id, api_url))
        ours = WebPushSettings.of(
            settings.public_key, settings.private_key, settings.subject, self._routes.push_allowed_origins
        )
        if not target:
            raise NotConfigured("no subscriptions", hint="Open the notification settings on a device and subscribe it.")
        device = await self._devices.device(target)
        if device is None:
            raise NotConfigured("the device was removed")
        return WebPushSender(ours, device, self._pool)
