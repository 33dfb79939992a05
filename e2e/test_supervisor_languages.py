"""The supervisor's page in German and Chinese: chosen at its foot, live, nothing cut off, axe finds nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.core.web.languages import COOKIE, TAGS
from e2e.conftest import NewContext
from e2e.pages.base import LONG, SOON
from e2e.test_a11y import EXTREMES, audit, pictures
from e2e.test_supervisor import AWAY, Rig, rig
from e2e.test_zoom import look
from tests.lab.lab import Lab
from tests.lab.selfupgrade import SupervisorProcess

__all__ = ["rig"]
WIDTHS = (1440, 820, 320)
WORDS = {
    "de": ("Dockrev wurde auf %s aktualisiert", "Dockrev ist zurück auf %s", "Zurückrollen", "Offline", "Kein Zutritt"),
    "zh": ("Dockrev 已升级到 %s", "Dockrev 已回到 %s", "回滚", "离线", "未获准进入"),
}


@pytest.mark.parametrize("script", [True, False])
def test_a_language_is_chosen_at_the_foot_and_kept(new_context: NewContext, rig: Rig, script: bool) -> None:
    page = new_context(allow=AWAY, base_url=rig.gateway.url, locale="en-GB", java_script_enabled=script).new_page()
    page.goto(rig.console)
    expect(page.locator("h1")).to_have_text("No upgrade of Dockrev has been made here")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de", timeout=SOON)
    expect(page).to_have_url(rig.console)
    expect(page.locator("h1")).to_have_text("Dockrev wurde hier noch nie aktualisiert")
    expect(page.get_by_role("button", name="Deutsch")).to_have_attribute("aria-current", "true")
    if script:
        expect(page.locator("#main-state")).to_contain_text("Läuft", timeout=SOON)
    page.goto(f"{rig.console}rollback")
    expect(page.locator("h1")).to_have_text("Es gibt nichts zurückzurollen")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("h1")).to_have_text("没有可回滚的内容", timeout=SOON)
    expect(page).to_have_url(f"{rig.console}rollback")


@pytest.mark.parametrize("language", WORDS)
def test_nothing_is_lost_in_translation(
    new_context: NewContext, rig: Rig, lab: Lab, tmp_path: Path, language: str
) -> None:
    done, back, roll_back, offline, refused = WORDS[language]
    context = new_context(allow=(*AWAY, "401"), base_url=rig.gateway.url, reduced_motion="reduce", locale="en-GB")
    context.add_cookies([{"name": COOKIE, "value": language, "url": rig.gateway.url}])
    page, found = context.new_page(), list[str]()
    page.goto(rig.console)
    expect(page.locator("html")).to_have_attribute("lang", TAGS[language])
    found += _looked(page, f"idle in {language}")
    context.add_cookies([{"name": COOKIE, "value": "en", "url": rig.gateway.url}])  # as if switched in another tab

    rig.supervisor.begin("0.2.0")
    expect(page.locator("#upgrade .steps [aria-current=step]")).to_be_visible(timeout=LONG)
    expect(page.locator("h1")).to_have_text(done % "0.2.0", timeout=LONG)
    expect(page.locator("#log [lang=en]").first).to_be_visible()
    found += _looked(page, f"upgraded in {language}")
    context.add_cookies([{"name": COOKIE, "value": language, "url": rig.gateway.url}])
    page.get_by_role("link", name=roll_back).click()
    found += _looked(page, f"dialog in {language}")
    page.get_by_role("dialog").get_by_role("button", name=roll_back).click()
    expect(page.locator("h1")).to_have_text(back % "0.1.0", timeout=LONG)
    rig.supervisor.begin("0.3.0")
    rig.supervisor.finished()
    expect(page.locator("#upgrade .steps [data-s=bad]")).to_be_visible(timeout=SOON)
    found += _looked(page, f"taken back in {language}")

    rig.supervisor.kill()
    expect(page.locator("#offline .banner")).to_contain_text(offline, timeout=SOON)
    found += _looked(page, f"away in {language}")
    rig.supervisor.start()
    environment = {"DOCKREV_AUTH_ALLOWED_USER": "porter", "DOCKREV_AUTH_ALLOW_ANONYMOUS_IN_DEV": "off"}
    (tmp_path / "locked").mkdir()
    locked = SupervisorProcess(lab, tmp_path / "locked", "x/dockrev", environment).start()
    try:
        page.goto(locked.url + "/")
        expect(page.locator("h1")).to_have_text(refused)
        found += _looked(page, f"refused in {language}")
        page.get_by_role("button", name="English").click()
        expect(page.locator("h1")).to_have_text("You are not let in")
    finally:
        locked.stop()
    assert not found, "\n".join(found)


def _looked(page: Page, what: str) -> list[str]:
    """What is cut off at any width, what axe finds in both themes, and pictures for people."""
    found: list[str] = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        # On a phone most steps are words for screen readers alone; those that are seen are looked at below.
        found += [each for each in look(page, f"{what} at {width}") if "cut off: B." not in each]
        found += _over_each_other(page, f"{what} at {width}")
    found += audit(page, what, EXTREMES)
    pictures(page, f"supervisor-{what.replace(' ', '-')}")
    page.set_viewport_size({"width": 1440, "height": 900})
    return found


def _over_each_other(page: Page, what: str) -> list[str]:
    """Names of steps that lie on each other."""
    boxes = [step.bounding_box() for step in page.locator("#upgrade .steps b").all() if step.is_visible()]
    seen = [box for box in boxes if box and box["width"] > 2]
    return [
        f"{what}: two steps lie on each other"
        for one, other in pairwise(seen)
        if one["x"] + one["width"] > other["x"] + 1 and abs(one["y"] - other["y"]) < one["height"] - 1
    ]
