"""The gateways of `docs/deploy` that ask an identity provider, run for real: who says what reaches Dockrev.

Behind them is an echo of the headers that arrive; the identity provider is a small endpoint that answers as Authelia.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.web.presets import PRESETS
from app.settings import load_access
from tests.lab.debian_image import debian_image
from tests.lab.deployment import DEPLOY
from tests.lab.lab import Lab
from tests.lab.registry import free_port

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300), pytest.mark.usefixtures("debian")]

_SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
name, port = sys.argv[1], int(sys.argv[2])
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if name == "authelia":  # a session is known, "bypass" is nobody and may pass, others are sent away
            cookie = self.headers.get("Cookie", "")
            known = "session=alice" in cookie
            self.send_response(200 if known or "bypass" in cookie else 401)
            if known:
                self.send_header("Remote-User", "alice")
                self.send_header("Remote-Groups", "admins,users")
            body = b""
        else:
            self.send_response(200)
            body = json.dumps({"server": name, "path": self.path, "headers": self.headers.items()}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
ThreadingHTTPServer(("0.0.0.0", port), Handler).serve_forever()
"""
_BEHIND = {"authelia": 9091, "dockrev": 50883, "supervisor": 50884}


class Gateway:
    """What answers at the gateway, seen by a client with these headers."""

    def __init__(self, port: int) -> None:
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers={name.replace("_", "-"): text for name, text in headers.items()})

    def seen(self, path: str, **headers: str) -> tuple[str, dict[str, list[str]]]:
        """Which server was asked, and the headers it saw."""
        answer = self.get(path, **headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, list[str]] = {}
        for name, text in answer.json()["headers"]:
            found.setdefault(name.lower(), []).append(text)
        return answer.json()["server"], found


