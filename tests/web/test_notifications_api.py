"""Notifications over the API: masks, the keep rule, tests, devices (spec §3.7, §5.5, §5.7, §13 lines 26 to 28)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.notifications.ends import HttpEnd, MailEnd, Phone, vapid_claims
from tests.web.test_contract import error, running

SMTP = "smtp://user:s3cret-pass@mail.example:587?to=me@home.lan"
HOOK = "https://ntfy.example/s3cret-topic"
TOKEN = "123456:s3cret-token"
SECRETS = ("s3cret-pass", "s3cret-topic", "s3cret-token", "s3cret-private")
FULL: dict[str, Any] = {
    "email": {"enabled": False, "smtpUrl": SMTP},
    "webhook": {"enabled": False, "url": HOOK},
    "telegram": {"enabled": False, "botToken": TOKEN, "chatId": " -100123 "},
    "webPush": {
        "enabled": False,
        "vapidPublicKey": "BPub",
        "vapidPrivateKey": "s3cret-private",
        "vapidSubject": "mailto:me@home.lan",
    },
}
OFF: dict[str, Any] = {name: {"enabled": False} for name in FULL}
MASK, BULLETS = "******", "•" * 16


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, client):
        yield client


async def stored(tmp_path: Path) -> dict[str, Any]:
    """The row itself."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "d.sqlite3")) as connection:
        connection.row_factory = sqlite3.Row
        return dict(connection.execute("SELECT * FROM notification_settings").fetchone())


async def put(api: httpx.AsyncClient, body: Any) -> httpx.Response:
    return await api.put("/api/notifications", json=body)


async def test_defaults(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/notifications")
    assert answer.status_code == 200
    assert answer.json() == {
        "email": {"enabled": False},
        "webhook": {"enabled": False},
        "telegram": {"enabled": False, "botTokenConfigured": False},
        "webPush": {"enabled": False},
        "events": {"update": True, "newVersion": True, "ghcrWebhookAnomaly": True},
    }


async def test_secrets_are_masked_and_the_rest_is_not(api: httpx.AsyncClient, tmp_path: Path) -> None:
    answer = await put(api, {**FULL, "events": {"update": False}})
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    told = await api.get("/api/notifications")
    assert told.json() == {
        "email": {"enabled": False, "smtpUrl": MASK},
        "webhook": {"enabled": False, "url": MASK},
        "telegram": {"enabled": False, "botTokenConfigured": True, "chatId": "-100123"},
        "webPush": {
            "enabled": False,
            "vapidPublicKey": "BPub",
            "vapidPrivateKey": MASK,
            "vapidSubject": "mailto:me@home.lan",
        },
        "events": {"update": False, "newVersion": True, "ghcrWebhookAnomaly": True},
    }
    assert not any(secret in told.text for secret in SECRETS)
    row = await stored(tmp_path)
    assert (row["email_smtp_url"], row["webhook_url"], row["telegram_bot_token"]) == (SMTP, HOOK, TOKEN)


@pytest.mark.parametrize("kept", [MASK, BULLETS, "", "   ", None, "omitted"])
async def test_what_keeps_a_secret(api: httpx.AsyncClient, tmp_path: Path, kept: str | None) -> None:
    await put(api, FULL)
    before = await stored(tmp_path)
    names = {"email": "smtpUrl", "webhook": "url", "telegram": "botToken", "webPush": "vapidPrivateKey"}
    given = {} if kept == "omitted" else {channel: {name: kept} for channel, name in names.items()}
    body = {channel: {"enabled": True, **given.get(channel, {})} for channel in names}
    assert (await put(api, body)).status_code == 200
    after = await stored(tmp_path)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"email_enabled", "webhook_enabled", "telegram_enabled", "webpush_enabled", "updated_at"}


