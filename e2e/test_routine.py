"""What an owner does now and then: rules, settings, archive, search, inference; and everything on a phone."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from e2e.conftest import NewContext
from e2e.household import open_house
from e2e.pages import JobScreen, OverviewScreen, ServiceScreen, ServicesScreen
from e2e.pages.base import LONG, SOON
from e2e.server import Server
from tests.lab.lab import Lab


def test_an_ignore_rule_blocks_and_lets_go(new_context: NewContext, server: Server, lab: Lab) -> None:
    page = new_context(allow=("400",)).new_page()
    screen, overview = ServiceScreen(page), OverviewScreen(page)
    samples = lab.samples("umbrella")
    house = open_house(lab, server, "umbrella", samples.good("1.4.0"), samples.good("1.4.1"))
    screen.open(house.address)
    expect(screen.state).to_contain_text("Updatable", timeout=SOON)
    effect = screen.rules.locator("#rule-effect")
    screen.rules.locator("[name=kind]").select_option("semver")
    screen.rules.locator("[name=value]").fill("soon")
    expect(effect).to_contain_text("not a version range", timeout=SOON)
    screen.rules.locator("[name=value]").fill(">=1.4, <2")
    expect(effect).to_contain_text("Would hold back the candidate", timeout=SOON)
    screen.rules.locator("[name=value]").fill(">=2")
    expect(effect).to_contain_text("Does not match 1.4", timeout=SOON)
    screen.ignore("semver", "not a range", "")
    expect(screen.toasts.filter(has_text="That was not understood")).to_be_visible(timeout=SOON)
    screen.ignore("exact", "1.4", "waiting for the fix")
    expect(screen.rules).to_contain_text("waiting for the fix", timeout=SOON)
    screen.button("Check now").click()
    expect(screen.state).to_contain_text("Blocked", timeout=LONG)
    expect(screen.rules).to_contain_text("Holds the candidate")
    expect(screen.update).to_contain_text("the rules")
    overview.open("/?state=blocked")
    expect(overview.row("umbrella")).to_contain_text("Blocked")
    overview.row("umbrella").get_by_role("link", name="Review umbrella").click()
    screen.rules.get_by_role("button", name="Remove 1.4").click()
    expect(screen.rules).not_to_contain_text("waiting for the fix", timeout=SOON)
    screen.button("Check now").click()
    expect(screen.state).to_contain_text("Updatable", timeout=LONG)


def test_archive_and_restore(page: Page, server: Server, lab: Lab) -> None:
    screen, services = ServiceScreen(page), ServicesScreen(page)
    samples = lab.samples("attic")
    house = open_house(lab, server, "attic", samples.good("1.4.0"), samples.good("1.4.1"))
    screen.open(house.address)
    screen.button("Archive service").click()
    expect(page.locator("#page")).to_contain_text("This service is archived", timeout=SOON)
    services.open("/services")
    expect(services.row("attic")).to_have_count(0)
    page.get_by_label("Archived").check()
    expect(services.row("attic")).to_contain_text("Archived", timeout=SOON)
    services.link("attic").click()
    screen.button("Restore").click()
    expect(screen.button("Archive service")).to_be_visible(timeout=SOON)

    services.open(f"/stacks/{house.stack_id}")
    services.button("Archive stack").click()
    expect(page.locator("#page")).to_contain_text("This stack is archived", timeout=SOON)
    services.open("/services?q=attic")
    expect(page.locator("#page")).to_contain_text("Nothing matches")
    services.open(f"/stacks/{house.stack_id}")
    services.button("Restore").click()
    expect(services.button("Archive stack")).to_be_visible(timeout=SOON)
    assert house.running(), "archiving stops nothing"


def test_settings_are_saved_as_they_change(page: Page, server: Server, lab: Lab) -> None:
    screen = ServiceScreen(page)
    samples = lab.samples("ledger")
    more = "    volumes: [pages:/data]\nvolumes:\n  pages:\n"
    house = open_house(lab, server, "ledger", samples.good("1.4.0"), samples.good("1.4.1"), more=more)
    screen.open(house.address)
    saved = screen.toasts.filter(has_text="Saved")
    screen.settings.get_by_label("Roll back automatically").uncheck()
    expect(saved.first).to_be_visible(timeout=SOON)
    expect(screen.update).to_contain_text("leave the new container as it is", timeout=SOON)
    screen.settings.get_by_label("Source repository").fill("https://git.example.org/homelab/ledger")
    screen.settings.get_by_label("Source repository").press("Tab")
    expect(saved.nth(1)).to_be_visible(timeout=SOON)
    screen.settings.get_by_role("radiogroup", name="Backup of ledger_pages").get_by_text("Skip").click()
    expect(screen.settings).to_contain_text("Never backed up", timeout=SOON)
    page.reload()
    expect(screen.settings.get_by_label("Roll back automatically")).not_to_be_checked()
    expect(screen.settings.get_by_label("Source repository")).to_have_value("https://git.example.org/homelab/ledger")
    expect(screen.settings.get_by_label("Skip")).to_be_checked()
    stored = server.call("GET", f"/api/services/{house.service_id}/settings")
    assert stored["autoRollback"] is False


def test_search_and_filter(page: Page, server: Server, samples: object) -> None:
    screen = ServicesScreen(page)
    server.stacks(4)
    screen.open("/services")
    expect(screen.row("inkwell")).to_be_visible(timeout=SOON)
    screen.search.fill("INKW")
    expect(screen.rows).to_have_count(1, timeout=SOON)
    expect(page).to_have_url(re.compile(r"q=INKW"))
    expect(screen.search).to_be_focused()
    page.reload()
    expect(screen.rows).to_have_count(1)
    screen.search.fill("inkwel1")
    expect(page.locator("#page")).to_contain_text("Closest name: inkwell", timeout=SOON)
    page.get_by_role("link", name="Clear search").click()
    screen.filter("Up to date").click()
    expect(page).to_have_url(re.compile("state=ok"))
    expect(screen.row("inkwell")).to_be_visible()
    expect(screen.rows.filter(has_text="Updatable")).to_have_count(0)
    page.go_back()
    expect(screen.rows.filter(has_text="lightbox")).not_to_have_count(0, timeout=SOON)
    page.get_by_label("Sort").select_option("name")
    expect(page).to_have_url(re.compile("sort=name"), timeout=SOON)


def test_versions_behind_floating_tags_are_inferred(page: Page, server: Server, samples: object) -> None:
    server.stacks(4)
    screen = ServiceScreen(page)
    screen.open("/version-inference")
    row = page.locator("#inference tr", has_text="larder")
    expect(row).to_contain_text("Known", timeout=LONG)
    expect(row).to_contain_text(re.compile(r"≈0\.\d+\.\d"))
    row.get_by_role("button", name="Look again").click()
    expect(screen.toasts.filter(has_text="Looking up the version")).to_be_visible(timeout=SOON)
    expect(row).to_contain_text("Known", timeout=LONG)
    row.get_by_role("link", name="larder").click()
    expect(page.locator("#inference")).to_contain_text("latest is a floating tag")


def test_the_whole_routine_on_a_phone(new_context: NewContext, server: Server, lab: Lab) -> None:
    samples = lab.samples("pocket")
    house = open_house(lab, server, "pocket", samples.good("1.4.0"), samples.good("1.4.1"))
    context = new_context(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, device_scale_factor=2)
    page = context.new_page()
    overview, service, job = OverviewScreen(page), ServiceScreen(page), JobScreen(page)
    overview.open("/")
    overview.button("Check now").tap()
    expect(overview.toasts).to_contain_text("Checking", timeout=SOON)
    assert overview.sideways() == 0
    overview.search.fill("pocket")
    overview.link("pocket").tap()
    service.says("pocket")
    assert service.sideways() == 0
    service.dry_run.tap()
    job.arrived()
    job.ends("planned")
    page.get_by_label("Main").get_by_role("link", name="Overview").tap()
    expect(overview.heading).to_contain_text("ready", timeout=SOON)
    overview.row("pocket").get_by_role("link", name="Update pocket").tap()
    expect(overview.dialog).to_be_visible(timeout=SOON)
    choice = overview.dialog.get_by_role("radiogroup", name="Backup before it").bounding_box()
    assert choice is not None and choice["width"] > 150 and choice["height"] < 60, "the choices stand side by side"
    overview.dialog.get_by_role("button", name="Update pocket").tap()
    job.arrived()
    job.ends("settled")
    assert job.sideways() == 0
    assert house.version() == "1.4.1"
