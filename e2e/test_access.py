"""Who may come in: the 401 page, and the warning where everybody may."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from e2e.conftest import NewContext
from e2e.pages import Screen
from e2e.server import Server


def test_strangers_see_the_remedy_and_nothing_else(
    new_context: NewContext, start_server: Callable[..., Server]
) -> None:
    own = start_server(DOCKREV_AUTH_ALLOWED_USER="porter", DOCKREV_AUTH_ALLOW_ANONYMOUS_IN_DEV="off")
    stranger = Screen(new_context(allow=("401",), base_url=own.url).new_page())
    answer = stranger.page.goto("/services")
    assert answer is not None and answer.status == 401
    stranger.says("Dockrev does not know who you are")
    expect(stranger.page.get_by_text("X-Forwarded-User").first).to_be_visible()
    expect(stranger.page.get_by_role("heading", name="Traefik and Authelia")).to_be_visible()
    expect(stranger.page.get_by_label("Main")).to_have_count(0)
    assert "porter" not in stranger.page.content(), "the name that is let in is not given away"
    background = stranger.page.evaluate("getComputedStyle(document.querySelector('.code pre')).fontFamily")
    assert "mono" in background, "styles are served to strangers too"

    other = Screen(
        new_context(allow=("401",), base_url=own.url, extra_http_headers={"X-Forwarded-User": "mallory"}).new_page()
    )
    other.open("/")
    other.says("You are not on the list")
    porter = Screen(new_context(base_url=own.url, extra_http_headers={"X-Forwarded-User": "porter"}).new_page())
    porter.open("/")
    expect(porter.page.locator(".top .user")).to_have_text("porter")
    expect(porter.banners.filter(has_text="Open to anyone")).to_have_count(0)


def test_an_open_door_is_announced_on_every_page(new_context: NewContext, start_server: Callable[..., Server]) -> None:
    own = start_server(DOCKREV_AUTH_ALLOW_ANONYMOUS_IN_DEV="true")
    screen = Screen(new_context(allow=("404",), base_url=own.url).new_page())
    for address in ("/", "/services", "/queue", "/version-inference", "/nothing-here"):
        screen.open(address)
        expect(screen.banners.filter(has_text="Open to anyone")).to_be_visible()
