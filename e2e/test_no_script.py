"""Without JavaScript everything is still a page, a link or a form."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Response, expect

from e2e.conftest import NewContext
from e2e.household import open_house
from e2e.pages import JobScreen, OverviewScreen, ServiceScreen
from e2e.pages.base import SOON
from e2e.server import Server
from tests.lab.lab import Lab


@pytest.fixture
def plain(new_context: NewContext) -> Iterator[Page]:
    """A page that runs no scripts."""
    yield new_context(java_script_enabled=False).new_page()


def _redirected(page: Page, press: str, within: str = "#page") -> str:
    """Press a button whose form is answered by 303; where the browser landed."""
    seen: list[Response] = []
    page.on("response", lambda answer: seen.append(answer))
    page.locator(within).get_by_role("button", name=press).first.click()
    page.wait_for_load_state()
    posted = [answer for answer in seen if answer.request.method == "POST"]
    assert [answer.status for answer in posted] == [303], [(a.url, a.status) for a in seen]
    return page.url


def test_forms_work_without_javascript(plain: Page, server: Server, lab: Lab) -> None:
    overview, service, job = OverviewScreen(plain), ServiceScreen(plain), JobScreen(plain)
    samples = lab.samples("candle")
    house = open_house(lab, server, "candle", samples.good("1.4.0"), samples.good("1.4.1"))
    overview.open("/")
    assert "/queue/" in _redirected(plain, "Check now")
    server.finished(job.arrived())

    overview.open("/")
    overview.search.fill("candle")
    overview.search.press("Enter")
    expect(plain).to_have_url(f"{server.url}/?q=candle")
    overview.row("candle").get_by_role("link", name="Update candle").click()
    overview.says("Update candle")
    assert "/queue/" in _redirected(plain, "Dry run")
    server.finished(job.arrived())
    plain.reload()
    job.ends("planned")

    service.open(house.address)
    service.rules.locator("input[name=value]").fill("9.9.9")
    assert _redirected(plain, "Add rule").endswith(f"{house.address}#rules")
    expect(service.rules).to_contain_text("9.9.9")
    _redirected(plain, "Remove", "#rules")
    expect(service.rules).not_to_contain_text("9.9.9")
    service.settings.get_by_label("Roll back automatically").uncheck()
    _redirected(plain, "Save", "#settings")
    expect(service.settings.get_by_label("Roll back automatically")).not_to_be_checked()
    service.settings.get_by_label("Roll back automatically").check()
    _redirected(plain, "Save", "#settings")
    _redirected(plain, "Archive service")
    _redirected(plain, "Restore")

    service.confirm.fill("1.4.1")
    assert "/queue/" in _redirected(plain, "Apply update", "#update")
    server.finished(job.arrived())
    plain.reload()
    job.ends("settled")
    expect(job.tracks).to_contain_text("Settled", timeout=SOON)
    assert house.version() == "1.4.1"
