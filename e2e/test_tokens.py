"""API tokens in the browser: made, copied, used by a script, seen in the audit trail, revoked; also without scripts."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import NewContext
from e2e.pages.base import SOON, Screen
from e2e.server import Server
from e2e.test_a11y import audit, pictures

HERE, TRAIL = "/settings/tokens", "/settings/audit"


@pytest.fixture(scope="module")
def own(start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of this module's own: its audit trail begins empty. It needs no engine."""
    return start_server(DOCKER_HOST=f"unix://{tmp_path_factory.mktemp('none')}/none.sock")


def status(server: Server, path: str, token: str, method: str = "GET") -> int:
    """What a script gets."""
    request = urllib.request.Request(server.url + path, method=method, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_token_from_its_making_to_its_end(new_context: NewContext, own: Server) -> None:
    context = new_context(base_url=own.url, permissions=["clipboard-read", "clipboard-write"], reduced_motion="reduce")
    page = context.new_page()
    screen = Screen(page)
    screen.open(HERE)
    screen.says("No script has a token")
    found = audit(page, "no tokens")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_label("Name").fill("night shift")
    page.get_by_label("check also").check()
    page.get_by_text("A year", exact=True).click()
    screen.button("Make token").click()
    screen.says("Copy it now")
    screen.button("Copy the token").click()
    expect(page.get_by_text("Copied")).to_be_visible(timeout=SOON)
    token = page.evaluate("navigator.clipboard.readText()")
    assert token == page.locator("#token").inner_text() and token.startswith("dkr_")
    found += audit(page, "token made")
    pictures(page, "token-made")

    assert status(own, "/api/stacks", token) == 200
    assert status(own, "/api/tokens", token) == 403
    assert status(own, "/api/stacks", token[:-1]) == 401
    page.reload()
    screen.says("1 token opens the API")
    assert token[-49:] not in page.content()
    expect(page.locator("#tokens")).to_contain_text("from 127.0.0.1")
    found += audit(page, "tokens")
    pictures(page, "tokens")

    screen.open(TRAIL)
    expect(page.locator("#events")).to_contain_text("token.create night shift")
    expect(page.locator("#events")).to_contain_text("token.refused")
    found += audit(page, "audit")
    pictures(page, "audit")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_label("Outcome").select_option(label="Refused")
    screen.button("Apply").click()
    expect(page).to_have_url(re.compile("outcome=refused"), timeout=SOON)
    expect(page.locator("#events")).not_to_contain_text("token.create")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export as CSV").click()
    exported = Path(downloading.value.path()).read_text()
    assert "token.refused" in exported and "token.create" not in exported and token[-49:] not in exported

    screen.open(HERE)
    page.get_by_role("link", name="Revoke night shift").click()
    screen.says("Revoke night shift?")
    found += audit(page, "revoke")
    page.set_viewport_size({"width": 1440, "height": 900})
    screen.button("Revoke").click()
    expect(page.locator("#tokens")).to_contain_text("Revoked", timeout=SOON)
    assert status(own, "/api/stacks", token) == 401
    assert not found, "\n".join(found)


def test_without_scripts(new_context: NewContext, own: Server) -> None:
    page: Page = new_context(base_url=own.url, java_script_enabled=False, allow=("400", "409")).new_page()
    screen = Screen(page)
    screen.open(HERE)
    page.get_by_label("Name").fill("plain")
    page.get_by_role("button", name="Make token").click()
    screen.says("Copy it now")
    token = page.locator("#token").inner_text()
    assert status(own, "/api/stacks", token) == 200
    screen.open(HERE)
    page.get_by_label("Name").fill("PLAIN")
    page.get_by_role("button", name="Make token").click()
    expect(page.locator("#page").get_by_role("alert")).to_contain_text("A token of this name exists")
    expect(page.get_by_label("Name")).to_have_value("PLAIN")
    screen.open(HERE)
    page.get_by_role("link", name="Revoke plain").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page).to_have_url(own.url + HERE)
    assert status(own, "/api/stacks", token) == 401
