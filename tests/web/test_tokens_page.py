"""The pages of tokens and of the audit trail, with and without scripts."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.web.test_contract import running
from tests.web.test_pages import BROWSER
from tests.web.test_tokens_api import bearer

HERE = "/settings/tokens"
POST = {**BROWSER, "Sec-Fetch-Site": "same-origin"}
NEW = {"name": "widget", "scope": "read", "expiresInDays": "30"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, client):
        await client.get(HERE, headers=BROWSER)
        yield client


async def post(api: httpx.AsyncClient, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
    data = {"csrf": api.cookies["dockrev_csrf"], **fields}
    return await api.post(path, data=data, headers={**POST, **headers})


async def test_the_token_is_on_the_answer_page_and_on_no_other(api: httpx.AsyncClient) -> None:
    page = await post(api, HERE, NEW)
    assert page.status_code == 200 and page.headers["cache-control"] == "no-store"
    found = re.search(r'<code id="token">(dkr_[^<]+)</code>', page.text)
    assert found and 'data-copy="token"' in page.text
    assert (await api.get("/api/stacks", headers=bearer(found[1]))).status_code == 200
    listed = await api.get(HERE, headers=BROWSER)
    assert "widget" in listed.text and found[1][-49:] not in listed.text and "from 127.0.0.1" in listed.text
    assert "1 token opens the API" in listed.text
    told = (await api.get(HERE, headers={"Accept": "application/json"})).json()
    assert told["tokens"][0]["name"] == "widget" and "value" not in told["tokens"][0]


async def test_with_scripts_it_comes_into_the_page(api: httpx.AsyncClient) -> None:
    part = await post(api, HERE, NEW, **{"HX-Request": "true", "HX-Target": "page"})
    assert part.status_code == 200 and "<html" not in part.text and part.headers["cache-control"] == "no-store"
    assert '<code id="token">dkr_' in part.text
    again = await post(api, HERE, NEW, **{"HX-Request": "true", "HX-Target": "page"})
    assert again.status_code == 409 and again.headers["hx-retarget"] == "#toasts"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({**NEW, "name": " "}, "Name must not be empty"),
        ({**NEW, "scope": "root"}, "scope"),
        ({**NEW, "expiresInDays": "7"}, "expiresInDays"),
        ({"scope": "read"}, "name"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_stays(
    api: httpx.AsyncClient, fields: dict[str, str], said: str
) -> None:
    page = await post(api, HERE, fields)
    assert page.status_code == 400 and "No token was made" in page.text and said.lower() in page.text.lower()
    assert "<code id" not in page.text
    assert (await api.get("/api/tokens")).json()["tokens"] == []


async def test_hostile_names_are_text(api: httpx.AsyncClient) -> None:
    name = '<script>alert(1)</script>"{{7*7}}'
    await post(api, HERE, {**NEW, "name": name})
    again = await post(api, HERE, {**NEW, "name": name})
    for text in (again.text, (await api.get(HERE, headers=BROWSER)).text):
        assert "<script>alert" not in text and html.escape(name, quote=False).replace('"', "") in text.replace(
            "&#34;", ""
        )


async def test_revoking_asks_first(api: httpx.AsyncClient) -> None:
    await post(api, HERE, NEW)
    [token] = (await api.get("/api/tokens")).json()["tokens"]
    asked = await api.get(f"{HERE}/{token['id']}/revoke", headers=BROWSER)
    assert asked.status_code == 200 and "Revoke widget?" in asked.text
    assert (await api.post(f"{HERE}/{token['id']}/revoke", headers=POST)).status_code in (400, 403)
    assert (await api.get("/api/tokens")).json()["tokens"][0]["state"] == "active"
    done = await post(api, f"{HERE}/{token['id']}/revoke", {})
    assert (done.status_code, done.headers["location"]) == (303, HERE)
    assert "Revoked" in (await api.get(HERE, headers=BROWSER)).text
    assert (await api.get(f"{HERE}/{token['id']}/revoke", headers=BROWSER)).status_code == 404
    assert (await post(api, f"{HERE}/{token['id']}/revoke", {})).status_code == 404


async def test_forms_without_their_token_make_nothing(api: httpx.AsyncClient) -> None:
    assert (await api.post(HERE, data=NEW, headers=POST)).status_code == 403
    assert (await api.post(HERE, data=NEW, headers={**POST, "Sec-Fetch-Site": "cross-site"})).status_code == 403
    assert (await api.get("/api/tokens")).json()["tokens"] == []
    refused = (await api.get("/api/audit?action=token.create")).json()["events"]
    assert {event["code"] for event in refused} == {"forbidden"}


async def test_the_sections_lead_to_both(api: httpx.AsyncClient) -> None:
    page = await api.get("/settings", headers=BROWSER)
    assert 'href="/settings/tokens"' in page.text and 'href="/settings/audit"' in page.text
    audit = await api.get("/settings/audit", headers=BROWSER)
    assert audit.status_code == 200 and "Nothing was recorded yet" in audit.text


async def test_the_trail_in_three_shapes(api: httpx.AsyncClient) -> None:
    await post(api, HERE, NEW)
    page = await api.get("/settings/audit", headers=BROWSER)
    assert "token.create" in page.text and "Last: token.create by anonymous" in page.text
    assert 'href="/api/audit/export"' in page.text
    part = await api.get("/settings/audit", headers={**BROWSER, "HX-Request": "true", "HX-Target": "page"})
    assert "<html" not in part.text and "token.create" in part.text
    told = (await api.get("/settings/audit", headers={"Accept": "application/json"})).json()
    assert told["events"][0]["action"] == "token.create"
    narrowed = await api.get("/settings/audit?action=token&outcome=refused&since=2026-01-01", headers=BROWSER)
    assert "Nothing matches" in narrowed.text
    assert (await api.get("/settings/audit?means=magic", headers=BROWSER)).status_code == 400
