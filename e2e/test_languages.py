"""The pages in German and Chinese: chosen at the foot of a page, nothing cut off by longer words, axe finds nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from app.core.web.languages import COOKIE, LANGUAGES, TAGS
from e2e.conftest import NewContext
from e2e.pages.base import SOON, Screen
from e2e.server import Server
from e2e.test_a11y import AXE, RUN
from e2e.test_zoom import addresses, look


@pytest.fixture(scope="module")
def home(start_server: Callable[..., Server], samples: object) -> Server:
    """A server of this module with the samples checked."""
    own = start_server()
    own.stacks(4)
    own.finished(own.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
    return own


@pytest.mark.parametrize("script", [True, False])
def test_a_language_is_chosen_where_one_is_and_kept(new_context: NewContext, home: Server, script: bool) -> None:
    page = new_context(base_url=home.url, locale="en-GB", java_script_enabled=script).new_page()
    Screen(page).open("/services?q=light")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de", timeout=SOON)
    expect(page).to_have_url(f"{home.url}/services?q=light")
    expect(page.get_by_role("link", name="Einstellungen")).to_be_visible()
    Screen(page).open("/")
    Screen(page).says("Updates sind bereit")
    page.get_by_role("button", name="English").click()
    Screen(page).says("updates are ready")


def test_a_browser_says_which_language_it_wants(new_context: NewContext, home: Server) -> None:
    page = new_context(base_url=home.url, locale="de-CH").new_page()
    Screen(page).open("/")
    Screen(page).says("Updates sind bereit")
    page.get_by_role("button", name="Alle aktualisieren").or_(
        page.get_by_role("link", name="Alle aktualisieren")
    ).first.click()
    expect(Screen(page).dialog).to_contain_text("Sicherung davor", timeout=SOON)


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_nothing_is_lost_in_translation(new_context: NewContext, home: Server, language: str) -> None:
    context = new_context(base_url=home.url, allow=("404",), reduced_motion="reduce")
    context.add_cookies([{"name": COOKIE, "value": language, "url": home.url}])
    page = context.new_page()
    found: list[str] = []
    for address in addresses(home):
        Screen(page).open(address)
        expect(page.locator("html")).to_have_attribute("lang", TAGS[language])
        for width in (1440, 820, 320):
            page.set_viewport_size({"width": width, "height": 900})
            found += look(page, f"{address} in {language} at {width}")
        found += _axe(page, f"{address} in {language}")
    assert not found, "\n".join(found)


def _axe(page: Page, what: str) -> list[str]:
    page.evaluate(AXE)
    return [f"{what}: {text}" for text in page.evaluate(RUN, {})]
