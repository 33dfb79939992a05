"""The page of one job."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from e2e.pages.base import LONG, SOON, Screen


class JobScreen(Screen):
    """`/queue/{job}`."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.now = page.locator("#job-now")
        self.tracks = page.locator("#job-services details.run-svc")
        self.lines = page.locator("#job-log-lines li")

    def arrived(self) -> str:
        """Wait until the browser is on a job's page; the job's id."""
        self.page.wait_for_url("**/queue/*_*", timeout=SOON)
        return self.page.url.rsplit("/", 1)[1].partition("#")[0].partition("?")[0]

    def step(self, name: str) -> Locator:
        """A step of what runs now."""
        return self.now.locator(".steps > li").filter(has_text=name)

    def ends(self, word: str) -> None:
        """Wait until the heading tells this end."""
        expect(self.heading).to_contain_text(word, timeout=LONG)
