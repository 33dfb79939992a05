"""The settings row: read, and changed channel by channel (spec §5.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from app.adapters.notify import VapidKeys, generate_keys
from app.core import changes
from app.core.clock import Clock
from app.core.db import Database
from app.core.jobs import JobLog
from app.features.notifications import rules, schemas
from app.features.notifications.models import SINGLETON, NotificationSettingsRow
from app.features.notifications.payload import CHANNELS

EVENTS: Final = ("update", "new_version", "ghcr_webhook_anomaly")
_EVENT_NAMES: Final = {
    "events.update": "update", "events.newVersion": "new_version", "events.ghcrWebhookAnomaly": "ghcr_webhook_anomaly",
}  # fmt: skip
NEEDS: Final = {
    "email": (("smtp_url", "smtpUrl"),),
    "webhook": (("webhook_url", "url"),),
    "telegram": (("bot_token", "botToken"), ("chat_id", "chatId")),
    "webPush": (
        ("public_key", "vapidPublicKey"), ("private_key", "vapidPrivateKey"), ("stored_subject", "vapidSubject"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """What is set. The fields that are not shown by `repr` are secrets and never leave the process but to be used."""

    enabled: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset(EVENTS)
    smtp_url: str | None = field(default=None, repr=False)
    webhook_url: str | None = field(default=None, repr=False)
    bot_token: str | None = field(default=None, repr=False)
    chat_id: str | None = None
    public_key: str | None = None
    private_key: str | None = field(default=None, repr=False)
    stored_subject: str | None = None

    @property
    def subject(self) -> str:
        """Who push services may write to."""
        return self.stored_subject or rules.DEFAULT_SUBJECT

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must not be told."""
        return tuple(filter(None, (self.smtp_url, self.webhook_url, self.bot_token, self.private_key)))

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that are on, in the order they are told."""
        return tuple(channel for channel in CHANNELS if channel in self.enabled)

    def missing(self, channel: str) -> tuple[str, ...]:
        """Members of a channel that it needs and lacks, by their names in the API (spec §5.7, deploy check)."""
        return tuple(wire for name, wire in NEEDS[channel] if not getattr(self, name))

    def wants(self, event: str) -> bool:
        """Whether an event is told to anybody: its switch and some channel's are on."""
        return event in self.events and bool(self.enabled)

    def facts(self) -> dict[str, object]:
        """Each setting by its name in the API, secrets too: to be compared, never told."""
        found: dict[str, object] = {f"{channel}.enabled": channel in self.enabled for channel in CHANNELS}
        found |= {f"{channel}.{wire}": getattr(self, name) for channel in NEEDS for name, wire in NEEDS[channel]}
        return found | {wire: name in self.events for wire, name in _EVENT_NAMES.items()}

    @classmethod
    def of(cls, row: NotificationSettingsRow) -> NotificationSettings:
        """A detached copy of the row."""
        switches = {
            "email": row.email_enabled,
            "webhook": row.webhook_enabled,
            "telegram": row.telegram_enabled,
            "webPush": row.webpush_enabled,
        }
        return cls(
            enabled=frozenset(channel for channel, on in switches.items() if on),
            events=frozenset(name for name in EVENTS if getattr(row, f"event_{name}_enabled")),
            smtp_url=row.email_smtp_url,
            webhook_url=row.webhook_url,
            bot_token=row.telegram_bot_token,
            chat_id=row.telegram_chat_id,
            public_key=row.webpush_vapid_public_key,
            private_key=row.webpush_vapid_private_key,
            stored_subject=row.webpush_vapid_subject,
        )


