"""axe finds nothing, on any page, at any width, in both themes; nothing scrolls sideways."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from e2e.conftest import OUTPUT, NewContext
from e2e.household import House, open_house
from e2e.pages import OverviewScreen, Screen
from e2e.pages.base import LONG, SOON
from e2e.server import Server
from tests.lab.lab import Lab

AXE = (Path(__file__).parent / "vendor/axe.min.js").read_text()
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (1440, 820, 390, 320)
EXTREMES = (1440, 320)  # for the same page in another language, whose structure was looked at everywhere
RUN = """async (rules) => (await axe.run(document, {resultTypes: ['violations'], ...rules})).violations.map(
  v => `${v.id}: ${v.help} ` + v.nodes.slice(0, 4).map(n => n.target.join(' ') + n.html.slice(0, 160)).join(' | '))"""
COLOUR = {"runOnly": ["color-contrast"]}  # all that depends on the theme
LAYOUT = {"runOnly": ["color-contrast", "target-size", "scrollable-region-focusable", "region", "label", "link-name"]}
MOVING = """document.getAnimations().filter(
  a => a.playState === 'running' && a.effect.getComputedTiming().duration > 20).length"""


def rules(width: int, theme: str) -> dict[str, Any]:
    """Every rule for tables (1440) and for records (390); between them only what another width can break."""
    return COLOUR if theme == "dark" else {} if width in (1440, 390) else LAYOUT


def audit(page: Page, what: str, widths: Sequence[int] = WIDTHS) -> list[str]:
    """What axe finds in both themes at every width, and what scrolls sideways."""
    found: list[str] = []
    page.evaluate(AXE)
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            found += [f"{what} {width} {theme}: {text}" for text in page.evaluate(RUN, rules(width, theme))]
        if (far := Screen(page).sideways()) > 0:
            found.append(f"{what} {width}: scrolls {far} px sideways")
    return found


def pictures(page: Page, name: str) -> None:
    """Screenshots for people, git-ignored; only when they are asked for."""
    if not os.environ.get("DOCKREV_WRITE_SCREENSHOTS"):
        return
    OUTPUT.mkdir(exist_ok=True)
    for width in (1440, 820, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            page.screenshot(path=OUTPUT / f"{name}-{width}-{theme}.png", full_page=True, animations="disabled")


@pytest.fixture(scope="module")
def rolled_back(lab: Lab, server: Server, samples: object) -> tuple[House, str]:
    """A service whose update was taken back, and the job."""
    made = lab.samples("boomerang")
    house = open_house(lab, server, "boomerang", made.good("1.4.0"), made.never_healthy("1.4.1"))
    job_id = house.update()
    assert server.finished(job_id)["status"] == "rolled_back"
    return house, job_id


@pytest.fixture
def quiet_page(new_context: NewContext) -> Iterator[Page]:
    """A page without motion."""
    yield new_context(reduced_motion="reduce", allow=("404",)).new_page()


def test_every_page(quiet_page: Page, server: Server, rolled_back: tuple[House, str]) -> None:
    house, job_id = rolled_back
    page, screen = quiet_page, Screen(quiet_page)
    addresses = {
        "overview": "/",
        "services": "/services",
        "stack": f"/stacks/{house.stack_id}",
        "service": house.address,
        "jobs": "/queue",
        "job": f"/queue/{job_id}",
        "inference": "/version-inference",
        "reference": "/reference",
        "reference of updates": "/reference/updates",
        "webhook secrets": "/settings/webhook-secrets",
        "home assistant": "/settings/home-assistant",
        "plan": f"/updates/new?scope=service&serviceId={house.service_id}",
        "error": "/nothing-here",
    }
    found: list[str] = []
    for name, address in addresses.items():
        screen.open(address)
        found += audit(page, name)
        pictures(page, name)
    assert not found, "\n".join(found)


def test_the_dialog_and_nothing_found(quiet_page: Page, server: Server, rolled_back: tuple[House, str]) -> None:
    overview = OverviewScreen(quiet_page)
    overview.open("/?q=nothing-is-called-so")
    found = audit(quiet_page, "nothing found")
    quiet_page.set_viewport_size({"width": 1440, "height": 900})
    overview.open("/")
    overview.open_dialog("boomerang")
    found += audit(quiet_page, "dialog")
    pictures(quiet_page, "dialog")
    quiet_page.keyboard.press("Escape")
    quiet_page.evaluate("document.querySelector('#main').append(document.createElement('input'))")
    assert any("label" in line for line in audit(quiet_page, "spoilt")), "axe does look"
    assert not found, "\n".join(found)


def test_empty_offline_and_refused(
    new_context: NewContext, start_server: Callable[..., Server], tmp_path: Path
) -> None:
    nowhere = start_server(DOCKER_HOST=f"unix://{tmp_path}/none.sock", DOCKREV_SANDBOX="1")
    page = new_context(base_url=nowhere.url, reduced_motion="reduce").new_page()
    found: list[str] = []
    for name, address in {"offline": "/", "offline-services": "/services", "no-jobs": "/queue"}.items():
        Screen(page).open(address)
        expect(page.locator("#banners .banner").first).to_be_visible(timeout=SOON)
        found += audit(page, name)
        pictures(page, name)
    locked = start_server(DOCKREV_AUTH_ALLOWED_USER="porter", DOCKREV_AUTH_ALLOW_ANONYMOUS_IN_DEV="off")
    page = new_context(base_url=locked.url, allow=("401",), reduced_motion="reduce").new_page()
    Screen(page).open("/")
    found += audit(page, "refused")
    pictures(page, "refused")
    assert not found, "\n".join(found)


def test_signing_in_where_a_proxy_may_say_who_it_is(
    new_context: NewContext, start_server: Callable[..., Server], tmp_path: Path
) -> None:
    """The page of passkeys with the table of what came by forward auth: nothing, and somebody else."""
    both = start_server(
        DOCKER_HOST=f"unix://{tmp_path}/none.sock", DOCKREV_PASSKEYS="on", DOCKREV_AUTH_ALLOWED_USER="porter"
    )
    found: list[str] = []
    for name, headers in {"sign-in-nobody": {}, "sign-in-another": {"X-Forwarded-User": "mallory"}}.items():
        context = new_context(
            base_url=f"http://localhost:{both.port}", extra_http_headers=headers, reduced_motion="reduce"
        )
        page = context.new_page()
        Screen(page).open("/login")
        expect(page.locator("#proxy")).to_contain_text("X-Forwarded-User")
        found += audit(page, name)
        pictures(page, name)
    headers = {"X-Forwarded-User": "porter"}
    context = new_context(base_url=both.url, extra_http_headers=headers, reduced_motion="reduce")
    page = context.new_page()
    Screen(page).open("/deploy-check")
    expect(page.locator("#passes")).to_contain_text("Passkeys at the supervisor")
    found += audit(page, "deploy check with passkeys")
    pictures(page, "deploy-check-passkeys")
    assert not found, "\n".join(found)


def test_a_running_update(quiet_page: Page, server: Server, lab: Lab) -> None:
    made = lab.samples("hourglass")
    house = open_house(lab, server, "hourglass", made.good("1.4.0"), made.slow_start("1.4.1", 12, start_period=30))
    job_id = house.update()
    Screen(quiet_page).open(f"/queue/{job_id}")
    expect(quiet_page.locator("#job-now .steps > li[data-s=run]")).to_contain_text("Health", timeout=LONG)
    moving = quiet_page.evaluate(MOVING)
    found = audit(quiet_page, "running job")
    pictures(quiet_page, "running")
    assert not found, "\n".join(found)
    assert moving == 0, "nothing moves for those who asked for it"
    server.finished(job_id)
