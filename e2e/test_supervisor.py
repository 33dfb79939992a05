"""The supervisor's page: an upgrade watched from click to new version, through the outage; and what it must bear."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import NewContext
from e2e.gateway import Gateway
from e2e.pages.base import LONG, SOON, Screen
from e2e.server import free_port
from e2e.test_a11y import audit, pictures
from tests.lab.lab import Lab
from tests.lab.selfupgrade import REPOSITORY, Deployment, Likeness, SupervisorProcess, log_of

# Requests that fail while Dockrev or the supervisor is away are what these journeys are about.
AWAY = ("502", "ERR_", "/supervisor/self-upgrade/events")
ANSWERS = re.compile(r"^Up$")


@dataclass(frozen=True)
class Rig:
    """Dockrev's likeness, its supervisor, and the gateway in front of both."""

    deployment: Deployment
    supervisor: SupervisorProcess
    gateway: Gateway

    @property
    def console(self) -> str:
        """The page's address."""
        return f"{self.gateway.url}/supervisor/"


@pytest.fixture
def rig(lab: Lab, tmp_path: Path) -> Iterator[Rig]:
    made, registry, port = Likeness(lab), lab.registry, free_port()
    registry.publish(REPOSITORY, "0.1.0", made.good("0.1.0", schema="0001"))
    registry.publish(REPOSITORY, "0.2.0", made.good("0.2.0", schema="0002", after=4))
    registry.publish(REPOSITORY, "0.3.0", made.crashing("0.3.0"))
    deployment = Deployment(lab, "console", registry.ref(REPOSITORY, "0.1.0"), port=port).up().wait_up()
    repository = registry.ref(REPOSITORY, "x").rpartition(":")[0]
    supervisor = SupervisorProcess(lab, tmp_path, repository).start()
    gateway = Gateway(port, supervisor.port).start()
    yield Rig(deployment, supervisor, gateway)
    gateway.stop()
    supervisor.stop()
    deployment.stack.down()


@pytest.fixture
def page(new_context: NewContext, rig: Rig) -> Page:
    return new_context(allow=AWAY, base_url=rig.gateway.url, reduced_motion="reduce").new_page()


def test_an_upgrade_is_watched_through_the_outage_and_taken_back(page: Page, rig: Rig) -> None:
    page.goto(rig.console)
    headline, main = page.locator("h1"), page.locator("#main-state")
    expect(headline).to_have_text("No upgrade of Dockrev has been made here")
    expect(main).to_contain_text("Up", timeout=SOON)
    expect(page.locator("#main-version")).to_have_text("0.1.0")
    expect(page.get_by_label("Tag")).to_have_value("latest")
    found = audit(page, "idle")
    pictures(page, "supervisor-idle")
    page.set_viewport_size({"width": 1440, "height": 900})

    page.get_by_label("Tag").fill("0.2.0")
    page.get_by_role("button", name="Dry run").click()
    expect(headline).to_have_text("The dry run for 0.2.0 is done. Nothing was changed.", timeout=LONG)
    expect(page.locator("#preflight li")).to_have_count(8)
    expect(page.locator("#preflight")).to_contain_text("Schema 0001 to 0002: the database is copied before")
    assert rig.deployment.version() == "0.1.0"

    page.get_by_label("Tag").fill("0.2.0")
    page.get_by_role("button", name="Apply").click()
    expect(headline).to_contain_text("restarting on 0.2.0", timeout=LONG)
    apply = page.get_by_role("button", name="Apply")
    expect(apply).to_be_disabled()
    expect(apply).to_have_attribute("aria-busy", "true")
    expect(main).to_contain_text("Does not answer", timeout=SOON)
    pictures(page, "supervisor-running")
    page.reload()
    expect(apply).to_have_attribute("aria-busy", "true")
    expect(page.locator("#upgrade .steps [aria-current=step]")).to_contain_text("Health")
    expect(headline).to_have_text("Dockrev was upgraded to 0.2.0", timeout=LONG)
    expect(main).to_contain_text("Up", timeout=SOON)
    expect(page.locator("#main-version")).to_have_text("0.2.0")
    expect(apply).to_be_enabled()
    assert page.url == rig.console, "it never leaves by itself"
    assert page.title().startswith("Dockrev was upgraded to 0.2.0")
    expect(page.locator("#tabs a")).to_have_count(2)

    page.get_by_role("link", name="Roll back to").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(rig.supervisor.state()["opId"])
    expect(dialog).to_contain_text("what Dockrev recorded since is not in it")
    found += audit(page, "dialog")
    pictures(page, "supervisor-dialog")
    page.set_viewport_size({"width": 1440, "height": 900})
    dialog.get_by_role("button", name="Roll back").click()
    expect(headline).to_contain_text("Dockrev is back on 0.1.0", timeout=LONG)
    expect(page.locator("#main-version")).to_have_text("0.1.0", timeout=SOON)
    assert "schema-is-0001" in rig.deployment.notes()
    found += audit(page, "rolled back")
    pictures(page, "supervisor-back")
    assert not found, "\n".join(found)