@pytest.mark.parametrize(
    ("given", "chat"), [("omitted", "-100123"), (None, "-100123"), (MASK, "-100123"), ("  ", None), (" @me ", "@me")]
)
async def test_the_chat_id_has_a_rule_of_its_own(api: httpx.AsyncClient, given: str | None, chat: str | None) -> None:
    await put(api, FULL)
    telegram = {"enabled": False} if given == "omitted" else {"enabled": False, "chatId": given}
    await put(api, {**OFF, "telegram": telegram})
    told = (await api.get("/api/notifications")).json()["telegram"]
    assert told.get("chatId") == chat and told["botTokenConfigured"]


async def test_a_new_value_replaces(api: httpx.AsyncClient, tmp_path: Path) -> None:
    await put(api, FULL)
    await put(api, {**OFF, "webhook": {"enabled": True, "url": " https://other.example/x "}})
    assert (await stored(tmp_path))["webhook_url"] == "https://other.example/x"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**OFF, "email": {"enabled": False, "smtpUrl": "http://mail"}}, "email.smtpUrl"),
        ({**OFF, "email": {"enabled": "yes"}}, "email.enabled"),
        ({**OFF, "email": {}}, "email.enabled"),
        ({**OFF, "email": {"enabled": True, "smtpUrl": 5}}, "email.smtpUrl"),
        ({**OFF, "webhook": {"enabled": False, "url": "ftp://a.b/"}}, "webhook.url"),
        ({**OFF, "webhook": {"enabled": False, "url": "not a url"}}, "webhook.url"),
        ({**OFF, "telegram": {"enabled": False, "chatId": 5}}, "telegram.chatId"),
        ({**OFF, "telegram": {"enabled": False, "chatId": "a b"}}, "telegram.chatId"),
        ({**OFF, "telegram": {"enabled": False, "botToken": "../x"}}, "telegram.botToken"),
        ({**OFF, "webPush": {"enabled": False, "vapidSubject": "me"}}, "webPush.vapidSubject"),
        ({**OFF, "webPush": {"enabled": False, "vapidPrivateKey": "a key"}}, "webPush.vapidPrivateKey"),
        ({**OFF, "webPush": {"enabled": False, "vapidPublicKey": "x" * 300}}, "webPush.vapidPublicKey"),
        ({**OFF, "events": {"update": 1}}, "events.update"),
        ({name: value for name, value in OFF.items() if name != "telegram"}, "telegram"),
        ({}, "email"),
        ([], "body"),
        ("x", "body"),
        (None, "body"),
    ],
)
async def test_violations_name_their_field_and_change_nothing(
    api: httpx.AsyncClient, tmp_path: Path, body: Any, field: str
) -> None:
    await put(api, FULL)
    before = await stored(tmp_path)
    answer = await put(api, body)
    assert answer.status_code == 400, answer.text
    assert error(answer)["code"] == "invalid_argument" and error(answer)["details"]["field"] == field
    assert await stored(tmp_path) == before


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b'{"email":', b"1e999"])
async def test_bodies_that_are_no_json(api: httpx.AsyncClient, content: bytes) -> None:
    for method, path in (("PUT", "/api/notifications"), ("POST", "/api/notifications/test")):
        answer = await api.request(method, path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400 and error(answer)["code"] == "invalid_argument"


# ---- test messages


async def test_without_channels_nothing_is_tested(api: httpx.AsyncClient) -> None:
    bodies: list[dict[str, Any]] = [{}, {"content": b""}, {"json": {}}, {"json": {"channel": None, "message": None}}]
    for body in bodies:
        answer = await api.post("/api/notifications/test", **body)
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "results": {}}), body


@pytest.mark.parametrize(
    ("body", "field"),
    [({"channel": "pager"}, "channel"), ({"channel": 5}, "channel"), ({"message": 5}, "message"), ([], "body")],
)
async def test_a_test_that_cannot_be(api: httpx.AsyncClient, body: Any, field: str) -> None:
    answer = await api.post("/api/notifications/test", json=body)
    assert answer.status_code == 400 and error(answer)["details"]["field"] == field


