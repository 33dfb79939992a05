"""Each channel against a real other end: what arrives, and what is said when it does not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.adapters.notify import (
    Device,
    EmailSender,
    Gone,
    Message,
    NotConfigured,
    NotifyError,
    PushPool,
    Refused,
    SmtpSettings,
    TelegramSender,
    TelegramSettings,
    Unreachable,
    WebhookSender,
    WebPushSender,
    WebPushSettings,
    check_endpoint,
    check_webhook_url,
    generate_keys,
    public_key_of,
)
from app.adapters.notify.webpush.settings import require_public
from tests.unit.notifications.ends import HttpEnd, MailEnd, Phone, vapid_claims

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the mail server's opinion of its own settings
MESSAGE = Message(
    "d7",
    "Update rolled back",
    "demo/web\nhealth <check> failed\n",
    "<p>demo/web</p><pre>health &lt;check&gt; failed</pre>",
    {"schema": "dockrev.notification.job.v2", "title": "Update rolled back", "body": "demo/web"},
)


def smtp(end: MailEnd, scheme: str = "smtp", login: str = "", **query: str) -> EmailSender:
    words = "&".join(f"{name}={value}" for name, value in {"to": "a@home.lan,b@home.lan", **query}.items())
    return EmailSender(SmtpSettings.parse(f"{scheme}://{login}127.0.0.1:{end.port}?{words}"), seconds=5)


# ---- e-mail


async def test_mail_is_plain_and_html_for_every_recipient(tmp_path: Path) -> None:
    with MailEnd(tmp_path) as end:
        assert (
            await smtp(end, **{"from": "Dockrev%20<d@home.lan>", "to": "a@home.lan,b+dock@home.lan"}).send(MESSAGE)
            == ""
        )
    (mail,) = end.mails
    assert mail.recipients == ["a@home.lan", "b+dock@home.lan"] and mail.sender == "d@home.lan"
    assert mail.message["subject"] == "[dockrev] Update rolled back"
    assert mail.message["message-id"] == "<d7.dockrev@home.lan>"
    assert mail.message.get_content_type() == "multipart/alternative"
    plain, html = mail.message.iter_parts()
    assert "health <check> failed" in plain.get_content()
    assert "<pre>health &lt;check&gt; failed</pre>" in html.get_content()


@pytest.mark.parametrize(("scheme", "tls"), [("smtp", "starttls"), ("smtps", "implicit")])
async def test_mail_is_sent_over_tls_with_a_login(tmp_path: Path, scheme: str, tls: str) -> None:
    with MailEnd(tmp_path, tls, password="s3cret/pass") as end:
        await smtp(end, scheme, "me%40home:s3cret%2Fpass@", verify="no").send(MESSAGE)
        assert [mail.secured for mail in end.mails] == [True]
        with pytest.raises(Refused, match="535") as wrong:
            await smtp(end, scheme, "me:wr0ng-one@", verify="no").send(MESSAGE)
        assert "wr0ng-one" not in f"{wrong.value.message} {wrong.value.hint}"
        with pytest.raises(Refused, match="no trusted TLS") as untrusted:
            await smtp(end, scheme, "me:x@").send(MESSAGE)
    assert "verify=no" in untrusted.value.hint


async def test_refused_recipients_are_a_remark_unless_all_are(tmp_path: Path) -> None:
    with MailEnd(tmp_path) as end:
        end.inbox.refuse = {"b@home.lan": "550 no such user"}
        assert await smtp(end).send(MESSAGE) == "b@home.lan was refused: 550 no such user"
        end.inbox.refuse = {"a@home.lan": "550 no", "b@home.lan": "550 no"}
        with pytest.raises(Refused, match="every recipient"):
            await smtp(end).send(MESSAGE)
        end.inbox.refuse = {"a@home.lan": "450 later", "b@home.lan": "550 no"}
        with pytest.raises(Unreachable, match="450 later"):
            await smtp(end).send(MESSAGE)
        end.inbox.refuse, end.inbox.data_answer = {}, "452 disk full"
        with pytest.raises(Unreachable, match="452 disk full"):
            await smtp(end).send(MESSAGE)
        end.inbox.data_answer = "554 spam"
        with pytest.raises(Refused, match="554 spam"):
            await smtp(end).send(MESSAGE)


async def test_no_mail_server_and_no_recipient(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        await EmailSender(SmtpSettings.parse("smtp://127.0.0.1:9?to=a@b.c")).send(MESSAGE)
    with pytest.raises(NotConfigured, match="no recipient"):
        await EmailSender(SmtpSettings.parse("smtp://127.0.0.1:9")).send(MESSAGE)
    with MailEnd(tmp_path) as end, pytest.raises(Refused, match="no STARTTLS"):
        await smtp(end, tls="required").send(MESSAGE)


@pytest.mark.parametrize(
    "url",
    [
        "", "mail.example", "http://mail.example", "smtp://", "smtp://mail.example:99999", "smtp://mail.example:0",
        "smtp://mail.example?to=nobody", "smtp://mail.example?from=a@b%0d%0aBcc:c@d", "smtp://mail.example?tls=maybe",
        "smtp://mail.example?to=a@b c", "smtp://mail.example?to=" + "a" * 3000 + "@b", "smtp://[::1?to=a@b",
    ],
)  # fmt: skip
def test_smtp_addresses_that_are_none(url: str) -> None:
    with pytest.raises(NotConfigured) as refused:
        SmtpSettings.parse(url)
    assert refused.value.permanent and "smtp://user:password@" in refused.value.hint


def test_smtp_addresses() -> None:
    plain = SmtpSettings.parse("smtp://mail.example?to=a@b.c")
    assert (plain.port, plain.implicit_tls, plain.user, plain.sender) == (587, False, None, "dockrev@mail.example")
    full = SmtpSettings.parse("smtps://u%3Aser:p%40ss@[::1]/?to=a@b.c&to=a@b.c,d@e.f&from=x@y.z&tls=required")
    assert (full.host, full.port, full.user, full.password) == ("::1", 465, "u:ser", "p@ss")
    assert full.recipients == ("a@b.c", "d@e.f") and full.sender == "x@y.z"


async def test_a_password_is_not_sent_in_the_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.notify.email.sender._is_loopback", lambda host: False)
    with MailEnd(tmp_path, password="s3cret") as end:
        with pytest.raises(Refused, match="password was not sent"):
            await smtp(end, login="me:s3cret@").send(MESSAGE)
        await smtp(end, login="me:s3cret@", tls="off").send(MESSAGE)
    assert len(end.mails) == 1


# ---- webhook


async def test_webhook_posts_the_document() -> None:
    with HttpEnd(default=(204, b"")) as end:
        assert await WebhookSender(f"{end.url}/hook?key=s3cret").send(MESSAGE) == ""
    (seen,) = end.seen
    assert seen.path == "/hook?key=s3cret" and seen.json() == MESSAGE.document
    assert seen.headers["content-type"] == "application/json" and seen.headers["x-dockrev-delivery"] == "d7"


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(500, False), (503, False), (429, False), (408, False), (400, True), (404, True), (302, True)],
)
async def test_webhook_that_says_no(status: int, permanent: bool) -> None:
    said = pytest.raises(NotifyError, match=f"answered {status}")
    with HttpEnd(default=(status, b"secret words")) as end, said as refused:
        await WebhookSender(f"{end.url}/s3cret-path").send(MESSAGE)
    assert refused.value.permanent is permanent
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint}"
    assert len(end.seen) == 1


async def test_webhook_that_is_away_or_slow() -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9 cannot be reached"):
        await WebhookSender("http://127.0.0.1:9/x").send(MESSAGE)
    with HttpEnd() as end:
        end.answers = [lambda: (__import__("time").sleep(1), (200, b""))[1]]
        with pytest.raises(Unreachable, match=r"within 0\.2 s"):
            await WebhookSender(end.url, seconds=0.2).send(MESSAGE)


@pytest.mark.parametrize(
    "url", ["", "ntfy", "ftp://a.b/c", "https://", "/relative", "http://a b", "https://a:99999/", "javascript:1"]
)
def test_webhooks_that_are_none(url: str) -> None:
    with pytest.raises(NotConfigured):
        check_webhook_url(url)


# ---- Telegram


def telegram(end: HttpEnd) -> TelegramSender:
    return TelegramSender(TelegramSettings.of("123456:ABC-def", "-100123", end.url + "/"), seconds=3)


async def test_telegram_sends_html() -> None:
    with HttpEnd() as end:
        await telegram(end).send(MESSAGE)
    (seen,) = end.seen
    assert seen.path == "/bot123456:ABC-def/sendMessage"
    assert seen.json() == {
        "chat_id": "-100123",
        "disable_web_page_preview": True,
        "text": MESSAGE.html,
        "parse_mode": "HTML",
    }


async def test_telegram_falls_back_to_plain_text() -> None:
    unparsable = (400, {"ok": False, "description": "Bad Request: can't parse entities: unsupported start tag"})
    with HttpEnd() as end:
        end.answers = [unparsable]
        await telegram(end).send(MESSAGE)
        assert [("parse_mode" in seen.json()) for seen in end.seen] == [True, False]
        assert end.seen[1].json()["text"] == MESSAGE.text
        end.seen.clear()
        await telegram(end).send(Message("d", "t", "😀" * 3000, "<b>" + "x" * 4096 + "</b>"))
    (seen,) = end.seen
    body = seen.json()
    assert "parse_mode" not in body and body["text"].endswith("... [truncated]")
    assert len(body["text"].encode("utf-16-le")) // 2 <= 4096


@pytest.mark.parametrize(
    ("status", "answer", "permanent", "said"),
    [
        (401, {"ok": False, "description": "Unauthorized"}, True, "token"),
        (400, {"ok": False, "description": "Bad Request: chat not found"}, True, "chat id"),
        (403, {"ok": False, "description": "Forbidden: bot was blocked"}, True, "start the bot"),
        (429, {"ok": False, "parameters": {"retry_after": 17}}, False, "429"),
        (502, b"<html>bad gateway", False, "502"),
        (200, {"ok": False, "description": "odd"}, True, "odd"),
    ],
)
async def test_telegram_says_no(status: int, answer: Any, permanent: bool, said: str) -> None:
    with HttpEnd(default=(status, answer)) as end, pytest.raises(NotifyError) as refused:
        await telegram(end).send(MESSAGE)
    error = refused.value
    assert error.permanent is permanent and said in f"{error.message} {error.hint}"
    assert "ABC-def" not in f"{error.message} {error.hint}"
    if status == 429:
        assert isinstance(error, Unreachable) and error.retry_after == 17


def test_telegram_needs_token_and_chat() -> None:
    with pytest.raises(NotConfigured, match="token"):
        TelegramSettings.of(None, "1", "https://x")
    with pytest.raises(NotConfigured, match="chat"):
        TelegramSettings.of("1:a", "", "https://x")


# ---- web push


@pytest.fixture
def pool() -> Any:
    made = PushPool()
    yield made
    made.close()


def push_to(
    phone: Phone, end: HttpEnd, pool: PushPool, keys: Any = None, subject: str = "mailto:me@home.lan"
) -> WebPushSender:
    keys = keys or generate_keys()
    settings = WebPushSettings.of(keys.public, keys.private, subject, {end.url})
    subscription = phone.subscription
    device = Device(subscription["endpoint"], subscription["keys"]["p256dh"], subscription["keys"]["auth"])
    return WebPushSender(settings, device, pool)


async def test_a_push_can_be_read_by_its_device_only(pool: PushPool) -> None:
    keys = generate_keys()
    assert public_key_of(keys.private) == keys.public
    with HttpEnd(default=(201, b"")) as end:
        phone, other = Phone(end), Phone(end, "other")
        await push_to(phone, end, pool, keys).send(MESSAGE)
        await push_to(phone, end, pool, keys).send(MESSAGE)
        (first, again) = phone.pushes()
        assert phone.read(first) == MESSAGE.document == phone.read(again)
        with pytest.raises(Exception, match=r".*"):
            other.read(first)
    assert first.headers["content-encoding"] == "aes128gcm" and first.headers["ttl"] == "60"
    assert first.headers["topic"] == again.headers["topic"] and re.fullmatch(r"[\w-]{1,32}", first.headers["topic"])
    claims = vapid_claims(first, keys.public)
    assert claims["aud"] == end.url and claims["sub"] == "mailto:me@home.lan"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, Gone), (410, Gone), (429, Unreachable), (503, Unreachable), (403, Refused), (413, Refused), (302, Refused)],
)
async def test_a_push_service_says_no(pool: PushPool, status: int, kind: type[NotifyError]) -> None:
    with HttpEnd(default=(status, b"x" * 100_000)) as end, pytest.raises(kind) as refused:
        await push_to(Phone(end), end, pool).send(MESSAGE)
    assert refused.value.permanent is (kind is not Unreachable) and "x" * 50 not in refused.value.message


async def test_keys_that_are_none(pool: PushPool) -> None:
    with HttpEnd() as end:
        ours, theirs = generate_keys(), generate_keys()
        mixed = WebPushSettings.of(ours.public, theirs.private, "mailto:a@b.c", {end.url})
        phone = Phone(end).subscription
        device = Device(phone["endpoint"], phone["keys"]["p256dh"], phone["keys"]["auth"])
        with pytest.raises(NotConfigured, match="belong together"):
            await WebPushSender(mixed, device, pool).send(MESSAGE)
        broken = WebPushSettings.of("p", "not-a-key", "mailto:a@b.c", {end.url})
        with pytest.raises(NotConfigured, match="private VAPID key"):
            await WebPushSender(broken, device, pool).send(MESSAGE)
        good = WebPushSettings.of(ours.public, ours.private, "mailto:a@b.c", {end.url})
        for p256dh, auth in (("abc", "abc"), (phone["keys"]["p256dh"], ""), ("_" * 87, phone["keys"]["auth"])):
            with pytest.raises(Refused, match="keys of this device"):
                await WebPushSender(good, Device(phone["endpoint"], p256dh, auth), pool).send(MESSAGE)
        with pytest.raises(NotConfigured, match="subject"):
            await push_to(Phone(end), end, pool, subject="nobody").send(MESSAGE)
    assert not end.seen
    with pytest.raises(NotConfigured, match="keys are missing"):
        WebPushSettings.of(None, None, "mailto:a@b.c", ())


@pytest.mark.parametrize(
    "endpoint",
    [
        "", "push", "http://push.example/x", "https://", "https://127.0.0.1/x", "https://10.0.0.7/x", "https://[::1]/x",
        "https://169.254.169.254/latest", "https://localhost/x", "https://router.local/x", "https://u:p@push.example/x",
        "https://[::ffff:192.168.0.1]/x", "https://push.example/a b", "https://push.example/" + "x" * 2048,
        "https://224.0.0.1/x", "file:///etc/passwd", "https://push.example:99999/x",
    ],
)  # fmt: skip
def test_endpoints_that_are_none(endpoint: str) -> None:
    with pytest.raises(NotConfigured):
        check_endpoint(endpoint, ())


def test_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_endpoint(" https://push.example/send/abc ", ()) == "https://push.example/send/abc"
    assert check_endpoint("http://127.0.0.1:9/x", {"http://127.0.0.1:9"})
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("10.1.2.3", 443))])
    with pytest.raises(Refused, match="private network"):
        require_public("https://push.example/x", ())
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("93.184.216.34", 443))])
    require_public("https://push.example/x", ())


def test_importing_the_adapter_loads_no_library_that_sends() -> None:
    heavy = "{'httpx', 'requests', 'aiosmtplib', 'pywebpush', 'py_vapid', 'cryptography', 'aiohttp'}"
    code = (
        f"import sys, app.adapters.notify as n; assert not {heavy} & set(sys.modules), 'import';"
        "from app.adapters.notify.webpush import _library; assert 'aiohttp' not in sys.modules, 'aiohttp';"
        "import aiohttp; assert aiohttp.ClientSession"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_server_that_tells_nobody_loads_none_of_them() -> None:
    heavy = "{'httpx', 'aiosmtplib', 'pywebpush', 'py_vapid', 'cryptography', 'aiohttp', 'http_ece'}"
    code = f"import sys, app.main; found = {heavy} & set(sys.modules); assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
