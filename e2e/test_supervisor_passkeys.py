"""Passkeys without a proxy: signed in at Dockrev, let in at its supervisor, a touch before an upgrade, Dockrev away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import NewContext
from e2e.gateway import Gateway
from e2e.pages.base import LONG, SOON
from e2e.server import Server, free_port
from e2e.test_a11y import audit, pictures
from e2e.test_passkeys import CODE, Key, enrol
from tests.lab.lab import Lab
from tests.lab.selfupgrade import REPOSITORY, Deployment, Likeness, SupervisorProcess

ALLOWED = ("401", "403", "502", "ERR_", "/supervisor/self-upgrade/events")


@dataclass(frozen=True)
class Rig:
    """A Dockrev with passkeys, its supervisor, one address for both; what is upgraded is a likeness beside them."""

    server: Server
    supervisor: SupervisorProcess
    deployment: Deployment
    gateway: Gateway

    @property
    def home(self) -> str:
        """Passkeys work at a name, not at an address."""
        return f"http://localhost:{self.gateway.port}"


@pytest.fixture
def rig(lab: Lab, start_server: Callable[..., Server], tmp_path: Path) -> Iterator[Rig]:
    made, registry, port = Likeness(lab), lab.registry, free_port()
    registry.publish(REPOSITORY, "0.1.0", made.good("0.1.0"))
    registry.publish(REPOSITORY, "0.2.0", made.good("0.2.0", after=3))
    deployment = Deployment(lab, "passes", registry.ref(REPOSITORY, "0.1.0"), port=port).up().wait_up()
    both = {
        "DOCKREV_PASSKEYS": "on",
        "DOCKREV_PASSKEYS_STEP_UP": "on",
        "DOCKREV_PASS_KEY_PATH": str(tmp_path / "passes" / "supervisor.key"),
    }
    server = start_server(**both)
    repository = registry.ref(REPOSITORY, "x").rpartition(":")[0]
    of_mine = {"DOCKREV_SUPERVISOR_TARGET_COMPOSE_PROJECT": deployment.stack.name}
    supervisor = SupervisorProcess(lab, tmp_path, repository, {**both, **of_mine}).start()
    gateway = Gateway(server.port, supervisor.port).start()
    yield Rig(server, supervisor, deployment, gateway)
    gateway.stop()
    supervisor.stop()
    server.stop()
    deployment.stack.down()


def state_of(page: Page) -> str:
    """What the browser, with its cookie, is told."""
    return str(page.evaluate("async () => (await (await fetch('/supervisor/self-upgrade')).json()).state ?? 'refused'"))


def test_from_the_closed_door_through_an_upgrade_and_back(new_context: NewContext, rig: Rig) -> None:
    page = new_context(allow=ALLOWED, base_url=rig.home, reduced_motion="reduce").new_page()
    Key(page)
    found: list[str] = []

    # the door is closed, also for this machine, and says where to go
    page.goto("/supervisor/")
    expect(page.locator("h1")).to_have_text("Open it from Dockrev")
    found += audit(page, "closed")
    pictures(page, "supervisor-closed")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("link", name="Sign in at Dockrev and come back").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add your first passkey")
    [code] = set(CODE.findall(rig.server.tail(400)))
    enrol(page, code, "phone")
    page.wait_for_url(f"{rig.home}/supervisor/")
    expect(page.locator("h1")).to_have_text("No upgrade of Dockrev has been made here")
    [given] = [cookie for cookie in page.context.cookies() if "dockrev_pass" in cookie["name"]]
    assert (given["path"], given["httpOnly"], given["sameSite"]) == ("/supervisor", True, "Strict")

    # a restart forgets touches; the pass of before still opens
    rig.server.stop()
    page.reload()
    expect(page.locator("#main-state")).to_contain_text("Does not answer", timeout=SOON)
    rig.server.start()
    page.goto("/settings")
    page.get_by_role("link", name="Open supervisor").click()
    page.wait_for_url(f"{rig.home}/supervisor/")

    # apply is refused without a touch, and goes on after one
    page.get_by_label("Tag").fill("0.2.0")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("alert")).to_contain_text("this needs a touch of a passkey")
    assert rig.deployment.version() == "0.1.0"
    assert state_of(page) == "idle"
    found += audit(page, "touch wanted")
    pictures(page, "supervisor-touch")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("link", name="Touch a passkey").click()
    page.get_by_role("button", name="Touch a passkey").click()
    page.wait_for_url(f"{rig.home}/supervisor/?tag=0.2.0*")
    expect(page.get_by_label("Tag")).to_have_value("0.2.0")
    page.get_by_role("button", name="Apply").click()
    headline = page.locator("h1")
    expect(headline).to_contain_text("0.2.0", timeout=LONG)

    # Dockrev is away: the page stays usable, can be opened anew, and the upgrade can be taken back
    rig.server.stop()
    expect(page.locator("#main-state")).to_contain_text("Does not answer", timeout=SOON)
    page.reload()
    expect(headline).to_have_text("Dockrev was upgraded to 0.2.0", timeout=LONG)
    assert rig.deployment.version() == "0.2.0"
    page.get_by_role("link", name="Roll back to").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(headline).to_contain_text("Dockrev is back on 0.1.0", timeout=LONG)
    assert rig.deployment.version() == "0.1.0"

    # signed out at Dockrev, the pass is void, also one that was kept
    [kept] = [cookie for cookie in page.context.cookies() if "dockrev_pass" in cookie["name"]]
    rig.server.start()
    page.goto("/logout")
    page.locator("#page").get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{rig.home}/login")
    assert not [cookie for cookie in page.context.cookies() if "dockrev_pass" in cookie["name"]]
    at = f"{rig.home}/supervisor/"
    page.context.add_cookies([{"name": kept["name"], "value": kept["value"], "url": at, "httpOnly": True}])
    page.goto("/supervisor/")
    expect(page.locator("h1")).to_have_text("Open it from Dockrev")
    expect(page.locator("main")).to_contain_text("ends all passes")
    assert not found, "\n".join(found)


def test_without_scripts_an_open_page_says_what_is_missing(new_context: NewContext, rig: Rig) -> None:
    page = new_context(allow=ALLOWED, base_url=rig.home, java_script_enabled=False).new_page()
    page.goto("/supervisor/")
    page.get_by_role("link", name="Sign in at Dockrev and come back").click()
    expect(page).to_have_url(f"{rig.home}/login?next=/self-upgrade/open")