async def test_every_channel_is_tested_while_it_is_off(tmp_path: Path) -> None:
    with HttpEnd() as hook, HttpEnd() as bot, HttpEnd(default=(201, b"")) as service, MailEnd(tmp_path) as mail:
        phone = Phone(service)
        settings: dict[str, Any] = {"telegram_api_url": bot.url, "push_allowed_origins": service.url}
        async with running(tmp_path, **settings) as (_, api):
            from app.adapters.notify import generate_keys

            keys = generate_keys()
            await put(
                api,
                {
                    "email": {"enabled": False, "smtpUrl": f"smtp://127.0.0.1:{mail.port}?to=me@home.lan"},
                    "webhook": {"enabled": False, "url": f"{hook.url}/s3cret-topic"},
                    "telegram": {"enabled": False, "botToken": TOKEN, "chatId": "7"},
                    "webPush": {
                        "enabled": False,
                        "vapidPublicKey": keys.public,
                        "vapidPrivateKey": keys.private,
                        "vapidSubject": "mailto:me@home.lan",
                    },
                },
            )
            subscribed = await api.post("/api/web-push/subscriptions", json={**phone.subscription, "name": "My phone"})
            assert subscribed.json() == {"ok": True}
            for channel in ("email", "webhook", "telegram", "webPush"):
                answer = await api.post("/api/notifications/test", json={"channel": channel, "message": "hello <b>"})
                assert answer.json() == {"ok": True, "results": {channel: {"ok": True}}}, answer.text
            version = (await api.get("/api/version")).json()["version"]
    payload = hook.seen[0].json()
    assert payload["sentAt"].endswith("Z")
    assert payload == {
        "schema": "dockrev.notification.test.v2",
        "kind": "notification_test",
        "sentAt": payload["sentAt"],
        "channel": "webhook",
        "human": {
            "title": "Dockrev test",
            "summary": "hello <b>",
            "detail": "Sent to see whether this channel works. Nothing happened on the host.",
        },
        "url": "/settings",
        "debug": {
            "requestedChannel": "webhook",
            "appVersion": version,
            "source": "dockrev-api",
            "rawMessage": "hello <b>",
        },
    }
    assert not {"type", "ts", "message"} & set(payload)
    pushed = phone.read(phone.pushes()[0])
    assert pushed["channel"] == "webPush" and pushed["title"] == "Dockrev test" and pushed["url"] == "/settings"
    lines = pushed["body"].split("\n")
    assert lines[0] == "hello <b>" and lines[2:] == ["Requested channel: webPush", f"Dockrev {version}"]
    assert vapid_claims(phone.pushes()[0], keys.public)["aud"] == service.url
    assert "hello &lt;b&gt;" in bot.seen[0].json()["text"]
    assert mail.mails[0].message["subject"] == "[dockrev] Dockrev test"


async def test_failures_are_results_without_secrets(api: httpx.AsyncClient) -> None:
    dead = {
        "email": {"enabled": True, "smtpUrl": "smtp://user:s3cret-pass@127.0.0.1:9?to=me@home.lan"},
        "webhook": {"enabled": True, "url": "http://127.0.0.1:9/s3cret-topic"},
        "telegram": {"enabled": True, "botToken": TOKEN},
        "webPush": {"enabled": True, "vapidPublicKey": "BPub", "vapidPrivateKey": "s3cret-private"},
    }
    await put(api, dead)
    answer = await api.post("/api/notifications/test")
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert set(results) == {"email", "webhook", "telegram", "webPush"}
    assert all(result["ok"] is False and result["error"] for result in results.values())
    assert "no chat id" in results["telegram"]["error"] and "no subscriptions" in results["webPush"]["error"]
    assert not any(secret in answer.text for secret in SECRETS)