class SettingsStore:
    """The one row. A missing one means the defaults: every channel off, every event on."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self.changed: Callable[[], Awaitable[None]] = _nobody

    async def read(self) -> NotificationSettings:
        """What is set now."""
        async with self._db.session() as session:
            row = await session.get(NotificationSettingsRow, SINGLETON)
        return NotificationSettings() if row is None else NotificationSettings.of(row)

    async def ensure(self) -> int:
        """At start: write the row if there is none. What happened before that is not told.

        Returns the last row of the job logs that was looked at.
        """
        async with self._db.transaction() as session:
            return (await self.row(session)).seen_row_id

    async def row(self, session: AsyncSession) -> NotificationSettingsRow:
        """The row for a change, inside the caller's transaction."""
        row = await session.get(NotificationSettingsRow, SINGLETON)
        if row is None:
            newest = (await session.exec(select(func.max(JobLog.id)))).one() or 0
            row = NotificationSettingsRow(seen_row_id=newest)
            session.add(row)
        return row

    async def replace(self, wanted: schemas.NotificationsInput) -> None:
        """`PUT /api/notifications`: all channels, all or nothing. Raises InvalidArgument naming the field."""

        def change(row: NotificationSettingsRow) -> None:
            _email(row, wanted.email)
            _webhook(row, wanted.webhook)
            _telegram(row, wanted.telegram)
            _web_push(row, wanted.web_push)
            _events(row, wanted.events or schemas.EventsInput())

        await self._change(change)

    async def save(
        self,
        wanted: schemas.EmailInput
        | schemas.WebhookInput
        | schemas.TelegramInput
        | schemas.WebPushInput
        | schemas.EventsInput,
    ) -> None:
        """One card of the page. Raises InvalidArgument naming the field."""

        def change(row: NotificationSettingsRow) -> None:
            match wanted:
                case schemas.EmailInput():
                    _email(row, wanted)
                case schemas.WebhookInput():
                    _webhook(row, wanted)
                case schemas.TelegramInput():
                    _telegram(row, wanted)
                case schemas.WebPushInput():
                    _web_push(row, wanted)
                case schemas.EventsInput():
                    _events(row, wanted)

        await self._change(change)

    async def make_keys(self) -> VapidKeys:
        """A new pair of VAPID keys, stored. What subscribed with the old ones has to subscribe again."""
        keys = await asyncio.to_thread(generate_keys)

        def change(row: NotificationSettingsRow) -> None:
            row.webpush_vapid_public_key, row.webpush_vapid_private_key = keys.public, keys.private
            row.webpush_vapid_subject = row.webpush_vapid_subject or rules.DEFAULT_SUBJECT

        await self._change(change)
        return keys

    async def forget(self, channel: str) -> None:
        """Remove what is stored for a channel and switch it off."""

        def change(row: NotificationSettingsRow) -> None:
            columns: dict[str, tuple[str, ...]] = {
                "email": ("email_smtp_url",),
                "webhook": ("webhook_url",),
                "telegram": ("telegram_bot_token", "telegram_chat_id"),
                "webPush": ("webpush_vapid_public_key", "webpush_vapid_private_key", "webpush_vapid_subject"),
            }
            for column in columns[channel]:
                setattr(row, column, None)
            setattr(row, f"{channel.lower()}_enabled", False)

        await self._change(change)

    async def _change(self, change: Callable[[NotificationSettingsRow], None]) -> None:
        async with self._db.transaction() as session:
            row = await self.row(session)
            before = NotificationSettings.of(row).facts()
            change(row)
            row.updated_at = self._clock.now()
            now = NotificationSettings.of(row).facts()
        changes.tell(before, now, harmless=[name for name in now if name.endswith(".enabled") or name in _EVENT_NAMES])
        await self.changed()


async def _nobody() -> None:
    """Nobody wants to know of changes."""


def _email(row: NotificationSettingsRow, wanted: schemas.EmailInput) -> None:
    row.email_smtp_url = rules.smtp_url(wanted.smtp_url, row.email_smtp_url)
    row.email_enabled = wanted.enabled


def _webhook(row: NotificationSettingsRow, wanted: schemas.WebhookInput) -> None:
    row.webhook_url = rules.webhook_url(wanted.url, row.webhook_url)
    row.webhook_enabled = wanted.enabled


def _telegram(row: NotificationSettingsRow, wanted: schemas.TelegramInput) -> None:
    row.telegram_bot_token = rules.bot_token(wanted.bot_token, row.telegram_bot_token)
    row.telegram_chat_id = rules.chat_id(wanted.chat_id, row.telegram_chat_id)
    row.telegram_enabled = wanted.enabled


def _web_push(row: NotificationSettingsRow, wanted: schemas.WebPushInput) -> None:
    row.webpush_vapid_public_key = rules.public_key(wanted.vapid_public_key, row.webpush_vapid_public_key)
    row.webpush_vapid_private_key = rules.private_key(wanted.vapid_private_key, row.webpush_vapid_private_key)
    row.webpush_vapid_subject = rules.subject(wanted.vapid_subject, row.webpush_vapid_subject)
    row.webpush_enabled = wanted.enabled


def _events(row: NotificationSettingsRow, wanted: schemas.EventsInput) -> None:
    for name in EVENTS:
        if (value := getattr(wanted, name)) is not None:
            setattr(row, f"event_{name}_enabled", value)
