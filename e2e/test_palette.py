"""Command palette and shortcuts: all by keyboard, nothing started at once, nothing promised without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.conftest import NewContext
from e2e.pages.base import SOON, Screen
from e2e.server import Server
from e2e.test_a11y import audit, pictures


@pytest.fixture(scope="module")
def home(start_server: Callable[..., Server], samples: object) -> Server:
    """A server of this module that knows the samples and has never checked them."""
    own = start_server()
    own.stacks(4)
    return own


@pytest.fixture
def page(new_context: NewContext, home: Server) -> Page:
    """The overview, 1440 px."""
    page = new_context(base_url=home.url, color_scheme="light", reduced_motion="reduce").new_page()
    Screen(page).open("/")
    return page


class Palette:
    """The palette of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dialog = page.locator("#palette")
        self.field = page.get_by_role("combobox", name="Page, service, stack or action")
        self.options = page.locator("#palette [role=option]")
        self.keys = page.locator("#keys")

    @property
    def chosen(self) -> Locator:
        """The option that Enter takes."""
        return self.page.locator("#palette [role=option][aria-selected=true]")

    def open(self) -> None:
        """By its shortcut, once the scripts are there (the address is before them)."""
        self.page.wait_for_load_state()
        self.page.keyboard.press("Control+k")
        expect(self.field).to_be_focused()


def test_a_service_is_found_and_opened_by_keyboard(page: Page, home: Server) -> None:
    palette, service = Palette(page), home.services("photos")["lightbox"]
    with page.expect_response("**/palette") as read:
        palette.open()
    assert read.value.headers["cache-control"] == "no-store"
    expect(palette.chosen).to_have_text(re.compile("Overview"))
    page.keyboard.type("photos light")
    expect(palette.options).to_have_count(1)
    expect(palette.chosen).to_have_text("lightboxService in photos")
    active = palette.field.get_attribute("aria-activedescendant")
    assert active and palette.chosen.get_attribute("id") == active
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{home.url}/services/{service['stackId']}/{service['id']}")

    palette.open()
    page.keyboard.type("set")
    expect(palette.chosen).to_contain_text("Settings")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{home.url}/settings")


def test_the_focus_stays_inside_and_comes_back(page: Page) -> None:
    palette = Palette(page)
    opener = page.get_by_role("button", name="Search and commands")
    opener.focus()
    page.keyboard.press("Enter")
    expect(palette.field).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('#palette')")
    page.keyboard.press("Escape")
    expect(palette.dialog).to_be_hidden()
    expect(opener).to_be_focused()
    palette.open()
    page.keyboard.type("nothing is called like this")
    expect(page.locator("#palette-says")).to_have_text("Nothing is called that.")
    expect(palette.field).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    expect(palette.dialog).to_be_visible()
    page.keyboard.press("Control+k")
    expect(palette.dialog).to_be_hidden()


def test_an_action_asks_first(page: Page, home: Server) -> None:
    palette, screen = Palette(page), Screen(page)
    jobs = {job["id"] for job in home.call("GET", "/api/jobs")["jobs"] if job["type"] == "check"}
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    palette.open()
    page.keyboard.type("check every")
    page.keyboard.press("Enter")
    expect(screen.dialog.get_by_role("heading", name="Check everything")).to_be_visible(timeout=SOON)
    expect(screen.dialog).to_contain_text("Nothing is pulled, nothing is restarted")
    assert not posted
    page.keyboard.press("Escape")
    expect(screen.dialog).to_be_hidden()
    page.keyboard.press("c")
    expect(screen.dialog).to_be_visible(timeout=SOON)
    screen.dialog.get_by_role("button", name="Check everything").click()
    expect(screen.toasts).to_contain_text("Checking for new versions", timeout=SOON)
    expect(screen.dialog).to_be_hidden()
    assert [url.removeprefix(home.url) for url in posted] == ["/checks"]
    after = {job["id"] for job in home.call("GET", "/api/jobs")["jobs"] if job["type"] == "check"}
    assert len(after - jobs) == 1


def test_shortcuts_lead_somewhere_unless_something_is_typed(page: Page, home: Server) -> None:
    palette = Palette(page)
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("g s?c")
    expect(page.locator("#q")).to_have_value("g s?c")
    expect(palette.keys).to_be_hidden()
    page.locator("#q").fill("")
    page.locator("h1").click()
    page.keyboard.press("g")
    page.keyboard.press("j")
    expect(page).to_have_url(f"{home.url}/queue")
    page.wait_for_load_state()
    page.keyboard.press("?")
    expect(palette.keys).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("s")  # not while a dialog is open
    expect(page).to_have_url(f"{home.url}/queue")
    page.get_by_role("checkbox", name="Single keys do something").uncheck()
    page.keyboard.press("Escape")
    expect(palette.keys).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.keyboard.press("?")
    expect(palette.keys).to_be_hidden()
    expect(page).to_have_url(f"{home.url}/queue")
    page.reload()
    page.keyboard.press("?")
    expect(palette.keys).to_be_hidden()
    palette.open()  # this one stays


def test_axe_finds_nothing_in_either(page: Page) -> None:
    palette = Palette(page)
    with page.expect_response("**/palette"):
        palette.open()
    page.keyboard.type("s")
    expect(palette.options.filter(has_text="Service in")).not_to_have_count(0)
    found = audit(page, "palette")
    page.set_viewport_size({"width": 320, "height": 640})
    box = palette.dialog.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 320
    assert box["y"] + box["height"] <= 640
    pictures(page, "palette")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    found += audit(page, "keys")
    pictures(page, "keys")
    page.keyboard.press("Escape")
    page.goto("/checks/new")
    found += audit(page, "check")
    pictures(page, "check")
    assert not found, "\n".join(found)


def test_it_is_not_promised_without_javascript(new_context: NewContext, home: Server) -> None:
    page = new_context(base_url=home.url, java_script_enabled=False).new_page()
    Screen(page).open("/checks/new")
    expect(page.locator("[data-palette]")).to_be_hidden()
    expect(page.locator("#palette")).to_be_hidden()
    page.get_by_role("button", name="Look for stacks").click()
    expect(page.locator("h1")).to_be_visible()
    assert home.call("GET", "/api/jobs")["jobs"][0]["type"] in ("discovery", "check")
