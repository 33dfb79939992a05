"""The two minutes on a phone, from the push to the end: it arrives, is opened, says why, is updated, settles."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from e2e.conftest import NewContext
from e2e.household import House
from e2e.pages import JobScreen, ServiceScreen
from e2e.pages.base import SOON
from e2e.server import Server
from e2e.test_notifications import CLICK, FAKE_PUSH, HERE, NOTIFICATIONS, NotificationsScreen, _worker
from tests.lab.lab import Lab
from tests.unit.notifications.ends import HttpEnd, Phone

YAML = """\
name: {name}
services:
  satchel:
    image: {image}
    restart: unless-stopped
"""


def pushed(phone: Phone, about: str, seconds: float = 60) -> dict[str, Any]:
    """The newest push whose words hold this, decrypted as the phone would."""
    end = time.monotonic() + seconds
    while True:
        read = [phone.read(each) for each in phone.pushes()]
        if found := [each for each in read if about in json.dumps(each)]:
            return found[-1]
        assert time.monotonic() < end, f"no push about {about}, only {read}"
        time.sleep(0.2)


def test_from_the_push_to_its_end(new_context: NewContext, start_server: Callable[..., Server], lab: Lab) -> None:
    samples = lab.samples("satchel")
    lab.registry.publish("homelab/satchel", ["1.4.0", "1.4"], samples.good("1.4.0"))
    stack = lab.stack("satchel", "")
    stack.write(YAML.format(name=stack.name, image=lab.registry.ref("homelab/satchel", "1.4")))
    stack.up()
    with HttpEnd(default=(201, b"")) as push_service:
        server = start_server(DOCKREV_PUSH_ALLOWED_ORIGINS=push_service.url)
        known = server.services(stack.name)["satchel"]
        house = House(lab, server, stack, "satchel", known["stackId"], known["id"])
        server.finished(server.call("POST", "/api/checks", {"scope": "all", "reason": "ui"})["checkId"])

        # the phone wants pushes
        context = new_context(
            base_url=server.url, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True,
            device_scale_factor=2, permissions=["notifications"],
        )  # fmt: skip
        page, phone = context.new_page(), Phone(push_service)
        page.add_init_script(f"({FAKE_PUSH})({json.dumps(phone.subscription)})")
        settings = NotificationsScreen(page)
        with context.expect_event("serviceworker") as arrived:
            settings.open(HERE)
        settings.button("Make keys").tap()
        expect(page.locator("#this-browser")).not_to_have_attribute("data-key", "", timeout=SOON)
        page.reload()
        settings.button("Subscribe this browser").tap()
        expect(page.locator("[data-push=state]")).to_have_text("This browser gets pushes.", timeout=SOON)
        page.get_by_label("Push to devices").check()
        settings.save("webPush")

        # a new version comes out, the schedule's check finds it, and the phone is told
        lab.registry.publish("homelab/satchel", ["1.4.1", "1.4"], samples.good("1.4.1"))
        check = server.call("POST", "/api/checks", {"scope": "all", "reason": "schedule"})["checkId"]
        assert server.finished(check)["status"] == "success"
        push = pushed(phone, "satchel")
        waiting = push["updatesWaiting"]  # of other journeys, too
        assert waiting >= 1
        cdp, registration = _worker(page)
        delivered = {"origin": server.url, "registrationId": registration, "data": json.dumps(push)}
        cdp.send("ServiceWorker.deliverPushMessage", delivered)
        end = time.monotonic() + 30
        while not (shown := page.evaluate(NOTIFICATIONS)) and time.monotonic() < end:
            page.wait_for_timeout(100)
        [notification] = shown
        assert notification["title"] == push["title"] and "satchel" in notification["title"] + notification["body"]

        # opened by a tap on it; a browser under test lets no worker open a window, so the address it wants is opened
        done, left = arrived.value.evaluate(CLICK, {"url": notification["url"], "open": []})
        assert left == 0 and done.startswith("open ")
        page.goto(done.removeprefix("open "))
        assert page.url == server.url + house.address

        # looked at: what runs, what would come, and how both are known
        service, job = ServiceScreen(page), JobScreen(page)
        service.says("satchel")
        expect(service.state).to_contain_text("Updatable", timeout=SOON)
        expect(service.update).to_contain_text("1.4.1")
        evidence = service.update.locator(".cols > div").filter(has=page.get_by_role("heading", name="Evidence"))
        detail = server.call("GET", f"/api/stacks/{house.stack_id}")["stack"]["services"][0]
        expect(evidence).to_contain_text(str(detail["candidate"]["digest"]).removeprefix("sha256:")[:12])
        expect(evidence).to_contain_text(re.compile("Running"))
        expect(service.update.get_by_role("heading", name="What will happen")).to_be_visible()
        assert service.sideways() == 0
        before = house.container()

        # updated, and watched until it settles
        service.confirm.fill("1.4.1")
        service.apply.tap()
        job_id = job.arrived()
        job.ends("settled")
        assert job.sideways() == 0
        assert house.version() == "1.4.1" and house.running() and house.container() != before
        assert server.finished(job_id)["status"] == "success"
        told = pushed(phone, job_id)
        assert told["updatesWaiting"] == waiting - 1, "the badge of the app tells one less, too"
        expect(job.pill).to_have_count(0, timeout=SOON)