async def test_a_gone_device_is_forgotten(tmp_path: Path) -> None:
    with HttpEnd(default=(410, b"")) as service:
        async with running(tmp_path, push_allowed_origins=service.url) as (_, api):
            from app.adapters.notify import generate_keys

            keys, phone = generate_keys(), Phone(service)
            push = {"enabled": True, "vapidPublicKey": keys.public, "vapidPrivateKey": keys.private}
            await put(api, {**OFF, "webPush": push})
            await api.post("/api/web-push/subscriptions", json=phone.subscription)
            answer = await api.post("/api/notifications/test", json={"channel": "webPush"})
            assert "does not know the device" in answer.json()["results"]["webPush"]["error"]
            gone = await api.request("DELETE", "/api/web-push/subscriptions", json={"endpoint": phone.endpoint})
            assert gone.json() == {"ok": False}


# ---- devices


async def test_devices_come_and_go(api: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {
        "endpoint": "https://push.example/abc",
        "keys": {"p256dh": "BKey", "auth": "auth"},
    }
    for _ in range(2):
        assert (await api.post("/api/web-push/subscriptions", json=body)).json() == {"ok": True}
    for known in (True, False):
        answer = await api.request("DELETE", "/api/web-push/subscriptions", json={"endpoint": body["endpoint"]})
        assert (answer.status_code, answer.json()) == (200, {"ok": known})


async def test_a_device_keeps_its_name(api: httpx.AsyncClient) -> None:
    async def names() -> list[str]:
        page = await api.get("/settings/notifications", headers={"Accept": "application/json"})
        return [device["name"] for device in page.json()["devices"]]

    def device(number: int, **more: Any) -> dict[str, Any]:
        keys = {"p256dh": "BKey", "auth": "auth"}
        return {"endpoint": f"https://push.example/{number}", "keys": keys, **more}

    firefox = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"}
    await api.post("/api/web-push/subscriptions", json=device(1, name=" Kitchen\n tablet "))
    await api.post("/api/web-push/subscriptions", json=device(1), headers=firefox)
    await api.post("/api/web-push/subscriptions", json=device(2), headers=firefox)
    assert await names() == ["Kitchen tablet", "Firefox on Linux"]
    moved = device(3, replaces="https://push.example/1")  # its push service gave it another address
    await api.post("/api/web-push/subscriptions", json=moved, headers=firefox)
    assert sorted(await names()) == ["Firefox on Linux", "Kitchen tablet"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "endpoint"),
        ({"endpoint": "https://push.example/abc"}, "keys"),
        ({"endpoint": "https://push.example/abc", "keys": {"auth": "a"}}, "keys.p256dh"),
        ({"endpoint": "https://push.example/abc", "keys": {"p256dh": "a"}}, "keys.auth"),
        ({"endpoint": "https://push.example/abc", "keys": {"p256dh": "ä", "auth": "a"}}, "keys.p256dh"),
        ({"endpoint": "http://push.example/abc", "keys": {"p256dh": "a", "auth": "a"}}, "endpoint"),
        ({"endpoint": "https://192.168.1.1/abc", "keys": {"p256dh": "a", "auth": "a"}}, "endpoint"),
        ({"endpoint": "", "keys": {"p256dh": "a", "auth": "a"}}, "endpoint"),
        ({"endpoint": 5, "keys": {"p256dh": "a", "auth": "a"}}, "endpoint"),
    ],
)
async def test_subscriptions_that_are_none(api: httpx.AsyncClient, body: Any, field: str) -> None:
    answer = await api.post("/api/web-push/subscriptions", json=body)
    assert answer.status_code == 400 and error(answer)["details"]["field"] == field
    if "keys" not in body:
        answer = await api.request("DELETE", "/api/web-push/subscriptions", json={"endpoint": 5})
        assert answer.status_code == 400 and error(answer)["details"]["field"] == "endpoint"


async def test_strangers_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allowed_user="alice") as (_, api):
        for method, path in (
            ("GET", "/api/notifications"),
            ("PUT", "/api/notifications"),
            ("POST", "/api/notifications/test"),
            ("POST", "/api/web-push/subscriptions"),
            ("DELETE", "/api/web-push/subscriptions"),
        ):
            assert (await api.request(method, path)).status_code == 401, path
