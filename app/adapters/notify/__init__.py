"""Ways to tell somebody something: e-mail, webhook, Telegram, web push (spec §8.1). A folder each, one small interface.

Importing this package loads none of the libraries that send; the first message does.
"""

from __future__ import annotations

from app.adapters.notify.email.sender import EmailSender
from app.adapters.notify.email.settings import SmtpSettings
from app.adapters.notify.errors import Gone, NotConfigured, NotifyError, Refused, Unreachable
from app.adapters.notify.message import Message, Sender
from app.adapters.notify.telegram.sender import TelegramSender
from app.adapters.notify.telegram.settings import TelegramSettings
from app.adapters.notify.webhook.sender import WebhookSender
from app.adapters.notify.webhook.settings import check_webhook_url
from app.adapters.notify.webpush.keys import VapidKeys, generate_keys, public_key_of
from app.adapters.notify.webpush.sender import PushPool, WebPushSender
from app.adapters.notify.webpush.settings import Device, WebPushSettings, check_endpoint

__all__ = [
    "Device",
    "EmailSender",
    "Gone",
    "Message",
    "NotConfigured",
    "NotifyError",
    "PushPool",
    "Refused",
    "Sender",
    "SmtpSettings",
    "TelegramSender",
    "TelegramSettings",
    "Unreachable",
    "VapidKeys",
    "WebPushSender",
    "WebPushSettings",
    "WebhookSender",
    "check_endpoint",
    "check_webhook_url",
    "generate_keys",
    "public_key_of",
]
