"""Notifications over the API (spec §5.5, §5.7)."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from app.core.web.openapi import UNAUTHORISED, ErrorOut, OkOut
from app.features.notifications import rules, schemas
from app.features.notifications.devices import Devices
from app.features.notifications.settings import NotificationSettings, SettingsStore
from app.features.notifications.tester import DEFAULT_MESSAGE, Tester

REFUSED: Final = {**UNAUTHORISED, 400: ResponseSpec(ErrorOut, description="what is wrong, and in which field")}


def settings_out(settings: NotificationSettings) -> schemas.NotificationsOut:
    """What may be told of the settings (spec §3.7)."""
    return schemas.NotificationsOut(
        email=schemas.EmailOut(enabled="email" in settings.enabled, smtp_url=rules.masked(settings.smtp_url)),
        webhook=schemas.WebhookOut(enabled="webhook" in settings.enabled, url=rules.masked(settings.webhook_url)),
        telegram=schemas.TelegramOut(
            enabled="telegram" in settings.enabled,
            bot_token_configured=bool(settings.bot_token),
            chat_id=settings.chat_id,
        ),
        web_push=schemas.WebPushOut(
            enabled="webPush" in settings.enabled,
            vapid_public_key=settings.public_key,
            vapid_private_key=rules.masked(settings.private_key),
            vapid_subject=settings.stored_subject,
        ),
        events=schemas.EventsOut(
            update="update" in settings.events,
            new_version="new_version" in settings.events,
            ghcr_webhook_anomaly="ghcr_webhook_anomaly" in settings.events,
        ),
    )


@get(
    "/api/notifications",
    operation_id="getNotifications",
    summary="Notification settings",
    tags=["notifications"],
    responses=UNAUTHORISED,
)
async def notifications_get(notification_settings: NamedDependency[SettingsStore]) -> schemas.NotificationsOut:
    """Channels and events; secrets are masked, and left out where there are none."""
    return settings_out(await notification_settings.read())


@put(
    "/api/notifications",
    operation_id="putNotifications",
    summary="Change notification settings",
    tags=["notifications"],
    responses=REFUSED,
)
async def notifications_put(
    notification_settings: NamedDependency[SettingsStore], data: JSONBody[schemas.NotificationsInput]
) -> OkOut:
    """All four channels; a secret that is omitted, null, blank or masked stays as it is stored."""
    await notification_settings.replace(data)
    return OkOut()


@post(
    "/api/notifications/test",
    status_code=200,
    operation_id="testNotifications",
    summary="Send a test message",
    tags=["notifications"],
    responses=REFUSED,
)
async def notifications_test(
    tester: NamedDependency[Tester], data: JSONBody[schemas.TestInput | None] = None
) -> schemas.TestOut:
    """To one channel, even while it is off, or to all that are on. A channel that fails is a result, not an error."""
    wanted = data or schemas.TestInput()
    outcomes = await tester.send(wanted.message or DEFAULT_MESSAGE, wanted.channel)
    return schemas.TestOut(
        results={
            channel: schemas.ChannelResult(ok=outcome.ok, error=None if outcome.ok else outcome.error)
            for channel, outcome in outcomes.items()
        }
    )


@post(
    "/api/web-push/subscriptions",
    status_code=200,
    operation_id="subscribeWebPush",
    summary="Send pushes to a device",
    tags=["notifications"],
    responses=REFUSED,
)
async def subscription_add(
    request: Request[Any, Any, Any], devices: NamedDependency[Devices], data: JSONBody[schemas.SubscriptionInput]
) -> OkOut:
    """What the browser's push manager gave; one that is known gets its new keys."""
    await devices.subscribe(
        data.endpoint,
        data.keys.p256dh,
        data.keys.auth,
        rules.device_name(data.name),
        called=rules.browser_name(request.headers.get("user-agent", "")),
        replaces=data.replaces,
    )
    return OkOut()


@delete(
    "/api/web-push/subscriptions",
    status_code=200,
    operation_id="unsubscribeWebPush",
    summary="Send no more pushes to a device",
    tags=["notifications"],
    responses=REFUSED,
)
async def subscription_remove(devices: NamedDependency[Devices], data: JSONBody[schemas.EndpointInput]) -> OkOut:
    """`ok` says whether the device was known."""
    return OkOut(ok=await devices.unsubscribe(data.endpoint))


HANDLERS = (notifications_get, notifications_put, notifications_test, subscription_add, subscription_remove)
