"""Passkeys and the supervisor: the pass that Dockrev gives, what the supervisor takes, and every way to cheat."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from app.core.web.auth import AuthPolicy
from app.core.web.listening import question_of
from app.core.web.pass_key import NoKey, PassKey, key_id
from app.core.web.passes import LIFETIME, LONGEST, RENEWED_AFTER, BadPass, Pass, read, sign
from app.supervisor.main import create_supervisor
from app.supervisor.settings import SupervisorSettings
from tests.fakes.authenticator import Authenticator
from tests.unit.supervisor.fake_world import FakeWorld
from tests.unit.supervisor.house import QUICK, TestClient, published
from tests.web.test_passkeys import ORIGIN, Visitor, house, reason
from tests.web.test_supervisor import BODY, BROWSER, error_of, finished, token_of

NAME = "__Secure-dockrev_pass"
HERE = "/supervisor/self-upgrade"


class Rig:
    """A supervisor that takes passes, at https behind the proxy of the house."""

    def __init__(self, folder: Path, *, step_up: bool = False, peer: str = "192.168.1.2", **policy: Any) -> None:
        self.key = PassKey(folder / "passes" / "supervisor.key")
        self.world = FakeWorld(registry=published("0.2.0"))
        trusted = (ip_network("192.168.0.0/16"),)
        self.application = create_supervisor(
            SupervisorSettings(state_path=folder / "supervisor" / "self-upgrade.json"),
            AuthPolicy(trusted_proxies=trusted, **policy),
            pass_key=self.key,
            step_up=step_up,
            world=lambda: self.world,
            pace=QUICK,
        )
        self.http = TestClient(self.application, base_url=ORIGIN, client=(peer, 50000), follow_redirects=False)

    def a_pass(self, **changes: Any) -> str:
        now = int(time.time())
        known = Pass(who="owner", sid="ses_1", iat=now, exp=now + LIFETIME, touch_at=now)
        return sign(replace(known, **changes), self.key.take())

    def ask(self, text: str = "", path: str = HERE, **headers: str) -> Any:
        cookie = {"Cookie": f"{NAME}={text}"} if text else {}
        return self.http.get(path, headers={**cookie, **headers})

    def why_not(self, text: str, **headers: str) -> str:
        answer = self.ask(text, **headers)
        assert error_of(answer)[:2] == (401, "auth_required")
        assert text == "" or text not in answer.text
        told: str = answer.json()["error"]["details"]["pass"]
        return told


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    with made.http:
        yield made


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, step_up=True)
    with made.http:
        yield made


# ---- who gets in


def test_a_good_pass_opens_everything_and_is_named_as_who_asked(rig: Rig) -> None:
    good = rig.a_pass()
    for path in ("/supervisor/", "/supervisor/health", "/supervisor/static/app.css", HERE):
        assert rig.ask(good, path).status_code == 200, path
    begun = rig.http.post(HERE, json=BODY, headers={"Cookie": f"{NAME}={good}"})
    assert begun.status_code == 200, begun.text
    rig.http.cookies.set(NAME, good)
    assert "owner asked for" in json.dumps(finished(rig.http)["logs"])


def test_forged_truncated_old_and_foreign_passes_open_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    good, now = rig.a_pass(), int(time.time())
    assert rig.why_not("") == "missing"
    for text in (good[:-1], good[1:], good.swapcase(), good.partition(".")[0] + "." + "A" * 43, "x", "A" * 8000):
        assert rig.why_not(text) == "refused"
    other = sign(read(good, rig.key.read(), now), b"x" * 32)
    assert rig.why_not(other) == "refused"
    assert rig.why_not(rig.a_pass(aud="dockrev")) == "refused"
    assert rig.why_not(rig.a_pass(v=1)) == "refused"
    assert rig.why_not(rig.a_pass(exp=now + LONGEST + 60)) == "refused"
    assert rig.why_not(rig.a_pass(iat=now + 600, exp=now + 700, touch_at=now)) == "refused"
    assert rig.why_not(rig.a_pass(iat=now - LIFETIME, exp=now - 1, touch_at=0)) == "expired"
    assert rig.ask(good).status_code == 200
    assert good not in caplog.text


def test_a_pass_of_before_the_key_changed_is_void_at_once(rig: Rig) -> None:
    good = rig.a_pass()
    assert rig.ask(good).status_code == 200
    rig.key.change()
    assert rig.why_not(good) == "refused"
    assert rig.ask(rig.a_pass()).status_code == 200
    rig.key.path.unlink()
    assert rig.why_not(good) == "no_key"
    rig.key.path.write_bytes(b"")
    rig.key.path.chmod(0o600)
    assert rig.why_not(good) == "no_key"


def test_two_cookies_that_differ_are_not_believed(rig: Rig) -> None:
    good, planted = rig.a_pass(), rig.a_pass(who="mallory")
    for cookie in (f"{NAME}={good}; {NAME}={planted}", f"{NAME}={planted}; {NAME}={good}", f"{NAME}=x; {NAME}={good}"):
        answer = rig.http.get(HERE, headers={"Cookie": cookie})
        assert (answer.status_code, answer.json()["error"]["details"]["pass"]) == (401, "ambiguous")
    assert rig.http.get(HERE, headers={"Cookie": f"{NAME}={good}; {NAME}={good}"}).status_code == 200


def test_without_https_a_pass_counts_on_this_machine_only(rig: Rig, tmp_path: Path) -> None:
    plain = {"Cookie": f"dockrev_pass={rig.a_pass()}"}
    assert rig.http.get(HERE, headers=plain).status_code == 401
    here = Rig(tmp_path / "here", peer="127.0.0.1")
    with here.http as http:
        cookie = {"Cookie": f"dockrev_pass={here.a_pass()}", "Host": "localhost:50883"}
        assert http.get(HERE, headers=cookie).status_code == 200
        assert http.get(HERE, headers={**cookie, "Host": "evil.example"}).status_code == 401
        assert http.get(HERE, headers={**cookie, "X-Forwarded-For": "203.0.113.9"}).status_code == 401


@pytest.mark.parametrize("anonymous", ["loopback", "any"])
def test_nobody_is_let_in_without_a_name_any_more(tmp_path: Path, anonymous: str) -> None:
    made = Rig(tmp_path, peer="127.0.0.1", anonymous=anonymous)
    with made.http as http:
        assert error_of(http.get(HERE, headers={"Host": "localhost"}))[:2] == (401, "auth_required")
        assert http.get(HERE, headers={"Host": "localhost", "X-Forwarded-User": "anyone"}).status_code == 401
        assert http.get("/supervisor/favicon.png").status_code == 200


def test_the_proxy_goes_on_counting_beside_it(tmp_path: Path) -> None:
    made = Rig(tmp_path, step_up=True, allowed_user="alice")
    with made.http:
        good, now = made.a_pass(), int(time.time())
        assert made.ask(**{"X-Forwarded-User": "alice"}).status_code == 200
        assert made.ask(good).status_code == 200
        assert made.ask(good, **{"X-Forwarded-User": "bob"}).status_code == 200
        for bad in ("nonsense", made.a_pass(iat=now - LIFETIME, exp=now - 1, touch_at=0)):
            assert made.ask(bad, **{"X-Forwarded-User": "alice"}).status_code == 200, "an old cookie shuts nobody out"
            assert made.ask(bad, **{"X-Forwarded-User": "bob"}).status_code == 401
        page = made.ask("", "/supervisor/", **{**BROWSER, "X-Forwarded-User": "bob"})
        assert "You are not let in" in page.text and "You came as <code>bob</code>" in page.text
        assert 'href="/self-upgrade/open"' in page.text
        by_proxy = made.http.post(HERE, json=BODY, headers={"X-Forwarded-User": "alice"})
        assert by_proxy.status_code == 200, "a proxy has rules of its own"


def test_without_passkeys_there_are_no_passes(tmp_path: Path) -> None:
    made = Rig(tmp_path)
    good = made.a_pass()
    application = create_supervisor(
        SupervisorSettings(state_path=tmp_path / "off" / "self-upgrade.json"), AuthPolicy(anonymous="off")
    )
    with TestClient(application, base_url=ORIGIN) as http:
        answer = http.get(HERE, headers={"Cookie": f"{NAME}={good}"})
        assert answer.status_code == 401 and "pass" not in answer.json()["error"]["details"]


def test_the_page_of_a_refusal_has_the_remedy(rig: Rig) -> None:
    now = int(time.time())
    for text, words in (
        ("", "gives your browser a pass"),
        ("x", "ends all passes"),
        (rig.a_pass(iat=now - LIFETIME, exp=now - 1, touch_at=0), "has ended"),
    ):
        page = rig.ask(text, "/supervisor/", **BROWSER)
        assert page.status_code == 401 and words in page.text
        assert 'href="/self-upgrade/open"' in page.text and "DOCKREV_AUTH_ALLOWED_USER" not in page.text
        assert page.headers["cache-control"] == "no-store" and "set-cookie" not in page.headers
    rig.key.path.unlink()
    assert "DOCKREV_PASS_KEY_PATH" in rig.ask("x", "/supervisor/", **BROWSER).text


def test_another_site_can_do_nothing_with_the_cookie(rig: Rig) -> None:
    mine = {"Cookie": f"{NAME}={rig.a_pass()}"}
    for site in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://dockrev.example.evil"},
    ):
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            answer = rig.http.post(HERE, content=json.dumps(BODY), headers={**mine, **site, "Content-Type": kind})
            assert error_of(answer)[:2] == (403, "forbidden"), (site, kind)
    form = {"tag": "latest", "mode": "apply"}
    assert rig.http.post(HERE, data=form, headers=mine).status_code == 403, "a form without its token"
    assert rig.world.calls == []


# ---- while it is used


def test_it_is_renewed_while_it_is_used(rig: Rig) -> None:
    now = int(time.time())
    assert "set-cookie" not in rig.ask(rig.a_pass(), "/supervisor/health").headers
    older = rig.a_pass(iat=now - RENEWED_AFTER - 5, exp=now - RENEWED_AFTER - 5 + LIFETIME, touch_at=now - 3000)
    assert "set-cookie" not in rig.ask(older, "/supervisor/static/app.css").headers, "what may be kept by others"
    answer = rig.ask(older, "/supervisor/health")
    told = answer.headers["set-cookie"]
    for part in ("HttpOnly", "Path=/supervisor", "SameSite=strict", "Secure", "Max-Age=43"):
        assert part in told, told
    longer = read(re.split("[=;]", told)[1], rig.key.read(), now)
    assert longer.exp >= now + LIFETIME and longer.iat == now - RENEWED_AFTER - 5
    assert longer.touch_at == now - 3000, "no touch comes of it"


async def test_a_stream_ends_with_the_pass(tmp_path: Path) -> None:
    made = Rig(tmp_path)
    headers = [(b"cookie", f"{NAME}={made.a_pass()}".encode())]
    request = Request({"type": "http", "headers": headers, "client": ("192.168.1.2", 1)})
    await made.application.state.door.let_in(request)
    still_in = question_of(request)
    assert still_in is not None and await still_in()
    made.key.change()
    assert not await still_in()


# ---- a touch before what replaces Dockrev


def test_apply_wants_a_touch_and_a_dry_run_does_not(strict: Rig) -> None:
    now = int(time.time())
    for touched in (0, now - 301):
        mine = {"Cookie": f"{NAME}={strict.a_pass(touch_at=touched)}"}
        refused = strict.http.post(HERE, json=BODY, headers=mine)
        assert error_of(refused)[:2] == (403, "forbidden") and reason(refused) == "step_up_required"
        assert strict.http.get(HERE, headers=mine).json()["state"] != "running"
    dry = strict.http.post(HERE, json={**BODY, "mode": "dry-run"}, headers=mine)
    assert dry.status_code == 200
    strict.http.cookies.set(NAME, strict.a_pass(touch_at=now - 301))
    finished(strict.http)
    form = {"csrf": token_of(strict.http), "tag": "0.2.0", "digest": "", "mode": "apply", "rollbackOnFailure": "true"}
    page = strict.http.post(HERE, data=form, headers=BROWSER)
    assert page.status_code == 403 and "Nothing was started" in page.text
    assert 'href="/self-upgrade/open?touch=1&amp;tag=0.2.0&amp;digest=&amp;back=1"' in page.text
    again = strict.http.get("/supervisor/?tag=0.9.0&back=0", headers=BROWSER).text
    assert 'value="0.9.0"' in again and 'name="rollbackOnFailure" value="true">' in again
    strict.http.cookies.set(NAME, strict.a_pass(touch_at=now - 290))
    assert strict.http.post(HERE, data=form, headers=BROWSER).status_code == 303
    assert finished(strict.http)["state"] == "succeeded"


def test_what_dockrev_asks_for_counts_where_the_supervisor_is_set_otherwise(rig: Rig) -> None:
    """The pass says it, signed; a laxer setting of the supervisor changes nothing."""
    now = int(time.time())
    mine = {"Cookie": f"{NAME}={rig.a_pass(step_up=True, touch_at=now - 301)}"}
    refused = rig.http.post(HERE, json=BODY, headers=mine)
    assert error_of(refused)[:2] == (403, "forbidden") and reason(refused) == "step_up_required"
    assert rig.world.calls == []
    body, _, mac = rig.a_pass(step_up=True, touch_at=now - 301).partition(".")
    laxer = rig.a_pass(step_up=False, touch_at=now - 301).partition(".")[0]
    assert laxer != body and rig.why_not(f"{laxer}.{mac}") == "refused", "nobody changes it on the way"
    fresh = {"Cookie": f"{NAME}={rig.a_pass(step_up=True, touch_at=now)}"}
    assert rig.http.post(HERE, json=BODY, headers=fresh).status_code == 200


def test_who_is_not_let_in_is_told_which_key_is_read(rig: Rig) -> None:
    assert rig.ask().json()["error"]["details"]["keyId"] is None
    key = rig.key.take()
    assert rig.ask().json()["error"]["details"]["keyId"] == key_id(key)
    rig.key.path.chmod(0o644)
    assert rig.ask().json()["error"]["details"]["keyId"] is None, "a key that is not used"


def test_the_touch_of_an_upgrade_is_enough_to_take_it_back(strict: Rig) -> None:
    """Dockrev, which asks for touches, may be what the upgrade broke."""
    began = int(time.time())
    mine = {"Cookie": f"{NAME}={strict.a_pass(touch_at=began - 60)}"}
    op_id = strict.http.post(HERE, json=BODY, headers=mine).json()["opId"]
    while strict.http.get(HERE, headers=mine).json()["state"] == "running":
        time.sleep(0.02)
    strict.application.state.door._now = lambda: began + 3600.0
    assert strict.http.post(HERE, json={**BODY, "target": {"tag": "0.2.0"}}, headers=mine).status_code == 403
    older = {"Cookie": f"{NAME}={strict.a_pass(touch_at=began - 3600)}"}
    strict.http.cookies.clear()
    refused = strict.http.post(f"{HERE}/rollback", json={"opId": op_id}, headers=older)
    assert refused.status_code == 403, "a touch of long before"
    strict.http.cookies.clear()
    assert strict.http.post(f"{HERE}/rollback", json={"opId": op_id}, headers=mine).status_code == 200
    strict.http.cookies.clear()
    while (state := strict.http.get(HERE, headers=mine).json()["state"]) == "running":
        time.sleep(0.02)
        strict.http.cookies.clear()
    assert state == "rolled_back"


# ---- from Dockrev


def given(answer: httpx.Response) -> str:
    """The pass that an answer sets; its cookie is for the supervisor alone."""
    [told] = [line for line in answer.headers.get_list("set-cookie") if "dockrev_pass" in line]
    for part in ("HttpOnly", "Path=/supervisor;", "SameSite=strict", "Secure"):
        assert part in told + ";", told
    assert "Domain" not in told
    return re.split("[=;]", told)[1]


async def test_whoever_is_signed_in_is_led_there_with_a_pass(tmp_path: Path) -> None:
    async with house(tmp_path) as (app, moving):
        visitor, key = Visitor(app), PassKey(tmp_path / "passes" / "supervisor.key")
        stranger = await visitor.http.get("/self-upgrade/open", headers=BROWSER)
        assert stranger.headers["location"] == "/login?next=/self-upgrade/open" and not key.path.exists()
        await visitor.enrol(Authenticator(ORIGIN))
        assert not key.path.exists(), "there is no key before somebody needs one"
        answer = await visitor.http.get("/self-upgrade/open?tag=0.2.0&digest=evil&back=0&x=1", headers=BROWSER)
        assert (answer.status_code, answer.headers["location"]) == (303, "/supervisor/?tag=0.2.0&back=0")
        assert answer.headers["cache-control"] == "no-store"
        now = moving.wall.timestamp()
        known = read(given(answer), key.read(), now)
        assert (known.who, known.iat, known.exp, known.touch_at) == ("owner", now, now + LIFETIME, now)
        assert known.step_up is False
        page = await visitor.http.get("/settings", headers=BROWSER)
        assert 'href="/self-upgrade/open"' in page.text and 'href="/supervisor/"' not in page.text


async def test_a_pass_is_nothing_at_dockrev_itself(tmp_path: Path) -> None:
    async with house(tmp_path) as (app, _):
        visitor = Visitor(app)
        await visitor.enrol(Authenticator(ORIGIN))
        text = given(await visitor.http.get("/self-upgrade/open"))
        for name in (NAME, "dockrev_pass", "__Host-dockrev_session", "dockrev_session"):
            thief = Visitor(app)
            thief.http.cookies.set(name, text)
            assert not await thief.allowed(), name
            assert (await thief.http.get("/self-upgrade/open")).status_code == 401
        bearer = await Visitor(app).http.get("/api/stacks", headers={"Authorization": f"Bearer {text}"})
        assert bearer.status_code == 401


async def test_signing_somebody_out_ends_all_passes(tmp_path: Path) -> None:
    async with house(tmp_path) as (app, moving):
        key, device = PassKey(tmp_path / "passes" / "supervisor.key"), Authenticator(ORIGIN)
        one, other = Visitor(app), Visitor(app, address="192.168.1.8")
        await one.enrol(device)
        await other.login(device)

        async def pass_of(visitor: Visitor) -> str:
            return given(await visitor.http.get("/self-upgrade/open"))

        async def void(*texts: str) -> bool:
            found = []
            for text in texts:
                try:
                    read(text, key.read(), moving.wall.timestamp())
                    found.append(False)
                except BadPass:
                    found.append(True)
            assert len(set(found)) == 1
            return found[0]

        first, second = await pass_of(one), await pass_of(other)
        assert not await void(first, second)
        await one.form("/settings/passkeys/sessions/end-others")
        assert await void(first, second) and not await other.allowed()
        await other.login(device)
        first, second = await pass_of(one), await pass_of(other)
        out = await other.form("/logout")
        assert any("dockrev_pass=" in line and "Max-Age=0" in line for line in out.headers.get_list("set-cookie"))
        assert await void(first, second)
        await other.login(device)
        first = await pass_of(one)
        sessions = (await one.http.get("/settings/passkeys", headers={"Accept": "application/json"})).json()["sessions"]
        [theirs] = [session["id"] for session in sessions if not session["current"]]
        await one.form(f"/settings/passkeys/sessions/{theirs}/end")
        assert await void(first)
        first = await pass_of(one)
        keys = (await one.http.get("/settings/passkeys", headers={"Accept": "application/json"})).json()["passkeys"]
        await one.form(f"/settings/passkeys/{keys[0]['id']}/remove", last="yes")
        assert await void(first)


async def test_when_the_key_cannot_be_changed_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path) as (app, _):
        visitor = Visitor(app)
        await visitor.enrol(Authenticator(ORIGIN))

        def broken(_: PassKey) -> bytes:
            raise NoKey("Read-only file system")

        monkeypatch.setattr(PassKey, "change", broken)
        told = await visitor.form("/settings/passkeys/sessions/end-others")
        assert told.status_code == 503 and reason(told) == "pass_key"
        assert "still counts" in told.json()["error"]["message"] and "supervisor.key" in told.text
        monkeypatch.setattr(PassKey, "take", broken)
        answer = await visitor.http.get("/self-upgrade/open")
        assert answer.status_code == 503 and "DOCKREV_PASS_KEY_PATH" in answer.text


async def test_a_touch_is_asked_for_and_told_in_the_pass(tmp_path: Path) -> None:
    async with house(tmp_path, passkeys_step_up=True) as (app, moving):
        visitor, device, key = Visitor(app), Authenticator(ORIGIN), PassKey(tmp_path / "passes" / "supervisor.key")
        await visitor.enrol(device)
        moving.on(minutes=6)
        plain = read(given(await visitor.http.get("/self-upgrade/open")), key.read(), moving.wall.timestamp())
        assert plain.touch_at == moving.wall.timestamp() - 360 and plain.step_up is True
        led = await visitor.http.get("/self-upgrade/open?touch=1&tag=0.2.0", headers=BROWSER)
        assert led.headers["location"] == "/login/touch?next=/self-upgrade/open%3Ftouch%3D1%26tag%3D0.2.0"
        assert "set-cookie" not in led.headers or "dockrev_pass" not in led.headers["set-cookie"]
        options = (await visitor.http.get("/login/touch/options")).json()
        touched = await visitor.form(
            "/login/touch", credential=json.dumps(device.get(options)), next="/self-upgrade/open?touch=1&tag=0.2.0"
        )
        assert touched.json() == {"next": "/self-upgrade/open?touch=1&tag=0.2.0"}
        back = await visitor.http.get("/self-upgrade/open?touch=1&tag=0.2.0", headers=BROWSER)
        assert back.headers["location"] == "/supervisor/?tag=0.2.0"
        assert read(given(back), key.read(), moving.wall.timestamp()).touch_at == moving.wall.timestamp()


@pytest.mark.parametrize(
    ("address", "gets_one"),
    [
        ("https://dockrev.example:8443/supervisor/", True),
        ("https://elsewhere.example/supervisor/", False),
        ("https://dockrev.example/", False),
    ],
)
async def test_a_supervisor_at_another_address(tmp_path: Path, address: str, gets_one: bool) -> None:
    async with house(tmp_path, self_upgrade_url=address) as (app, _):
        visitor = Visitor(app)
        await visitor.enrol(Authenticator(ORIGIN))
        answer = await visitor.http.get("/self-upgrade/open")
        assert answer.headers["location"] == address
        assert ("dockrev_pass" in answer.headers.get("set-cookie", "")) is gets_one


async def test_who_comes_by_the_proxy_needs_none(tmp_path: Path) -> None:
    async with house(tmp_path, auth_allowed_user="alice") as (app, _):
        http = Visitor(app).http
        answer = await http.get("/self-upgrade/open?touch=1", headers={"X-Forwarded-User": "alice"})
        assert answer.headers["location"] == "/supervisor/" and "set-cookie" not in answer.headers


async def test_before_the_first_passkey_this_machine_is_led_to_it(tmp_path: Path) -> None:
    async with house(tmp_path, passkeys_origin=None) as (app, _):
        here = Visitor(app, "http://localhost:50883", "127.0.0.1")
        assert await here.allowed()
        answer = await here.http.get("/self-upgrade/open", headers=BROWSER)
        assert answer.headers["location"] == "/login?next=/self-upgrade/open"
        assert not (tmp_path / "passes").exists()


async def test_a_session_that_ends_soon_gives_a_shorter_pass(tmp_path: Path) -> None:
    async with house(tmp_path) as (app, moving):
        visitor, key = Visitor(app), PassKey(tmp_path / "passes" / "supervisor.key")
        await visitor.enrol(Authenticator(ORIGIN))
        for _ in range(8):
            moving.on(days=11)
            await visitor.http.get("/api/stacks")
        moving.on(days=1, hours=23)
        known = read(given(await visitor.http.get("/self-upgrade/open")), key.read(), moving.wall.timestamp())
        assert known.exp - known.iat == 3600


async def test_the_deploy_check_says_whether_passes_are_set_up(tmp_path: Path) -> None:
    async with house(tmp_path) as (app, _):
        visitor = Visitor(app)
        await visitor.enrol(Authenticator(ORIGIN))
        path = tmp_path / "passes" / "supervisor.key"
        told = (await visitor.http.get("/deploy-check", headers={"Accept": "application/json"})).json()
        assert len(told["report"]["checks"]) == 12, "the contract's report is what it was"
        assert told["passes"]["status"] == "warn" and "engine" in told["passes"]["recommendation"]
        path.parent.mkdir()
        path.write_bytes(b"x" * 32)
        path.chmod(0o644)
        german = {**BROWSER, "Accept-Language": "de"}
        page = (await visitor.http.get("/deploy-check", headers=german)).text
        assert "Passkeys beim Supervisor" in page and str(path) in page and "Eigentümer prüfen" in page


async def test_without_passkeys_the_deploy_check_says_nothing_of_them(tmp_path: Path) -> None:
    async with house(tmp_path, passkeys=False, auth_allow_anonymous_in_dev="any") as (app, _):
        told = (await Visitor(app).http.get("/deploy-check", headers={"Accept": "application/json"})).json()
        assert "passes" not in told
