"""Newer versions under other tags: the rail, the state and the table say the same, and nothing offers to cross tags."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from e2e.pages import OverviewScreen, ServiceScreen
from e2e.pages.base import LONG, SOON
from e2e.server import Server
from tests.lab.lab import Lab

OUTPUT = Path(__file__).resolve().parent / "output"
STACK = "clockwork"


def bring_up(lab: Lab, server: Server) -> dict[str, str]:
    """A pinned service with something at every distance, a rule and another host among it; its ids by name."""
    registry, samples = lab.registry, lab.samples("clock")
    for version in ("3.1.0", "3.1.1", "3.2.0", "3.2.4", "3.3.0-rc.1", "4.0.0"):
        registry.publish("tower/clock", version, samples.no_healthcheck(version))
    registry.publish("tower/clock", "4.1.0", samples.for_arch("4.1.0", "arm64"))
    registry.retag("tower/clock", "3.2.4", "3.2")
    registry.retag("tower/clock", "4.0.0", "latest")
    image = registry.ref("tower/clock", "3.1.0")
    lab.stack(STACK, f"services: {{clock: {{image: '{image}', command: [sleep, '36000'], network_mode: none}}}}").up()
    service = server.services(STACK)["clock"]
    server.call(
        "POST",
        "/api/ignores",
        {"scope": {"type": "service", "serviceId": service["id"]}, "match": {"kind": "exact", "value": "3.1.1"}},
    )
    server.finished(server.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
    stacks = server.call("GET", "/api/stacks")["stacks"]
    return {"service": service["id"], "stack": next(stack["id"] for stack in stacks if stack["name"] == STACK)}


def test_a_pinned_service_shows_what_other_tags_have(page: Page, server: Server, lab: Lab) -> None:
    ids = bring_up(lab, server)
    overview = OverviewScreen(page)
    overview.open("/")
    row = overview.row("clock")
    expect(row).to_contain_text("Other series", timeout=LONG)
    rail = row.locator(".rail")
    expect(rail).to_have_attribute("data-reach", "none")
    expect(rail.locator(".pt.patch.ignored")).to_contain_text("3.1.1")
    expect(rail.locator(".pt.minor.hint")).to_contain_text("3.2.4")
    expect(rail.locator(".pt.major.hint")).to_contain_text("4.0.0")
    expect(row.get_by_role("link", name=re.compile("Update"))).to_have_count(0)
    page.screenshot(path=OUTPUT / "newer-overview.png")
    row.get_by_role("link", name=re.compile("Review")).click()
    screen = ServiceScreen(page)
    expect(page).to_have_url(re.compile("#versions$"))
    table = page.locator("#versions table")
    expect(table.locator("tr", has_text="3.2.4")).to_contain_text("needs the tag 3.2.4", timeout=SOON)
    expect(table.locator("tr", has_text="4.1.0")).to_contain_text("No image for this host")
    expect(table.locator("tr", has_text="4.1.0")).not_to_contain_text("older")
    expect(table.locator("tr", has_text="4.0.0")).to_contain_text("latest", timeout=LONG)
    expect(table.locator("tr", has_text="3.1.1")).to_contain_text("Ignored")
    expect(table).not_to_contain_text("rc.1")
    expect(screen.rules).to_contain_text("leaves out 3.1.1")
    page.screenshot(path=OUTPUT / "newer-service.png", full_page=True)
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.screenshot(path=OUTPUT / "newer-service-phone.png", full_page=True)
    told = server.call("GET", f"/api/services/{ids['service']}/versions")
    assert [(one["version"], one["state"]) for one in told["versions"]] == [
        ("3.1.0", "current"), ("3.1.1", "ignored"), ("3.2.4", "other_series"), ("4.1.0", "arch_mismatch"),
        ("4.0.0", "other_series"),
    ]  # fmt: skip
