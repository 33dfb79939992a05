"""The page of notifications without a browser: three shapes, forms with their token, nothing secret in any of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.clock import utc_now
from app.features.notifications.controllers import settings_out
from app.features.notifications.page_schemas import ChannelOut, LastOut, NotificationsPage
from app.features.notifications.settings import NotificationSettings
from tests.unit.notifications.ends import HttpEnd
from tests.web.test_contract import running
from tests.web.test_notifications_api import FULL, OFF, SECRETS

HERE = "/settings/notifications"
HTML = {"Accept": "text/html"}
HTMX = {"Accept": "text/html", "HX-Request": "true"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, client):
        yield client


async def token(site: httpx.AsyncClient) -> str:
    """The form token of this client's page."""
    found = re.search(r'name="csrf" value="([^"]+)"', (await site.get(HERE, headers=HTML)).text)
    assert found
    return found.group(1)


async def test_three_shapes_without_a_secret(site: httpx.AsyncClient) -> None:
    await site.put("/api/notifications", json=FULL)
    endpoint = "https://push.example/capability"
    device = {"endpoint": endpoint, "keys": {"p256dh": "BDeviceKey", "auth": "deviceauth"}, "name": "<b>Phone</b>"}
    await site.post("/api/web-push/subscriptions", json=device)
    await site.post("/api/notifications/test", json={"channel": "email"})
    page, fragment = await site.get(HERE, headers=HTML), await site.get(HERE, headers=HTMX)
    plain = await site.get(HERE, headers={"Accept": "application/json"})
    assert page.text.startswith("<!doctype html>") and not fragment.text.startswith("<!doctype")
    assert plain.json()["settings"]["email"] == {"enabled": False, "smtpUrl": "******"}
    assert plain.json()["channels"][0]["where"] == "me@home.lan through mail.example:587"
    assert plain.json()["devices"][0]["name"] == "<b>Phone</b>"
    for answer in (page, fragment, plain):
        assert "Accept" in answer.headers["vary"]
        assert not any(secret in answer.text for secret in (*SECRETS, endpoint, "BDeviceKey", "deviceauth"))
    assert "&lt;b&gt;Phone&lt;/b&gt;" in page.text and "<b>Phone</b>" not in page.text
    assert 'rel="manifest" href="/manifest.webmanifest" crossorigin="use-credentials"' in page.text
    assert 'aria-current="page">Notifications</a>' in page.text


async def test_forms_want_their_token(site: httpx.AsyncClient) -> None:
    paths = ("email", "events", "webhook/test", "telegram/forget", "webPush/keys", "devices/abc/remove")
    for path in paths:
        answer = await site.post(f"{HERE}/{path}", data={"csrf": "x" * 32, "enabled": "true"})
        assert answer.status_code == 403, path
    assert (await site.get("/api/notifications")).json()["email"] == {"enabled": False}


async def test_a_card_is_saved_alone(site: httpx.AsyncClient) -> None:
    await site.put("/api/notifications", json=FULL)
    csrf = await token(site)
    fields = {"csrf": csrf, "enabled": ["false", "true"], "url": "", "smtpUrl": "ignored here"}
    answer = await site.post(f"{HERE}/webhook", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}#webhook")
    told = (await site.get("/api/notifications")).json()
    assert told["webhook"] == {"enabled": True, "url": "******"} and told["email"]["enabled"] is False
    answer = await site.post(
        f"{HERE}/events", data={"csrf": csrf, "update": "false", "newVersion": "true"}, headers=HTMX
    )
    assert answer.status_code == 200 and "Saved." in answer.text
    assert (await site.get("/api/notifications")).json()["events"] == {
        "update": False,
        "newVersion": True,
        "ghcrWebhookAnomaly": False,
    }
    answer = await site.post(f"{HERE}/telegram", data={"csrf": csrf, "chatId": "two words"}, headers=HTMX)
    assert answer.status_code == 400 and "chatId: must be one word" in answer.text


