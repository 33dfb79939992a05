"""Dockrev as an app: one stream for all tabs, a page for when it cannot be reached, a badge, a renewed worker."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from e2e.conftest import NewContext
from e2e.pages import OverviewScreen
from e2e.pages.base import SOON, Screen
from e2e.server import Server

OFF_LINE = ("net::ERR", "Failed to load resource", "htmx:sendError", "htmx:afterRequest")


@pytest.fixture(scope="module")
def home(start_server: Callable[..., Server], samples: object) -> Server:
    """A server of this module, whose streams nobody else opens; everything is checked."""
    own = start_server()
    own.stacks(4)
    own.finished(own.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
    return own


def streams(server: Server) -> int:
    """How many browsers' streams the server serves."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.search(r'^dockrev_event_clients\{stream="page"\} (\d+)', text, re.MULTILINE)
    return int(found[1]) if found else 0


def settles(server: Server, wanted: int, seconds: float = 15) -> int:
    """The number of streams, once it is `wanted` or time is up."""
    end = time.monotonic() + seconds
    while (now := streams(server)) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    return now


def test_one_stream_for_all_tabs(new_context: NewContext, home: Server) -> None:
    context = new_context(base_url=home.url)
    tabs = [OverviewScreen(context.new_page()) for _ in range(2)]
    detail = Screen(context.new_page())
    service = home.services("photos")["lightbox"]
    for tab in tabs:
        tab.open("/")
        tab.mark()
    detail.open(f"/services/{service['stackId']}/{service['id']}")
    detail.mark()
    assert settles(home, 1) == 1
    more = [context.new_page() for _ in range(5)]
    for page in more:
        page.goto("/services")  # an eighth connection would never come about over HTTP/1.1
    assert settles(home, 1) == 1
    for page in more:
        page.close()

    job = home.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"]
    for tab in tabs:
        expect(tab.page.locator(f"#recent a[href='/queue/{job}']")).not_to_have_count(0, timeout=SOON)
    tabs[0].page.close()  # the one that opened the stream
    home.finished(job)
    other = home.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"]
    expect(tabs[1].page.locator(f"#recent a[href='/queue/{other}']")).not_to_have_count(0, timeout=SOON)
    assert tabs[1].was_not_reloaded() and detail.was_not_reloaded()
    assert settles(home, 1) == 1
    tabs[1].page.close()
    detail.page.close()
    assert settles(home, 0) == 0
