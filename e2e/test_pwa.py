"""Dockrev as an app: one stream for all tabs, a page for when it cannot be reached, a badge, a renewed worker."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, expect

from e2e.conftest import NewContext
from e2e.pages import OverviewScreen
from e2e.pages.base import SOON, Screen
from e2e.server import Server
from e2e.test_a11y import audit, pictures

OFF_LINE = ("net::ERR", "Failed to load resource", "htmx:sendError", "htmx:afterRequest")


@pytest.fixture(scope="module")
def home(start_server: Callable[..., Server], samples: object) -> Server:
    """A server of this module, whose streams nobody else opens; everything is checked."""
    own = start_server()
    own.stacks(4)
    own.finished(own.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
    return own


def streams(server: Server) -> int:
    """How many browsers' streams the server serves."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(r'^dockrev_event_clients\{stream="page"\} (\d+)', text, re.MULTILINE)
    return int(found[1]) if found else 0


def settles(server: Server, wanted: int, seconds: float = 15) -> int:
    """The number of streams, once it is `wanted` or time is up."""
    end = time.monotonic() + seconds
    while (now := streams(server)) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    return now


def test_one_stream_for_all_tabs(new_context: NewContext, home: Server) -> None:
    context = new_context(base_url=home.url)
    tabs = [OverviewScreen(context.new_page()) for _ in range(2)]
    detail = Screen(context.new_page())
    service = home.services("photos")["lightbox"]
    for tab in tabs:
        tab.open("/")
        tab.mark()
    detail.open(f"/services/{service['stackId']}/{service['id']}")
    detail.mark()
    assert settles(home, 1) == 1
    more = [context.new_page() for _ in range(5)]
    for page in more:
        page.goto("/services")  # an eighth connection would never come about over HTTP/1.1
    assert settles(home, 1) == 1
    for page in more:
        page.close()

    job = home.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"]
    for tab in tabs:
        expect(tab.page.locator(f"#recent a[href='/queue/{job}']")).not_to_have_count(0, timeout=SOON)
    tabs[0].page.close()  # the one that opened the stream
    home.finished(job)
    other = home.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"]
    expect(tabs[1].page.locator(f"#recent a[href='/queue/{other}']")).not_to_have_count(0, timeout=SOON)
    assert tabs[1].was_not_reloaded() and detail.was_not_reloaded()
    assert settles(home, 1) == 1
    tabs[1].page.close()
    detail.page.close()
    assert settles(home, 0) == 0


