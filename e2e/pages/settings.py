"""The page of settings."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

from e2e.pages.base import Screen


class SettingsScreen(Screen):
    """`/settings`."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.cron = page.locator("#s-updateCheck")
        self.cron_error = page.locator("#s-updateCheck-error")
        self.cron_help = page.locator("#s-updateCheck-help")
        self.check_on = page.locator("#s-on-updateCheck")

    def card(self, name: str) -> Locator:
        """A card by its anchor."""
        return self.page.locator(f"#{name}")

    def save(self, name: str) -> None:
        """Press the button of a card."""
        self.card(name).get_by_role("button", name="Save").click()

    def state(self, name: str) -> Locator:
        """What a card says of itself."""
        return self.card(name).locator("[data-card-state]")
