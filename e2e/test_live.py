"""What moves by itself, what happens when a line is cut, and that it comes back without being asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import NewContext
from e2e.household import open_house
from e2e.pages import JobScreen, OverviewScreen, ServiceScreen
from e2e.pages.base import LONG, SOON
from e2e.server import Server
from e2e.switch import Wire
from tests.lab.lab import Lab

REFUSED = ("net::ERR", "Failed to load resource", "htmx:sendError", "htmx:afterRequest")


@pytest.fixture
def wire(lab: Lab, tmp_path: Path) -> Iterator[Wire]:
    """A wire to the lab's engine, whole at first."""
    made = Wire(lab.docker_host, tmp_path)
    made.mend()
    yield made
    made.stop()


def test_what_happens_outside_is_shown_at_once(page: Page, server: Server, lab: Lab) -> None:
    screen = ServiceScreen(page)
    samples = lab.samples("doormat")
    house = open_house(lab, server, "doormat", samples.good("1.4.0"), samples.good("1.4.1"))
    screen.open(house.address)
    screen.mark()
    expect(screen.meta).to_contain_text("Healthy", timeout=SOON)
    lab.docker("stop", house.container())
    expect(screen.meta).to_contain_text("Exited", timeout=5_000)
    lab.docker("start", house.container())
    expect(screen.meta).to_contain_text("Healthy", timeout=10_000)
    assert screen.was_not_reloaded()


def test_a_restarted_server_is_found_again(new_context: NewContext, start_server: Callable[..., Server]) -> None:
    own = start_server()
    screen = OverviewScreen(new_context(allow=REFUSED, base_url=own.url).new_page())
    screen.open("/")
    screen.mark()
    own.stop()
    expect(screen.connection).to_contain_text("Live updates paused", timeout=LONG)
    expect(screen.connection).to_contain_text("Trying again in")
    expect(screen.button("Check now")).to_be_disabled()
    own.start()
    screen.connection.get_by_role("button", name="Try now").or_(screen.connection).first.click()
    expect(screen.connection).to_contain_text("Live again", timeout=LONG)
    expect(screen.button("Check now")).to_be_enabled()
    expect(screen.connection).to_have_count(0, timeout=SOON)
    assert screen.was_not_reloaded()


def test_without_an_engine_it_says_so_and_recovers(
    new_context: NewContext, start_server: Callable[..., Server], wire: Wire, samples: object
) -> None:
    wire.cut()
    own = start_server(DOCKER_HOST=wire.docker_host)
    screen = OverviewScreen(new_context(base_url=own.url).new_page())
    screen.open("/")
    screen.mark()
    screen.says("Docker is not reachable")
    banner = screen.banners.filter(has_text="Docker engine not reachable")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("Dockrev tries again by itself")
    expect(screen.page.locator("#page")).to_contain_text("Stacks appear when the Docker engine answers")
    wire.mend()
    expect(banner).to_have_count(0, timeout=LONG)
    expect(screen.page.locator("#versions")).to_contain_text("lightbox", timeout=LONG)
    wire.cut()
    expect(banner).to_be_visible(timeout=LONG)
    screen.says("Docker is not reachable")
    expect(screen.page.locator("#versions")).to_contain_text("lightbox")
    wire.mend()
    expect(banner).to_have_count(0, timeout=LONG)
    assert screen.was_not_reloaded()


def test_a_page_that_lost_its_line_misses_nothing(new_context: NewContext, server: Server, lab: Lab) -> None:
    page = new_context(allow=REFUSED).new_page()
    job = JobScreen(page)
    samples = lab.samples("postcard")
    house = open_house(lab, server, "postcard", samples.good("1.4.0"), samples.slow_start("1.4.1", 4, start_period=15))
    job_id = house.update()
    job.open(f"/queue/{job_id}")
    job.mark()
    expect(job.step("Recreate").or_(job.step("Health"))).not_to_have_count(0)
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(job.connection).to_contain_text("You are offline", timeout=SOON)
    server.finished(job_id)
    page.context.set_offline(False)
    expect(job.connection.filter(has_text="offline")).to_have_count(0, timeout=LONG)
    job.ends("settled")
    assert job.was_not_reloaded()
    expect(job.lines).to_have_count(len(server.call("GET", f"/api/jobs/{job_id}")["job"]["logs"]))