@contextmanager
def running(lab: Lab, *arguments: str, command: tuple[str, ...], inside: int) -> Iterator[Gateway]:
    network, port = f"gate-{secrets.token_hex(3)}", free_port()
    started: list[str] = []
    script = lab.folder / "behind.py"
    script.write_text(_SERVER)
    lab.docker("network", "create", network)
    try:
        for name, own_port in _BEHIND.items():
            mount = ("--volume", f"{script}:/behind.py:ro", "--network", network, "--network-alias", name)
            program = (debian_image(lab), "python3", "/behind.py", name, str(own_port))
            started.append(lab.docker("run", "--detach", *mount, *program).strip())
        published = ("--publish", f"127.0.0.1:{port}:{inside}", "--network", network)
        started.append(lab.docker("run", "--detach", *published, *arguments, debian_image(lab), *command).strip())
        gateway = Gateway(port)
        deadline = time.monotonic() + 20
        while True:
            try:
                if gateway.get("/api/health").status_code == 200:
                    break
            except httpx.TransportError:
                pass  # not up yet
            assert time.monotonic() < deadline, lab.docker("logs", started[-1])
            time.sleep(0.1)
        yield gateway
        gateway.http.close()
    finally:
        lab.docker("rm", "--force", *started, check=False)
        lab.docker("network", "rm", network, check=False)


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def gateway(lab: Lab, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    if request.param == "nginx":
        conf = f"{DEPLOY / 'nginx-authelia.conf'}:/etc/nginx/conf.d/default.conf:ro"
        with running(lab, "--volume", conf, command=("nginx", "-g", "daemon off;"), inside=8080) as found:
            yield found
        return
    # as it is, only without a certificate
    file = folder / "Caddyfile"
    file.write_text((DEPLOY / "Caddyfile").read_text(encoding="utf-8"))
    mount = ("--volume", f"{file}:/Caddyfile:ro", "--env", "DOMAIN=http://:8080")
    command = ("caddy", "run", "--adapter", "caddyfile", "--config", "/Caddyfile")
    with running(lab, *mount, command=command, inside=8080) as found:
        yield found


# Debian's Caddy 2.6 puts the words of its own configuration where the provider names nobody; nobody is called that.
NOBODY = {"", "{http.reverse_proxy.header.Remote-User}", "{http.reverse_proxy.header.Remote-Groups}"}


def named(headers: dict[str, list[str]]) -> set[str]:
    """All that stands in the identity headers."""
    return {text for name in ("remote-user", "remote-groups") for text in headers.get(name, [])}


FORGED = {"Remote_User": "root", "Remote_Groups": "admins"}


@pytest.mark.parametrize(("path", "server"), [("/services", "dockrev"), ("/supervisor/self-upgrade", "supervisor")])
def test_who_is_signed_in_is_named_by_the_provider_alone(gateway: Gateway, path: str, server: str) -> None:
    for forged in ({}, FORGED):
        asked, headers = gateway.seen(path, Cookie="session=alice", **forged)
        assert asked == server
        assert headers["remote-user"] == ["alice"]
        assert headers["remote-groups"] == ["admins,users"]


@pytest.mark.parametrize("path", ["/services", "/supervisor/", "/api/stacks"])
def test_who_is_not_has_no_name(gateway: Gateway, path: str) -> None:
    assert gateway.get(path, **FORGED).status_code == 401
    _, headers = gateway.seen(path, Cookie="bypass", **FORGED)
    assert named(headers) <= NOBODY


@pytest.mark.parametrize("path", ["/api/health", "/api/version", "/api/webhooks/trigger"])
def test_what_needs_no_name_gets_none(gateway: Gateway, path: str) -> None:
    asked, headers = gateway.seen(path, Cookie="session=alice", **FORGED)
    assert asked == "dockrev"
    assert named(headers) <= NOBODY
    assert gateway.get("/api/webhooks/../stacks", **FORGED).status_code == 401
    around = gateway.get("/api/webhooks/%2e%2e/stacks", **FORGED)
    assert around.status_code == 401 or named(gateway.seen("/api/webhooks/%2e%2e/stacks", **FORGED)[1]) <= NOBODY


def test_the_supervisor_without_its_slash(gateway: Gateway) -> None:
    moved = gateway.get("/supervisor", Cookie="session=alice")
    assert moved.status_code == 301
    assert moved.headers["location"].endswith("/supervisor/")


# ---- Traefik: the program is not to be had here, so its labels are read as Compose makes them and held against presets


def traefik(lab: Lab, folder: Path, *overrides: str) -> dict[str, Any]:
    """Services of the deployment behind Traefik, as Compose understands the files of docs/deploy."""
    for file in DEPLOY.glob("compose*.yaml"):
        (folder / file.name).write_text(file.read_text(encoding="utf-8"))
    files = [part for name in ("compose.yaml", "compose.traefik.yaml", *overrides) for part in ("-f", name)]
    more = {"DOMAIN": "dockrev.example.org", "TRAEFIK_ADDRESS": "172.20.0.2", "STACKS": "/opt/stacks"}
    done = subprocess.run(
        [str(lab.compose_bin), *files, "config", "--format", "json"],
        cwd=folder, env={**lab.env(), **more, "ALLOWED_GROUP": "admins"}, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


@pytest.mark.parametrize("overrides", [(), ("compose.authentik.yaml",)], ids=["authelia", "authentik"])
def test_traefik_sets_and_takes_away_what_dockrev_reads(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    services = traefik(lab, tmp_path, *overrides)
    labels: dict[str, str] = services["dockrev"]["labels"]
    middleware = "traefik.http.middlewares.dockrev-auth.forwardauth"
    set_by_traefik = {name.strip().lower() for name in labels[f"{middleware}.authResponseHeaders"].split(",")}
    for service, router in (("dockrev", "dockrev"), ("supervisor", "dockrev-supervisor")):
        told = services[service]["labels"]
        assert "dockrev-auth" in told[f"traefik.http.routers.{router}.middlewares"].split(",")
        for name in [name for name in os.environ if name.startswith("DOCKREV_")]:
            monkeypatch.delenv(name)
        for name, value in services[service]["environment"].items():
            if name.startswith("DOCKREV_AUTH_") or name == "DOCKREV_TRUSTED_PROXIES":
                monkeypatch.setenv(name, value or "")
        policy = load_access().auth_policy
        read = {policy.user_header, policy.group_header, policy.name_header, policy.email_header} - {""}
        assert {name.lower() for name in read} <= set_by_traefik, "what Traefik does not set, a client could say"
        assert policy.allowed_group == "admins" and policy.group_header
        assert [str(network) for network in policy.trusted_proxies] == ["172.20.0.2/32"]
        if overrides:
            known = PRESETS["authentik"]
            assert read == {known.user, known.groups, known.name, known.email}
            assert policy.group_separator == "|" and policy.logout_url == known.logout


def test_authentiks_own_addresses_are_led_to_it_without_its_asking(lab: Lab, tmp_path: Path) -> None:
    labels: dict[str, str] = traefik(lab, tmp_path, "compose.authentik.yaml")["dockrev"]["labels"]
    address = labels["traefik.http.middlewares.dockrev-auth.forwardauth.address"]
    assert address == "http://authentik:9000/outpost.goauthentik.io/auth/traefik"
    router = "traefik.http.routers.dockrev-outpost"
    assert "PathPrefix(`/outpost.goauthentik.io/`)" in labels[f"{router}.rule"]
    assert labels[f"{router}.service"] == "authentik@docker" and f"{router}.middlewares" not in labels
    assert len(labels[f"{router}.rule"]) > len(labels["traefik.http.routers.dockrev.rule"]), "the longer one first"
    logout = PRESETS["authentik"].logout
    assert logout is not None and logout.startswith("/outpost.goauthentik.io/")
