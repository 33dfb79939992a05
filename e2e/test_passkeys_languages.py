"""What a script says of a refusal is in the reader's language, as the page around it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from app.core.web.languages import COOKIE
from e2e.conftest import NewContext
from e2e.pages.base import LONG
from e2e.server import Server

REFUSED = {
    "en": "That code does not count. A code works once and for 15 minutes.",
    "de": "Dieser Code gilt nicht. Ein Code gilt einmal und 15 Minuten lang.",
    "zh": "该代码无效。代码只能使用一次，15 分钟内有效。",
}


def test_a_wrong_code_is_refused_in_the_readers_language(
    new_context: NewContext, start_server: Callable[..., Server]
) -> None:
    server = start_server(DOCKREV_PASSKEYS="on")
    home = f"http://localhost:{server.port}"
    for language, refused in REFUSED.items():
        context = new_context(allow=("403",), base_url=home)
        context.add_cookies([{"name": COOKIE, "value": language, "url": home}])
        page = context.new_page()
        page.goto("/login")
        form = page.locator("form[data-passkey=enrol]")
        form.locator("input[name=code]").fill("0000-0000-0000-0000")
        form.locator("input[name=name]").fill("phone")
        form.locator("button").click()
        expect(page.locator("[data-passkey-say]").filter(has_text=refused)).to_be_visible(timeout=LONG)
