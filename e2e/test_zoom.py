"""Larger text and fewer pixels lose nothing: 200 % and 400 % zoom, text at twice its size, a phone on its side."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from e2e.conftest import NewContext
from e2e.pages.base import Screen
from e2e.server import Server

# 1280 by 900 at 200 % and at 400 %, and a phone on its side
SIZES = ((640, 450), (320, 256), (740, 360))
# Text of ours that is cut off and cannot be scrolled to: an ellipsis or a clip on something that says something.
CUT = """() => [...document.querySelectorAll('main *, .top *, #banners *')].filter((el) => {
  if (!el.checkVisibility({checkVisibilityCSS: true}) || el.closest('.sr, .log, pre, [hidden]')) return false;
  const how = getComputedStyle(el);
  const across = ['hidden', 'clip'].includes(how.overflowX) && el.scrollWidth > el.clientWidth + 1;
  const down = ['hidden', 'clip'].includes(how.overflowY) && el.scrollHeight > el.clientHeight + 2;
  return (across || down) && el.clientWidth > 0 && el.textContent.trim();
}).map((el) => `${el.tagName}.${el.className} "${el.textContent.trim().slice(0, 40)}"`)"""
# Texts of a rail that it cuts off, or that lie on each other.
OUT = """() => [...document.querySelectorAll('.rail')].filter((rail) => rail.checkVisibility()).flatMap((rail) => {
  const edge = Math.min(rail.getBoundingClientRect().right, innerWidth) + 1;
  const boxes = [...rail.querySelectorAll('b, small, .zone')].filter((el) => el.textContent.trim()).map((el) => {
    const text = document.createRange();
    text.selectNodeContents(el);
    return [el, text.getBoundingClientRect()];
  }).filter(([, box]) => box.width);
  const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  return boxes.filter(([el, box]) => box.left < 0 || box.right > edge
    || boxes.some(([other, its]) => other !== el && meet(box, its))).map(([el]) => el.textContent.trim().slice(0, 40));
})"""
# A job that runs while one looks, with the longest phase there is.
RUNS = """for (const pill of document.querySelectorAll('#job-pill')) pill.innerHTML = `
  <a class="st" data-s="run" href="/queue"><span class="live"></span><span class="short">1 job</span>
  <span class="long"><span class="m">#WQ9Z26</span> waiting for dependencies 100%</span></a>`"""
# What stays in place while the rest is scrolled may not take the page away from who reads it.
STAYS = """() => {
  let taken = 0;
  for (const el of document.querySelectorAll('body *')) {
    if (!el.checkVisibility({checkVisibilityCSS: true})) continue;
    const how = getComputedStyle(el), box = el.getBoundingClientRect();
    if (!['fixed', 'sticky'].includes(how.position) || box.width < innerWidth * .6) continue;
    taken += Math.min(box.height, innerHeight);
  }
  return taken / innerHeight;
}"""


@pytest.fixture(scope="module")
def home(start_server: Callable[..., Server], samples: object) -> Server:
    """A server of this module with the samples checked."""
    own = start_server()
    own.stacks(4)
    own.finished(own.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
    return own


def addresses(home: Server) -> list[str]:
    """One of each page."""
    service = home.services("photos")["lightbox"]
    job = home.call("GET", "/api/jobs")["jobs"][0]["id"]
    return [
        "/",
        "/services",
        f"/stacks/{service['stackId']}",
        f"/services/{service['stackId']}/{service['id']}",
        "/queue",
        f"/queue/{job}",
        "/version-inference",
        "/settings",
        "/settings/notifications",
        "/settings/ghcr-webhooks",
        "/settings/tokens",
        "/settings/audit",
        "/settings/webhook-secrets",
        "/deploy-check",
        "/checks/new",
        "/updates/new?scope=all",
        "/offline",
        "/nothing-here",
    ]


def look(page: Page, what: str) -> list[str]:
    """What is lost on the page as it is now, with a job running."""
    page.evaluate(RUNS)
    found = [f"{what}: cut off: {each}" for each in page.evaluate(CUT)]
    if (far := Screen(page).sideways()) > 0:
        found.append(f"{what}: scrolls {far} px sideways")
    return found


def test_nothing_is_lost(new_context: NewContext, home: Server) -> None:
    page = new_context(base_url=home.url, allow=("404",), reduced_motion="reduce").new_page()
    found: list[str] = []
    browser = page.context.new_cdp_session(page)
    for address in addresses(home):
        browser.send("Page.setFontSizes", {"fontSizes": {"standard": 16, "fixed": 13}})
        page.set_viewport_size({"width": 1280, "height": 900})
        Screen(page).open(address)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            found += look(page, f"{address} at {width} × {height}")
            if (share := page.evaluate(STAYS)) > 0.5:
                found.append(f"{address} at {width} × {height}: {share:.0%} of the height stays in place")
        browser.send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
        for width in (1280, 640):
            page.set_viewport_size({"width": width, "height": 900})
            found += look(page, f"{address} with large text at {width}")
        page.set_viewport_size({"width": 390, "height": 900})  # as wide as twelve letters: it may be ugly, not lost
        if (far := Screen(page).sideways()) > 0:
            found.append(f"{address} with large text at 390: scrolls {far} px sideways")
        rails = page.evaluate(OUT)
        found += [f"{address} with large text at 390: cut off in the rail or below another: {each}" for each in rails]
        assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "32px"
    assert not found, "\n".join(found)


def test_nothing_moves_where_that_is_not_wanted(new_context: NewContext, home: Server) -> None:
    page = new_context(base_url=home.url, reduced_motion="reduce").new_page()
    Screen(page).open("/")
    page.evaluate("document.querySelector('[data-row]').classList.add('swapped')")
    page.keyboard.press("Control+k")
    moving = "document.getAnimations().filter((a) => a.effect.getComputedTiming().duration > 20).length"
    assert page.evaluate(moving) == 0
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
