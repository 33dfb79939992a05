"""The list of services."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

from e2e.pages.base import Screen


class ServicesScreen(Screen):
    """`/services`."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.search = page.locator("#q")
        self.rows = page.locator("#stacks tr[data-row]")

    def link(self, service: str) -> Locator:
        """The way to a service's page."""
        return self.row(service).locator("td.name a")

    def row(self, service: str) -> Locator:
        """The line of a service."""
        return self.rows.filter(has=self.page.locator("td.name").get_by_role("link", name=service, exact=True))

    def filter(self, name: str) -> Locator:
        """The link of a filter."""
        return self.page.get_by_label("Filter by state").get_by_role("link", name=name)
