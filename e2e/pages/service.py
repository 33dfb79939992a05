"""The page of one service."""

from __future__ import annotations

from playwright.sync_api import Page

from e2e.pages.base import Screen


class ServiceScreen(Screen):
    """`/services/{stack}/{service}`."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.state = page.locator("#versions header")
        self.meta = page.locator(".head .meta")
        self.update = page.locator("#update")
        self.confirm = page.locator("#update input[name=confirm]")
        self.apply = self.update.get_by_role("button", name="Apply update")
        self.dry_run = self.update.get_by_role("button", name="Dry run")
        self.rules = page.locator("#rules")
        self.settings = page.locator("#settings")
        self.history = page.locator("#history li")

    def ignore(self, kind: str, value: str, note: str = "") -> None:
        """Add an ignore rule."""
        self.rules.locator("select[name=kind]").select_option(kind)
        self.rules.locator("input[name=value]").fill(value)
        self.rules.locator("input[name=note]").fill(note)
        self.rules.get_by_role("button", name="Add rule").click()
