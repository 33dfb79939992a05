"""The language of answers: pages speak it, JSON never does; the switch at the foot of every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.core.web.languages import COOKIE
from tests.web.test_contract import running
from tests.web.test_pages import BROWSER
from tests.web.test_updates_api import STACK, WEB, Api, api

__all__ = ["api"]
GERMAN = {**BROWSER, "accept-language": "de-DE,de;q=0.9"}


def token_of(html: str) -> str:
    (found,) = re.findall(r'action="/language".*?name="csrf" value="([^"]+)"', html, re.S)
    return str(found)


async def test_a_page_speaks_what_the_browser_wants(api: Api) -> None:
    for wanted, tag, skip in (
        ("", "en", "Skip to content"),
        ("de", "de", "Zum Inhalt springen"),
        ("zh-CN,en;q=0.5", "zh-Hans", "跳到正文"),
    ):
        page = await api.client.get("/", headers={**BROWSER, "accept-language": wanted})
        assert page.status_code == 200
        assert f'<html lang="{tag}"' in page.text and skip in page.text
        assert {"Accept-Language", "Cookie"} <= {part.strip() for part in page.headers["vary"].split(",")}


async def test_errors_and_fragments_speak_it_too(api: Api) -> None:
    missing = await api.client.get("/nothing-here", headers=GERMAN)
    assert missing.status_code == 404 and '<html lang="de"' in missing.text
    pages = {name: await api.client.get(name, headers=GERMAN) for name in ("/offline", "/queue", "/settings")}
    assert all('<html lang="de"' in page.text for page in pages.values())


async def test_json_stays_english(api: Api) -> None:
    json = {"accept": "application/json"}
    for address in ("/api/stacks", "/services", "/queue", "/api/nothing", "/palette"):
        english = await api.client.get(address, headers=json)
        german = await api.client.get(address, headers={**json, "accept-language": "de", "cookie": f"{COOKIE}=de"})
        assert german.json() == english.json() and german.headers["content-type"].startswith("application/json")
    api_page = await api.client.get("/api/nothing", headers=GERMAN)
    assert api_page.json()["error"]["message"] == "there is nothing at this address"


async def test_the_switch_needs_no_script_and_comes_back(api: Api) -> None:
    page = await api.client.get("/services", headers=BROWSER)
    token = token_of(page.text)
    for name, lang in (("English", "en"), ("Deutsch", "de"), ("中文", "zh-Hans")):
        assert re.search(rf'<button [^>]*lang="{lang}"[^>]*>{name}</button>', page.text)
    host = str(api.client.base_url).rstrip("/")
    sent = {**BROWSER, "referer": f"{host}/services?q=web"}
    chosen = await api.client.post("/language", data={"csrf": token, "language": "zh"}, headers=sent)
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/services?q=web")
    cookie = chosen.headers["set-cookie"]
    assert f"{COOKIE}=zh" in cookie and "Max-Age=31536000" in cookie and "Path=/" in cookie
    assert "HttpOnly" in cookie and "samesite=lax" in cookie.lower()
    again = await api.client.get("/services", headers=GERMAN)
    assert '<html lang="zh-Hans"' in again.text


async def test_the_switch_leads_nowhere_else_and_takes_nothing_odd(api: Api) -> None:
    token = token_of((await api.client.get("/", headers=BROWSER)).text)
    elsewhere = {**BROWSER, "referer": "https://evil.example/services"}
    chosen = await api.client.post("/language", data={"csrf": token, "language": "de"}, headers=elsewhere)
    assert chosen.headers["location"] == "/"
    api.client.cookies.delete(COOKIE)
    for language in ("fr", "../de", "", "<b>"):
        odd = await api.client.post("/language", data={"csrf": token, "language": language}, headers=BROWSER)
        assert odd.status_code == 400 and COOKIE not in odd.headers.get("set-cookie", "")
    for headers, sent in (({}, "wrong"), ({}, ""), ({"sec-fetch-site": "cross-site"}, token)):
        refused = await api.client.post(
            "/language", data={"csrf": sent, "language": "de"}, headers={**BROWSER, **headers}
        )
        assert refused.status_code == 403 and COOKIE not in refused.headers.get("set-cookie", "")


async def test_who_is_not_let_in_can_still_read_why(tmp_path: Path) -> None:
    async with running(tmp_path, auth_allow_anonymous_in_dev="off", auth_allowed_user="porter") as (_, client):
        refused = await client.get("/", headers=GERMAN)
        assert refused.status_code == 401 and '<html lang="de"' in refused.text
        chosen = await client.post(
            "/language", data={"csrf": token_of(refused.text), "language": "zh"}, headers=BROWSER
        )
        assert chosen.status_code == 303
        assert '<html lang="zh-Hans"' in (await client.get("/", headers=GERMAN)).text


@pytest.mark.parametrize(("language", "saved"), [("en", "Saved."), ("de", "Gespeichert."), ("zh", "已保存。")])
async def test_the_form_of_a_service_is_saved_and_answered_in_the_readers_language(
    api: Api, language: str, saved: str
) -> None:
    api.client.cookies.set(COOKIE, language)
    page = await api.client.get(f"/services/{STACK}/{WEB}", headers=BROWSER)
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert token
    form = {"csrf": token[1], "autoRollback": "false", "backup:volume:data": "skip", "repoUrl": ""}
    answer = await api.client.post(
        f"/services/{STACK}/{WEB}/settings", data=form, headers={**BROWSER, "HX-Request": "true"}
    )
    assert answer.status_code == 200 and saved in answer.text
    kept = (await api.client.get(f"/api/services/{WEB}/settings")).json()
    assert kept["autoRollback"] is False and kept["backupTargets"]["volumeNames"] == {"data": "skip"}
