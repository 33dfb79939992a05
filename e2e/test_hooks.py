"""GitHub publishes an image: from an empty page to a check of exactly the service that runs it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.features.hooks.rules.delivery import sign
from e2e.conftest import NewContext
from e2e.pages.base import LONG, SOON, Screen
from e2e.server import Server
from e2e.test_a11y import audit, pictures
from tests.fakes.github import TOKEN, FakeGitHub
from tests.lab.lab import Lab

HERE = "/settings/ghcr-webhooks"
CALLBACK = "https://dockrev.example/api/webhooks/github-packages"
YAML = """\
name: {name}
services:
  press:
    image: ghcr.io/acme/press:1
    pull_policy: never
"""


@dataclass
class Hub:
    """A server that takes a fake for GitHub, and a stack with an image of ghcr.io."""

    github: FakeGitHub
    server: Server
    service_id: str

    def deliver(self, delivery: str, full_name: str = "acme/press") -> Any:
        """What GitHub sends when an image was published, signed with the secret that its webhook was given."""
        secret = self.github.hooks["acme/press"][0]["config"]["secret"]
        body = json.dumps({"action": "published", "repository": {"full_name": full_name}}).encode()
        headers = {
            "X-GitHub-Delivery": delivery,
            "X-GitHub-Event": "package",
            "X-Hub-Signature-256": sign(secret, body),
            "Content-Type": "application/json",
        }
        request = urllib.request.Request(
            f"{self.server.url}/api/webhooks/github-packages", method="POST", data=body, headers=headers
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def hub(lab: Lab, start_server: Callable[..., Server]) -> Iterator[Hub]:
    made = lab.samples("press")
    lab.registry.publish("homelab/press", ["1"], made.good("1.4.0"))
    ref = lab.registry.ref("homelab/press", "1")
    lab.docker("pull", ref)
    lab.docker("tag", ref, "ghcr.io/acme/press:1")
    stack = lab.stack("press", "")
    stack.write(YAML.format(name=stack.name))
    stack.up()
    with FakeGitHub() as github:
        github.orgs["acme"] = ["press", "docs", "tools"]
        server = start_server(DOCKREV_GITHUB_API_URL=github.url)
        yield Hub(github, server, server.services(stack.name)["press"]["id"])


def test_from_an_empty_page_to_a_check(new_context: NewContext, hub: Hub) -> None:
    page = new_context(base_url=hub.server.url, allow=("400",)).new_page()
    screen = Screen(page)
    screen.open(HERE)
    screen.says("GitHub does not tell of new images yet")

    connection = page.locator("#settings form")
    connection.get_by_label("Listen to GitHub").check()
    connection.get_by_label("Callback URL").fill("https://")
    connection.get_by_label("Token").fill(TOKEN)
    connection.evaluate("form => form.noValidate = true")
    screen.button("Save").click()
    expect(page.locator("#g-url-error, #toasts .toast").first).to_contain_text("callbackUrl", timeout=SOON)
    connection.get_by_label("Callback URL").fill(CALLBACK)
    screen.button("Save").click()
    screen.says("No repository is selected yet")
    # The mask stands in the field's hint, never in its value: what is sent back unchanged keeps the token (spec §3.7).
    # The field is empty and only hints that a secret is kept: the attribute of HTML that does so has this name.
    expect(connection.get_by_label("Token")).to_have_attribute("placeholder", "******")

    page.locator("#targets input[name=input]").fill("https://github.com/acme")
    page.locator("#targets").get_by_role("button", name="Find").click()
    screen.says("acme has 3 repositories")
    expect(page.get_by_role("row", name="acme/press").get_by_role("checkbox")).to_be_checked()
    page.get_by_role("row", name="acme/press").get_by_text("Yes").wait_for()
    screen.button("Add what is ticked").click()
    screen.says("GitHub tells of new images of 1 repository")
    expect(page.locator("#repo-rows")).to_contain_text("In place", timeout=LONG)

    screen.open("/queue/ghcr-webhook-inbox")
    screen.says("GitHub has not called yet")
    screen.mark()
    told = hub.deliver("e2e-1")
    assert told["matchedServiceIds"] == [hub.service_id] and told["jobId"].startswith("chk_")
    screen.says("GitHub called 1 time")
    assert screen.was_not_reloaded(), "the page hears of it by itself"
    row = page.get_by_role("row", name="acme/press")
    expect(row).to_contain_text("Acted on")
    assert hub.deliver("e2e-1")["reason"] == "duplicate_delivery"
    expect(row).to_contain_text("Came 2 times", timeout=SOON)
    row.get_by_role("link").first.click()
    expect(page).to_have_url(f"{hub.server.url}/queue/{told['jobId']}")
    job = hub.server.finished(told["jobId"])
    assert (job["type"], job["serviceId"], job["createdBy"]) == ("check", hub.service_id, "github")
    assert job["summary"]["audit"]["deliveryId"] == "e2e-1"


@pytest.fixture
def connected(hub: Hub) -> Hub:
    """A webhook in place, another in conflict, and deliveries of each kind."""
    body = {
        "enabled": True,
        "callbackUrl": CALLBACK,
        "pat": TOKEN,
        "repos": [{"fullName": f"acme/{name}", "selected": name != "docs"} for name in ("press", "tools", "docs")],
    }
    hub.server.call("PUT", "/api/github-packages/settings", body)
    while len(hub.github.hooks.get("acme/tools", [])) < 2:
        hub.github.add_hook("acme/tools", CALLBACK + "/" * len(hub.github.hooks.get("acme/tools", [])))
    hub.server.finished(hub.server.call("POST", "/api/github-packages/webhook/sync-all")["jobId"])
    hub.deliver("e2e-2")
    hub.deliver("e2e-3", "acme/docs")
    return hub


def test_every_page_is_accessible(new_context: NewContext, connected: Hub) -> None:
    page = new_context(base_url=connected.server.url, reduced_motion="reduce").new_page()
    addresses = {
        "github": HERE,
        "github-add": f"{HERE}/add?input=acme",
        "github-conflict": f"{HERE}/conflict/acme/tools",
        "github-jobs": "/queue/ghcr-webhooks",
        "github-inbox": "/queue/ghcr-webhook-inbox",
    }
    found: list[str] = []
    for name, address in addresses.items():
        Screen(page).open(address)
        found += audit(page, name)
        pictures(page, name)
    assert not found, "\n".join(found)


@pytest.fixture
def plain(new_context: NewContext, connected: Hub) -> Page:
    """A page that runs no scripts."""
    return new_context(base_url=connected.server.url, java_script_enabled=False).new_page()


def test_a_conflict_without_javascript(plain: Page, connected: Hub) -> None:
    screen = Screen(plain)
    screen.open(HERE)
    screen.says("1 webhook needs you")
    plain.get_by_role("link", name="Choose the webhook of acme/tools").click()
    screen.says("2 webhooks call this Dockrev")
    keep = connected.github.hooks["acme/tools"][1]["id"]
    plain.get_by_role("radio", name=str(keep)).check()
    screen.button("Keep this one, remove the other").click()
    expect(plain).to_have_url(f"{connected.server.url}{HERE}")
    job = connected.server.call("GET", "/api/github-packages/repos?q=acme/tools")["repos"][0]["webhookJobId"]
    assert connected.server.finished(job)["status"] == "success"
    assert [hook["id"] for hook in connected.github.hooks["acme/tools"]] == [keep]
    plain.reload()
    screen.says("GitHub tells of new images of 2 repositories")
    plain.get_by_role("button", name="Deselect acme/tools").click()
    expect(plain.get_by_role("row", name="acme/tools")).to_contain_text("not selected")
