"""Notifications: set up on the page, tested in every channel, arriving after an update, shown by the service worker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from e2e.conftest import NewContext
from e2e.household import open_house
from e2e.pages.base import SOON, Screen
from e2e.server import Server
from e2e.test_a11y import audit, pictures
from tests.lab.lab import Lab
from tests.unit.notifications.ends import HttpEnd, MailEnd, Phone, vapid_claims

HERE = "/settings/notifications"
# What a browser's push manager would do, which needs the browser maker's push service: https there, ours here.
FAKE_PUSH = """(subscription) => {
  let current = null;
  const make = (options) => ({
    endpoint: subscription.endpoint, options, toJSON: () => subscription,
    unsubscribe: async () => { current = null; return true; },
  });
  PushManager.prototype.subscribe = async function (options) { return current = make(options); };
  PushManager.prototype.getSubscription = async function () { return current; };
}"""


@dataclass
class Ends:
    """Everybody who is told something."""

    hook: HttpEnd
    bot: HttpEnd
    service: HttpEnd
    mail: MailEnd


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """Real other ends on loopback."""
    mails = MailEnd(tmp_path_factory.mktemp("mail"))
    with HttpEnd() as hook, HttpEnd() as bot, HttpEnd(default=(201, b"")) as service, mails as mail:
        yield Ends(hook, bot, service, mail)


@pytest.fixture(scope="module")
def told(start_server: Callable[..., Server], ends: Ends) -> Server:
    """A server that knows where they are."""
    return start_server(
        DOCKREV_TELEGRAM_API_URL=ends.bot.url, DOCKREV_PUSH_ALLOWED_ORIGINS=f"{ends.service.url},http://127.0.0.1:1"
    )


class NotificationsScreen(Screen):
    """The page."""

    def card(self, name: str) -> Any:
        """One section."""
        return self.page.locator(f"#{name}")

    def save(self, name: str) -> None:
        """Save a card and wait until it says so."""
        self.card(name).get_by_role("button", name="Save", exact=True).click()
        expect(self.card(name).locator("[data-card-state]")).to_have_text("Saved", timeout=SOON)

    def test(self, name: str) -> None:
        """Send a test."""
        self.card(name).get_by_role("button", name="Send test").click()


@pytest.fixture
def context(new_context: NewContext, told: Server) -> BrowserContext:
    """A context of this module's server."""
    return new_context(base_url=told.url, color_scheme="light", permissions=["notifications"])


def _set_up(screen: NotificationsScreen, ends: Ends) -> None:
    page = screen.page
    screen.open(HERE)
    screen.says("Nobody is told anything yet")
    smtp = f"smtp://127.0.0.1:{ends.mail.port}?to=me@home.lan,you@home.lan"
    page.get_by_label("SMTP address").fill(smtp)
    expect(screen.card("email").locator("[data-card-state]")).to_have_text("Not saved yet")
    screen.save("email")
    expect(screen.card("email")).to_contain_text("me@home.lan, you@home.lan through 127.0.0.1", timeout=SOON)
    # The mask stands in the field's hint, never in its value: sent back unchanged it keeps the address (spec §3.7).
    # The field is empty and only hints that a secret is kept: the attribute of HTML that does so has this name.
    expect(page.get_by_label("SMTP address")).to_have_attribute("placeholder", "******", timeout=SOON)
    page.locator("#webhook-url").fill(f"{ends.hook.url}/s3cret")
    screen.save("webhook")
    page.get_by_label("Bot token").fill("123456:ABC-s3cret")
    page.get_by_label("Chat id").fill("-100123")
    screen.save("telegram")


def test_each_channel_is_set_up_and_tested_on_the_page(context: BrowserContext, told: Server, ends: Ends) -> None:
    page = context.new_page()
    screen, phone = NotificationsScreen(page), Phone(ends.service, "tablet")
    page.add_init_script(f"({FAKE_PUSH})({json.dumps(phone.subscription)})")
    _set_up(screen, ends)
    screen.button("Make keys").click()
    expect(page.locator("#this-browser")).not_to_have_attribute("data-key", "", timeout=SOON)
    key = told.call("GET", "/api/notifications")["webPush"]["vapidPublicKey"]
    page.reload()
    expect(page.locator("[data-push=state]")).to_have_text("This browser gets no pushes.", timeout=SOON)
    page.get_by_label("Call it").fill("Kitchen tablet")
    screen.button("Subscribe this browser").click()
    expect(page.locator("#devices table")).to_contain_text("Kitchen tablet", timeout=SOON)
    expect(page.locator("#devices table [data-here]")).to_have_text("this browser", timeout=SOON)
    expect(page.locator("[data-push=state]")).to_have_text("This browser gets pushes.", timeout=SOON)

    for channel in ("email", "webhook", "telegram", "webPush"):
        screen.test(channel)
        expect(screen.card(channel).locator(".last").last).to_contain_text("Delivered", timeout=SOON)
    assert ends.hook.seen[-1].json()["kind"] == "notification_test"
    assert "Dockrev test" in ends.bot.seen[-1].json()["text"]
    assert ends.mail.mails[-1].recipients == ["me@home.lan", "you@home.lan"]
    pushed = phone.pushes()[-1]
    assert phone.read(pushed)["title"] == "Dockrev test"
    assert vapid_claims(pushed, key)["aud"] == ends.service.url
    html = page.content()
    assert "s3cret" not in html and phone.endpoint not in html

    ends.hook.answers = [(500, b"")]
    screen.test("webhook")
    expect(screen.card("webhook").locator(".last")).to_contain_text("Failed", timeout=SOON)
    screen.button("Unsubscribe").click()
    expect(page.locator("#devices")).to_contain_text("No device gets pushes", timeout=SOON)


