"""`docs/deploy` as somebody follows it: compose file, gateway, supervisor and socket proxy on a real engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.lab.debian_image import debian_image
from tests.lab.deployment import ALICE, DEPLOY, deployment
from tests.lab.lab import Lab
from tests.lab.registry import free_port
from tests.lab.stacks import Stack

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def deployed(lab: Lab, own: dict[str, str], port: int) -> Iterator[Stack]:
    with deployment(lab, own["0.1.0"], port) as stack:
        yield stack


@pytest.fixture
def browser(deployed: Stack, port: int) -> Iterator[httpx.Client]:
    """Somebody who signed in at the gateway."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
        client.headers["Authorization"] = ALICE
        yield client


def test_the_gateway_alone_says_who_somebody_is(browser: httpx.Client) -> None:
    assert browser.get("/").status_code in (200, 303)
    assert browser.get("/api/stacks").status_code == 200
    with httpx.Client(base_url=browser.base_url, trust_env=False, timeout=20) as stranger:
        forged = {"Remote-User": "alice", "Remote-Groups": "admins", "X-Forwarded-User": "alice"}
        for path in ("/", "/api/stacks", "/supervisor/", "/supervisor/self-upgrade"):
            assert stranger.get(path).status_code == 401
            assert stranger.get(path, headers=forged).status_code == 401
            assert stranger.get(path, headers={"Authorization": ALICE[:-6] + "AAAAAA"}).status_code == 401
        assert stranger.get("/api/health").text == "ok"
        assert stranger.get("/api/version").json()["version"] == "0.1.0"
        trigger = stranger.post(
            "/api/webhooks/trigger", json={}, headers={**forged, "Authorization": ALICE[:-6] + "AAAAAA"}
        )
        assert trigger.status_code == 401
        assert trigger.json()["error"]["code"], "Dockrev's own answer, not the gateway's"
        around = stranger.get("/api/webhooks/%2e%2e/stacks", headers=forged)
        assert around.status_code == 401


def test_the_supervisor_has_its_own_path(browser: httpx.Client) -> None:
    moved = browser.get("/supervisor", follow_redirects=False)
    assert moved.status_code == 301
    assert moved.headers["location"].endswith("/supervisor/")
    assert "text/html" in browser.get("/supervisor/", headers={"Accept": "text/html"}).headers["content-type"]
    assert browser.get("/supervisor/self-upgrade").json()["state"] == "idle"


