"""The deploy check, its page, who is led to it, and the supervisor's misroute (spec §5.7, §5.9, §13 lines 30, 36)."""

from __future__ import annotations

import json
import socket
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.db import Database
from app.core.feature import Container
from app.features.administration import DeployCheck
from app.features.preferences import Readiness, ReadinessBoard
from app.features.stacks.models import ServiceRow, StackRow
from tests.web.test_contract import running
from tests.web.test_pages import BROWSER

IDS = [
    "core.forward_auth_authorization_config", "core.forward_auth_request_authorization", "core.docker_engine",
    "core.compose_access", "core.service_image_ref_valid", "core.update_executor_ready", "feature.registry_auth",
    "feature.notifications.email", "feature.notifications.webhook", "feature.notifications.telegram",
    "feature.notifications.web_push", "feature.github_packages",
]  # fmt: skip
REPORT = "/api/deploy-check/report"
OFF: dict[str, Any] = {name: {"enabled": False} for name in ("email", "webhook", "telegram", "webPush")}


@asynccontextmanager
async def house(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[Container, httpx.AsyncClient]]:
    async with running(tmp_path, **settings) as (app, client):
        yield app.state.container, client


def script(folder: Path, name: str, text: str) -> str:
    """A program of our own."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return str(path)


async def report(client: httpx.AsyncClient, **headers: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The report, and its checks by id; what holds for every report is checked."""
    answer = await client.get(REPORT, headers=headers)
    assert answer.status_code == 200
    whole = answer.json()
    assert set(whole) == {"overall", "generatedAt", "checks"}
    assert [check["id"] for check in whole["checks"]] == IDS
    for check in whole["checks"]:
        assert check["group"] == check["id"].partition(".")[0]
        assert check["status"] in ("pass", "fail", "na") and (check["status"] == "na") == ("naReason" in check)
        assert check["required"] == (check["group"] == "core" or check["status"] != "na")
        assert check["title"] and check["summary"] and check["impact"] and check["evidence"], check["id"]
        assert check["recommendation"] or check["status"] == "pass" or check["naReason"] != "disabled_by_switch"
        assert (check["recommendation"] == "") if check["status"] == "pass" else True
        assert check["status"] != "fail" or check["recommendation"], check["id"]
    blocking = [check["id"] for check in whole["checks"] if check["required"] and check["status"] == "fail"]
    assert whole["overall"]["blockingCheckIds"] == blocking
    assert whole["overall"]["result"] == ("fail" if blocking else "pass")
    return whole, {check["id"]: check for check in whole["checks"]}


async def register(container: Container, files: list[str], images: dict[str, str]) -> None:
    """A stack as discovery would write it."""
    now = container.get(DeployCheck)._clock.now()
    async with container.get(Database).transaction() as session:
        session.add(StackRow(id="stk_1", name="demo", compose_files=files, created_at=now, updated_at=now))
        await session.flush()
        for name, image in images.items():
            session.add(
                ServiceRow(
                    id=f"svc_{name}", stack_id="stk_1", name=name, image_ref=image, image_tag="latest", created_at=now,
                    updated_at=now,
                )
            )  # fmt: skip


async def test_the_bypass_lets_in_but_does_not_pass(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, client):
        whole, checks = await report(client)
    assert checks["core.forward_auth_authorization_config"]["status"] == "fail"
    assert "core.forward_auth_authorization_config" in whole["overall"]["blockingCheckIds"]
    assert whole["overall"]["summary"] == "At least one required capability is unavailable"
    assert checks["core.forward_auth_request_authorization"]["status"] == "pass"
    assert "anonymous_dev" in checks["core.forward_auth_request_authorization"]["evidence"]
    assert checks["core.docker_engine"]["status"] == "fail"
    assert checks["core.compose_access"]["status"] == "fail", "nothing to check is a failure"
    assert checks["core.service_image_ref_valid"]["status"] == "pass", "no service is none that is wrong"
    assert checks["feature.registry_auth"]["naReason"] == "missing_prerequisite"
    for name in IDS[7:]:
        assert checks[name]["naReason"] == "disabled_by_switch"


async def test_names_are_masked_and_strangers_get_no_report(tmp_path: Path) -> None:
    async with house(tmp_path, auth_allowed_user="wilhelmina", auth_allowed_group="housekeepers") as (_, client):
        headers = {"X-Forwarded-User": "wilhelmina", "Remote-Groups": "gardeners"}
        _, checks = await report(client, **headers)
        told = checks["core.forward_auth_authorization_config"]
        assert told["status"] == "pass" and "wi***na" in told["evidence"] and "ho***rs" in told["evidence"]
        assert "X-Forwarded-User" in told["evidence"] and "Remote-Groups" in told["evidence"]
        asked = checks["core.forward_auth_request_authorization"]["evidence"]
        assert "matchedBy user" in asked and "ga***rs" in asked
        text = (await client.get(REPORT, headers=headers)).text
        for secret in ("wilhelmina", "housekeepers", "gardeners"):
            assert secret not in text
        refused = await client.get(REPORT)
        assert refused.status_code == 401 and "checks" not in refused.text


