"""Bodies and answers of the API (spec §5.5, §5.7)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from app.core.web.schema import ApiInput, ApiModel, Maybe
from app.features.notifications.payload import CHANNELS

ChannelName = Literal["email", "webhook", "telegram", "webPush"]


def _flag(value: Any) -> Any:
    """Only true and false: the framework asks pydantic to be lenient, and then "no" would be one too."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]


class EmailOut(ApiModel):
    """`smtpUrl` is masked, and left out when there is none."""

    enabled: bool
    smtp_url: Maybe[str] = None


class WebhookOut(ApiModel):
    """`url` is masked, and left out when there is none."""

    enabled: bool
    url: Maybe[str] = None


class TelegramOut(ApiModel):
    """The token is only told to be there."""

    enabled: bool
    bot_token_configured: bool
    chat_id: Maybe[str] = None


class WebPushOut(ApiModel):
    """The private key is masked."""

    enabled: bool
    vapid_public_key: Maybe[str] = None
    vapid_private_key: Maybe[str] = None
    vapid_subject: Maybe[str] = None


class EventsOut(ApiModel):
    """What is told at all."""

    update: bool
    new_version: bool
    ghcr_webhook_anomaly: bool


class NotificationsOut(ApiModel):
    """`GET /api/notifications`."""

    email: EmailOut
    webhook: WebhookOut
    telegram: TelegramOut
    web_push: WebPushOut
    events: EventsOut


class EmailInput(ApiInput):
    """`smtpUrl` omitted, null, blank or masked keeps the stored one."""

    enabled: Flag
    smtp_url: str | None = None


class WebhookInput(ApiInput):
    """`url` omitted, null, blank or masked keeps the stored one."""

    enabled: Flag
    url: str | None = None


class TelegramInput(ApiInput):
    """`botToken` as other secrets; `chatId` blank clears it."""

    enabled: Flag
    bot_token: str | None = None
    chat_id: str | None = None


class WebPushInput(ApiInput):
    """`vapidPrivateKey` as other secrets; the other two, blank, are cleared."""

    enabled: Flag
    vapid_public_key: str | None = None
    vapid_private_key: str | None = None
    vapid_subject: str | None = None


class EventsInput(ApiInput):
    """A member left out keeps its value."""

    update: Flag | None = None
    new_version: Flag | None = None
    ghcr_webhook_anomaly: Flag | None = None


class NotificationsInput(ApiInput):
    """`PUT /api/notifications`."""

    email: EmailInput
    webhook: WebhookInput
    telegram: TelegramInput
    web_push: WebPushInput
    events: EventsInput | None = None


class TestInput(ApiInput):
    """`POST /api/notifications/test`; without `channel` all that are on."""

    __test__ = False

    message: str | None = Field(default=None, max_length=100_000)
    channel: ChannelName | None = None

    @field_validator("channel", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value is not None and value not in CHANNELS:
            raise ValueError(f"must be one of {', '.join(CHANNELS)}")
        return value


class ChannelResult(ApiModel):
    """How one channel took it."""

    ok: bool
    error: Maybe[str] = None


class TestOut(ApiModel):
    """A channel that failed is a result, not an error."""

    __test__ = False

    ok: bool = True
    results: dict[str, ChannelResult]


class SubscriptionKeys(ApiInput):
    """The keys of a subscription, base64url."""

    p256dh: str = Field(min_length=1, max_length=256, alias="p256dh")
    auth: str = Field(min_length=1, max_length=256)


class SubscriptionInput(ApiInput):
    """What `PushSubscription.toJSON()` gives, a name for the device, and the endpoint it had before."""

    endpoint: str = Field(min_length=1, max_length=2048)
    keys: SubscriptionKeys
    name: str | None = Field(default=None, max_length=200)
    replaces: str | None = Field(default=None, max_length=2048)


class EndpointInput(ApiInput):
    """Which device."""

    endpoint: str = Field(min_length=1, max_length=2048)
