"""`compose.passkeys.yaml` as somebody follows it: signed in at Dockrev, let in at its supervisor, no header counts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.fakes.authenticator import Authenticator
from tests.lab.deployment import DEPLOY, deployment
from tests.lab.lab import Lab
from tests.lab.registry import free_port
from tests.lab.stacks import Stack

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

DOMAIN = "dockrev.example.org"
FORGED = {"Remote-User": "alice", "Remote-Groups": "admins", "X-Forwarded-User": "alice"}
# Caddy without certificates; TLS is before it.
_LAB = """
services:
  gateway:
    command: [caddy, run, --adapter, caddyfile, --config, /etc/caddy/Caddyfile]
    environment: {DOMAIN: "http://:8080"}
    ports: !override ["${LISTEN}:8080"]
"""


class Browser:
    """Keeps cookies of https although the lab's gateway speaks http."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Host": DOMAIN, "Accept": "application/json", **({"Cookie": kept} if kept else {})}
        answer = self.http.request(method, path, headers=headers, **more)  # type: ignore[arg-type]
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        return answer

    def form(self, path: str, **fields: str) -> httpx.Response:
        return self.ask("POST", path, data={"csrf": self.cookies["dockrev_csrf"], **fields})


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def deployed(lab: Lab, own: dict[str, str], port: int) -> Iterator[Stack]:
    files = ("compose.passkeys.yaml", "Caddyfile.passkeys")
    more = {name: (DEPLOY / name).read_text(encoding="utf-8") for name in files} | {"lab.yaml": _LAB}
    used = "compose.yaml:compose.passkeys.yaml:compose.override.yaml:lab.yaml"
    variables = {"DOMAIN": DOMAIN, "STEP_UP": "on", "ALLOWED_USER": "", "COMPOSE_FILE": used}
    with deployment(lab, own["0.1.0"], port, variables, more) as stack:
        yield stack


@pytest.fixture
def client(port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as made:
        yield made


def test_a_passkey_opens_dockrev_and_its_supervisor(deployed: Stack, client: httpx.Client) -> None:
    for path in ("/api/stacks", "/supervisor/", "/supervisor/self-upgrade"):
        for headers in ({}, FORGED):
            assert client.get(path, headers={"Host": DOMAIN, **headers}).status_code == 401, path
    code = json.loads(deployed.compose("exec", "-T", "dockrev", "dockrev", "passkeys", "code", "--json"))["code"]
    browser, device = Browser(client), Authenticator(f"https://{DOMAIN}")
    page = client.get("/login", headers={"Host": DOMAIN, "Accept": "text/html"})
    browser.cookies["dockrev_csrf"] = page.cookies["dockrev_csrf"]
    options = browser.form("/login/enrol/options", code=code)
    assert options.status_code == 200, options.text
    enrolled = browser.form("/login/enrol", credential=json.dumps(device.create(options.json())), name="phone")
    assert enrolled.status_code == 200, enrolled.text
    assert browser.ask("GET", "/supervisor/self-upgrade").json()["error"]["details"]["pass"] == "missing"

    led = browser.ask("GET", "/self-upgrade/open")
    assert (led.status_code, led.headers["location"]) == (303, "/supervisor/")
    assert "__Secure-dockrev_pass" in browser.cookies
    assert browser.ask("GET", "/supervisor/self-upgrade").json()["state"] == "idle"
    report = json.loads(deployed.compose("exec", "-T", "dockrev", "dockrev", "doctor", "--json", "--only", "passes"))
    [found] = report["checks"]
    assert found["status"] == "ok" and "shared with the supervisor" in found["text"], found
    assert re.search("both read the key [0-9a-f]{8}$", found["text"]), "the supervisor was asked"

    deployed.compose("stop", "dockrev")
    assert browser.ask("GET", "/supervisor/self-upgrade").json()["state"] == "idle", "while Dockrev is away"
    deployed.up(wait=True)
    browser.form("/logout")
    assert browser.ask("GET", "/supervisor/self-upgrade").status_code == 401


def test_the_supervisor_cannot_write_the_key(deployed: Stack, lab: Lab) -> None:
    for service, may in (("dockrev", True), ("supervisor", False)):
        (container,) = deployed.container_ids(service)
        [mount] = [
            mount
            for mount in json.loads(lab.docker("inspect", container))[0]["Mounts"]
            if mount["Destination"] == "/data/passes"
        ]
        assert mount["RW"] is may