async def test_compose_is_asked_anew_each_time(tmp_path: Path) -> None:
    program = Path(script(tmp_path, "docker-compose", "echo 2.26.1"))
    async with house(tmp_path, compose_bin=str(program)) as (_, client):
        _, checks = await report(client)
        assert checks["core.update_executor_ready"]["status"] == "pass"
        assert "2.26.1" in checks["core.update_executor_ready"]["summary"]
        program.write_text("#!/bin/sh\necho broken >&2; exit 3\n")
        _, checks = await report(client)
        assert checks["core.update_executor_ready"]["status"] == "fail"
        program.unlink()
        _, checks = await report(client)
        assert checks["core.update_executor_ready"]["status"] == "fail"


async def test_what_hangs_is_told_within_the_timeout(tmp_path: Path) -> None:
    """A Compose and an engine that never answer: both at once, so the report takes the time of one."""
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "no-engine.sock"))
    silent.listen()
    compose = script(tmp_path, "docker-compose", "sleep 60")
    async with house(tmp_path, compose_bin=compose, deploy_check_local_command_timeout_seconds=1) as (_, client):
        began = time.monotonic()
        _, checks = await report(client)
        assert time.monotonic() - began < 4
    silent.close()
    assert checks["core.docker_engine"]["status"] == checks["core.update_executor_ready"]["status"] == "fail"
    assert "1 s" in checks["core.docker_engine"]["summary"] and "1 s" in checks["core.update_executor_ready"]["summary"]


