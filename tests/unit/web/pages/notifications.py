"""The page of notifications: set up, empty, hostile."""

from __future__ import annotations

from typing import Any

from app.features.notifications.page_schemas import ChannelOut, DeviceOut, LastOut, NotificationsPage
from app.features.notifications.schemas import (
    EmailOut,
    EventsOut,
    NotificationsOut,
    TelegramOut,
    WebhookOut,
    WebPushOut,
)
from app.features.preferences import SectionLink
from tests.unit.web.pages.base import EVIL, NOW, ago

MASK = "******"
LABELS = {"email": "E-mail", "webhook": "Webhook", "telegram": "Telegram", "webPush": "Web push"}


def last(state: str = "delivered", **more: Any) -> LastOut:
    return LastOut(at=ago(minutes=7), state=state, title="Update rolled back", **more)


def channel(name: str, **more: Any) -> ChannelOut:
    return ChannelOut(name=name, label=LABELS[name], **{"enabled": False, "stored": False, **more})


def page(**more: Any) -> NotificationsPage:
    values: dict[str, Any] = {
        "settings": NotificationsOut(
            email=EmailOut(enabled=True, smtp_url=MASK),
            webhook=WebhookOut(enabled=True, url=MASK),
            telegram=TelegramOut(enabled=True, bot_token_configured=True, chat_id="-100123"),
            web_push=WebPushOut(enabled=True, vapid_public_key="BKey", vapid_private_key=MASK),
            events=EventsOut(update=True, new_version=True, ghcr_webhook_anomaly=False),
        ),
        "channels": [
            channel("email", enabled=True, stored=True, where="me@home.lan through mail:587", last=last()),
            channel("webhook", enabled=True, stored=True, last=last("failed", error="ntfy answered 404")),
            channel("telegram", enabled=True, missing=["chatId"]),
            channel("webPush", enabled=True, stored=True, last=last("queued", of=3, attempts=4, next_try_at=NOW)),
        ],
        "devices": [
            DeviceOut(id="a" * 32, name="Kitchen tablet", created_at=ago(days=40), last_delivery_at=ago(hours=1)),
            DeviceOut(id="b" * 32, name="Old phone", created_at=ago(days=400), last_error="push.example answered 503"),
        ],
        "default_subject": "mailto:dockrev@localhost",
        "public_base_url": "https://dockrev.example/",
        "sections": [SectionLink(key="notifications", label="Notifications", href="/settings/notifications")],
    }
    return NotificationsPage(**(values | more))


def empty() -> NotificationsPage:
    off = NotificationsOut(
        email=EmailOut(enabled=False),
        webhook=WebhookOut(enabled=False),
        telegram=TelegramOut(enabled=False, bot_token_configured=False),
        web_push=WebPushOut(enabled=False),
        events=EventsOut(update=True, new_version=True, ghcr_webhook_anomaly=True),
    )
    return page(settings=off, channels=[channel(name) for name in LABELS], devices=[], public_base_url=None)


def hostile() -> NotificationsPage:
    made = page()
    made.settings.telegram.chat_id = made.settings.web_push.vapid_public_key = EVIL
    made.settings.web_push.vapid_subject = EVIL
    made.channels = [
        channel(name, enabled=True, stored=True, where=EVIL, last=last("failed", error=EVIL)) for name in LABELS
    ]
    for each in made.channels:
        assert each.last is not None
        each.last.title = EVIL
    made.devices = [DeviceOut(id="c" * 32, name=EVIL, created_at=NOW, last_error=EVIL)]
    made.public_base_url = EVIL
    return made
