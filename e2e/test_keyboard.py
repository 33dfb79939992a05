"""Everything can be reached and done without a mouse."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from e2e.pages import OverviewScreen, ServiceScreen
from e2e.pages.base import SOON
from e2e.server import Server


def _focused(page: Page) -> str:
    """What has the focus, in words."""
    text: str = page.evaluate(
        "(el => (el.getAttribute('aria-label') || el.textContent || el.placeholder || el.tagName)"
        ".trim().replace(/\\s+/g, ' ').slice(0, 60))(document.activeElement)"
    )
    return text


def test_skip_link_and_order(page: Page, server: Server, samples: object) -> None:
    server.stacks(4)
    OverviewScreen(page).open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    assert "service" in _focused(page), "the first stop in the content"

    page.reload()
    stops = []
    for _ in range(12):
        page.keyboard.press("Tab")
        stops.append(_focused(page))
    expected = ["Skip to content", "Dockrev", "Overview", "Services", "Inference", "Jobs"]
    assert stops[: len(expected)] == expected, stops
    assert "Check now" in stops, stops
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus can be seen"


def test_the_dialog_gives_the_focus_back(page: Page, server: Server, samples: object) -> None:
    overview = OverviewScreen(page)
    server.stacks(4)
    server.finished(server.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
    overview.open("/")
    opener = overview.row("lightbox").get_by_role("link", name="Update lightbox")
    opener.focus()
    page.keyboard.press("Enter")
    expect(overview.dialog).to_be_visible(timeout=SOON)
    assert page.evaluate("document.getElementById('dialog').contains(document.activeElement)")
    for _ in range(8):
        page.keyboard.press("Tab")
        inside = page.evaluate(
            "el => el === document.body || document.getElementById('dialog').contains(el)",
            page.evaluate_handle("document.activeElement"),
        )
        assert inside, "the focus stays in the dialog"
    page.keyboard.press("Escape")
    expect(overview.dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_typed_confirmation_unlocks_by_keyboard(page: Page, server: Server, samples: object) -> None:
    service = ServiceScreen(page)
    known = server.services("photos")["lightbox"]
    server.finished(server.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
    service.open(f"/services/{known['stackId']}/{known['id']}")
    service.confirm.focus()
    expect(service.apply).to_be_disabled()
    page.keyboard.type("2.4.0")
    expect(service.apply).to_be_enabled()
    page.keyboard.press("Tab")
    expect(service.apply).to_be_focused()
