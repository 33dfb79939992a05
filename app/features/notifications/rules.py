"""What may be stored, and what "not given" means (spec §3.7). Pure; raises InvalidArgument naming the field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from app.adapters.notify import NotifyError, SmtpSettings, check_webhook_url
from app.core.errors import InvalidArgument

MASK: Final = "******"
BULLETS: Final = "•" * 16
MAX_CHAT: Final = 128
MAX_KEY: Final = 256
DEFAULT_SUBJECT: Final = "mailto:dockrev@localhost"
_BASE64: Final = re.compile(r"[A-Za-z0-9_+/-]+=*", re.ASCII)


def masked(stored: str | None) -> str | None:
    """What is told of a secret: that there is one."""
    return MASK if stored else None


def secret(given: str | None, stored: str | None) -> str | None:
    """The secret to store: nothing, blank and a mask keep what is stored."""
    text = (given or "").strip()
    return stored if text in ("", MASK, BULLETS) else text


def plain(given: str | None, stored: str | None) -> str | None:
    """What is no secret (chat id, public key, subject): nothing and a mask keep it, blank clears it."""
    if given is None or given.strip() in (MASK, BULLETS):
        return stored
    return given.strip() or None


def smtp_url(given: str | None, stored: str | None) -> str | None:
    """The SMTP address to store. It may lack recipients: that is told when something is sent."""
    return _checked("email.smtpUrl", secret(given, stored), stored, SmtpSettings.parse)


def webhook_url(given: str | None, stored: str | None) -> str | None:
    """The webhook's URL to store."""
    return _checked("webhook.url", secret(given, stored), stored, check_webhook_url)


def bot_token(given: str | None, stored: str | None) -> str | None:
    """The bot token to store."""
    return _checked("telegram.botToken", secret(given, stored), stored, _one_word)


def chat_id(given: str | None, stored: str | None) -> str | None:
    """The chat id to store: a number or `@channel`, as Telegram shows it."""
    return _checked("telegram.chatId", plain(given, stored), stored, _one_word)


def public_key(given: str | None, stored: str | None) -> str | None:
    """The public VAPID key to store."""
    return _checked("webPush.vapidPublicKey", plain(given, stored), stored, _base64)


def private_key(given: str | None, stored: str | None) -> str | None:
    """The private VAPID key to store."""
    return _checked("webPush.vapidPrivateKey", secret(given, stored), stored, _base64)


def subject(given: str | None, stored: str | None) -> str | None:
    """Whom a push service can write to about us."""
    return _checked("webPush.vapidSubject", plain(given, stored), stored, _contact)


def device_key(name: str, given: str) -> str:
    """A key of a subscription, trimmed."""
    try:
        _base64(given.strip())
    except ValueError as error:
        raise InvalidArgument(f"{name}: {error}", details={"field": name}) from error
    return given.strip().rstrip("=")


def device_name(given: str | None) -> str:
    """What its owner calls a device, in one line that can be shown."""
    text = " ".join((given or "").split())
    return "".join(char for char in text if char.isprintable())[:80]


def browser_name(user_agent: str) -> str:
    """`Firefox on Linux`; of what is not known only that it is a browser."""
    browsers = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
    systems = (
        ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "macOS"),
        ("CrOS", "ChromeOS"), ("Linux", "Linux"),
    )  # fmt: skip
    browser = next((name for sign, name in browsers if sign in user_agent), "Browser")
    system = next((name for sign, name in systems if sign in user_agent), "")
    return f"{browser} on {system}" if system else browser


def _checked(field: str, value: str | None, stored: str | None, check: Callable[[str], object]) -> str | None:
    """What is kept was good enough when it was stored."""
    if value is None or value == stored:
        return value
    try:
        check(value)
    except NotifyError as error:
        raise _refused(field, error.message, error.hint) from error
    except ValueError as error:
        raise _refused(field, str(error)) from error
    return value


def _refused(field: str, problem: str, hint: str = "") -> InvalidArgument:
    """`error` is what is said beside the field itself."""
    return InvalidArgument(f"{field}: {problem}", hint=hint, details={"field": field, "error": problem})


def _one_word(text: str) -> None:
    if len(text) > MAX_CHAT or not text.isprintable() or not text.isascii() or " " in text or "/" in text:
        raise ValueError("must be one word as Telegram shows it")


def _base64(text: str) -> None:
    if len(text) > MAX_KEY or not _BASE64.fullmatch(text):
        raise ValueError("must be base64url text")


def _contact(text: str) -> None:
    """Push services turn down what is neither."""
    address = text.removeprefix("mailto:")
    usable = text.isprintable() and text.isascii() and " " not in text and len(text) <= MAX_KEY
    if text.startswith("mailto:") and usable and 0 < address.find("@") < len(address) - 1:
        return
    if usable and text.startswith("https://") and urlsplit(text).hostname:
        return
    raise ValueError("must be mailto:you@example.org or an https URL")
