"""Tables of the notifications room (spec §4, §8.4): settings, devices, what was announced, and the outbox."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, Integer, Text, UniqueConstraint, text
from sqlmodel import Field

from app.core.db.table import Table
from app.core.db.types import EnumText, JsonText, UtcDateTime

SINGLETON = "default"


class DeliveryState(StrEnum):
    """Where a delivery stands: the last two are final."""

    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


class AnnouncementStatus(StrEnum):
    """States of `new_version_notifications` (spec §8.4); the first two are held by the unique index."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    SUPERSEDED = "superseded"


class NotificationSettingsRow(Table, table=True):
    """The singleton. `seen_row_id` is the last row of `job_logs` that was looked at for something to tell."""

    __tablename__ = "notification_settings"
    __table_args__ = (CheckConstraint("id = 'default'", name="ck_notification_settings_singleton"),)

    id: str = Field(default=SINGLETON, sa_column=Column(Text, primary_key=True))
    email_enabled: bool = False
    email_smtp_url: str | None = Field(default=None, sa_column=Column(Text))
    webhook_enabled: bool = False
    webhook_url: str | None = Field(default=None, sa_column=Column(Text))
    telegram_enabled: bool = False
    telegram_bot_token: str | None = Field(default=None, sa_column=Column(Text))
    telegram_chat_id: str | None = Field(default=None, sa_column=Column(Text))
    webpush_enabled: bool = False
    webpush_vapid_public_key: str | None = Field(default=None, sa_column=Column(Text))
    webpush_vapid_private_key: str | None = Field(default=None, sa_column=Column(Text))
    webpush_vapid_subject: str | None = Field(default=None, sa_column=Column(Text))
    event_update_enabled: bool = True
    event_new_version_enabled: bool = True
    event_ghcr_webhook_anomaly_enabled: bool = True
    seen_row_id: int = 0
    updated_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class WebPushSubscriptionRow(Table, table=True):
    """One device: where its push service takes messages, and the keys they are encrypted with."""

    __tablename__ = "web_push_subscriptions"

    endpoint: str = Field(sa_column=Column(Text, primary_key=True))
    p256dh: str = Field(sa_column=Column(Text, nullable=False))
    auth: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(default="", sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    last_delivery_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_error: str | None = Field(default=None, sa_column=Column(Text))


class NewVersionNotificationRow(Table, table=True):
    """One candidate digest of a service that was, or is about to be, announced."""

    __tablename__ = "new_version_notifications"
    __table_args__ = (
        Index(
            "uq_new_version_notifications_open",
            "service_id",
            "candidate_digest",
            unique=True,
            sqlite_where=text("status IN ('pending', 'sent')"),
        ),
        Index("ix_new_version_notifications_job_id", "job_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    service_id: str = Field(sa_column=Column(Text, nullable=False))
    job_id: str = Field(sa_column=Column(Text, nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    image_ref: str = Field(sa_column=Column(Text, nullable=False))
    image_tag: str = Field(sa_column=Column(Text, nullable=False))
    current_tag: str = Field(sa_column=Column(Text, nullable=False))
    current_display_tag: str = Field(sa_column=Column(Text, nullable=False))
    candidate_tag: str = Field(sa_column=Column(Text, nullable=False))
    candidate_display_tag: str = Field(sa_column=Column(Text, nullable=False))
    candidate_digest: str = Field(sa_column=Column(Text, nullable=False))
    status: AnnouncementStatus = Field(sa_column=Column(EnumText(AnnouncementStatus), nullable=False))
    sent_channels: list[str] = Field(
        default_factory=list, sa_column=Column("sent_channels_json", JsonText, nullable=False)
    )
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    sent_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    superseded_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_error: str | None = Field(default=None, sa_column=Column(Text))


class DeliveryRow(Table, table=True):
    """The outbox: one message on its way to one channel, on web push to one device (`target` is its endpoint).

    `event` names what is told (`job:<id>`, `check:<id>`, …); the unique constraint is why nothing is queued twice.
    `job_id` is whose log hears of it.
    """

    __tablename__ = "notification_deliveries"
    __table_args__ = (
        UniqueConstraint("event", "channel", "target", name="uq_notification_deliveries_event"),
        Index("ix_notification_deliveries_due", "state", "next_try_at"),
        Index("ix_notification_deliveries_channel", "channel", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    event: str = Field(sa_column=Column(Text, nullable=False))
    channel: str = Field(sa_column=Column(Text, nullable=False))
    target: str = Field(default="", sa_column=Column(Text, nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    job_id: str | None = Field(default=None, sa_column=Column(Text))
    payload: dict[str, Any] = Field(sa_column=Column("payload_json", JsonText, nullable=False))
    state: DeliveryState = Field(sa_column=Column(EnumText(DeliveryState), nullable=False))
    attempts: int = 0
    next_try_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    last_error: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    tried_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    delivered_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