HIDE = """(hidden) => {
  Object.defineProperty(document, 'hidden', { get: () => hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_without_shared_workers_a_page_listens_while_it_is_looked_at(new_context: NewContext, home: Server) -> None:
    context = new_context(base_url=home.url)
    context.add_init_script("delete window.SharedWorker")
    page = context.new_page()
    page.clock.install()
    screen = OverviewScreen(page)
    screen.open("/")
    screen.mark()
    assert settles(home, 1) == 1
    recent = page.locator("#recent")

    def shows(job: str) -> bool:
        end = time.monotonic() + 15
        while not (there := recent.locator(f"a[href='/queue/{job}']").count()) and time.monotonic() < end:
            page.clock.run_for(500)
        return bool(there)

    assert shows(home.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
    page.evaluate(HIDE, True)
    page.clock.run_for(21_000)
    assert settles(home, 0) == 0
    missed = home.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"]
    home.finished(missed)
    page.evaluate(HIDE, False)
    assert settles(home, 1) == 1
    assert shows(missed)
    assert screen.was_not_reloaded()


def test_a_device_that_wakes_up_reads_the_page_again(new_context: NewContext, home: Server) -> None:
    page = new_context(base_url=home.url).new_page()
    Screen(page).open("/queue")
    assert settles(home, 1) == 1
    page.wait_for_timeout(500)
    page.evaluate(HIDE, True)

    def fragment(request: Request) -> bool:
        return request.headers.get("hx-request") == "true"

    with page.expect_request(fragment):
        page.evaluate(HIDE, False)
    with page.expect_request(fragment):  # brought back by the browser's own history
        page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert settles(home, 1) == 1


KNOWN = "JSON.parse(localStorage.getItem('dockrev-known'))"
ACTIVE = "() => navigator.serviceWorker.ready.then((r) => r.active.state === 'activated' || null)"
SWAPPED = """document.dispatchEvent(
  new CustomEvent('htmx:afterSwap', {detail: {target: document.getElementById('page')}}))"""
CACHED = """caches.keys().then(async (names) => {
  const all = [];
  for (const name of names) {
    for (const each of await (await caches.open(name)).keys()) all.push(new URL(each.url).pathname);
  }
  return all.filter((path) => !path.startsWith('/static/'));
})"""
BADGE = """() => {
  window.badges = [];
  const say = (count) => { window.badges.push(count); return Promise.resolve(); };
  Object.defineProperties(Navigator.prototype, {
    setAppBadge: { value: say, configurable: true }, clearAppBadge: { value: () => say(0), configurable: true },
  });
}"""


def test_the_offline_page_says_what_was_known_and_when(new_context: NewContext, home: Server) -> None:
    context = new_context(allow=OFF_LINE, base_url=home.url, reduced_motion="reduce", color_scheme="light")
    page = context.new_page()
    screen = OverviewScreen(page)
    screen.open("/")
    page.wait_for_function(ACTIVE)
    page.wait_for_function("() => navigator.serviceWorker.controller")
    counts = home.call("GET", "/api/widget")
    known = page.evaluate(KNOWN)
    assert (known["updates"], known["services"], known["stacks"]) == (
        counts["updates"],
        counts["services"],
        counts["stacks"],
    )
    assert counts["updates"] > 0
    context.set_offline(True)
    page.goto("/services")
    screen.says("Dockrev cannot be reached")
    expect(page.locator("[data-offline=updates]")).to_have_text(f"{counts['updates']} updates ready")
    expect(page.locator("#page, #decisions, .rail")).to_have_count(0)
    expect(page.locator(".note")).to_contain_text("It is not live")
    at = page.locator("[data-offline=at]").get_attribute("datetime")
    assert at and at[:16] == known["asOf"][:16]
    assert page.evaluate(CACHED) == ["/offline"]
    found = audit(page, "offline")
    pictures(page, "offline")
    assert not found, "\n".join(found)
    page.evaluate("localStorage.clear()")
    page.goto("/queue")
    expect(page.locator("[data-offline=nothing]")).to_be_visible()
    expect(page.locator("[data-offline=known]")).to_be_hidden()
    context.set_offline(False)
    expect(page.get_by_role("navigation", name="Main")).to_be_visible(
        timeout=SOON
    )  # comes back by itself, to the page that was wanted
    expect(page).to_have_url(f"{home.url}/queue")


def test_the_badge_is_the_number_of_updates(new_context: NewContext, home: Server) -> None:
    page = new_context(base_url=home.url).new_page()
    page.add_init_script(f"({BADGE})()")
    waiting = home.call("GET", "/api/widget")["updates"]
    Screen(page).open("/")
    page.wait_for_function("() => window.badges.length")
    assert page.evaluate("window.badges") == [waiting]
    page.evaluate("document.querySelector('[data-known]').dataset.known = JSON.stringify({updates: 0, asOf: 'x'})")
    page.evaluate(SWAPPED)
    page.wait_for_function("() => window.badges.at(-1) === 0")
    page.evaluate("document.querySelector('[data-known]').dataset.known = JSON.stringify({updates: null, asOf: 'x'})")
    page.evaluate(SWAPPED)
    assert page.evaluate("window.badges.length") == 2, "what is not known is not 0"
    page.goto("/services")
    home.finished(home.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
    page.wait_for_function("() => window.badges.length", timeout=SOON)
    assert page.evaluate("window.badges") == [waiting]


def test_a_push_brings_the_badge_and_never_fails_by_it(new_context: NewContext, home: Server) -> None:
    context = new_context(base_url=home.url, permissions=["notifications"])
    page = context.new_page()
    with context.expect_event("serviceworker") as arrived:
        Screen(page).open("/")
    page.wait_for_function(ACTIVE)
    push = """async (payloads) => {
      const badges = [];
      const say = (count) => { badges.push(count); return Promise.reject(new Error("no badge here")); };
      Object.defineProperties(Object.getPrototypeOf(navigator), {
        setAppBadge: { value: say, configurable: true }, clearAppBadge: { value: () => say(0), configurable: true },
      });
      for (const payload of payloads) {
        const event = new PushEvent("push", { data: JSON.stringify(payload) }), waits = [];
        event.waitUntil = (promise) => waits.push(promise);
        dispatchEvent(event);
        await Promise.all(waits);
      }
      return [badges, (await registration.getNotifications()).map((each) => each.title)];
    }"""
    payloads = [
        {"title": "one", "updatesWaiting": 3, "unreadCount": 9},
        {"title": "two", "unreadCount": 0},
        {"title": "three"},
        {"title": "four", "updatesWaiting": -1},
    ]
    badges, titles = arrived.value.evaluate(push, payloads)
    assert badges == [3, 0]
    assert sorted(titles) == ["four", "one", "three", "two"]


def test_the_worker_and_the_shell_are_renewed(new_context: NewContext, home: Server) -> None:
    page = new_context(base_url=home.url).new_page()
    Screen(page).open("/")
    page.wait_for_function(ACTIVE)
    shells = page.evaluate("caches.keys()")
    assert len(shells) == 1
    page.evaluate("caches.open('dockrev-of-an-older-release')")
    # what a release with another shell is to the browser: another file at the same address
    renewed = page.evaluate("""async () => {
      const registration = await navigator.serviceWorker.register('/sw.js?release=next', { updateViaCache: 'none' });
      const worker = registration.installing ?? registration.waiting ?? registration.active;
      while (worker.state !== 'activated') await new Promise((done) => setTimeout(done, 50));
      return [registration.waiting === null, await caches.keys()];
    }""")
    assert renewed == [True, shells], "active at once, and what the older one kept is gone"


def test_installing_is_offered_where_the_browser_can(new_context: NewContext, home: Server) -> None:
    page = new_context(base_url=home.url, reduced_motion="reduce").new_page()
    Screen(page).open("/settings/notifications")
    offer = page.locator("[data-install]")
    expect(offer).to_be_hidden()
    asked = """() => {
      const event = new Event("beforeinstallprompt", { cancelable: true });
      event.prompt = async () => { window.prompted = true; };
      event.userChoice = Promise.resolve({ outcome: "dismissed" });
      return dispatchEvent(event);
    }"""
    assert page.evaluate(asked) is False, "the browser's own bar stays away"
    expect(offer).to_be_visible()
    pictures(page, "install")
    found = audit(page, "install")
    assert not found, "\n".join(found)
    offer.get_by_role("button", name="Install").click()
    page.wait_for_function("() => window.prompted")
    expect(offer).to_be_hidden()
    page.reload()
    page.evaluate(asked)
    expect(offer).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("install")
    expect(page.locator("#palette [role=option]")).to_have_text(["Install Dockrev as an appAction"])


def test_the_shortcuts_of_the_app_lead_to_pages(page: Page, home: Server) -> None:
    manifest = home.call("GET", "/manifest.webmanifest")
    names = {each["name"]: each["url"] for each in manifest["shortcuts"]}
    assert set(names) == {"Scan now", "Open updates"}
    page.goto(home.url + names["Scan now"])
    expect(page.get_by_role("button", name="Check everything")).to_be_visible()
    page.goto(home.url + names["Open updates"])
    expect(page.locator("#versions [aria-current=true]")).to_contain_text("Updatable")
