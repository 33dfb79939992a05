"""What all pages have in common."""

from __future__ import annotations

import re

from playwright.sync_api import Error, Locator, Page, expect

SOON = 15_000  # milliseconds; generous, since the machine may be busy with other things
LONG = 90_000


class Screen:
    """A page of Dockrev in a browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.heading = page.locator("h1")
        self.pill = page.locator("#job-pill a")
        self.toasts = page.locator("#toasts .toast")
        self.dialog = page.locator("#dialog")
        self.banners = page.locator("#banners .banner")
        self.connection = page.locator("#live-banner .banner")

    def open(self, address: str) -> None:
        """Go there; once more when the network of the machine changed just then."""
        for attempt in range(4):
            try:
                self.page.goto(address)
                return
            except Error as error:
                if "ERR_NETWORK_CHANGED" not in str(error) or attempt == 3:
                    raise

    def button(self, name: str) -> Locator:
        """The button with exactly this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def says(self, text: str | re.Pattern[str], timeout: float = SOON) -> None:
        """Wait until the heading says so."""
        expect(self.heading).to_contain_text(text, timeout=timeout)

    def mark(self) -> None:
        """Leave something in the page that a reload would wipe away."""
        self.page.evaluate("window.notReloaded = true")

    def was_not_reloaded(self) -> bool:
        """Whether the mark is still there."""
        return bool(self.page.evaluate("window.notReloaded === true"))

    def sideways(self) -> int:
        """By how many pixels the page can be scrolled sideways."""
        width: int = self.page.evaluate("document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth")
        return width
