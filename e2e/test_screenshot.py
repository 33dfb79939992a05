"""The picture in the README: what an owner sees when there is something to decide and something moves."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from e2e.conftest import NewContext
from e2e.pages import OverviewScreen
from e2e.pages.base import LONG
from e2e.server import Server
from tests.lab.lab import Lab
from tests.lab.sample_stacks import bring_up_samples

PICTURE = Path(__file__).resolve().parent.parent / "docs/screenshot.png"
LARGEST = 300_000


# It writes into docs/, and a test run must leave a checkout as it was.
@pytest.mark.skipif(
    not os.environ.get("DOCKREV_WRITE_SCREENSHOT"), reason="DOCKREV_WRITE_SCREENSHOT=1 renews the README's picture"
)
def test_picture_for_the_readme(new_context: NewContext, start_server: Callable[..., Server]) -> None:
    with Lab() as lab:
        bring_up_samples(lab)
        big = lab.samples("paperboy").big("1.4.3", layers=24, megabytes=12)  # long enough to be seen
        lab.registry.publish("daily/paperboy", ["1.4.3", "1.4"], big)
        own = start_server(**lab.env())
        try:
            page = new_context(
                base_url=own.url, color_scheme="light", viewport={"width": 1440, "height": 1010}
            ).new_page()
            overview = OverviewScreen(page)
            own.stacks(4)
            own.finished(own.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])
            _roll_back_lightbox(own)
            overview.open("/")
            expect(overview.row("paperboy")).to_contain_text("1.4.3", timeout=LONG)
            expect(overview.row("larder")).to_contain_text("0.10.0", timeout=LONG)
            overview.open_dialog("paperboy").get_by_role("button", name="Update paperboy").click()
            page.wait_for_url("**/queue/job_*")
            overview.open("/")
            expect(page.locator("#running .steps > li[data-s=run]").last).to_contain_text(" MB of ", timeout=LONG)
            page.screenshot(path=PICTURE, animations="disabled")
            page.context.close()
        finally:
            own.stop()
    assert PICTURE.stat().st_size < LARGEST


def _roll_back_lightbox(server: Server) -> None:
    service = server.services("photos")["lightbox"]
    candidate = service["candidate"]
    body = {
        "scope": "service",
        "serviceId": service["id"],
        "targetTag": candidate["tag"],
        "targetDigest": candidate["digest"],
        "pullTags": [],
        "mode": "apply",
        "reason": "ui",
    }
    server.finished(server.call("POST", "/api/updates", body)["jobId"])
