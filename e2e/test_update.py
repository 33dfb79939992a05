"""The main job: find, check, look, try, update, and have a bad one taken back."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from e2e.household import open_house
from e2e.pages import JobScreen, OverviewScreen, ServiceScreen
from e2e.pages.base import LONG, SOON
from e2e.server import Server
from tests.lab.lab import Lab
from tests.lab.stacks import Stack


def _labels(lab: Lab, stack: Stack, service: str) -> tuple[str, str]:
    """Container and version as the engine tells them."""
    container = stack.container_ids(service)[0]
    shown = '{{index .Config.Labels "org.opencontainers.image.version"}}'
    return container, lab.docker("inspect", "--format", shown, container).strip()


def test_find_check_look_try_and_update(page: Page, server: Server, lab: Lab, samples: dict[str, Stack]) -> None:
    overview, service, job = OverviewScreen(page), ServiceScreen(page), JobScreen(page)
    server.stacks(4)
    overview.open("/")
    overview.button("Check now").click()
    expect(overview.toasts.filter(has_text="Checking for new versions")).to_be_visible(timeout=SOON)
    overview.says(re.compile("updates? (is|are) ready"), timeout=LONG)
    for name in ("paperboy", "lightbox", "larder", "porter"):
        expect(overview.row(name)).to_contain_text("Updatable", timeout=LONG)
    expect(overview.row("paperboy")).to_contain_text("1.4.3", timeout=LONG)

    # the evidence
    overview.link("paperboy").click()
    service.says("paperboy")
    expect(service.update).to_contain_text("sha256:")
    expect(service.update).to_contain_text("linux/amd64 present")
    expect(service.update).to_contain_text("Back up news_issues")
    expect(service.apply).to_be_disabled()

    # a dry run shows the plan and changes nothing
    before = _labels(lab, samples["news"], "paperboy")
    assert before[1] == "1.4.2"
    service.dry_run.click()
    job.arrived()
    job.ends("planned")
    expect(job.heading).to_contain_text("Dry run")
    expect(job.tracks).to_contain_text("paperboy")
    assert _labels(lab, samples["news"], "paperboy") == before

    # the update, through the dialog, watched live
    overview.open("/")
    dialog = overview.open_dialog("paperboy")
    expect(dialog).to_contain_text("Pull by digest")
    expect(dialog).to_contain_text("inkwell stays up")
    dialog.get_by_role("button", name="Update paperboy").click()
    job_id = job.arrived()
    job.mark()
    expect(job.pill).to_have_attribute("href", f"/queue/{job_id}", timeout=SOON)
    expect(job.tracks).to_contain_text("paperboy", timeout=SOON)
    expect(job.lines.filter(has_text="docker pull").first).to_be_attached(timeout=LONG)
    expect(job.step("Health").or_(job.heading.filter(has_text="settled"))).to_be_visible(timeout=LONG)
    job.ends("settled")
    expect(job.tracks).to_contain_text("Settled")
    expect(job.pill).to_have_count(0)
    assert job.was_not_reloaded(), "the page moved without a reload"
    assert _labels(lab, samples["news"], "paperboy")[1] == "1.4.3"
    overview.open("/")
    expect(overview.row("paperboy")).to_have_count(0)
    expect(page.locator("#recent")).to_contain_text("settled")


def test_what_never_gets_healthy_is_taken_back(page: Page, server: Server, lab: Lab, samples: dict[str, Stack]) -> None:
    overview, service, job = OverviewScreen(page), ServiceScreen(page), JobScreen(page)
    known = server.services("photos")["lightbox"]
    address = f"/services/{known['stackId']}/{known['id']}"
    server.finished(server.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
    old_image = lab.docker("inspect", "--format", "{{.Image}}", samples["photos"].container_ids("lightbox")[0])
    service.open(address)
    word = service.update.locator("code").filter(has_text=re.compile(r"^2\.4\.0$")).first
    expect(word).to_be_visible(timeout=SOON)
    service.confirm.fill("2.4")
    expect(service.apply).to_be_disabled()
    service.confirm.fill("2.4.0")
    service.apply.click()
    job.arrived()
    job.mark()
    job.ends("rolled back")
    assert job.was_not_reloaded()
    evidence = page.locator(".note[id^=evidence-]")
    expect(evidence).to_contain_text("Rollback evidence")
    expect(evidence).to_contain_text("migration 7 failed: table items is locked")
    expect(evidence).to_contain_text("lightbox 2.4.0 starting")
    container = samples["photos"].container_ids("lightbox")[0]
    assert lab.docker("inspect", "--format", "{{.Image}}", container) == old_image, "the engine runs the old image"
    assert lab.docker("inspect", "--format", "{{.State.Running}}", container).strip() == "true"

    overview.open("/")
    expect(overview.issues.filter(has_text="lightbox went back to 2.3.1")).to_be_visible()
    overview.issues.filter(has_text="lightbox went back to 2.3.1").get_by_role("link", name="See evidence").click()
    expect(evidence).to_be_in_viewport(timeout=SOON)

    service.open(address)
    expect(page.locator("#versions")).to_contain_text("rolled back", timeout=SOON)


def test_a_reload_in_the_middle_shows_what_is_true(page: Page, server: Server, lab: Lab) -> None:
    job = JobScreen(page)
    samples = lab.samples("tortoise")
    house = open_house(lab, server, "tortoise", samples.good("1.4.0"), samples.slow_start("1.4.1", 6, start_period=20))
    job_id = house.update()
    job.open(f"/queue/{job_id}")
    expect(job.step("Health")).to_have_attribute("data-s", "run", timeout=LONG)
    expect(page.locator(".head .meta")).to_contain_text("Health", timeout=SOON)
    lines = job.lines.count()
    page.reload()
    expect(job.step("Health")).to_have_attribute("data-s", "run")
    expect(job.step("Pull")).to_have_attribute("data-s", "done")
    expect(job.pill).to_be_visible()
    assert job.lines.count() >= lines
    # what htmx does to a node in the middle of a swap; no line may come twice for it
    page.evaluate(
        "for (const el of [document.getElementById('job-log-lines')]) { el.classList.add('x'); htmx.process(el); }"
    )
    job.ends("settled")
    messages = [line.strip() for line in job.lines.all_inner_texts()]
    assert len(messages) == len(server.call("GET", f"/api/jobs/{job_id}")["job"]["logs"]), "no line lost, none doubled"
    assert house.version() == "1.4.1"
