"""The page of settings: in three shapes, saved card by card, with what is wrong at its field, without scripts too."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest

from tests.web.test_contract import running
from tests.web.test_pages import BROWSER

POST = {**BROWSER, "Sec-Fetch-Site": "same-origin"}
BACKUPS = {
    "backup.enabled": ["false", "true"], "backup.requireSuccess": ["false"], "backup.baseDir": "/srv/b/",
    "backup.skipTargetsOverBytes": "1.5",
}  # fmt: skip


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, client):
        await client.get("/settings", headers=BROWSER)
        yield client


async def save(api: httpx.AsyncClient, card: str, fields: Mapping[str, object], **headers: str) -> httpx.Response:
    data = {"csrf": api.cookies["dockrev_csrf"], **fields}
    return await api.post(f"/settings/{card}", data=data, headers={**POST, **headers})


async def test_three_shapes(api: httpx.AsyncClient) -> None:
    page = await api.get("/settings", headers=BROWSER)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    for part in ("access", "backups", "monitoring", "schedules", "instance"):
        assert f'<section class="leaf" id="{part}"' in page.text
        assert f'href="/settings#{part}"' in page.text
    assert 'href="/settings/notifications"' in page.text and 'href="/deploy-check"' in page.text
    assert re.search(r'<a href="/settings" aria-current="page">', page.text)
    assert 'href="/supervisor/"' in page.text
    fragment = await api.get("/settings", headers={**BROWSER, "HX-Request": "true"})
    assert "<html" not in fragment.text and 'id="backups"' in fragment.text
    told = (await api.get("/settings", headers={"Accept": "application/json"})).json()
    assert told["schedules"][0]["name"] == "updateCheck" and "nextRunAt" not in told["schedules"][0]
    assert "problem" not in told and "entered" not in told


async def test_a_card_is_saved(api: httpx.AsyncClient) -> None:
    answer = await save(api, "backups", BACKUPS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings#backups")
    told = (await api.get("/api/settings")).json()["backup"]
    assert told == {"enabled": True, "requireSuccess": False, "baseDir": "/srv/b", "skipTargetsOverBytes": 1572864}
    fields = {"schedules.updateCheck.enabled": ["false", "true"], "schedules.updateCheck.cron": "0  3 * * *"}
    live = await save(api, "schedules", fields, **{"HX-Request": "true"})
    assert live.status_code == 200 and "toast" in live.text
    page = await api.get("/settings", headers=BROWSER)
    assert (
        "At 03:00 every day." in page.text and "Next <time" in page.text and "The next check for updates" in page.text
    )
    assert (await api.get("/settings", headers={"Accept": "application/json"})).json()["schedules"][0]["nextRunAt"]
    await save(api, "instance", {"instance.publicBaseUrl": "https://x.example/base"})
    await save(api, "monitoring", {"resourceMonitor.enabled": "false", "resourceMonitor.sampleIntervalSeconds": "60"})
    told = (await api.get("/api/settings")).json()
    assert told["instance"]["publicBaseUrl"] == "https://x.example/base/"
    assert told["resourceMonitor"] == {"enabled": False, "sampleIntervalSeconds": 60, "retentionDays": 7}
    assert told["backup"]["baseDir"] == "/srv/b", "other cards stay"


@pytest.mark.parametrize(
    ("card", "fields", "wrong", "field_id"),
    [
        ("backups", {**BACKUPS, "backup.baseDir": "../<b>"}, "backup.baseDir", "b-dir"),
        ("backups", {**BACKUPS, "backup.skipTargetsOverBytes": "many"}, "backup.skipTargetsOverBytes", "b-limit"),
        ("instance", {"instance.publicBaseUrl": "ftp://x"}, "instance.publicBaseUrl", "i-url"),
        (
            "schedules",
            {"schedules.updateCheck.enabled": "true", "schedules.updateCheck.cron": "0 0 3 * * *"},
            "schedules.updateCheck.cron",
            "s-updateCheck",
        ),
        ("monitoring", {"resourceMonitor.sampleIntervalSeconds": "7"}, "resourceMonitor.sampleIntervalSeconds", ""),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(
    api: httpx.AsyncClient, card: str, fields: dict[str, object], wrong: str, field_id: str
) -> None:
    before = (await api.get("/api/settings")).json()
    plain = await save(api, card, fields)
    assert plain.status_code == 400 and "Nothing was saved" in plain.text
    assert f'href="#{card}">Show the field' in plain.text
    slot = re.search(rf'<p class="help" id="[^"]+-error" data-problem="{re.escape(wrong)}"(.*?)</p>', plain.text, re.S)
    assert slot and "hidden" not in slot[1].split(">")[0]
    if field_id:
        box = re.search(rf'<input id="{field_id}"[^>]*>', plain.text)
        assert box and 'aria-invalid="true"' in box[0]
    if "<b>" in str(fields):
        assert 'value="../&lt;b&gt;"' in plain.text, "what was typed is still there, as text"
    live = await save(api, card, fields, **{"HX-Request": "true"})
    assert live.status_code == 400 and f'data-field="{wrong}"' in live.text
    told = await save(api, card, fields, Accept="application/json")
    assert told.status_code == 400 and told.json()["error"]["details"]["field"] == wrong
    assert (await api.get("/api/settings")).json() == before


async def test_forms_without_their_token_and_unknown_cards(api: httpx.AsyncClient) -> None:
    assert (await api.post("/settings/backups", data=BACKUPS, headers=POST)).status_code == 403
    assert (await save(api, "elsewhere", {})).status_code == 404
    strange = await api.post("/settings/backups", data=BACKUPS, headers={**BROWSER, "Sec-Fetch-Site": "cross-site"})
    assert strange.status_code == 403


async def test_the_folder_says_how_it_is(tmp_path: Path) -> None:
    async with running(tmp_path, backup_dir=str(tmp_path)) as (_, client):
        assert "It is writable" in (await client.get("/settings", headers=BROWSER)).text
        (tmp_path / "file").write_text("")
        for folder, said in (
            (tmp_path / "new", "is made with the first backup"),
            (tmp_path / "file", "is not a folder"),
        ):
            form = {"csrf": client.cookies["dockrev_csrf"], **BACKUPS, "backup.baseDir": str(folder)}
            await client.post("/settings/backups", data=form, headers=POST)
            assert said in (await client.get("/settings", headers=BROWSER)).text


async def test_names_on_the_page_are_masked(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allowed_user="alice", auth_allowed_group="housekeepers") as (_, client):
        headers = {**BROWSER, "X-Forwarded-User": "bob", "Remote-Groups": "housekeepers"}
        page = (await client.get("/settings", headers=headers)).text
        assert "al***ce" in page and "ho***rs" in page and "by the allowed group" in page
        assert "alice" not in page and "housekeepers" not in page
