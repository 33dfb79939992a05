"""Settings over the API (spec §5.5, §13 lines 31, 37, 38)."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.test_contract import error, running

BACKUP: dict[str, Any] = {
    "enabled": True, "requireSuccess": True, "baseDir": "/data/backups", "skipTargetsOverBytes": 104857600,
}  # fmt: skip
CRON = "schedules.updateCheck.cron"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, client):
        yield client


def stored(tmp_path: Path) -> dict[str, Any]:
    """The row itself."""
    with closing(sqlite3.connect(tmp_path / "d.sqlite3")) as connection:
        connection.row_factory = sqlite3.Row
        return dict(connection.execute("SELECT * FROM settings").fetchone())


async def put(api: httpx.AsyncClient, **sections: Any) -> httpx.Response:
    return await api.put("/api/settings", json={"backup": BACKUP, **sections})


async def test_defaults(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/settings")
    assert answer.status_code == 200
    assert answer.json() == {
        "backup": BACKUP,
        "resourceMonitor": {"enabled": True, "sampleIntervalSeconds": 10, "retentionDays": 7},
        "schedules": {
            "updateCheck": {"enabled": False, "cron": "*/30 * * * *"},
            "ghcrWebhookAudit": {"enabled": True, "cron": "0 3 * * *"},
        },
        "instance": {"publicBaseUrl": None},
        "auth": {
            "forwardHeaderName": "X-Forwarded-User",
            "groupHeaderName": "Remote-Groups",
            "allowAnonymousInDev": True,
            "authorizationMode": "user_or_group",
            "currentUser": "anonymous",
            "currentGroups": [],
            "matchedBy": "anonymous_dev",
        },
    }


async def test_everything_round_trips_in_its_canonical_form(api: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {
        "backup": {"enabled": False, "requireSuccess": False, "baseDir": "/srv/./b/", "skipTargetsOverBytes": 0},
        "resourceMonitor": {"enabled": False, "sampleIntervalSeconds": 300},
        "schedules": {
            "updateCheck": {"enabled": True, "cron": "  0  3 * *  mon-fri "},
            "ghcrWebhookAudit": {"enabled": False, "cron": "0 4 * * *"},
        },
        "instance": {"publicBaseUrl": " https://x.example/base "},
    }
    answer = await api.put("/api/settings", json=body)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    told = (await api.get("/api/settings")).json()
    assert told["backup"] == {**body["backup"], "baseDir": "/srv/b"}
    assert told["resourceMonitor"] == {**body["resourceMonitor"], "retentionDays": 7}
    assert told["schedules"]["updateCheck"] == {"enabled": True, "cron": "0 3 * * mon-fri"}
    assert told["schedules"]["ghcrWebhookAudit"] == {"enabled": False, "cron": "0 4 * * *"}
    assert told["instance"] == {"publicBaseUrl": "https://x.example/base/"}


async def test_sections_that_are_left_out_stay(api: httpx.AsyncClient) -> None:
    kept: dict[str, Any] = {
        "resourceMonitor": {"enabled": False, "sampleIntervalSeconds": 60},
        "schedules": {"updateCheck": {"enabled": True, "cron": "5 4 * * *"}},
        "instance": {"publicBaseUrl": "https://x.example/"},
    }
    assert (await put(api, **kept)).status_code == 200
    before = (await api.get("/api/settings")).json()
    bodies: list[dict[str, Any]] = [{}, {"schedules": {}}, {"instance": {}}, {"resourceMonitor": None}]
    for body in bodies:
        assert (await put(api, **body)).status_code == 200
        assert (await api.get("/api/settings")).json() == before
    await put(api, schedules={"ghcrWebhookAudit": {"enabled": False, "cron": "0 3 * * *"}})
    assert (await api.get("/api/settings")).json()["schedules"]["updateCheck"]["cron"] == "5 4 * * *"


@pytest.mark.parametrize("nothing", [None, "", "   "])
async def test_nothing_clears_the_address(api: httpx.AsyncClient, nothing: str | None) -> None:
    await put(api, instance={"publicBaseUrl": "https://x.example/"})
    await put(api, instance={"publicBaseUrl": nothing})
    assert (await api.get("/api/settings")).json()["instance"] == {"publicBaseUrl": None}


async def test_a_wrong_cron_counts_only_while_it_is_on(api: httpx.AsyncClient) -> None:
    off = await put(api, schedules={"updateCheck": {"enabled": False, "cron": "not a cron"}})
    assert off.status_code == 200
    assert (await api.get("/api/settings")).json()["schedules"]["updateCheck"]["cron"] == "not a cron"
    for name in ("updateCheck", "ghcrWebhookAudit"):
        on = await put(api, schedules={name: {"enabled": True, "cron": "not a cron"}})
        assert on.status_code == 400
        found = error(on)
        assert (found["code"], found["message"]) == ("invalid_argument", "cron expression is invalid")
        assert found["details"]["reason"] == "cron_invalid"
        assert found["details"]["field"] == f"schedules.{name}.cron"
        assert "3 fields" in found["details"]["error"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "backup"),
        ([], "body"),
        ("x", "body"),
        (None, "body"),
        ({"backup": None}, "backup"),
        ({"backup": {**BACKUP, "enabled": "yes"}}, "backup.enabled"),
        ({"backup": {**BACKUP, "requireSuccess": 1}}, "backup.requireSuccess"),
        ({"backup": {**BACKUP, "baseDir": 7}}, "backup.baseDir"),
        ({"backup": {**BACKUP, "baseDir": "../x"}}, "backup.baseDir"),
        ({"backup": {**BACKUP, "skipTargetsOverBytes": -1}}, "backup.skipTargetsOverBytes"),
        ({"backup": {**BACKUP, "skipTargetsOverBytes": 1.5}}, "backup.skipTargetsOverBytes"),
        ({"backup": {**BACKUP, "skipTargetsOverBytes": True}}, "backup.skipTargetsOverBytes"),
        ({"backup": {**BACKUP, "skipTargetsOverBytes": "9"}}, "backup.skipTargetsOverBytes"),
        ({"backup": {**BACKUP, "skipTargetsOverBytes": 2**63}}, "backup.skipTargetsOverBytes"),
        ({"backup": {**BACKUP, "skipTargetsOverBytes": 10**30}}, "backup.skipTargetsOverBytes"),
        ({"backup": {k: v for k, v in BACKUP.items() if k != "baseDir"}}, "backup.baseDir"),
        ({"backup": BACKUP, "resourceMonitor": {"enabled": True}}, "resourceMonitor.sampleIntervalSeconds"),
        (
            {"backup": BACKUP, "resourceMonitor": {"enabled": True, "sampleIntervalSeconds": 15}},
            "resourceMonitor.sampleIntervalSeconds",
        ),
        ({"backup": BACKUP, "schedules": {"updateCheck": {"enabled": True}}}, CRON),
        ({"backup": BACKUP, "schedules": {"updateCheck": {"enabled": True, "cron": None}}}, CRON),
        ({"backup": BACKUP, "schedules": {"updateCheck": {"enabled": True, "cron": "* * * *"}}}, CRON),
        ({"backup": BACKUP, "schedules": {"updateCheck": {"enabled": False, "cron": "\x00"}}}, CRON),
        ({"backup": BACKUP, "schedules": {"updateCheck": True}}, "schedules.updateCheck"),
        ({"backup": BACKUP, "instance": {"publicBaseUrl": 5}}, "instance.publicBaseUrl"),
        ({"backup": BACKUP, "instance": {"publicBaseUrl": "ftp://x"}}, "instance.publicBaseUrl"),
        ({"backup": BACKUP, "instance": "x"}, "instance"),
    ],
)
async def test_violations_name_their_field_and_change_nothing(
    api: httpx.AsyncClient, tmp_path: Path, body: Any, field: str
) -> None:
    await put(api, instance={"publicBaseUrl": "https://x.example/"})
    before = stored(tmp_path)
    if isinstance(body, dict) and isinstance(body.get("backup"), dict):
        body = {**body, "backup": {**body["backup"], **({"enabled": False} if body["backup"] is BACKUP else {})}}
    answer = await api.put("/api/settings", json=body)
    assert answer.status_code == 400, answer.text
    found = error(answer)
    assert found["code"] == "invalid_argument"
    assert found["details"]["field"] == field, found
    assert stored(tmp_path) == before


async def test_a_body_that_is_no_json_is_refused(api: httpx.AsyncClient) -> None:
    for content in (b"{", b"\xff\xfe", b""):
        answer = await api.put("/api/settings", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400 and error(answer)["code"] == "invalid_argument"


async def test_refusals_name_no_class_of_ours(api: httpx.AsyncClient) -> None:
    for content, told in ((b"", "is missing; JSON is expected"), (b"null", "Input should be an object")):
        answer = await api.put("/api/settings", content=content, headers={"Content-Type": "application/json"})
        assert error(answer)["message"] == f"body: {told}"
    answer = await put(api, resourceMonitor={"enabled": 1, "sampleIntervalSeconds": 10})
    assert error(answer)["message"].startswith("resourceMonitor.enabled: must be")


async def test_names_are_masked_and_auth_is_read_only(tmp_path: Path) -> None:
    allowed: dict[str, Any] = {
        "auth_allowed_user": "alice",
        "auth_allowed_group": "admins",
        "auth_allow_anonymous_in_dev": "off",
    }
    async with running(tmp_path, **allowed) as (_, client):
        headers = {"X-Forwarded-User": "bobby", "Remote-Groups": "family, admins"}
        told = (await client.get("/api/settings", headers=headers)).json()["auth"]
        assert told == {
            "forwardHeaderName": "X-Forwarded-User",
            "groupHeaderName": "Remote-Groups",
            "allowAnonymousInDev": False,
            "authorizationMode": "user_or_group",
            "allowedUserMasked": "al***ce",
            "allowedGroupMasked": "ad***ns",
            "currentUser": "bobby",
            "currentGroups": ["fa***ly", "ad***ns"],
            "matchedBy": "group",
        }
        only_group = (await client.get("/api/settings", headers={"Remote-Groups": "admins"})).json()["auth"]
        assert "currentUser" not in only_group and only_group["matchedBy"] == "group"
        changed = {"backup": BACKUP, "auth": {"forwardHeaderName": "X-Evil"}}
        assert (await client.put("/api/settings", json=changed, headers=headers)).status_code == 200
        assert (await client.get("/api/settings", headers=headers)).json()["auth"] == told
        assert (await client.get("/api/settings")).status_code == 401


async def test_the_welcome_flag_round_trips(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/deploy-welcome")).json() == {"neverAutoOpen": False}
    answer = await api.put("/api/deploy-welcome", json={"neverAutoOpen": True})
    assert answer.status_code == 200
    stored_at = answer.json()["updatedAt"]
    assert answer.json() == {"ok": True, "neverAutoOpen": True, "updatedAt": stored_at}
    assert (await api.get("/api/deploy-welcome")).json() == {"neverAutoOpen": True, "updatedAt": stored_at}
    bodies: list[Any] = [{"neverAutoOpen": "yes"}, {"neverAutoOpen": 1}, {"neverAutoOpen": None}, {}, []]
    for body in bodies:
        wrong = await api.put("/api/deploy-welcome", json=body)
        assert wrong.status_code == 400, body
    assert (await api.get("/api/deploy-welcome")).json()["neverAutoOpen"] is True