def test_a_wrong_value_is_said_and_not_saved(new_context: NewContext, told: Server) -> None:
    page = new_context(base_url=told.url, allow=("400",)).new_page()
    screen = NotificationsScreen(page)
    screen.open(HERE)
    page.get_by_label("Contact").fill("nobody")
    screen.card("webPush").get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#vapid-subject-error")).to_contain_text("mailto:", timeout=SOON)
    expect(page.get_by_label("Contact")).to_have_attribute("aria-invalid", "true")
    expect(screen.card("webPush").locator("[data-card-state]")).to_have_text("Not saved", timeout=SOON)


def test_a_rolled_back_update_arrives(told: Server, lab: Lab, ends: Ends) -> None:
    made = lab.samples("kettle")
    house = open_house(lab, told, "kettle", made.good("1.4.0"), made.never_healthy("1.4.1"))
    now = told.call("GET", "/api/notifications")
    body = {name: now[name] for name in ("email", "webhook", "telegram", "webPush")}
    body["webhook"] = {"enabled": True, "url": f"{ends.hook.url}/s3cret"}
    told.call("PUT", "/api/notifications", body)
    before = len(ends.hook.seen)
    job_id = house.update()
    assert told.finished(job_id)["status"] == "rolled_back"
    message = ends.hook.wait_for(before + 1)[-1].json()
    assert message["human"]["title"] == "Update rolled back" and message["human"]["summary"].startswith("kettle")
    assert message["job"]["id"] == job_id and message["links"]["primaryUrl"] == house.address
    end = time.monotonic() + 10
    while not any(
        "notify: webhook=ok" in line["msg"] for line in told.call("GET", f"/api/jobs/{job_id}")["job"]["logs"]
    ):
        assert time.monotonic() < end
        time.sleep(0.1)


ACTIVATED = "navigator.serviceWorker.ready.then((registration) => registration.active.state === 'activated')"


def _worker(page: Page) -> tuple[Any, str]:
    """A CDP session and the registration of the page's service worker."""
    cdp = page.context.new_cdp_session(page)
    seen: list[str] = []
    cdp.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: seen.extend(each["registrationId"] for each in event["registrations"] if not each["isDeleted"]),
    )
    cdp.send("ServiceWorker.enable")
    page.wait_for_function(ACTIVATED)
    end = time.monotonic() + 10
    while not seen and time.monotonic() < end:
        page.wait_for_timeout(50)
    return cdp, seen[-1]


NOTIFICATIONS = """async () => (await (await navigator.serviceWorker.ready).getNotifications()).map(
  n => ({title: n.title, body: n.body, tag: n.tag, url: n.data.url}))"""


def test_the_service_worker_turns_a_push_into_a_notification(context: BrowserContext, told: Server) -> None:
    page = context.new_page()
    Screen(page).open(HERE)
    cdp, registration = _worker(page)

    def deliver(data: str) -> None:
        cdp.send("ServiceWorker.deliverPushMessage", {"origin": told.url, "registrationId": registration, "data": data})

    payload = {"title": "Update failed", "body": "demo/web", "url": "/queue/job_1", "notificationId": "job:1"}
    deliver(json.dumps(payload))
    deliver(json.dumps(payload))  # sent again: it replaces itself
    deliver("plain words")
    deliver("[1, 2]")
    deliver(json.dumps({"body": 5, "url": "javascript:alert(1)"}))
    end = time.monotonic() + 10
    while len(shown := page.evaluate(NOTIFICATIONS)) < 4 and time.monotonic() < end:
        page.wait_for_timeout(100)
    assert len(shown) == 4, shown
    by_body = {each["body"]: each for each in shown}
    assert by_body["demo/web"] == {
        "title": "Update failed",
        "body": "demo/web",
        "tag": "dockrev-job:1",
        "url": "/queue/job_1",
    }
    assert by_body["plain words"]["title"] == "Dockrev" and by_body["[1, 2]"]["title"] == "Dockrev"


