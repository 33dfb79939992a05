"""Settings: cards saved, a mistake at its field, without scripts, by keyboard; the deploy check shows itself once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from e2e.conftest import NewContext
from e2e.pages.base import SOON, Screen
from e2e.pages.settings import SettingsScreen
from e2e.server import Server
from e2e.test_a11y import audit, pictures


@pytest.fixture(scope="module")
def home(start_server: Callable[..., Server]) -> Server:
    """A server whose settings these journeys may change."""
    return start_server()


@pytest.fixture
def page(new_context: NewContext, home: Server) -> Page:
    """A page that runs scripts; answers of 400 are part of the journey."""
    return new_context(base_url=home.url, allow=("400",), reduced_motion="reduce").new_page()


def test_a_card_says_how_it_stands(page: Page, home: Server) -> None:
    screen = SettingsScreen(page)
    screen.open("/settings")
    screen.says("when you ask")
    screen.mark()
    screen.cron.fill("  0   3 * * * ")
    screen.check_on.check()
    expect(screen.state("schedules")).to_have_text("Not saved yet")
    expect(screen.state("backups")).to_be_empty()
    screen.save("schedules")
    expect(screen.state("schedules")).to_have_text("Saved", timeout=SOON)
    expect(screen.cron).to_have_value("0 3 * * *", timeout=SOON)
    expect(screen.check_on).to_be_checked()
    expect(screen.cron_help).to_contain_text("At 03:00 every day. Next", timeout=SOON)
    screen.says("The next check for updates is in")
    assert screen.was_not_reloaded()
    assert home.call("GET", "/api/settings")["schedules"]["updateCheck"] == {"enabled": True, "cron": "0 3 * * *"}


def test_a_mistake_is_said_at_its_field(page: Page, home: Server) -> None:
    screen = SettingsScreen(page)
    before = home.call("GET", "/api/settings")
    screen.open("/settings")
    screen.check_on.check()
    screen.cron.fill("0 0 3 * * *")
    screen.save("schedules")
    expect(screen.cron_error).to_contain_text("6 fields", timeout=SOON)
    expect(screen.state("schedules")).to_have_text("Not saved")
    expect(screen.cron).to_be_focused()
    expect(screen.cron).to_have_attribute("aria-invalid", "true")
    expect(screen.cron).to_have_value("0 0 3 * * *")
    expect(screen.toasts).to_have_count(0)
    assert home.call("GET", "/api/settings") == before
    found = audit(page, "mistake")
    page.set_viewport_size({"width": 1440, "height": 900})
    screen.cron.fill("15 4 * * 1-5")
    screen.save("schedules")
    expect(screen.cron_error).to_be_hidden(timeout=SOON)
    expect(screen.cron_help).to_contain_text("Monday", timeout=SOON)
    expect(screen.cron).not_to_have_attribute("aria-invalid", "true")
    assert not found, "\n".join(found)


def test_it_works_without_javascript(new_context: NewContext, home: Server) -> None:
    plain = new_context(base_url=home.url, java_script_enabled=False, allow=("400",)).new_page()
    screen = SettingsScreen(plain)
    seen: list[Response] = []
    plain.on("response", lambda answer: seen.append(answer))
    screen.open("/settings")
    plain.get_by_label("Public address").fill("dockrev.home.example")
    screen.save("instance")
    plain.wait_for_load_state()
    assert [answer.status for answer in seen if answer.request.method == "POST"] == [400]
    expect(plain.locator("#i-url-error")).to_contain_text("Must be absolute")
    expect(plain.get_by_label("Public address")).to_have_value("dockrev.home.example")
    plain.get_by_label("Public address").fill("https://dockrev.home.example")
    screen.save("instance")
    plain.wait_for_load_state()
    assert plain.url == f"{home.url}/settings#instance"
    expect(plain.get_by_label("Public address")).to_have_value("https://dockrev.home.example/")
    plain.locator("#m-on").uncheck()
    plain.get_by_label("5 min").check()
    screen.save("monitoring")
    plain.wait_for_load_state()
    expect(plain.get_by_label("5 min")).to_be_checked()
    monitor = home.call("GET", "/api/settings")["resourceMonitor"]
    assert monitor == {"enabled": False, "sampleIntervalSeconds": 300, "retentionDays": 7}


def test_it_works_by_keyboard(page: Page, home: Server) -> None:
    screen = SettingsScreen(page)
    screen.open("/settings")
    page.locator("#b-must").focus()
    was = page.locator("#b-must").is_checked()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    expect(page.locator("#b-dir")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("/srv/kept")
    page.keyboard.press("Enter")
    expect(screen.state("backups")).to_have_text("Saved", timeout=SOON)
    expect(page.locator("#b-dir")).to_be_focused()
    told = home.call("GET", "/api/settings")["backup"]
    assert (told["requireSuccess"], told["baseDir"]) == (not was, "/srv/kept")
    page.locator("#m-on").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    expect(screen.state("monitoring")).to_have_text("Not saved yet")


def test_the_deploy_check_shows_itself_once(new_context: NewContext, home: Server) -> None:
    home.call("GET", "/api/deploy-check/report")
    page = new_context(base_url=home.url, newcomer=True, reduced_motion="reduce").new_page()
    screen = Screen(page)
    screen.open("/")
    page.wait_for_url("**/deploy-check", timeout=SOON)
    screen.says("missing")
    expect(page.locator("#failed")).to_contain_text("DOCKREV_AUTH_ALLOWED_USER")
    page.locator("#main").get_by_role("link", name="Overview").click()
    page.wait_for_url("**/?state=open", timeout=SOON)
    screen.open("/")
    expect(page).to_have_url(f"{home.url}/")
    screen.open("/deploy-check")
    page.get_by_label("Never open by itself").check()
    screen.button("Save").click()
    expect(page.locator("[data-card-state]")).to_have_text("Saved", timeout=SOON)
    assert home.call("GET", "/api/deploy-welcome")["neverAutoOpen"] is True
    other = new_context(base_url=home.url, newcomer=True).new_page()
    for _ in range(2):
        Screen(other).open("/")
        expect(other).to_have_url(f"{home.url}/")
    home.call("PUT", "/api/deploy-welcome", {"neverAutoOpen": False})


def test_the_pages_look_right_to_axe(page: Page, home: Server) -> None:
    screen, found = Screen(page), []
    for name, address in {"settings": "/settings", "deploy-check": "/deploy-check", "misroute": "/supervisor/"}.items():
        screen.open(address)
        found += audit(page, name)
        pictures(page, name)
    assert not found, "\n".join(found)


def test_a_folder_that_cannot_be_used_is_told(page: Page, home: Server, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    screen = SettingsScreen(page)
    screen.open("/settings")
    page.locator("#b-dir").fill(str(file))
    screen.save("backups")
    expect(page.locator("#b-dir-help")).to_contain_text("is not a folder", timeout=SOON)
