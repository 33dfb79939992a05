"""Dockrev's own service in Dockrev: never updated by it, led to the supervisor, with the reason when that is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.conftest import NewContext
from e2e.gateway import Gateway
from e2e.household import House, open_house
from e2e.pages.base import SOON, Screen
from e2e.server import Server, free_port
from e2e.test_a11y import audit, pictures
from tests.lab.lab import Lab
from tests.lab.selfupgrade import SupervisorProcess

AWAY = ("502", "401", "404", "ERR_", "/supervisor/self-upgrade")


@dataclass
class Own:
    """A Dockrev that knows one service as its own, and the gateway in front."""

    house: House
    server: Server
    gateway: Gateway
    supervisor: SupervisorProcess


@pytest.fixture(scope="module")
def own(lab: Lab, start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    made, repository = lab.samples("selfie"), lab.registry.ref("homelab/selfie", "x").rpartition(":")[0]
    server = start_server(DOCKREV_IMAGE_REPO=repository, DOCKREV_DISCOVERY_INTERVAL_SECONDS="10")
    house = open_house(lab, server, "selfie", made.good("1.4.0"), made.good("1.4.1"))
    supervisor = SupervisorProcess(lab, tmp_path_factory.mktemp("supervisor"), repository).start()
    gateway = Gateway(server.port, supervisor.port).start()
    yield Own(house, server, gateway, supervisor)
    gateway.stop()
    supervisor.stop()
    house.stack.down()


@pytest.fixture
def page(new_context: NewContext, own: Own) -> Page:
    return new_context(allow=AWAY, base_url=own.gateway.url, reduced_motion="reduce").new_page()


def row_of(page: Page, own: Own) -> Locator:
    return page.locator(f"#r-{own.house.service_id}")


def test_every_page_leads_to_the_supervisor_instead_of_updating(page: Page, own: Own) -> None:
    found: list[str] = []
    for address in ("/", "/services", f"/stacks/{own.house.stack_id}"):
        Screen(page).open(own.gateway.url + address)
        row = row_of(page, own)
        link = row.get_by_role("link", name="Upgrade Dockrev")
        expect(link).to_have_attribute("href", "/supervisor/")
        expect(row.locator("[data-own-why]")).to_have_text("")
        expect(row.locator("a[data-sheet]")).to_have_count(0)
    Screen(page).open(own.gateway.url + own.house.address)
    update = page.locator("#update")
    expect(update).to_contain_text("Dockrev does not replace itself")
    expect(update.get_by_role("button", name="Apply update")).to_have_count(0)
    found += audit(page, "own service")
    pictures(page, "own-service")
    page.set_viewport_size({"width": 1440, "height": 900})
    update.get_by_role("link", name="Upgrade Dockrev").click()
    expect(page.locator("h1")).to_have_text("No upgrade of Dockrev has been made here")
    assert not found, "\n".join(found)


def test_the_api_refuses_and_a_batch_leaves_it_out(own: Own) -> None:
    with pytest.raises(AssertionError, match=r"409.*dockrev_service_managed_via_supervisor"):
        own.house.update()
    before = own.house.container()
    detail = own.server.call("GET", f"/api/stacks/{own.house.stack_id}")["stack"]["services"][0]
    target = {
        "serviceId": own.house.service_id,
        "targetTag": detail["candidate"]["tag"],
        "targetDigest": detail["candidate"]["digest"],
        "pullTags": [],
    }
    for scope in ({"scope": "all"}, {"scope": "stack", "stackId": own.house.stack_id}):
        body = {**scope, "targets": [target], "mode": "apply", "reason": "ui"}
        with pytest.raises(AssertionError, match=r": 4\d\d "):
            own.server.call("POST", "/api/updates", body)
    assert own.house.container() == before


def test_offline_unauthorised_and_misrouted_are_said_and_tried_again(
    page: Page, new_context: NewContext, own: Own, lab: Lab, tmp_path: Path
) -> None:
    own.supervisor.stop()
    Screen(page).open(own.gateway.url + "/services")
    row = row_of(page, own)
    why, again = row.locator("[data-own-why]"), row.get_by_role("button", name="Try again")
    expect(why).to_contain_text("Offline", timeout=SOON)
    expect(row.locator(".own a")).to_have_attribute("aria-disabled", "true")
    expect(row.locator(".own a[href]")).to_have_count(0)
    found = audit(page, "offline")
    pictures(page, "own-offline")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.evaluate("document.querySelector('.own a').setAttribute('href', '/supervisor/')")  # as a morph would
    expect(row.locator(".own a[href]")).to_have_count(0)
    own.supervisor.start()
    again.click()
    expect(why).to_have_text("", timeout=SOON)
    expect(row.locator(".own a")).to_have_attribute("href", "/supervisor/")
    expect(again).to_be_hidden()

    locked = SupervisorProcess(
        lab, tmp_path, "x/y", {"DOCKREV_AUTH_ALLOWED_USER": "porter", "DOCKREV_AUTH_ALLOW_ANONYMOUS_IN_DEV": "off"}
    ).start()
    gateway = Gateway(own.server.port, locked.port).start()
    try:
        other = new_context(allow=AWAY, base_url=gateway.url).new_page()
        Screen(other).open(gateway.url + "/services")
        expect(row_of(other, own).locator("[data-own-why]")).to_contain_text("Unauthorised", timeout=SOON)
    finally:
        gateway.stop()
        locked.stop()
    direct = new_context(allow=AWAY, base_url=own.server.url).new_page()
    Screen(direct).open(own.server.url + "/services")
    expect(row_of(direct, own).locator("[data-own-why]")).to_contain_text("Misrouted", timeout=SOON)
    nowhere = Gateway(own.server.port, free_port()).start()
    try:
        gone = new_context(allow=AWAY, base_url=nowhere.url).new_page()
        Screen(gone).open(nowhere.url + "/services")
        expect(row_of(gone, own).locator("[data-own-why]")).to_contain_text("Offline", timeout=SOON)
    finally:
        nowhere.stop()
    assert not found, "\n".join(found)
