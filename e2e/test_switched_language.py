"""What does not come with a page follows a switched language too: the pill of all tabs and the offline page."""

from __future__ import annotations

import time

from playwright.sync_api import expect

from app.core.web.languages import TAGS
from e2e.conftest import NewContext
from e2e.household import open_house
from e2e.pages.base import LONG, SOON, Screen
from e2e.server import Server
from e2e.test_pwa import ACTIVE, OFF_LINE
from tests.lab.lab import Lab

KEPT = """() => caches.keys().then(async (names) => {
  const page = await (await caches.open(names[0])).match('/offline');
  return /<html lang="([^"]+)"/.exec(await page.text())?.[1];
})"""


def test_the_pill_of_all_tabs_follows(new_context: NewContext, server: Server, lab: Lab) -> None:
    made = lab.samples("sundial")
    house = open_house(lab, server, "sundial", made.good("1.4.0"), made.slow_start("1.4.1", 25, start_period=60))
    context = new_context(locale="en-GB", reduced_motion="reduce")
    one, other = Screen(context.new_page()), Screen(context.new_page())
    for screen in (one, other):
        screen.open("/settings")
    job = house.update()
    for screen in (one, other):
        expect(screen.pill).to_contain_text("updating", timeout=LONG)
    other.mark()
    one.button("Deutsch").click()
    expect(one.page.locator("html")).to_have_attribute("lang", "de", timeout=SOON)
    for screen in (other, one):
        expect(screen.pill).to_contain_text("aktualisiert", timeout=SOON)
    assert other.was_not_reloaded()
    server.finished(job)


def test_the_offline_page_follows(new_context: NewContext, server: Server) -> None:
    context = new_context(allow=OFF_LINE, locale="en-GB")
    page = context.new_page()
    Screen(page).open("/settings")
    page.wait_for_function(ACTIVE)
    page.wait_for_function("() => navigator.serviceWorker.controller")
    assert page.evaluate(KEPT) == "en"
    for name, tag in (("Deutsch", TAGS["de"]), ("中文", TAGS["zh"])):
        Screen(page).button(name).click()
        expect(page.locator("html")).to_have_attribute("lang", tag, timeout=SOON)
        end = time.monotonic() + 30
        while page.evaluate(KEPT) != tag:
            assert time.monotonic() < end, f"the offline page is still in {page.evaluate(KEPT)}"
            page.wait_for_timeout(100)
    context.set_offline(True)
    page.goto("/queue")
    expect(page.locator("html")).to_have_attribute("lang", TAGS["zh"])
    expect(page.locator("[data-offline=why]")).to_contain_text("离线")
    context.set_offline(False)
