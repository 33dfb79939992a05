"""What the palette reads, the page that asks before a check, and what the service worker keeps."""

from __future__ import annotations

import re
from pathlib import Path

from app.core.db import Database
from app.features.administration.welcome import COOKIE
from app.features.stacks.models import ServiceRow
from tests.web.test_contract import running
from tests.web.test_pages import BROWSER
from tests.web.test_updates_api import DB, STACK, WEB, Api, api
from tests.web.test_widget import counted

__all__ = ["api"]


async def test_names_lead_to_pages_in_few_statements(api: Api) -> None:
    with counted() as statements:
        answer = await api.client.get("/palette")
    assert len(statements) <= 2, statements
    assert answer.headers["cache-control"] == "no-store"
    places = answer.json()["places"]
    assert {"name": "shop", "stack": None, "href": f"/stacks/{STACK}"} in places
    (web,) = [place for place in places if place["href"] == f"/services/{STACK}/{WEB}"]
    assert web["stack"] == "shop"
    assert (await api.client.get(web["href"], headers=BROWSER)).status_code == 200


async def test_names_from_outside_are_cleaned_and_what_is_archived_is_left_out(api: Api) -> None:
    async with api.container.get(Database).transaction() as session:
        hostile = "a\x1b[31m\u202e" + "b" * 300
        (await session.get_one(ServiceRow, WEB)).name = hostile
    before = (await api.client.get("/palette")).json()["places"]
    (web,) = [place["name"] for place in before if place["href"].endswith(WEB)]
    assert len(web) == 80 and web.startswith("abbb") and "\u202e" not in web
    assert (await api.client.post(f"/api/services/{DB}/archive")).status_code == 200
    assert not any(place["href"].endswith(DB) for place in (await api.client.get("/palette")).json()["places"])


async def test_nobody_reads_names_without_a_right_to(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allow_anonymous_in_dev="off", auth_allowed_user="porter") as (_, client):
        assert (await client.get("/palette")).status_code == 401
        assert (await client.get("/checks/new")).status_code == 401
        offline, worker = await client.get("/offline"), await client.get("/sw.js")
        assert (offline.status_code, worker.status_code) == (200, 200)
        assert "porter" not in offline.text
        needed = re.findall(r'(?:href|src)="(/static/[^"#]+)', offline.text)
        assert len(needed) >= 4
        for address in needed:
            assert (await client.get(address)).status_code == 200
        shell = re.match(r'self\.DOCKREV_SHELL = "([0-9a-f]{12})";', worker.text)
        assert shell, "another shell makes another worker"
        again = await client.get("/sw.js", headers={"If-None-Match": worker.headers["etag"]})
        assert again.status_code == 304 and again.headers["service-worker-allowed"] == "/"


async def test_the_form_that_asks_is_a_page_a_dialog_and_json(api: Api) -> None:
    page = await api.client.get("/checks/new", headers=BROWSER)
    assert "Nothing is pulled, nothing is restarted" in page.text and 'action="/checks"' in page.text
    dialog = await api.client.get("/checks/new", headers={**BROWSER, "HX-Request": "true", "HX-Target": "dialog"})
    assert 'id="dialog-title"' in dialog.text and "<html" not in dialog.text
    assert "services" in (await api.client.get("/checks/new", headers={"Accept": "application/json"})).json()


async def test_every_place_of_the_palette_is_there_under_its_own_key(api: Api) -> None:
    api.client.cookies.set(COOKIE, "seen")  # on a slow machine the deploy check is done meanwhile, and leads there
    page = (await api.client.get("/", headers=BROWSER)).text
    options = re.findall(r'<li role="option" id="po-[pa]\d+"[^>]*>', page)
    hrefs = {found[1].replace("&amp;", "&") for each in options if (found := re.search(r'data-href="([^"]+)"', each))}
    assert {"/", "/services", "/queue", "/checks/new"} <= hrefs
    for href in hrefs:
        assert (await api.client.get(href, headers=BROWSER)).status_code == 200, href
    assert "/reference" in hrefs and "/settings/passkeys" not in hrefs, "passkeys are off here"
    keys = [found[1] for each in options if (found := re.search(r'data-key="([^"]+)"', each))]
    assert len(keys) == len(set(keys)) >= 7


async def test_passkeys_are_a_place_while_they_are_on(tmp_path: Path) -> None:
    async with running(tmp_path, passkeys=True) as (_, client):
        page = (await client.get("/", headers=BROWSER)).text
        assert re.search(r'<li role="option"[^>]* data-href="/settings/passkeys"[^>]*><span>Passkeys</span>', page)
        assert (await client.get("/settings/passkeys", headers=BROWSER)).status_code == 200
