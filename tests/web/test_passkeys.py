"""Passkeys on the whole application, with an authenticator in software: enrolled by code, used, attacked, recovered."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from app.core.clock import Clock
from app.core.db import Database
from app.features.access.ledger import Ledger
from app.features.passkeys import codes as codes_module
from app.features.passkeys.codes import Codes
from app.features.passkeys.models import PasskeyRow
from app.features.passkeys.sessions import Sessions
from tests.fakes.authenticator import Authenticator
from tests.web.test_contract import running
from tests.web.test_pages import BROWSER, PAGES

ORIGIN = "https://dockrev.example"
COOKIE = "__Host-dockrev_session"


class Moving:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.wall, self.ticks = datetime(2026, 6, 1, tzinfo=UTC), 0.0

    def clock(self) -> Clock:
        return Clock(now=lambda: self.wall, monotonic=lambda: self.ticks)

    def on(self, **by: float) -> None:
        step = timedelta(**by)
        self.wall, self.ticks = self.wall + step, self.ticks + step.total_seconds()


class Visitor:
    """A browser with a form token, at the https address behind a proxy of the house."""

    def __init__(self, app: Litestar, origin: str = ORIGIN, address: str = "192.168.1.7") -> None:
        self.app = app
        transport = httpx.ASGITransport(app=app, client=(address, 4000))  # type: ignore[arg-type]
        self.http = httpx.AsyncClient(transport=transport, base_url=origin)

    async def form(self, path: str, /, **fields: str) -> httpx.Response:
        if "dockrev_csrf" not in self.http.cookies:
            await self.http.get("/login", headers=BROWSER)
        return await self.http.post(path, data={"csrf": self.http.cookies["dockrev_csrf"], **fields})

    async def enrol(self, device: Authenticator, name: str = "phone", code: str = "") -> httpx.Response:
        code = code or (await self.app.state["container"].get(Codes).make())[0]
        options = await self.form("/login/enrol/options", code=code)
        assert options.status_code == 200, options.text
        return await self.form("/login/enrol", credential=json.dumps(device.create(options.json())), name=name)

    async def options(self) -> dict[str, Any]:
        answer = await self.http.get("/login/options", headers={"Accept": "application/json"})
        assert answer.status_code == 200, answer.text
        options: dict[str, Any] = answer.json()
        return options

    async def login(self, device: Authenticator, which: int = 0, **fields: str) -> httpx.Response:
        return await self.form("/login", credential=json.dumps(device.get(await self.options(), which)), **fields)

    async def allowed(self) -> bool:
        return (await self.http.get("/api/stacks")).status_code == 200


@asynccontextmanager
async def house(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[Litestar, Moving]]:
    moving = Moving()
    given: dict[str, Any] = {"passkeys": True, "passkeys_origin": ORIGIN, **settings}
    async with running(tmp_path, clock=moving.clock(), **given) as (app, _):
        yield app, moving


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[tuple[Litestar, Moving]]:
    async with house(tmp_path) as made:
        yield made


def reason(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["details"].get("reason"))


async def test_nothing_of_it_is_there_by_default(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        assert (await client.get("/login", headers=BROWSER)).status_code == 404
        assert (await client.get("/settings/passkeys", headers=BROWSER)).status_code == 404
        assert "/settings/passkeys" not in (await client.get("/settings", headers=BROWSER)).text
        assert (await client.get("/api/stacks")).status_code == 200


async def test_enrolled_by_code_signed_out_and_in_again(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    visitor, device = Visitor(app), Authenticator(ORIGIN)
    refused = await visitor.http.get("/services?state=up", headers=BROWSER)
    assert refused.status_code == 303
    assert refused.headers["location"] == "/login?next=/services%3Fstate%3Dup"
    page = await visitor.http.get("/login", headers=BROWSER)
    assert page.status_code == 200 and "Add your first passkey" in page.text
    assert page.headers["cache-control"] == "no-store" and 'href="/services"' not in page.text
    enrolled = await visitor.enrol(device)
    assert enrolled.status_code == 200 and enrolled.json() == {"next": "/"}
    assert await visitor.allowed()
    shown = await visitor.http.get("/settings/passkeys", headers=BROWSER)
    assert "phone" in shown.text and "This browser" in shown.text
    out = await visitor.form("/logout")
    assert out.status_code == 303 and out.headers["location"] == "/login"
    assert COOKIE not in visitor.http.cookies and not await visitor.allowed()
    back = await visitor.login(device, next="/queue")
    assert back.json() == {"next": "/queue"} and await visitor.allowed()
    assert (await visitor.http.get("/login?next=/queue", headers=BROWSER)).headers["location"] == "/queue"


async def test_a_script_gets_the_401_of_the_contract(home: tuple[Litestar, Moving]) -> None:
    visitor = Visitor(home[0])
    answer = await visitor.http.get("/api/stacks", headers=BROWSER)
    assert answer.status_code == 401
    body = answer.json()["error"]
    assert body["code"] == "auth_required" and body["message"] == "auth required"
    assert set(body["details"]) == {
        "reason", "message", "forwardHeaderName", "groupHeaderName", "allowedUserMasked", "allowedGroupMasked",
        "currentUser", "currentGroups", "avatarUrl", "authorizationMode",
    }  # fmt: skip
    fragment = await visitor.http.get("/services", headers={**BROWSER, "HX-Request": "true"})
    assert fragment.status_code == 401 and fragment.headers["hx-redirect"] == "/login"
    stream = await visitor.http.get("/events?topics=all", headers={**BROWSER, "Accept": "text/event-stream"})
    assert stream.status_code == 401 and stream.json()["error"]["code"] == "auth_required", "it is led nowhere"


async def test_this_machine_needs_a_passkey_once_there_is_one(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    local = Visitor(app, "http://localhost", "127.0.0.1")
    assert await local.allowed()
    # but what was let in without a name makes no passkey its own
    early = await local.http.get("/settings/passkeys/options", headers={"Accept": "application/json"})
    assert early.status_code == 403 and reason(early) == "enrolment_code_needed"
    await Visitor(app).enrol(Authenticator(ORIGIN))
    assert not await local.allowed()


async def test_forward_auth_counts_beside_it(tmp_path: Path) -> None:
    async with house(tmp_path, auth_allowed_user="mira") as (app, _):
        visitor = Visitor(app)
        await visitor.enrol(Authenticator(ORIGIN))
        proxy = Visitor(app)
        assert not await proxy.allowed()
        assert (await proxy.http.get("/api/stacks", headers={"X-Forwarded-User": "mira"})).status_code == 200
        assert (await proxy.http.get("/api/stacks", headers={"X-Forwarded-User": "eve"})).status_code == 401
        stale = {"X-Forwarded-User": "mira", "Cookie": f"{COOKIE}={'A' * 43}"}
        assert (await proxy.http.get("/api/stacks", headers=stale)).status_code == 200
        page = await visitor.http.get("/settings/passkeys", headers=BROWSER)
        assert 'href="/logout"' in page.text and ">mira<" in page.text


async def test_the_login_page_says_what_forward_auth_looked_for(tmp_path: Path) -> None:
    async with house(tmp_path, auth_allowed_user="mira", trusted_proxies="192.168.1.7/32") as (app, _):
        proxied = Visitor(app, address="192.168.1.7")
        bare = (await proxied.http.get("/login", headers=BROWSER)).text
        check = bare[bare.index('id="proxy"') : bare.index('id="recover"')]
        assert "X-Forwarded-User" in check and "absent" in check and "Trusted" in check and "192.168.1.7" in check
        assert "m**a" in check and "mira" not in bare
        sent = {**BROWSER, "X-Forwarded-User": "otto", "X-Other": "s3cret", "Cookie": "theirs=s3cret"}
        other = (await proxied.http.get("/login", headers=sent)).text
        assert "<code>otto</code>" in other and "Not this one" in other and "s3cret" not in other
        stranger = Visitor(app, address="192.168.1.66")
        told = (await stranger.http.get("/login", headers={**BROWSER, "X-Forwarded-User": "mira"})).text
        assert "Not trusted" in told and "DOCKREV_TRUSTED_PROXIES" in told and "192.168.1.66" in told
        assert "mira" not in told, "what came from a stranger is not repeated"
        known = (await proxied.http.get("/login?next=/queue", headers={**BROWSER, "X-Forwarded-User": "mira"})).text
        assert 'signed you in already. <a href="/queue">' in known
    async with house(tmp_path / "alone") as (app, _):
        assert 'id="proxy"' not in (await Visitor(app).http.get("/login", headers=BROWSER)).text


async def test_a_further_passkey_and_its_removal(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    visitor, phone, key = Visitor(app), Authenticator(ORIGIN), Authenticator(ORIGIN)
    await visitor.enrol(phone)
    options = (await visitor.http.get("/settings/passkeys/options", headers={"Accept": "application/json"})).json()
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["attestation"] == "none" and options["rp"]["id"] == "dockrev.example"
    assert [known["id"] for known in options["excludeCredentials"]]
    added = await visitor.form("/settings/passkeys", credential=json.dumps(key.create(options)), name="  the  key ")
    assert added.status_code == 200
    assert phone.credentials[0].user_handle == key.credentials[0].user_handle
    other = Visitor(app)
    assert (await other.login(key)).status_code == 200 and await other.allowed()
    page = (await visitor.http.get("/settings/passkeys", headers=BROWSER)).text
    assert "the key" in page and "2 browsers are signed in" in page
    [gone] = re.findall(r'href="/settings/passkeys/(psk_\w+)/remove">Remove<span class="sr"> the key', page)
    assert (await visitor.http.get(f"/settings/passkeys/{gone}/remove", headers=BROWSER)).status_code == 200
    assert (await visitor.form(f"/settings/passkeys/{gone}/remove")).status_code == 303
    assert not await other.allowed() and await visitor.allowed()
    assert reason(await other.login(key)) == "passkey_unknown"


async def test_a_passkey_gets_another_name(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    visitor, phone = Visitor(app), Authenticator(ORIGIN)
    await visitor.enrol(phone)
    listed = (await visitor.http.get("/settings/passkeys", headers={"Accept": "application/json"})).json()
    [key] = listed["passkeys"]
    address = f"/settings/passkeys/{key['id']}/rename"
    assert address in (await visitor.http.get("/settings/passkeys", headers=BROWSER)).text
    form = (await visitor.http.get(address, headers=BROWSER)).text
    assert 'value="phone"' in form and f'action="{address}"' in form
    assert (await visitor.http.get(address, headers={"Accept": "application/json"})).json()["passkey"] == key
    for bad in ("", " \u202e\x00 ", "n" * 65):
        refused = await visitor.form(address, name=bad)
        assert refused.status_code == 400 and refused.json()["error"]["details"]["field"] == "name", bad
    for given, kept in (("n" * 64, "n" * 64), ("  the\u202e  <b>old</b>\x1b phone ", "the <b>old</b> phone")):
        assert (await visitor.form(address, name=given)).status_code == 303
        shown = (await visitor.http.get(address, headers={"Accept": "application/json"})).json()
        assert shown["passkey"]["name"] == kept
    assert "the &lt;b&gt;old&lt;/b&gt; phone" in (await visitor.http.get("/settings/passkeys", headers=BROWSER)).text
    assert (await visitor.http.post(address, data={"name": "stolen"})).status_code == 403, "no token"
    assert (await visitor.form("/settings/passkeys/psk_none/rename", name="x")).status_code == 404
    assert await visitor.allowed(), "its sessions go on"
    again = Visitor(app)
    assert (await again.login(phone)).status_code == 200
    await app.state["container"].get(Ledger).settle()
    events = (await visitor.http.get("/api/audit?action=passkey.rename")).json()["events"]
    assert {event["action"] for event in events} == {"passkey.rename"}
    assert "the <b>old</b> phone" in json.dumps(events, ensure_ascii=False)


async def test_the_last_passkey_goes_only_when_that_was_said(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    visitor = Visitor(app)
    await visitor.enrol(Authenticator(ORIGIN))
    listed = (await visitor.http.get("/settings/passkeys", headers={"Accept": "application/json"})).json()
    [key] = listed["passkeys"]
    confirm = (await visitor.http.get(f"/settings/passkeys/{key['id']}/remove", headers=BROWSER)).text
    assert "It is the last one" in confirm and 'name="last"' in confirm
    refused = await visitor.form(f"/settings/passkeys/{key['id']}/remove")
    assert refused.status_code == 409 and reason(refused) == "last_passkey"
    assert (await visitor.form(f"/settings/passkeys/{key['id']}/remove", last="yes")).status_code == 303
    assert not await visitor.allowed()


async def test_sessions_are_listed_and_ended(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    device = Authenticator(ORIGIN)
    first, second, third = Visitor(app), Visitor(app), Visitor(app)
    await first.enrol(device)
    assert (await second.login(device)).status_code == (await third.login(device)).status_code == 200
    rows = (await first.http.get("/settings/passkeys", headers={"Accept": "application/json"})).json()["sessions"]
    assert len(rows) == 3 and sum(row["current"] for row in rows) == 1
    assert not any("hash" in name.lower() or "token" in name.lower() for row in rows for name in row)
    sessions = app.state["container"].get(Sessions)
    known = await sessions.find(second.http.cookies[COOKIE])
    assert known is not None
    assert (await first.form(f"/settings/passkeys/sessions/{known.id}/end")).status_code == 303
    assert not await second.allowed() and await third.allowed() and await first.allowed()
    assert (await first.form("/settings/passkeys/sessions/end-others")).status_code == 303
    assert not await third.allowed() and await first.allowed()
    assert (await first.form(f"/settings/passkeys/sessions/{known.id}/end")).status_code == 404


async def test_cookies_are_for_this_host_over_https_only(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    answer = await Visitor(app).enrol(Authenticator(ORIGIN))
    cookies = {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}
    session = cookies[COOKIE].lower()
    assert "; secure" in session and "; httponly" in session and "samesite=lax" in session and "path=/" in session
    assert "domain" not in session and "max-age=7776000" in session
    begun = await Visitor(app).http.get("/login/options", headers={"Accept": "application/json"})
    [ticket] = [line.lower() for line in begun.headers.get_list("set-cookie")]
    assert ticket.startswith("__host-dockrev_ceremony=") and "samesite=strict" in ticket and "; secure" in ticket


async def test_plain_http_works_on_this_machine_by_its_name_only(tmp_path: Path) -> None:
    async with house(tmp_path, passkeys_origin=None) as (app, _):
        local = Visitor(app, "http://localhost", "127.0.0.1")
        answer = await local.enrol(Authenticator("http://localhost"))
        [session] = [line for line in answer.headers.get_list("set-cookie") if "_session" in line]
        assert session.startswith("dockrev_session=") and "secure" not in session.lower()
        assert await local.allowed()
        token = local.http.cookies["dockrev_session"]
        far = Visitor(app, "http://localhost")
        sent = await far.http.get("/api/stacks", headers={"Cookie": f"dockrev_session={token}"})
        assert sent.status_code == 401
        page = await Visitor(app, "http://dockrev.lan").http.get("/login", headers=BROWSER)
        assert "DOCKREV_PASSKEYS_ORIGIN" in page.text


@pytest.mark.parametrize(
    ("given", "lands"),
    [
        ("/queue/job_1?a=b", "/queue/job_1?a=b"), ("//evil.example", "/"), ("https://evil.example/", "/"),
        ("/\\evil.example", "/"), ("/login?next=/x", "/"), ("javascript:alert(1)", "/"), ("/\tevil", "/"), ("", "/"),
        ("/logout", "/"), ("/api/stacks", "/"), ("queue", "/"),
    ],
)  # fmt: skip
async def test_signing_in_leads_nowhere_else(home: tuple[Litestar, Moving], given: str, lands: str) -> None:
    app, _ = home
    visitor, device = Visitor(app), Authenticator(ORIGIN)
    await visitor.enrol(device)
    assert (await visitor.login(device, next=given)).json() == {"next": lands}


async def test_signing_in_is_in_the_audit_trail(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    visitor, device = Visitor(app), Authenticator(ORIGIN)
    await visitor.form("/login/enrol/options", code="WRONG")
    await visitor.enrol(device)
    device.origin = "https://evil.example"
    await Visitor(app).login(device)
    await app.state["container"].get(Ledger).settle()
    events = (await visitor.http.get("/api/audit")).json()["events"]
    told = [(event["action"], event["outcome"], event["means"], event["principal"]) for event in reversed(events)]
    assert ("passkey.code", "refused", "passkey", "") in told
    assert ("passkey.enrol", "ok", "passkey", "owner") in told
    assert ("login.passkey", "refused", "passkey", "") in told
    assert device.credentials and "credential" not in json.dumps(events)


@pytest.mark.parametrize(
    "path", [*PAGES, "/settings/notifications", "/settings/tokens", "/settings/audit", "/api/settings"]
)
async def test_every_page_knows_somebody_with_a_passkey(home: tuple[Litestar, Moving], path: str) -> None:
    visitor = Visitor(home[0])
    await visitor.enrol(Authenticator(ORIGIN))
    for headers in (BROWSER, {"Accept": "application/json"}):
        answer = await visitor.http.get(path, headers=headers, follow_redirects=True)
        assert answer.status_code == 200, answer.text


async def test_settings_and_deploy_check_say_that_it_is_protected(home: tuple[Litestar, Moving]) -> None:
    visitor = Visitor(home[0])
    await visitor.enrol(Authenticator(ORIGIN))
    page = (await visitor.http.get("/settings", headers=BROWSER)).text
    assert "Protected" in page and "Nobody is named" not in page and "by a passkey" in page
    assert (await visitor.http.get("/api/settings")).json()["auth"]["matchedBy"] == "passkey"
    checked = (await visitor.http.get("/deploy-check", headers=BROWSER, follow_redirects=True)).text
    assert "the owner signs in with a passkey" in checked.replace("The owner", "the owner")


# Attacks


async def test_a_challenge_counts_once_and_in_its_browser(home: tuple[Litestar, Moving]) -> None:
    app, moving = home
    visitor, device = Visitor(app), Authenticator(ORIGIN)
    await visitor.enrol(device)
    thief = Visitor(app)
    options = await thief.options()
    answer = json.dumps(device.get(options))
    ticket = thief.http.cookies["__Host-dockrev_ceremony"]
    # another browser has no ticket for it
    assert reason(await Visitor(app).form("/login", credential=answer)) == "challenge_gone"
    assert (await thief.form("/login", credential=answer)).status_code == 200
    thief.http.cookies.delete(COOKIE)
    thief.http.cookies.set("__Host-dockrev_ceremony", ticket, domain="dockrev.example")
    assert reason(await thief.form("/login", credential=answer)) == "challenge_gone"
    # a challenge of signing in makes no passkey, and an old one nothing
    late = await thief.options()
    assert reason(await thief.form("/login/enrol", credential=answer)) == "challenge_gone"
    late = await thief.options()
    moving.on(seconds=301)
    assert reason(await thief.form("/login", credential=json.dumps(device.get(late)))) == "challenge_gone"


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://evil.example"}, {"origin": "http://dockrev.example"}, {"origin": ORIGIN + ":8443"},
        {"rp_id": "evil.example"}, {"user_verified": False}, {"cross_origin": True},
    ],
    ids=str,
)  # fmt: skip
async def test_answers_for_another_place_or_without_the_person(
    home: tuple[Litestar, Moving], lie: dict[str, Any]
) -> None:
    app, _ = home
    device = Authenticator(ORIGIN)
    await Visitor(app).enrol(device)
    visitor = Visitor(app)
    for name, value in lie.items():
        setattr(device, name, value)
    answer = await visitor.login(device)
    assert answer.status_code == 401 and reason(answer) == "passkey_refused"
    assert COOKIE not in visitor.http.cookies and not await visitor.allowed()
    code, _ = await app.state["container"].get(Codes).make()
    options = (await visitor.form("/login/enrol/options", code=code)).json()
    made = await visitor.form("/login/enrol", credential=json.dumps(device.create(options)), name="x")
    assert made.status_code == 401 and not await visitor.allowed()


async def test_a_counter_that_went_back_is_refused_and_told(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    visitor, device = Visitor(app), Authenticator(ORIGIN)
    await visitor.enrol(device)
    assert (await visitor.login(device)).status_code == 200
    device.credentials[0].count -= 2
    copied = await Visitor(app).login(device)
    assert copied.status_code == 401 and reason(copied) == "passkey_counter"
    page = (await visitor.http.get("/settings/passkeys", headers=BROWSER)).text
    assert "The counter of phone went back" in page and "Maybe copied" in page


async def test_an_authenticator_that_does_not_count_is_fine(home: tuple[Litestar, Moving]) -> None:
    device = Authenticator(ORIGIN, counts=False)
    await Visitor(home[0]).enrol(device)
    for _ in range(2):
        assert (await Visitor(home[0]).login(device)).status_code == 200


async def test_foreign_and_forged_passkeys(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    mine, theirs = Authenticator(ORIGIN), Authenticator(ORIGIN)
    await Visitor(app).enrol(mine)
    theirs.create({"rp": {"id": "dockrev.example"}, "user": {"id": "AAAA"}, "challenge": "AAAA"})
    assert reason(await Visitor(app).login(theirs)) == "passkey_unknown"
    theirs.credentials[0].identifier = mine.credentials[0].identifier  # named like mine, signed by another key
    assert reason(await Visitor(app).login(theirs)) == "passkey_refused"
    theirs.credentials[0].user_handle = mine.credentials[0].user_handle
    assert reason(await Visitor(app).login(theirs)) == "passkey_refused"


async def test_nonsense_is_refused(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    await Visitor(app).enrol(Authenticator(ORIGIN))
    for number, text in enumerate(
        (
            "", "[]", "{", "null", '{"id":1}', '{"id":"x"}', '{"id":"x","response":{"clientDataJSON":"!!"}}',
            "[" * 20000, "x" * 60000, '{"id":"x","response":[],"rawId":"x","type":"public-key"}',
        )
    ):  # fmt: skip
        visitor = Visitor(app, address=f"192.168.5.{number}")
        await visitor.options()
        refused = await visitor.form("/login", credential=text)
        assert refused.status_code == 401 and reason(refused) in ("passkey_refused", "passkey_unknown"), text[:50]
        code, _ = await app.state["container"].get(Codes).make()
        assert (await visitor.form("/login/enrol/options", code=code)).status_code == 200
        made = await visitor.form("/login/enrol", credential=text, name="x")
        assert made.status_code == 401 and reason(made) == "passkey_refused", text[:50]


async def test_nonsense_about_a_real_passkey_is_refused(home: tuple[Litestar, Moving]) -> None:
    app, _ = home
    device = Authenticator(ORIGIN)
    await Visitor(app).enrol(device)
    for broken in ("signature", "authenticatorData", "clientDataJSON", "userHandle"):
        for value in ("", "AAAA", None, 7, "é"):
            visitor = Visitor(app, address=f"192.168.{ord(broken[0])}.{len(str(value))}")
            answer = device.get(await visitor.options())
            answer["response"][broken] = value
            refused = await visitor.form("/login", credential=json.dumps(answer))
            assert refused.status_code == 401 and reason(refused) == "passkey_refused", (broken, value)


async def test_a_session_ends_when_unused_and_when_old(home: tuple[Litestar, Moving]) -> None:
    app, moving = home
    device = Authenticator(ORIGIN)
    idle, busy = Visitor(app), Visitor(app)
    await idle.enrol(device)
    await busy.login(device)
    for _ in range(8):
        moving.on(days=10)
        assert await busy.allowed()
    assert not await idle.allowed()
    moving.on(days=10)
    assert not await busy.allowed()


async def test_the_token_changes_daily_and_the_old_one_ends(home: tuple[Litestar, Moving]) -> None:
    app, moving = home
    visitor = Visitor(app)
    await visitor.enrol(Authenticator(ORIGIN))
    old = visitor.http.cookies[COOKIE]
    assert await visitor.allowed() and visitor.http.cookies[COOKIE] == old
    moving.on(days=1)
    assert await visitor.allowed()
    new = visitor.http.cookies[COOKIE]
    assert new != old
    stale = Visitor(app)
    assert (await stale.http.get("/api/stacks", headers={"Cookie": f"{COOKIE}={old}"})).status_code == 200
    moving.on(minutes=6)
    assert (await stale.http.get("/api/stacks", headers={"Cookie": f"{COOKIE}={old}"})).status_code == 401
    assert await visitor.allowed()


async def test_last_seen_is_written_once_a_minute(home: tuple[Litestar, Moving]) -> None:
    app, moving = home
    visitor, sessions = Visitor(app), app.state["container"].get(Sessions)
    await visitor.enrol(Authenticator(ORIGIN))
    opened = (await sessions.all())[0].last_seen_at
    moving.on(seconds=59)
    await visitor.allowed()
    assert (await sessions.all())[0].last_seen_at == opened
    moving.on(seconds=1)
    await visitor.allowed()
    assert (await sessions.all())[0].last_seen_at == opened + timedelta(seconds=60)


async def test_no_session_survives_signing_in(home: tuple[Litestar, Moving]) -> None:
    """Fixation: what a browser brought before counts afterwards for nobody."""
    app, _ = home
    victim, device = Visitor(app), Authenticator(ORIGIN)
    await victim.enrol(device)
    planted = victim.http.cookies[COOKIE]
    assert (await victim.login(device)).status_code == 200
    assert victim.http.cookies[COOKIE] != planted
    other = Visitor(app)
    assert (await other.http.get("/api/stacks", headers={"Cookie": f"{COOKIE}={planted}"})).status_code == 401
    invented = "A" * 43
    visitor = Visitor(app)
    visitor.http.cookies.set(COOKIE, invented, domain="dockrev.example")
    await visitor.login(device)
    assert (await other.http.get("/api/stacks", headers={"Cookie": f"{COOKIE}={invented}"})).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/logout",
        "/settings/passkeys/{key}/remove",
        "/settings/passkeys/{key}/rename",
        "/settings/passkeys/sessions/end-others",
        "/login/enrol",
    ],
)
async def test_no_other_site_posts_forms(home: tuple[Litestar, Moving], path: str) -> None:
    app, _ = home
    visitor = Visitor(app)
    await visitor.enrol(Authenticator(ORIGIN))
    listed = (await visitor.http.get("/settings/passkeys", headers={"Accept": "application/json"})).json()
    path = path.format(key=listed["passkeys"][0]["id"])
    fields = {"csrf": visitor.http.cookies["dockrev_csrf"], "last": "yes"}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ):
        assert (await visitor.http.post(path, data=fields, headers=headers)).status_code == 403
    assert (await visitor.http.post(path, data={"last": "yes"})).status_code == 403
    assert (await visitor.http.post(path, data={"csrf": "x" * 32, "last": "yes"})).status_code == 403
    assert await visitor.allowed()
    begun = await visitor.http.get("/login/options", headers={"Sec-Fetch-Site": "cross-site"})
    assert begun.status_code == 403


async def test_codes_end_after_use_after_tries_and_after_their_time(home: tuple[Litestar, Moving]) -> None:
    app, moving = home
    codes: Codes = app.state["container"].get(Codes)
    visitor, device = Visitor(app), Authenticator(ORIGIN)
    code, _ = await codes.make()
    spoken = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    first = (await visitor.form("/login/enrol/options", code=spoken)).json()
    answer = json.dumps(device.create(first))
    assert (await visitor.form("/login/enrol", credential=answer, name="one")).status_code == 200
    again = await Visitor(app).form("/login/enrol/options", code=code)
    assert again.status_code == 403 and reason(again) == "enrolment_code_refused"
    # begun twice with one code: only one of them ends well
    code, _ = await codes.make()
    one, two = Visitor(app), Visitor(app)
    for_one = (await one.form("/login/enrol/options", code=code)).json()
    for_two = (await two.form("/login/enrol/options", code=code)).json()
    done = [
        await one.form("/login/enrol", credential=json.dumps(device.create(for_one)), name="two"),
        await two.form("/login/enrol", credential=json.dumps(device.create(for_two)), name="three"),
    ]
    assert [answer.status_code for answer in done] == [200, 403]
    code, _ = await codes.make()
    moving.on(minutes=15)
    assert (await Visitor(app).form("/login/enrol/options", code=code)).status_code == 403
    code, _ = await codes.make()
    for number in range(10):
        guess = await Visitor(app, address=f"192.168.2.{number}").form("/login/enrol/options", code="0000-0000")
        assert guess.status_code == 403
    assert (await Visitor(app, address="192.168.3.1").form("/login/enrol/options", code=code)).status_code == 403
    for _ in range(5):
        await Visitor(app, address="192.168.4.1").form("/login/enrol/options", code="0")
    limited = await Visitor(app, address="192.168.4.1").form("/login/enrol/options", code="0")
    assert limited.status_code == 429 and int(limited.headers["retry-after"]) > 0


async def test_no_secret_is_stored_as_it_is(home: tuple[Litestar, Moving], tmp_path: Path) -> None:
    app, _ = home
    code, _ = await app.state["container"].get(Codes).make()
    visitor = Visitor(app)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("d.sqlite3*"))
    assert code.encode() not in stored and code.replace("-", "").encode() not in stored
    await visitor.enrol(Authenticator(ORIGIN), code=code)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("d.sqlite3*"))
    assert visitor.http.cookies[COOKIE].encode() not in stored
    async with app.state["container"].get(Database).session() as session:
        from sqlmodel import select

        [row] = (await session.exec(select(PasskeyRow))).all()
    assert row.public_key.encode() in stored  # what was looked through is the database


async def test_the_code_is_in_the_log_while_there_is_no_passkey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Log:
        def warning(self, event: str, **facts: str) -> None:
            told.append(facts.get("code", ""))

    monkeypatch.setattr(codes_module, "log", Log())
    async with house(tmp_path) as (app, moving):
        codes: Codes = app.state["container"].get(Codes)
        await codes.announce()
        assert len(told) == 1  # at the start, and it still counts
        moving.on(minutes=16)
        await codes.announce()
        assert len(set(told)) == 2
        await Visitor(app).enrol(Authenticator(ORIGIN), code=told[-1])
        moving.on(minutes=16)
        await codes.announce()
        assert len(told) == 2
    again = tmp_path / "again"
    again.mkdir()
    async with house(again) as (app, moving):
        for _ in range(20):
            moving.on(minutes=16)
            await app.state["container"].get(Codes).announce()
        assert sum(bool(code) for code in told[2:]) == codes_module.IN_THE_LOG  # no door that stays ajar for weeks


# A touch before what can break much

EVERYTHING = {"scope": "all", "mode": "apply", "targets": [], "reason": "ui"}


async def touch(visitor: Visitor, device: Authenticator, **fields: str) -> httpx.Response:
    options = await visitor.http.get("/login/touch/options", headers={"Accept": "application/json"})
    return await visitor.form("/login/touch", credential=json.dumps(device.get(options.json())), **fields)


async def test_what_can_break_much_wants_a_touch(tmp_path: Path) -> None:
    async with house(tmp_path, passkeys_step_up=True) as (app, moving):
        visitor, device = Visitor(app), Authenticator(ORIGIN)
        await visitor.enrol(device)
        assert (await visitor.http.post("/api/tokens", json={"name": "a", "scope": "read"})).status_code == 200
        moving.on(seconds=300)
        [key] = (await visitor.http.get("/settings/passkeys", headers={"Accept": "application/json"})).json()[
            "passkeys"
        ]
        wanted = [
            await visitor.http.post("/api/tokens", json={"name": "b", "scope": "read"}),
            await visitor.http.post("/api/updates", json=EVERYTHING),
            await visitor.http.post("/api/backups/bkp_01JAAAAAAAAAAAAAAAAAAAAAAA/restore"),
            await visitor.form("/settings/tokens", name="b", scope="read"),
            await visitor.form("/settings/passkeys", credential="{}", name="x"),
            await visitor.form(f"/settings/passkeys/{key['id']}/remove", last="yes"),
            await visitor.form("/updates", scope="all", mode="apply"),
            await visitor.http.get("/settings/passkeys/options", headers={"Accept": "application/json"}),
        ]
        assert [(answer.status_code, reason(answer)) for answer in wanted] == [(403, "step_up_required")] * len(wanted)
        # what breaks nothing, or one thing at a time, does not
        dry = await visitor.http.post("/api/updates", json={**EVERYTHING, "mode": "dry-run"})
        assert dry.status_code != 403 and await visitor.allowed()
        # a browser is led there and back to the form
        fields = {"csrf": visitor.http.cookies["dockrev_csrf"], "scope": "all", "mode": "apply"}
        form = {"Referer": f"{ORIGIN}/updates/new?scope=all"}
        led = await visitor.http.post("/updates", data=fields, headers={**BROWSER, **form})
        assert led.status_code == 303
        assert led.headers["location"] == "/login/touch?next=/updates/new%3Fscope%3Dall"
        page = await visitor.http.get(led.headers["location"], headers=BROWSER)
        assert "Touch a passkey first" in page.text and 'value="/updates/new?scope=all"' in page.text
        swapped = await visitor.http.post(
            "/updates", data=fields, headers={**BROWSER, "HX-Request": "true", "HX-Current-URL": form["Referer"]}
        )
        assert swapped.headers["hx-redirect"] == led.headers["location"]
        back = await touch(visitor, device, next="/updates/new?scope=all")
        assert back.json() == {"next": "/updates/new?scope=all"}
        assert (await visitor.http.post("/api/tokens", json={"name": "b", "scope": "read"})).status_code == 200
        other = Visitor(app)
        await other.login(device)
        moving.on(seconds=299)
        assert (await visitor.http.post("/api/tokens", json={"name": "c", "scope": "read"})).status_code == 200


async def test_a_touch_is_one_session_s_and_no_sign_in(tmp_path: Path) -> None:
    async with house(tmp_path, passkeys_step_up=True) as (app, moving):
        mine, thief, device = Visitor(app), Visitor(app), Authenticator(ORIGIN)
        await mine.enrol(device)
        await thief.login(device)
        moving.on(minutes=6)
        assert (await touch(mine, device)).status_code == 200
        assert reason(await thief.http.post("/api/tokens", json={"name": "x", "scope": "read"})) == "step_up_required"
        # the answer to a challenge of signing in is no touch, nor the other way round
        crossed = await thief.form("/login/touch", credential=json.dumps(device.get(await thief.options())))
        assert reason(crossed) == "challenge_gone"
        stranger = Visitor(app)
        assert (await touch_of_stranger(stranger)).status_code == 401
        # a token has a scope instead
        made = await mine.http.post("/api/tokens", json={"name": "robot", "scope": "admin"})
        moving.on(minutes=6)
        robot = Visitor(app)
        bearer = {"Authorization": f"Bearer {made.json()['value']}"}
        answer = await robot.http.post("/api/tokens", json={"name": "y", "scope": "read"}, headers=bearer)
        assert answer.status_code == 200


async def touch_of_stranger(visitor: Visitor) -> httpx.Response:
    return await visitor.http.get("/login/touch/options", headers={"Accept": "application/json"})


async def test_without_the_setting_nothing_wants_a_touch(home: tuple[Litestar, Moving]) -> None:
    app, moving = home
    visitor = Visitor(app)
    await visitor.enrol(Authenticator(ORIGIN))
    moving.on(hours=1)
    assert (await visitor.http.post("/api/tokens", json={"name": "a", "scope": "read"})).status_code == 200
