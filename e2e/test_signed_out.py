"""A session that ends while its pages are open: they say so and stay, all of them, and go on after a new sign-in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from e2e.conftest import NewContext
from e2e.pages.base import LONG, SOON, Screen
from e2e.server import PROJECT, Server
from e2e.test_a11y import audit, pictures
from e2e.test_passkeys import CODE, Key, enrol
from tests.lab.errors import LabUnavailable
from tests.lab.proxies import Kind, running_proxy

# What a browser says by itself about a stream or a request that is refused, or led to another site.
REFUSED = ("401", "403", "MIME type", "Content Security Policy", "net::ERR", "CORS", "htmx:", "EventSource")
TABS = ("/", "/queue", "/settings")


class Passkeys:
    """A Dockrev that is opened with passkeys, and a browser whose user has one."""

    def __init__(self, server: Server, new_context: NewContext) -> None:
        self.home = f"http://localhost:{server.port}"
        self._new_context = new_context
        self.page = self.browser().new_page()
        self.key = Key(self.page)
        ran = subprocess.run(
            [sys.executable, "-m", "app.cli", "passkeys", "code"],
            env={**os.environ, "DOCKREV_PASSKEYS": "on", "DOCKREV_DB_PATH": str(server.folder / "dockrev.sqlite3")},
            cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        self.page.goto("/login")
        enrol(self.page, CODE.findall(ran.stdout)[0], "phone")
        self.page.wait_for_url(f"{self.home}/")

    def browser(self) -> BrowserContext:
        """Another one."""
        return self._new_context(allow=REFUSED, base_url=self.home, reduced_motion="reduce")

    def sign_in(self, page: Page) -> None:
        """On its page, with a copy of the passkey that has counted on."""
        [known] = self.key.credentials()
        self.key = Key(page)
        self.key.learn({**known, "signCount": known["signCount"] + 100})
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url(lambda url: "/login" not in url)

    def end_others(self) -> None:
        """Sign out every browser but this one, on the page of passkeys."""
        self.page.goto("/settings/passkeys")
        self.page.get_by_role("button", name="Sign out all others").click()
        expect(self.page.locator("#sessions tbody tr")).to_have_count(1, timeout=SOON)


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    """One whose sessions nobody else ends."""
    return start_server(DOCKREV_PASSKEYS="on")


def signed_out(screen: Screen, *, kept: bool = False) -> None:
    """The page says so, stays what it was, and leads to where one signs in."""
    expect(screen.connection).to_contain_text("You were signed out", timeout=SOON)
    link = screen.connection.get_by_role("link", name="Sign in again")
    expect(link).to_have_attribute("target", "_blank" if kept else "")
    expect(screen.connection.get_by_text("What you typed is kept")).to_be_visible(visible=kept)
    expect(screen.page.locator("#announce")).to_have_text("You were signed out")
    assert screen.was_not_reloaded()


def recovered(screen: Screen) -> None:
    """It is live again by itself."""
    expect(screen.connection).to_have_count(0, timeout=LONG)
    assert screen.was_not_reloaded()


def test_all_tabs_learn_that_the_session_was_ended(server: Server, new_context: NewContext) -> None:
    house = Passkeys(server, new_context)
    context = house.browser()
    first = context.new_page()
    first.goto("/login")
    house.sign_in(first)
    tabs = [Screen(first), *(Screen(context.new_page()) for _ in TABS[1:])]
    for tab, address in zip(tabs, TABS, strict=True):
        tab.open(address)
        tab.mark()
    overview, queue, settings = tabs
    expect(overview.button("Check now")).to_be_enabled()
    said = overview.heading.inner_text()
    settings.page.locator("#b-dir").fill("/srv/half-typed")

    house.end_others()
    asked: list[Request] = []
    context.on("request", lambda request: asked.append(request))
    for tab in tabs:
        signed_out(tab, kept=tab is settings)
    expect(overview.button("Check now")).to_be_disabled()
    assert [tab.page.url for tab in tabs] == [house.home + address for address in TABS], "nobody is led anywhere"
    assert overview.heading.inner_text() == said, "what was on the page can be read"
    found = audit(overview.page, "signed out")
    pictures(overview.page, "signed-out")
    overview.page.set_viewport_size({"width": 1440, "height": 900})
    before = len(asked)
    overview.page.wait_for_timeout(5000)
    assert len(asked) == before, f"nobody asks again and again: {[each.url for each in asked[before:]]}"

    with context.expect_page() as opened:
        settings.connection.get_by_role("link", name="Sign in again").click()
    popup = opened.value
    popup.wait_for_url(re.compile(r"/login\?next=/settings"))
    house.sign_in(popup)
    popup.wait_for_url(f"{house.home}/settings")
    for tab in tabs:
        recovered(tab)
    expect(settings.page.locator("#b-dir")).to_have_value("/srv/half-typed")
    settings.page.locator("#backups").get_by_role("button", name="Save").click()
    expect(settings.page.locator("#backups [data-card-state]")).to_have_text("Saved", timeout=SOON)
    scan = "fetch('/api/discovery/scan', {method: 'POST'}).then((answer) => answer.json())"
    job = settings.page.evaluate(scan)["jobId"]
    expect(queue.page.locator(f"a[href='/queue/{job}']")).not_to_have_count(0, timeout=SOON)
    assert not found, "\n".join(found)


def test_an_action_that_is_refused_loses_nothing(server: Server, new_context: NewContext) -> None:
    """On a page without a stream: the action itself finds out."""
    house = Passkeys(server, new_context)
    page, context = house.page, house.page.context
    screen = Screen(page)
    page.goto("/settings/tokens")
    screen.mark()
    page.get_by_label("Name").fill("half typed")
    [session] = [cookie["name"] for cookie in context.cookies() if "dockrev_session" in cookie["name"]]
    context.clear_cookies(name=session)
    screen.button("Make token").click()
    refused = screen.toasts.filter(has_text="This was not done")
    expect(refused).to_be_visible(timeout=SOON)
    signed_out(screen, kept=True)
    expect(page.get_by_label("Name")).to_have_value("half typed")
    found = audit(page, "refused")
    pictures(page, "signed-out-refused")
    page.set_viewport_size({"width": 1440, "height": 900})
    with context.expect_page() as opened:
        refused.get_by_role("link", name="Sign in again").click()
    popup = opened.value
    popup.wait_for_url(re.compile(r"/login\?next=/settings/tokens"))
    house.sign_in(popup)
    popup.wait_for_url(f"{house.home}/settings/tokens")
    screen.button("Make token").click()
    expect(page.locator("#page")).to_contain_text("half typed", timeout=SOON)
    expect(screen.connection.filter(has_text="signed out")).to_have_count(0, timeout=SOON)
    assert screen.was_not_reloaded()
    assert not found, "\n".join(found)


class Portal:
    """An identity provider as Authentik is one, at an address of its own: strangers are led to its page."""

    def __init__(self) -> None:
        portal = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                cookie = SimpleCookie(self.headers.get("Cookie", ""))
                known = "session" in cookie and cookie["session"].value in portal.sessions
                body, headers = b"", {}
                if self.path.startswith("/portal"):
                    status, body = 200, b"<!doctype html><title>Portal</title><h1>The portal</h1>"
                    headers["Content-Type"] = "text/html"
                elif self.path.startswith("/outpost.goauthentik.io/start"):  # what the proxy passes on
                    status, headers["Location"] = 302, f"{portal.url}/portal"
                elif known:
                    status = 200
                    headers = {"X-authentik-username": "alice", "X-authentik-groups": "admins"}
                else:
                    status = 302 if self.path.endswith("/caddy") else 401
                    headers["Location"] = "/outpost.goauthentik.io/start"
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self.do_GET
                raise AttributeError(name)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        self.sessions = {"alice"}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://localhost:{self._server.server_address[1]}"  # another site than that of Dockrev
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def guarded(start_server: Callable[..., Server]) -> Server:
    """A Dockrev that believes Authentik."""
    return start_server(
        DOCKREV_AUTH_PRESET="authentik", DOCKREV_AUTH_ALLOWED_GROUP="admins", DOCKREV_TRUSTED_PROXIES="127.0.0.1/32"
    )


@pytest.fixture(params=["caddy", "nginx"])
def proxied(request: pytest.FixtureRequest, guarded: Server, tmp_path: Path) -> Iterator[tuple[str, Portal]]:
    """Its address at a real proxy with the documented configuration, and the portal that one asks."""
    kind: Kind = request.param
    with ExitStack() as stack:
        portal = Portal()
        stack.callback(portal.stop)
        running = running_proxy(kind, "authentik", tmp_path / kind, identity=portal.address, dockrev=guarded)
        try:
            proxy = stack.enter_context(running)
        except LabUnavailable as error:
            pytest.skip(error.reason)  # no Debian packages within reach: the suite's summary names it
        yield proxy.url, portal


def test_a_proxy_that_leads_to_its_portal_is_understood(new_context: NewContext, proxied: tuple[str, Portal]) -> None:
    url, portal = proxied
    context = new_context(allow=REFUSED, base_url=url)
    context.add_cookies([{"name": "session", "value": "alice", "url": url}])
    tabs = [Screen(context.new_page()) for _ in range(2)]
    for tab, address in zip(tabs, ("/", "/services"), strict=True):
        tab.open(address)
        tab.mark()
    overview, services = tabs
    expect(overview.button("Check now")).to_be_enabled()
    portal.sessions.clear()
    # The stream is still open: only a request finds out. One of the page's own may be quicker, and the button off then.
    overview.button("Check now").dispatch_event("click")
    for tab in tabs:
        signed_out(tab)
    overview.connection.get_by_role("link", name="Sign in again").click()
    expect(overview.heading).to_have_text("The portal", timeout=SOON)
    portal.sessions.add("alice")  # signed in there
    overview.open("/")
    recovered(services)
