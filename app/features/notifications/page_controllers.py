"""The page `/settings/notifications`, its forms, and what a browser needs to take pushes (spec §11.3, §11.7)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.core.errors import NotFound
from app.core.web.answers import Toast, done
from app.core.web.assets import Assets
from app.core.web.forms import parse, read_form
from app.core.web.languages import _, ngettext
from app.core.web.view import HTML, Pages, View
from app.features.notifications import schemas
from app.features.notifications.devices import Devices
from app.features.notifications.page_schemas import NotificationsPage
from app.features.notifications.pages import LABELS, NotificationPages
from app.features.notifications.settings import SettingsStore
from app.features.notifications.stored import told
from app.features.notifications.tester import Tester

AnyRequest = Request[Any, Any, Any]
Fields = dict[str, list[str]]
HERE: Final = "/settings/notifications"
FORM: Final[dict[str, Any]] = {"status_code": 200, "include_in_schema": False}
TEMPLATE: Final = "notifications/notification_settings.html"


@get(HERE, operation_id="notificationsPage", summary="Page of notification settings", tags=["pages"])
async def notifications_page(
    request: AnyRequest, pages: NamedDependency[Pages], notification_pages: NamedDependency[NotificationPages]
) -> View[NotificationsPage]:
    """A card per channel, devices, what is told."""
    return await pages.show(request, await notification_pages.page(), TEMPLATE, topics=("notifications",))


def _text(fields: Fields, name: str) -> str | None:
    values = fields.get(name)
    return values[-1] if values else None


def _on(fields: Fields, name: str) -> bool:
    return _text(fields, name) == "true"


def _web_push(fields: Fields) -> schemas.WebPushInput:
    names = ("vapidPublicKey", "vapidPrivateKey", "vapidSubject")
    given = {name: _text(fields, name) for name in names}
    return parse(schemas.WebPushInput, {"enabled": _on(fields, "enabled"), **given})


CARDS: Final[dict[str, Callable[[Fields], Any]]] = {
    "email": lambda fields: parse(
        schemas.EmailInput, {"enabled": _on(fields, "enabled"), "smtpUrl": _text(fields, "smtpUrl")}
    ),
    "webhook": lambda fields: parse(
        schemas.WebhookInput, {"enabled": _on(fields, "enabled"), "url": _text(fields, "url")}
    ),
    "telegram": lambda fields: parse(
        schemas.TelegramInput,
        {
            "enabled": _on(fields, "enabled"),
            "botToken": _text(fields, "botToken"),
            "chatId": _text(fields, "chatId"),
        },
    ),
    "webPush": _web_push,
    "events": lambda fields: parse(
        schemas.EventsInput, {name: _on(fields, name) for name in ("update", "newVersion", "ghcrWebhookAnomaly")}
    ),
}


@post(f"{HERE}/{{card:str}}", **FORM)
async def card_save(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    notification_settings: NamedDependency[SettingsStore],
    card: FromPath[str],
) -> Response[Any]:
    """Save one card."""
    fields = await read_form(request)
    if card not in CARDS:
        raise NotFound("there is nothing at this address")
    await notification_settings.save(CARDS[card](fields))
    return done(request, pages, Toast(_("Saved.")), go_to=f"{HERE}#{card}")


@post(f"{HERE}/{{channel:str}}/test", **FORM)
async def channel_test(
    request: AnyRequest, pages: NamedDependency[Pages], tester: NamedDependency[Tester], channel: FromPath[str]
) -> Response[Any]:
    """Send a test over one channel, also while it is off."""
    await read_form(request)
    label = _label(channel)
    outcome = (await tester.send(channel=channel))[channel]
    if not outcome.ok:
        toast = Toast(_("%(channel)s failed: %(why)s", channel=label, why=told(outcome.error)), tone="back")
    elif outcome.remark:
        remark = told(outcome.remark)
        toast = Toast(_("%(channel)s took the test message: %(remark)s", channel=label, remark=remark))
    else:
        toast = Toast(_("%(channel)s took the test message.", channel=label))
    return done(request, pages, toast, go_to=f"{HERE}#{channel}")


@post(f"{HERE}/{{channel:str}}/forget", **FORM)
async def channel_forget(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    notification_settings: NamedDependency[SettingsStore],
    devices: NamedDependency[Devices],
    channel: FromPath[str],
) -> Response[Any]:
    """Remove what is stored for a channel; without its keys web push has no devices."""
    await read_form(request)
    label = _label(channel)
    await notification_settings.forget(channel)
    if channel == "webPush":
        await devices.unsubscribe_all()
    gone = _("%(channel)s is off, and what was stored for it is gone.", channel=label)
    return done(request, pages, Toast(gone), go_to=f"{HERE}#{channel}")


@post(f"{HERE}/webPush/keys", **FORM)
async def keys_make(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    notification_settings: NamedDependency[SettingsStore],
    devices: NamedDependency[Devices],
) -> Response[Any]:
    """A new pair of VAPID keys. Devices that subscribed with the old one are forgotten: nobody can reach them."""
    await read_form(request)
    await notification_settings.make_keys()
    lost = await devices.unsubscribe_all()
    made = _("Keys made.")
    if lost:
        made = ngettext(
            "Keys made. %(num)s device has to subscribe again.",
            "Keys made. %(num)s devices have to subscribe again.",
            lost,
        )
    return done(request, pages, Toast(made), go_to=f"{HERE}#webPush")


@post(f"{HERE}/devices/{{identifier:str}}/remove", **FORM)
async def device_remove(
    request: AnyRequest,
    pages: NamedDependency[Pages],
    notification_pages: NamedDependency[NotificationPages],
    devices: NamedDependency[Devices],
    identifier: FromPath[str],
) -> Response[Any]:
    """Send no more pushes to a device."""
    await read_form(request)
    await devices.unsubscribe(await notification_pages.endpoint(identifier))
    return done(request, pages, Toast(_("Removed. It gets no more pushes.")), go_to=f"{HERE}#devices")


def _label(channel: str) -> str:
    if channel not in LABELS:
        raise NotFound("there is nothing at this address")
    return _(LABELS[channel])


# ---- for the browser


def _asset(request: AnyRequest, assets: Assets, name: str) -> Response[bytes]:
    """Asked for each time: its address never changes."""
    asset = assets.get(name)
    headers = {"Cache-Control": "no-cache", "ETag": f'"{asset.version}"'}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers, media_type=asset.media_type)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


@get("/sw.js", opt={"public": True}, include_in_schema=False, sync_to_thread=True)
def service_worker(
    request: AnyRequest, assets: NamedDependency[Assets], pages: NamedDependency[Pages]
) -> Response[bytes]:
    """At the root, since a worker serves what lies below its address. It is another one whenever the shell is."""
    shell = hashlib.sha256(pages.render("offline.html").encode()).hexdigest()[:12]  # names its parts by their hashes
    content = f'self.DOCKREV_SHELL = "{shell}";\n'.encode() + assets.get("sw.js").content
    tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag, "Service-Worker-Allowed": "/"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers, media_type="text/javascript")
    return Response(content, headers=headers, media_type="text/javascript")


@get("/offline", opt={"public": True}, include_in_schema=False, sync_to_thread=True)
def offline_page(pages: NamedDependency[Pages]) -> Response[bytes]:
    """What the service worker keeps for when nothing answers. It knows nobody and tells nothing by itself."""
    return Response(pages.render("offline.html").encode(), media_type=HTML, headers={"Cache-Control": "no-cache"})


@get("/manifest.webmanifest", opt={"public": True}, include_in_schema=False, sync_to_thread=True)
def manifest(request: AnyRequest, assets: NamedDependency[Assets]) -> Response[bytes]:
    """What makes Dockrev installable."""
    return _asset(request, assets, "manifest.webmanifest")


HANDLERS = (
    notifications_page,
    card_save,
    channel_test,
    channel_forget,
    keys_make,
    device_remove,
    service_worker,
    offline_page,
    manifest,
)