# A click in the worker, with windows that only note what is done with them.
CLICK = """async ({url, open}) => {
  const done = [];
  const windows = open.map((each) => ({ url: each, focus: async () => done.push(`focus ${each}`) }));
  clients.matchAll = async () => windows;
  clients.openWindow = async (address) => done.push(`open ${address}`);
  await registration.showNotification("clicked", { tag: "clicked", data: { url } });
  const [notification] = await registration.getNotifications({ tag: "clicked" });
  const event = new NotificationEvent("notificationclick", { notification });
  const waits = [];
  event.waitUntil = (promise) => waits.push(promise);
  dispatchEvent(event);
  await Promise.all(waits);
  return [...done, (await registration.getNotifications({ tag: "clicked" })).length];
}"""


def test_a_click_leads_to_what_was_told(context: BrowserContext, told: Server) -> None:
    page = context.new_page()
    with context.expect_event("serviceworker") as arrived:
        Screen(page).open(HERE)
    page.wait_for_function(ACTIVATED)
    worker, queue = arrived.value, f"{told.url}/queue/job_1"

    def click(url: str, *windows: str) -> list[str | int]:
        found: list[str | int] = worker.evaluate(CLICK, {"url": url, "open": windows})
        return found

    assert click("/queue/job_1", f"{told.url}/", queue) == [f"focus {queue}", 0]
    assert click("/queue/job_1", f"{told.url}/") == [f"open {queue}", 0]
    assert click("https://dockrev.example/queue/job_1") == ["open https://dockrev.example/queue/job_1", 0]
    assert click("", f"{told.url}/services") == [f"focus {told.url}/services", 0]
    assert click("") == [f"open {told.url}/", 0]
    assert click("javascript:alert(1)") == [f"open {told.url}/", 0]


SIZE = """src => new Promise((done, no) => {
  const icon = new Image(); icon.onload = () => done(`${icon.width}x${icon.height}`); icon.onerror = no; icon.src = src;
})"""
TYPE_AND_TEXT = "address => fetch(address).then(async (r) => [Object.fromEntries(r.headers), await r.text()])"


def test_installable(context: BrowserContext, told: Server) -> None:
    page = context.new_page()
    Screen(page).open(HERE)
    headers, text = page.evaluate(TYPE_AND_TEXT, "/manifest.webmanifest")
    manifest = json.loads(text)
    assert headers["content-type"].startswith("application/manifest+json") and manifest["start_url"] == "/"
    assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}
    for icon in manifest["icons"]:
        assert page.evaluate(SIZE, icon["src"]) == icon["sizes"]
    headers, _ = page.evaluate(TYPE_AND_TEXT, "/sw.js")
    assert headers["cache-control"] == "no-cache" and headers["content-type"].startswith("text/javascript")
    problems = page.context.new_cdp_session(page).send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [each["errorId"] for each in problems if each["errorId"] != "in-incognito"] == []


def test_it_works_without_javascript(new_context: NewContext, told: Server, ends: Ends) -> None:
    page = new_context(base_url=told.url, java_script_enabled=False).new_page()
    screen = NotificationsScreen(page)
    screen.open(HERE)
    page.locator("#webhook-url").fill(f"{ends.hook.url}/other")
    screen.card("webhook").get_by_label("Post to a webhook").check()
    screen.card("webhook").get_by_role("button", name="Save", exact=True).click()
    assert page.url.endswith(f"{HERE}#webhook")
    expect(screen.card("webhook").get_by_label("Post to a webhook")).to_be_checked()
    before = len(ends.hook.seen)
    screen.test("webhook")
    expect(screen.card("webhook").locator(".last")).to_contain_text("Delivered")
    assert ends.hook.seen[before].path == "/other"
    expect(page.locator("#this-browser noscript")).to_be_visible()
    screen.card("webhook").get_by_role("button", name="Forget").click()
    expect(screen.card("webhook").get_by_label("Post to a webhook")).not_to_be_checked()


def test_axe_finds_nothing(new_context: NewContext, told: Server) -> None:
    now = told.call("GET", "/api/notifications")
    body = {name: now[name] for name in ("email", "webhook", "telegram", "webPush")}
    body["email"]["enabled"], body["webhook"] = True, {"enabled": True, "url": "http://127.0.0.1:1/away"}
    told.call("PUT", "/api/notifications", body)
    told.call("POST", "/api/notifications/test", {"channel": "webhook"})
    for number, name in enumerate(("Robin's telephone with a long name", "Kitchen tablet")):
        keys = {"p256dh": "BKey", "auth": "auth"}
        device = {"endpoint": f"http://127.0.0.1:1/{number}", "keys": keys, "name": name}
        told.call("POST", "/api/web-push/subscriptions", device)
    told.call("POST", "/api/notifications/test", {"channel": "webPush"})
    page = new_context(base_url=told.url, reduced_motion="reduce").new_page()
    Screen(page).open(HERE)
    expect(page.locator("[data-push=state]")).not_to_be_empty(timeout=SOON)
    page.locator("details.more").first.locator("summary").click()
    found = audit(page, "notifications")
    pictures(page, "notifications")
    assert not found, "\n".join(found)