async def test_files_and_references(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {}")
    async with house(tmp_path) as (container, client):
        images = {"web": "nginx:1", "odd": "Not A Reference"}
        await register(container, [str(file), "relative.yaml", str(tmp_path), f"{tmp_path}/absent.yaml"], images)
        _, checks = await report(client)
        access = checks["core.compose_access"]
        assert access["status"] == "fail" and "3 of 4" in access["summary"]
        assert "relative.yaml" in access["evidence"] and "absent.yaml" in access["evidence"]
        assert str(file) not in access["evidence"]
        assert "demo/odd" in checks["core.service_image_ref_valid"]["evidence"]
        await client.post("/api/services/svc_odd/archive")
        assert (await report(client))[1]["core.service_image_ref_valid"]["status"] == "pass"
        await client.post("/api/stacks/stk_1/archive")
        assert (await report(client))[1]["core.compose_access"]["summary"] == "no Compose file is known"


async def test_logins_of_private_registries(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{")
    async with house(tmp_path, docker_config=config) as (container, client):
        await register(container, ["/a/compose.yaml"], {"web": "nas.lan:5000/web", "db": "ghcr.io/acme/db"})
        _, checks = await report(client)
        assert checks["feature.registry_auth"]["status"] == "fail"
        assert "not valid JSON" in checks["feature.registry_auth"]["evidence"]
        config.write_text(json.dumps({"auths": {"nas.lan:5000": {"auth": "c2VjcmV0OnNlY3JldA=="}}}))
        whole, checks = await report(client)
        assert checks["feature.registry_auth"]["status"] == "pass"
        assert "c2VjcmV0" not in json.dumps(whole)


async def test_channels_are_complete_or_not(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, client):
        await client.put("/api/notifications", json={**OFF, "email": {"enabled": True}, "webPush": {"enabled": True}})
        _, checks = await report(client)
        assert checks["feature.notifications.email"]["status"] == "fail"
        assert checks["feature.notifications.web_push"]["status"] == "fail"
        assert checks["feature.notifications.telegram"]["naReason"] == "disabled_by_switch"
        hook = {"enabled": True, "url": "https://ntfy.example/s3cret-topic"}
        await client.put("/api/notifications", json={**OFF, "webhook": hook})
        whole, checks = await report(client)
        assert checks["feature.notifications.webhook"]["status"] == "pass"
        assert "s3cret" not in json.dumps(whole)


async def test_a_check_that_breaks_is_a_finding(tmp_path: Path) -> None:
    async def broken() -> Readiness:
        raise RuntimeError("s3cret")

    async with house(tmp_path) as (container, client):
        container.get(ReadinessBoard).add("feature.github_packages", broken)
        whole, checks = await report(client)
    assert checks["feature.github_packages"]["status"] == "fail" and "s3cret" not in json.dumps(whole)


async def test_the_page_has_three_lists(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, client):
        page = await client.get("/deploy-check", headers=BROWSER)
        assert page.status_code == 200
        for part in ('id="failed"', 'id="passed"', 'id="rest"', "Check again", "DOCKREV_AUTH_ALLOWED_USER"):
            assert part in page.text
        for name in IDS:
            assert f'id="c-{name.replace(".", "-")}"' in page.text
        fragment = await client.get("/deploy-check", headers={**BROWSER, "HX-Request": "true"})
        assert "<html" not in fragment.text and 'id="failed"' in fragment.text
        told = (await client.get("/deploy-check", headers={"Accept": "application/json"})).json()
        assert told["neverAutoOpen"] is False and len(told["report"]["checks"]) == 12
        form = {"csrf": client.cookies["dockrev_csrf"], "neverAutoOpen": ["false", "true"]}
        saved = await client.post("/deploy-welcome", data=form, headers={**BROWSER, "Sec-Fetch-Site": "same-origin"})
        assert (saved.status_code, saved.headers["location"]) == (303, "/deploy-check")
        assert (await client.get("/api/deploy-welcome")).json()["neverAutoOpen"] is True
        form["neverAutoOpen"] = ["false"]
        await client.post("/deploy-welcome", data=form, headers={**BROWSER, "Sec-Fetch-Site": "same-origin"})
        assert (await client.get("/api/deploy-welcome")).json()["neverAutoOpen"] is False


async def test_a_browser_is_led_once_per_session(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, client):
        await client.get(REPORT)
        first = await client.get("/", headers=BROWSER)
        assert first.status_code == 200 and first.headers["refresh"] == "0; url=/?welcome=1"
        led = await client.get("/?welcome=1", headers=BROWSER)
        assert (led.status_code, led.headers["location"]) == (303, "/deploy-check")
        assert client.cookies["dockrev_welcome"] == "seen"
        again = await client.get("/", headers=BROWSER)
        assert again.status_code == 200 and "refresh" not in again.headers
        client.cookies.delete("dockrev_welcome")  # another session of a browser that was here before
        assert (await client.get("/", headers=BROWSER)).status_code == 303
        client.cookies.delete("dockrev_welcome")
        await client.get("/deploy-check", headers=BROWSER)
        assert (await client.get("/", headers=BROWSER)).status_code == 200, "who has seen it is not led to it"


async def test_who_is_not_led(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, client):
        assert "refresh" not in (await client.get("/", headers=BROWSER)).headers, "nobody waits for the first look"
        await client.get(REPORT)
        for address, headers in (
            ("/", {"Accept": "application/json"}),
            ("/", {**BROWSER, "HX-Request": "true"}),
            ("/?state=open", BROWSER),
            ("/services", BROWSER),
            ("/settings", BROWSER),
        ):
            answer = await client.get(address, headers=headers)
            assert answer.status_code == 200 and "refresh" not in answer.headers, (address, headers)
        client.cookies.clear()
        for _ in range(2):  # one that keeps no cookies comes back once and is left alone
            answer = await client.get("/?welcome=1", headers=BROWSER)
            assert answer.status_code == 200 and "refresh" not in answer.headers
            client.cookies.clear()
        await client.put("/api/deploy-welcome", json={"neverAutoOpen": True})
        for _ in range(2):
            answer = await client.get("/", headers=BROWSER)
            assert answer.status_code == 200 and "refresh" not in answer.headers
    async with house(tmp_path, sandbox=True) as (_, client):
        await client.get(REPORT)
        assert "refresh" not in (await client.get("/", headers=BROWSER)).headers


async def test_what_a_proxy_misroutes(tmp_path: Path) -> None:
    async with house(tmp_path, auth_allowed_user="alice") as (_, client):
        for address in ("/supervisor", "/supervisor/"):
            page = await client.get(address)
            assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
            assert "proxy" in page.text
        below = [("GET", "/supervisor/self-upgrade"), ("POST", "/supervisor/self-upgrade"), ("GET", "/supervisor/a/b")]
        for method, address in [*below, ("POST", "/supervisor/"), ("DELETE", "/supervisor/health")]:
            answer = await client.request(method, address)
            assert answer.status_code == 502, address
            told = answer.json()
            assert set(told) == {"ok", "code", "message", "selfUpgradeUrl", "path"}
            assert (told["ok"], told["code"]) == (False, "supervisor_misrouted")
            assert (told["selfUpgradeUrl"], told["path"].rstrip("/")) == ("/supervisor/", address.rstrip("/"))
        assert (await client.get("/supervisors")).status_code == 404


@pytest.mark.parametrize("elsewhere", ["https://upgrade.example/supervisor/", "//upgrade.example/", "/", "/api/x"])
async def test_nothing_is_misrouted_when_the_supervisor_is_elsewhere(tmp_path: Path, elsewhere: str) -> None:
    async with house(tmp_path, self_upgrade_url=elsewhere) as (_, client):
        assert (await client.get("/supervisor/health")).status_code == 404
        assert (await client.get("/", headers=BROWSER)).status_code == 200
        assert (await client.get("/api/health")).status_code == 200
