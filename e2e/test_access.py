"""Who may come in: the 401 page, and the warning where everybody may."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from e2e.conftest import NewContext
from e2e.pages import Screen
from e2e.server import Server
from e2e.test_a11y import audit


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


PERSON = {"Remote-User": "mira", "Remote-Groups": "users,admins", "Remote-Name": "Mira Lind", "Remote-Email": "m@x.org"}


def test_a_name_and_a_way_out(new_context: NewContext, start_server: Callable[..., Server]) -> None:
    own = start_server(
        DOCKREV_AUTH_PRESET="authelia", DOCKREV_AUTH_ALLOWED_GROUP="admins", DOCKREV_AUTH_LOGOUT_URL="/bye?from=dockrev"
    )
    screen = Screen(new_context(base_url=own.url, extra_http_headers=PERSON, reduced_motion="reduce").new_page())
    screen.open("/settings")
    bar = screen.page.get_by_role("banner")
    expect(bar.locator("span.user")).to_have_text("Mira Lind")
    expect(bar.get_by_role("link", name="Sign out")).to_have_attribute("href", "/bye?from=dockrev")
    expect(screen.page.locator("#access")).to_contain_text("Mira Lind, mira, m@x.org")
    assert not audit(screen.page, "settings with a person")
    screen.page.set_viewport_size({"width": 390, "height": 800})
    screen.open("/settings")
    expect(bar.get_by_role("link", name="Sign out")).to_be_hidden()
    expect(screen.page.locator("#access").get_by_role("link", name="Sign out")).to_be_visible()


def test_headers_from_the_wrong_address_are_shown_where_one_looks(
    new_context: NewContext, start_server: Callable[..., Server]
) -> None:
    own = start_server(
        DOCKREV_AUTH_PRESET="authelia",
        DOCKREV_AUTH_ALLOWED_GROUP="admins",
        DOCKREV_TRUSTED_PROXIES="192.0.2.1",  # the proxy has moved since
    )
    context = new_context(allow=("401",), base_url=own.url, extra_http_headers=PERSON, reduced_motion="reduce")
    screen = Screen(context.new_page())
    screen.open("/")
    screen.says("Dockrev does not know who you are")
    expect(screen.page.locator("main")).to_contain_text(
        "Identity headers came from 127.0.0.1, which is not in DOCKREV_TRUSTED_PROXIES: ignored."
    )
    assert "mira" not in screen.page.content().lower()
    assert not audit(screen.page, "refused sender")
