"""The overview."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from e2e.pages.base import SOON, Screen


class OverviewScreen(Screen):
    """`/`."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.search = page.locator("#q")
        self.issues = page.locator("#issues .issue")

    def link(self, service: str) -> Locator:
        """The way to a service's page."""
        return self.row(service).locator("td.name a")

    def row(self, service: str) -> Locator:
        """The line of a service."""
        return self.page.locator("#decisions tr[data-row]").filter(
            has=self.page.locator("td.name").get_by_role("link", name=service, exact=True)
        )

    def open_dialog(self, service: str) -> Locator:
        """Ask for the update of a service; the dialog with its plan."""
        self.row(service).get_by_role("link", name=f"Update {service}").click()
        expect(self.dialog).to_be_visible(timeout=SOON)
        return self.dialog
