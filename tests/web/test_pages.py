"""Every page address in its three shapes, on the whole application with no engine near."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.web.test_contract import running

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "User-Agent": "Mozilla/5.0"}
PAGES = [
    "/", "/services", "/queue", "/version-inference", "/updates/new?scope=all", "/settings", "/deploy-check",
]  # fmt: skip
NOWHERE = [
    "/services/stk_none/svc_none", "/services/stk_none/svc_none/ignores/preview?value=1", "/stacks/stk_none",
    "/queue/job_none", "/nothing/at/all",
]  # fmt: skip


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, client):
        yield client


@pytest.mark.parametrize("path", PAGES)
async def test_a_browser_gets_a_page(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(path, headers=BROWSER)
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    assert {part.strip() for part in answer.headers["vary"].split(",")} >= {"Accept", "HX-Request"}
    assert answer.text.startswith("<!doctype html>") and answer.text.count("<h1") == 1
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src 'self';" in policy
    assert answer.headers["x-content-type-options"] == "nosniff" and "no-cache" in answer.headers["cache-control"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", answer.text)
    assert len(answer.content) < 100_000


@pytest.mark.parametrize("path", PAGES)
async def test_htmx_gets_the_content_alone(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.get(path, headers={**BROWSER, "HX-Request": "true", "HX-Target": "page"})
    assert answer.status_code == 200 and "html" in answer.headers["content-type"]
    assert "HX-Request" in answer.headers["vary"]
    assert "<html" not in answer.text and "<h" in answer.text
    boosted = await api.get(path, headers={**BROWSER, "HX-Request": "true", "HX-Boosted": "true"})
    assert boosted.text.startswith("<!doctype html>")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("headers", [{"Accept": "application/json"}, {}], ids=["asked for", "a script"])
async def test_a_script_gets_json(api: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
    answer = await api.get(path, headers=headers)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("application/json")
    assert "Accept" in answer.headers["vary"]
    assert isinstance(answer.json(), dict)


@pytest.mark.parametrize("path", NOWHERE)
async def test_what_is_not_there_is_404_in_each_shape(api: httpx.AsyncClient, path: str) -> None:
    page = await api.get(path, headers=BROWSER)
    assert page.status_code == 404 and "Nothing is here" in page.text and "HX-Request" in page.headers["vary"]
    alert = await api.get(path, headers={**BROWSER, "HX-Request": "true"})
    assert alert.status_code == 404 and alert.headers["hx-retarget"] == "#toasts" and 'role="alert"' in alert.text
    script = await api.get(path, headers={"Accept": "application/json"})
    assert script.status_code == 404 and script.json()["error"]["code"] == "not_found"


async def test_without_an_engine_each_page_names_the_remedy(api: httpx.AsyncClient) -> None:
    for path in PAGES:
        text = (await api.get(path, headers=BROWSER)).text
        assert "Docker engine not reachable" in text and "DOCKER_HOST" in text, path
    assert "Docker is not reachable" in (await api.get("/", headers=BROWSER)).text


async def test_empty_pages_say_what_comes_next(api: httpx.AsyncClient) -> None:
    expected = {
        "/": "No stacks yet",
        "/services": "No stacks yet",
        "/services?q=x": "Nothing matches",
        "/services?archived=1": "Nothing is archived",
        "/queue?status=failed": "No job matches",
        "/version-inference": "Nothing to look up",
        "/updates/new": "There is nothing to update",
    }
    for path, words in expected.items():
        assert words in (await api.get(path, headers=BROWSER)).text, path


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/?state=nonsense", "state"),
        ("/services?sort=colour", "sort"),
        ("/queue?status=nonsense", "status"),
        ("/queue?cursor=%00", "cursor"),
        ("/version-inference?status=nonsense", "status"),
        ("/updates/new?scope=house", "scope"),
    ],
)
async def test_wrong_queries_name_their_field(api: httpx.AsyncClient, path: str, field: str) -> None:
    page = await api.get(path, headers=BROWSER)
    assert page.status_code == 400 and "That was not understood" in page.text
    assert (await api.get(path)).json()["error"]["details"]["field"] == field


async def test_every_option_of_a_form_is_one_the_page_takes(api: httpx.AsyncClient) -> None:
    text = (await api.get("/services", headers=BROWSER)).text
    select = re.search(r'<select name="sort".*?</select>', text, re.S)
    assert select
    for value in re.findall(r'<option value="(\w+)"', select[0]):
        assert (await api.get(f"/services?sort={value}", headers=BROWSER)).status_code == 200


async def test_forms_need_their_token_and_the_same_site(api: httpx.AsyncClient) -> None:
    page = await api.get("/", headers=BROWSER)
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert token
    without = await api.post("/checks", data={"scope": "all"}, headers=BROWSER)
    assert without.status_code == 403 and "Reload the page" in without.text
    abroad = {**BROWSER, "Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    refused = await api.post("/checks", data={"scope": "all", "csrf": token[1]}, headers=abroad)
    assert refused.status_code == 403
    good = {**BROWSER, "Sec-Fetch-Site": "same-origin", "Referer": "http://localhost/services?q=a"}
    plain = await api.post("/discovery/scan", data={"csrf": token[1]}, headers=good)
    assert plain.status_code == 303 and plain.headers["location"].startswith("/queue/")
    live = await api.post("/discovery/scan", data={"csrf": token[1]}, headers={**good, "HX-Request": "true"})
    assert live.status_code == 200 and "toast" in live.text


async def test_static_files_are_kept_for_ever_by_their_hash(api: httpx.AsyncClient) -> None:
    page = (await api.get("/", headers=BROWSER)).text
    named = sorted(set(re.findall(r'(?:href|src)="(/static/[^"#]+)', page)))
    assert any("app.css" in name for name in named) and any("app.js" in name for name in named)
    for name in named:
        answer = await api.get(name)
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"], name
        bare = await api.get(name.partition("?")[0])
        assert bare.headers["cache-control"] == "no-cache"
        again = await api.get(name.partition("?")[0], headers={"If-None-Match": bare.headers["etag"]})
        assert again.status_code == 304 and not again.content
    for name in ("/static/none.css", "/static/../app/main.py", "/static/%2e%2e/app/main.py", "/static//etc/hostname"):
        assert (await api.get(name)).status_code == 404, name


async def test_static_files_are_open_to_strangers(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allow_anonymous_in_dev="off", auth_allowed_user="porter") as (_, client):
        refused = await client.get("/services", headers=BROWSER)
        assert refused.status_code == 401 and "Dockrev does not know who you are" in refused.text
        assert "porter" not in refused.text
        for name in re.findall(r'(?:href|src)="(/static/[^"#]+)', refused.text):
            assert (await client.get(name)).status_code == 200


async def test_old_and_guessed_addresses_lead_to_the_page(api: httpx.AsyncClient) -> None:
    for path, page in (
        ("/index.html", "/"),
        ("/settings/schedules", "/settings#schedules"),
        ("/settings/github-packages", "/settings/ghcr-webhooks"),
        ("/queue/version-inference", "/version-inference"),
        ("/services/stk_1", "/stacks/stk_1"),
    ):
        answer = await api.get(path, headers=BROWSER)
        assert (answer.is_redirect, answer.headers["location"]) == (True, page)
    for path in ("/settings/nonsense", "/services/nonsense"):
        assert (await api.get(path, headers=BROWSER)).status_code == 404


async def test_texts_name_their_charset_once(api: httpx.AsyncClient) -> None:
    page = (await api.get("/", headers=BROWSER)).text
    for path in ("/sw.js", *re.findall(r'"(/static/[^"]+\.(?:js|css))[^"]*"', page)):
        kind = (await api.get(path)).headers["content-type"]
        assert kind in ("text/javascript; charset=utf-8", "text/css; charset=utf-8"), path