async def test_keys_are_made_and_forgotten_with_their_devices(site: httpx.AsyncClient) -> None:
    csrf = await token(site)
    device = {"endpoint": "https://push.example/1", "keys": {"p256dh": "BKey", "auth": "auth"}}
    await site.post(f"{HERE}/webPush/keys", data={"csrf": csrf})
    first = (await site.get("/api/notifications")).json()["webPush"]
    assert len(first["vapidPublicKey"]) == 87 and first["vapidPrivateKey"] == "******"
    assert first["vapidSubject"] == "mailto:dockrev@localhost"
    await site.post("/api/web-push/subscriptions", json=device)
    answer = await site.post(f"{HERE}/webPush/keys", data={"csrf": csrf}, headers=HTMX)
    assert "1 device has to subscribe again" in answer.text
    assert (await site.get("/api/notifications")).json()["webPush"]["vapidPublicKey"] != first["vapidPublicKey"]
    await site.post("/api/web-push/subscriptions", json=device)
    identifier = (await site.get(HERE, headers={"Accept": "application/json"})).json()["devices"][0]["id"]
    assert (await site.post(f"{HERE}/devices/{identifier}/remove", data={"csrf": csrf})).status_code == 303
    assert (await site.post(f"{HERE}/devices/{identifier}/remove", data={"csrf": csrf})).status_code == 404
    await site.post(f"{HERE}/webPush/forget", data={"csrf": csrf})
    assert (await site.get("/api/notifications")).json()["webPush"] == {"enabled": False}


async def test_a_test_tells_how_it_went(site: httpx.AsyncClient) -> None:
    csrf = await token(site)
    with HttpEnd() as end:
        end.answers = [(200, b""), (404, b"")]
        await site.put("/api/notifications", json={**OFF, "webhook": {"enabled": False, "url": f"{end.url}/s3cret"}})
        good = await site.post(f"{HERE}/webhook/test", data={"csrf": csrf}, headers=HTMX)
        bad = await site.post(f"{HERE}/webhook/test", data={"csrf": csrf}, headers=HTMX)
    assert "took the test message" in good.text
    assert "Webhook failed" in bad.text and "answered 404" in bad.text and "s3cret" not in bad.text
    page = await site.get(HERE, headers=HTML)
    assert "answered 404" in page.text


@pytest.mark.parametrize("path", ["pager", "pager/test", "pager/forget", "email/explode", "devices/none/remove"])
async def test_what_is_not_there(site: httpx.AsyncClient, path: str) -> None:
    answer = await site.post(f"{HERE}/{path}", data={"csrf": await token(site)}, headers=HTMX)
    assert answer.status_code == 404


async def test_worker_and_manifest_need_no_login(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allowed_user="alice") as (_, site):
        assert (await site.get(HERE, headers=HTML)).status_code == 401
        for path, kind in (("/sw.js", "text/javascript"), ("/manifest.webmanifest", "application/manifest+json")):
            answer = await site.get(path)
            assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind)
            assert answer.headers["cache-control"] == "no-cache"
            again = await site.get(path, headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")


async def test_the_deploy_check_is_told_what_is_missing(tmp_path: Path) -> None:
    from app.features.preferences import ReadinessBoard

    async with running(tmp_path) as (app, site):
        board = app.state.container.get(ReadinessBoard)
        assert not (await board.ask("feature.notifications.email")).enabled
        await site.put("/api/notifications", json={**FULL, "telegram": {"enabled": True, "botToken": "1:a"}})
        telegram = await board.ask("feature.notifications.telegram")
        assert (telegram.enabled, telegram.missing) == (True, ("chatId",))
        email = await board.ask("feature.notifications.email")
        assert (email.enabled, email.missing, email.evidence) == (False, (), "me@home.lan through mail.example:587")


def test_the_headline_names_who_is_told() -> None:
    def channel(name: str, label: str, **more: Any) -> ChannelOut:
        return ChannelOut(name=name, label=label, enabled=True, stored=True, **more)

    def last(state: str, error: str = "") -> LastOut:
        return LastOut(at=utc_now(), state=state, title="x", error=error)

    three = [channel("email", "E-mail"), channel("webhook", "Webhook"), channel("telegram", "Telegram")]
    settings = settings_out(NotificationSettings())
    for count, words in ((0, ""), (1, "e-mail"), (2, "e-mail and webhook"), (3, "e-mail, webhook and Telegram")):
        page = NotificationsPage(settings=settings, channels=three[:count], devices=[], default_subject="")
        assert page.on_words == words
    on_its_way, stuck = (
        channel("email", "E-mail", last=last("queued")),
        channel("email", "E-mail", last=last("queued", "x")),
    )
    assert (on_its_way.failing, stuck.failing, channel("email", "E-mail", last=last("failed", "x")).failing) == (
        False,
        True,
        True,
    )
