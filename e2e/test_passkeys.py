"""Passkeys in Chromium with its virtual authenticator: the first by code, out and in again, another, the way back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, CDPSession, Page, expect

from e2e.conftest import NewContext
from e2e.server import PROJECT, Server
from e2e.test_a11y import audit, pictures

CODE = re.compile(r"[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}")
REFUSED = ("401", "403")  # what a browser says of its own about answers that are expected here


class Key:
    """A virtual authenticator that is plugged into one page."""

    def __init__(self, page: Page, transport: str = "internal", *, verifies: bool = True) -> None:
        self.page = page
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2", "transport": transport, "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": verifies, "automaticPresenceSimulation": True,
        }  # fmt: skip
        self.id: str = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        told = self._cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        found: list[dict[str, Any]] = told["credentials"]
        return found

    def learn(self, credential: dict[str, Any]) -> None:
        self._cdp.send("WebAuthn.addCredential", {"authenticatorId": self.id, "credential": credential})

    def verifies(self, does: bool) -> None:
        self._cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": does})

    def unplug(self) -> None:
        self._cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.id})


def enrol(page: Page, code: str, name: str) -> None:
    page.get_by_role("textbox", name="Code").fill(code)
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("button", name="Add this passkey").click()


def test_a_passkey_from_the_code_in_the_log_to_the_way_back(
    start_server: Callable[..., Server], new_context: NewContext
) -> None:
    server = start_server(DOCKREV_PASSKEYS="on", DOCKREV_PASSKEYS_STEP_UP="on")
    home = f"http://localhost:{server.port}"

    def browser() -> tuple[BrowserContext, Page, Key]:
        context = new_context(allow=REFUSED, base_url=home)
        page = context.new_page()
        return context, page, Key(page)

    _, page, key = browser()
    found: list[str] = []

    def look(at: Page, what: str, picture: str = "") -> None:
        found.extend(audit(at, what))
        if picture:
            pictures(at, picture)
        at.set_viewport_size({"width": 1440, "height": 900})

    # the first passkey, by the code in the log
    page.goto("/login")
    expect(page.get_by_role("heading", level=1)).to_have_text("Add your first passkey")
    look(page, "first passkey", "passkeys-first")
    enrol(page, "0000-0000-0000-0000", "phone")
    expect(page.get_by_role("status").filter(has_text="That code does not count")).to_be_visible()
    [code] = set(CODE.findall(server.tail(400)))
    enrol(page, code.lower(), "phone")
    page.wait_for_url(f"{home}/")

    # out, led to the page, and in again to where one wanted to go
    page.goto("/settings/passkeys")
    expect(page.get_by_role("heading", level=1)).to_have_text("1 passkey opens Dockrev")
    page.get_by_role("banner").get_by_role("link", name="Sign out").click()
    page.locator("#page").get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{home}/login")
    page.goto("/queue?status=failed")
    page.wait_for_url(re.compile(r"/login\?next=/queue"))
    look(page, "sign in", "passkeys-login")
    key.verifies(False)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("status").filter(has_text="Nothing was done")).to_be_visible()
    key.verifies(True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(re.compile("/queue.status=failed$"))

    # another browser, which is then signed out from here
    _, other, other_key = browser()
    other_key.learn(key.credentials()[0])
    other.goto("/login")
    other.get_by_role("button", name="Sign in with a passkey").click()
    other.wait_for_url(f"{home}/")
    page.goto("/settings/passkeys")
    expect(page.locator("#sessions tbody tr")).to_have_count(2)
    page.locator("#sessions tbody").get_by_role("button", name="Sign out").click()
    expect(page.locator("#sessions tbody tr")).to_have_count(1)
    other.goto("/services")
    other.wait_for_url(re.compile(r"/login\?next=/services"))

    # the copy of the passkey counted on meanwhile: the older one is taken for what it is
    page.goto("/logout")
    page.locator("#page").get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{home}/login")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("status").filter(has_text="The counter of the passkey phone went back")).to_be_visible()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{home}/")

    # a second passkey; the same key takes no second one
    page.goto("/settings/passkeys")
    expect(page.get_by_text("The counter of phone went back")).to_be_visible()
    page.get_by_role("textbox", name="Name").fill("again")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("status").filter(has_text="has a passkey for Dockrev already")).to_be_visible()
    key.unplug()
    Key(page, "usb")
    page.get_by_role("textbox", name="Name").fill("key in the drawer")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 passkeys open Dockrev")
    look(page, "two passkeys", "passkeys")
    page.get_by_role("link", name="Rename phone").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("phone")
    look(page, "rename", "passkeys-rename")
    page.goto("/settings/passkeys")
    page.get_by_role("link", name="Remove phone").click()
    look(page, "remove", "passkeys-remove")
    page.get_by_role("button", name="Remove").click()
    page.wait_for_url(re.compile("/login"))  # the session was opened by it
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(lambda url: "/login" not in url)

    # a touch leads back to the form that wanted it
    page.goto("/login/touch?next=/settings/tokens")
    look(page, "touch", "passkeys-touch")
    page.get_by_role("button", name="Touch a passkey").click()
    page.wait_for_url(f"{home}/settings/tokens")

    # locked out: a code from the host lets another browser in
    ran = subprocess.run(
        [sys.executable, "-m", "app.cli", "passkeys", "code"],
        env={**os.environ, "DOCKREV_PASSKEYS": "on", "DOCKREV_DB_PATH": str(server.folder / "dockrev.sqlite3")},
        cwd=PROJECT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    _, new, _ = browser()
    new.goto("/login")
    enrol(new, CODE.findall(ran.stdout)[0], "new phone")
    new.wait_for_url(f"{home}/")
    assert not found, "\n".join(found)


def test_without_scripts_the_page_says_what_needs_them(
    start_server: Callable[..., Server], new_context: NewContext
) -> None:
    server = start_server(DOCKREV_PASSKEYS="on")
    page = new_context(java_script_enabled=False, base_url=f"http://localhost:{server.port}").new_page()
    page.goto("/login")
    # Chromium under test parses as if scripts ran, and so shows no <noscript>: that the words are there must do
    assert "Passkeys need JavaScript" in (page.locator("noscript").text_content() or "")
    expect(page.get_by_role("button", name="Add this passkey")).to_be_hidden()
