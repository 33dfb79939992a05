"""What other people wrote is shown as text, however it was meant."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from e2e.household import open_house
from e2e.pages import JobScreen, Screen, ServiceScreen
from e2e.pages.base import LONG, SOON
from e2e.server import Server
from tests.lab.lab import Lab

EVIL = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>\x1b[31mred\x1b[0m \u202eback"
LONG_NAME = "a-service-with-a-name-that-is-as-long-as-compose-lets-it-be-59x"


def test_labels_and_compose_files_do_no_harm(page: Page, server: Server, lab: Lab) -> None:
    service, screen, job = ServiceScreen(page), Screen(page), JobScreen(page)
    samples = lab.samples("mimic")
    labels = {"org.opencontainers.image.source": "javascript:window.hacked=1", "org.opencontainers.image.title": EVIL}
    more = (
        '    labels: {note: "<script>window.hacked=1</script>", dockrev.homepage: "javascript:alert(1)"}\n'
        '    environment: {X: "</textarea><script>window.hacked=1</script>"}\n'
        f"  {LONG_NAME}:\n"
        "    image: " + lab.registry.ref("homelab/mimic", "1.4.0") + "\n"
    )
    house = open_house(lab, server, "mimic", samples.good("1.4.0", labels), samples.crash_looping("1.4.1"), more=more)
    long = server.services(house.stack.name)[LONG_NAME]
    service.open(house.address)
    service.ignore("regex", "<script>window.hacked=1</script>", EVIL)
    expect(service.rules).to_contain_text("<script>window.hacked=1</script>", timeout=SOON)
    expect(service.rules).to_contain_text("red back")
    job_id = house.update()
    job.open(f"/queue/{job_id}")
    job.ends("rolled back")
    expect(page.locator(".note[id^=evidence-]")).to_contain_text("fatal: setting HOMEPAGE_TITLE is missing")
    addresses = [
        "/",
        "/?q=" + "%3Cscript%3Ewindow.hacked%3D1%3C%2Fscript%3E",
        "/services",
        f"/stacks/{house.stack_id}",
        house.address,
        f"/services/{long['stackId']}/{long['id']}",
        "/queue",
        "/version-inference",
    ]
    for width in (1440, 320):
        page.set_viewport_size({"width": width, "height": 800})
        for address in addresses:
            screen.open(address)
            assert page.evaluate("window.hacked") is None, address
            assert screen.sideways() == 0, f"{address} at {width}"
            assert "\x1b" not in page.content()
            assert page.locator("a[href^='javascript:' i]").count() == 0


def test_a_compose_file_that_is_no_compose_file(page: Page, server: Server, lab: Lab) -> None:
    screen = Screen(page)
    samples = lab.samples("riddle")
    house = open_house(lab, server, "riddle", samples.good("1.4.0"), samples.good("1.4.1"))
    house.stack.write("services: [<script>window.hacked=1</script>, *nothing\n")
    server.call("POST", "/api/discovery/scan")
    screen.open("/")
    issue = page.locator("#issues .issue", has_text="riddle cannot be read")
    expect(issue).to_be_visible(timeout=LONG)
    issue.get_by_role("link", name="Details").click()
    expect(page.locator("#problems")).to_contain_text(re.compile("riddle"), timeout=SOON)
    assert page.evaluate("window.hacked") is None
    screen.open(house.address)
    screen.says("riddle")