def test_streams_come_at_once(browser: httpx.Client) -> None:
    for path in ("/api/jobs/events", "/events"):
        began = time.monotonic()
        with browser.stream("GET", path, headers={"Accept": "text/event-stream"}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream"), path
            first = next(answer.iter_bytes())
        assert first
        assert time.monotonic() - began < 5, path


def test_it_sees_its_own_stack_and_is_healthy(deployed: Stack, browser: httpx.Client, lab: Lab) -> None:
    deadline = time.monotonic() + 30
    while deployed.name not in {stack["name"] for stack in browser.get("/api/stacks").json()["stacks"]}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    report = json.loads(deployed.compose("exec", "-T", "dockrev", "dockrev", "doctor", "--json"))
    assert report["ok"], report
    found = {check["name"]: check for check in report["checks"]}
    assert found["files"]["status"] == "ok", found["files"]
    assert "tcp://docker-socket-proxy:2375" in found["engine"]["text"]
    for service in ("dockrev", "supervisor"):
        (container,) = deployed.container_ids(service)
        state = json.loads(lab.docker("inspect", container))[0]
        assert state["State"]["Health"]["Status"] == "healthy"
        assert state["HostConfig"]["ReadonlyRootfs"]
        assert state["Config"]["User"] == "1000:1000"


def test_the_gateway_finds_a_recreated_dockrev(deployed: Stack, browser: httpx.Client) -> None:
    (before,) = deployed.container_ids("dockrev")
    rule = {"scope": {"type": "service", "serviceId": "svc_1"}, "match": {"kind": "exact", "value": "1"}}
    made = browser.post("/api/ignores", json=rule).json()["ruleId"]
    deployed.compose("up", "--detach", "--force-recreate", "--no-deps", "--wait", "dockrev")
    (after,) = deployed.container_ids("dockrev")
    assert after != before
    deadline = time.monotonic() + 10
    while browser.get("/api/health").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert made in [found["id"] for found in browser.get("/api/ignores").json()["rules"]]


def test_everything_stops_within_five_seconds(deployed: Stack) -> None:
    began = time.monotonic()
    deployed.compose("stop", "dockrev", "supervisor")
    assert time.monotonic() - began < 5
    deployed.up(wait=True)


# -- the pieces, each with the program that reads it ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "more"),
    [
        ("", {}),
        ("compose.caddy.yaml", {"DOMAIN": "dockrev.example.org"}),
        ("compose.traefik.yaml", {"DOMAIN": "dockrev.example.org", "TRAEFIK_ADDRESS": "172.20.0.2"}),
        (
            "compose.traefik.yaml compose.authentik.yaml",
            {"DOMAIN": "dockrev.example.org", "TRAEFIK_ADDRESS": "172.20.0.2"},
        ),
        ("compose.tailscale.yaml", {}),
        ("compose.passkeys.yaml", {"DOMAIN": "dockrev.example.org"}),
    ],
)
def test_compose_accepts_each_file(lab: Lab, override: str, more: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    files = [part for name in ("compose.yaml", *override.split()) for part in ("-f", name)]
    command = [str(lab.compose_bin), *files, "config", "--format", "json"]
    folder = tmp_path / "deploy"
    shutil.copy(folder / ".env.example", folder / ".env")
    done = subprocess.run(
        command, cwd=folder, env={**lab.env(), **more}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "not set" not in done.stderr, done.stderr
    services = json.loads(done.stdout)["services"]
    assert {"dockrev", "supervisor", "docker-socket-proxy"} <= set(services)
    for name in ("dockrev", "supervisor"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert not [volume for volume in services[name]["volumes"] if "docker.sock" in volume["source"]]
    published = {name: service.get("ports") for name, service in services.items() if service.get("ports")}
    assert "docker-socket-proxy" not in published
    assert set(services["docker-socket-proxy"]["networks"]) == {"engine"}


@pytest.mark.parametrize("name", ["gateway.conf", "nginx-authelia.conf"])
def test_nginx_accepts_its_files(lab: Lab, name: str) -> None:
    mounts = ("--volume", f"{DEPLOY / name}:/etc/nginx/conf.d/default.conf:ro")
    said = lab.docker("run", "--rm", *mounts, "--entrypoint", "sh", debian_image(lab), "-c", "nginx -t 2>&1")
    assert "test is successful" in said


@pytest.mark.parametrize("name", ["Caddyfile", "Caddyfile.passkeys"])
def test_caddy_accepts_its_files(lab: Lab, name: str) -> None:
    command = ("caddy", "validate", "--adapter", "caddyfile", "--config", "/Caddyfile")
    said = lab.docker("run", "--rm", "--volume", f"{DEPLOY / name}:/Caddyfile:ro", debian_image(lab), *command)
    assert "Valid configuration" in said


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")  # the units are read by nothing else
    for unit in ("dockrev.service", "dockrev-supervisor.service"):
        text = (DEPLOY / unit).read_text(encoding="utf-8")
        (tmp_path / unit).write_text(text.replace("/opt/dockrev/.venv/bin/dockrev", "/bin/true"))
        done = subprocess.run([program, "verify", str(tmp_path / unit)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_names_the_groups_that_the_compose_file_allows() -> None:
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    compose = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    allowed = set(re.findall(r"^      ([A-Z]+): 1$", compose, re.MULTILINE))
    assert set(re.findall(r"^\| `([A-Z]+)` \| ", readme, re.MULTILINE)) == allowed
    for name in set(re.findall(r"`([a-zA-Z.-]+\.(?:yaml|conf|service))`|`(Caddyfile)`", readme)):
        assert (DEPLOY / "".join(name)).exists(), name