def test_it_goes_on_asking_while_the_supervisor_is_away(page: Page, rig: Rig) -> None:
    rig.supervisor.begin("0.3.0")
    page.goto(rig.console)
    rig.supervisor.until(lambda state: state["progress"]["step"] == "wait_healthy")
    rig.supervisor.kill()
    banner = page.locator("#offline .banner")
    expect(banner).to_contain_text("Offline", timeout=SOON)
    expect(banner).to_contain_text("still asking")
    expect(page.locator("h1")).to_contain_text("0.3.0")
    found = audit(page, "away")
    pictures(page, "supervisor-away")
    rig.supervisor.start()
    expect(banner).to_have_count(0, timeout=SOON)
    expect(page.locator("h1")).to_have_text("The upgrade to 0.3.0 was interrupted", timeout=SOON)
    expect(page.locator("#log")).to_contain_text("a rollback to", timeout=SOON)
    page.get_by_role("link", name="Roll back to").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator("h1")).to_contain_text("Dockrev is back on 0.1.0", timeout=LONG)
    found += audit(page, "back")
    assert not found, "\n".join(found)


def test_a_failure_comes_live_and_older_logs_stay_where_they_are(page: Page, rig: Rig) -> None:
    first = rig.supervisor.begin("0.2.0", "dry-run")
    rig.supervisor.finished()
    rig.supervisor.begin("0.2.0", "dry-run", back=False)
    rig.supervisor.finished()
    page.goto(f"{rig.console}?op={first}")
    log = page.locator("#log ol")
    expect(log).to_have_attribute("data-op", first)
    third = rig.supervisor.begin("0.3.0")
    new = page.locator(f"#tabs a[data-op={third}]")
    expect(new).to_have_attribute("data-new", "new", timeout=SOON)
    rig.supervisor.finished()
    expect(page.locator("h1")).to_contain_text("Dockrev is back on 0.1.0", timeout=LONG)
    expect(log).to_have_attribute("data-op", first)
    new.click()
    expect(log).to_have_attribute("data-op", third)
    expect(page.locator("#log")).to_contain_text("dockrev: cannot start".removeprefix("dockrev: "))
    expect(page.locator(f"#tabs a[data-op={third}]")).not_to_have_attribute("data-new", "new")
    expect(page.locator("#upgrade .steps")).to_contain_text("Rollback")
    pictures(page, "supervisor-failed")


def test_it_works_without_scripts(new_context: NewContext, rig: Rig) -> None:
    page = new_context(allow=("400",), base_url=rig.gateway.url, java_script_enabled=False).new_page()
    page.goto(rig.console)
    page.get_by_label("Tag").fill("")
    page.get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("alert")).to_contain_text("target.tag is required")
    page.get_by_label("Tag").fill("0.3.0")
    page.get_by_role("button", name="Apply").click()
    rig.supervisor.finished()
    page.get_by_role("link", name="Refresh").click()
    expect(page.locator("h1")).to_contain_text("Dockrev is back on 0.1.0")
    rig.supervisor.begin("0.2.0")
    assert rig.supervisor.finished()["state"] == "succeeded", log_of(rig.supervisor.state())
    page.get_by_role("link", name="Refresh").click()
    page.get_by_role("link", name="Roll back to").click()
    expect(page.locator("h1")).to_have_text("Roll back to 0.1.0")
    expect(page.locator("main")).to_contain_text(rig.supervisor.state()["previous"]["digest"])
    page.get_by_role("button", name="Roll back").click()
    state = rig.supervisor.finished()
    assert state["state"] == "rolled_back", log_of(state)


def test_keyboard_focus_stays_and_the_refusal_has_a_remedy(
    new_context: NewContext, rig: Rig, lab: Lab, tmp_path: Path
) -> None:
    page = new_context(allow=AWAY, base_url=rig.gateway.url).new_page()
    page.goto(rig.console)
    tag = page.get_by_label("Tag")
    tag.focus()
    tag.fill("0.2.0")
    rig.supervisor.begin("0.3.0", "dry-run")
    expect(page.locator("h1")).to_contain_text("dry run for 0.3.0", timeout=LONG)
    expect(tag).to_be_focused()
    expect(tag).to_have_value("0.2.0")
    folder = tmp_path / "locked"
    folder.mkdir()
    environment = {"DOCKREV_AUTH_ALLOWED_USER": "porter", "DOCKREV_AUTH_ALLOW_ANONYMOUS_IN_DEV": "off"}
    locked = SupervisorProcess(lab, folder, "x/dockrev", environment).start()
    try:
        refused = new_context(allow=("401",), base_url=locked.url).new_page()
        refused.goto(locked.url + "/")
        expect(refused.locator("h1")).to_have_text("You are not let in")
        expect(refused.locator("main")).to_contain_text("X-Forwarded-User")
        found = audit(refused, "refused")
        pictures(refused, "supervisor-refused")
        assert not found, "\n".join(found)
    finally:
        locked.stop()


def test_nothing_scrolls_sideways_on_a_phone(page: Page, rig: Rig) -> None:
    rig.supervisor.begin("0.2.0", "dry-run")
    rig.supervisor.finished()
    page.set_viewport_size({"width": 320, "height": 800})
    page.goto(rig.console)
    assert Screen(page).sideways() <= 0
    end = time.monotonic() + 5
    while page.locator("#main-version").text_content() != "0.1.0":
        assert time.monotonic() < end
        time.sleep(0.05)
