"""Refusals in the reader's language: pages, fragments and forms; JSON is English whoever asks."""

from __future__ import annotations

import html
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.web.languages import COOKIE, TAGS
from tests.web.test_contract import running
from tests.web.test_languages_pages import left_english
from tests.web.test_pages import BROWSER
from tests.web.test_updates_api import APP, NEW, STACK, WEB, Api
from tests.web.test_updates_api import api as busy

__all__ = ["busy"]
SAME_SITE = {**BROWSER, "Sec-Fetch-Site": "same-origin"}
JSON = {"Accept": "application/json"}
SIGNED_OUT: dict[str, Any] = {"auth_allow_anonymous": "off", "auth_allowed_user": "ada"}
REFUSED = {
    "/nothing/at/all": (404, "Unter dieser Adresse ist nichts.", "此地址没有内容。"),
    "/services/stk_none/svc_none": (404, "Dienst nicht gefunden.", "未找到服务。"),
    "/stacks/stk_none": (404, "Stack nicht gefunden.", "未找到堆栈。"),
    "/queue/job_none": (404, "Auftrag nicht gefunden.", "未找到任务。"),
    "/discovery/scan": (405, "GET ist hier nicht erlaubt.", "此处不允许 GET。"),
    "/services?state=odd": (400, "Ungültiger Zustandsfilter: odd.", "无效的状态筛选：odd。"),
    "/queue?status=<b>": (400, "Ungültiger Statusfilter: <b>.", "无效的状态筛选：<b>。"),
    "/queue?cursor=x": (400, "Der Cursor ist nicht gültig.", "游标无效。"),
    "/settings/audit?since=then": (
        400,
        "muss ein Tag wie 2026-05-01 oder eine Zeit wie 2026-05-01T10:00:00Z sein",
        "必须是 2026-05-01 这样的日期或 2026-05-01T10:00:00Z 这样的时间",
    ),
}


def reading(language: str, **headers: str) -> dict[str, str]:
    return {**SAME_SITE, "cookie": f"{COOKIE}={language}", **headers}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(tmp_path) as (_, client):
        await client.get("/settings", headers=BROWSER)
        yield client


CODES = {"read", "check", "update", "conflict"}  # scopes of tokens and codes of errors, as the API calls them


def shown(answer: httpx.Response, language: str) -> str:
    """The page as it is read; fails where a text of it is English or said to be."""
    assert f'<html lang="{TAGS[language]}"' in answer.text or answer.headers.get("hx-retarget")
    assert not set(left_english(answer.text, language)) - CODES
    assert '<span lang="en">' not in answer.text
    return html.unescape(answer.text)


@pytest.mark.parametrize(("language", "said"), [("de", 1), ("zh", 2)])
async def test_error_pages(api: httpx.AsyncClient, language: str, said: int) -> None:
    for address, expected in REFUSED.items():
        page = await api.get(address, headers=reading(language))
        assert page.status_code == expected[0], address
        assert str(expected[said]).lower() in shown(page, language).lower(), address
        assert "<b>." not in page.text, "a value is escaped"


@pytest.mark.parametrize("language", ["de", "zh"])
async def test_json_is_english_whoever_asks(api: httpx.AsyncClient, language: str) -> None:
    for address in REFUSED:
        asked = [await api.get(address, headers={**JSON, **more}) for more in ({}, {"Accept-Language": language})]
        asked.append(await api.get(address, headers={**reading(language), **JSON}))
        assert (
            asked[0].content == asked[1].content == asked[2].content and asked[0].json()["error"]["message"].isascii()
        )
    told = (await api.get("/api/jobs/job_none", headers=reading(language))).json()
    assert told == {"error": {"code": "not_found", "message": "job not found", "details": {"jobId": "job_none"}}}


@pytest.mark.parametrize(
    ("language", "name", "hint"),
    [
        ("de", "Der Name darf nicht leer sein.", "Es wurde kein Token erstellt."),
        ("zh", "名称不能为空。", "未创建令牌。"),
    ],
)
async def test_a_form_says_what_is_wrong_at_its_field(
    api: httpx.AsyncClient, language: str, name: str, hint: str
) -> None:
    api.cookies.set(COOKIE, language)
    data = {"csrf": api.cookies["dockrev_csrf"], "name": " ", "scope": "read", "expiresInDays": "30"}
    page = await api.post("/settings/tokens", data=data, headers=SAME_SITE)
    assert page.status_code == 400 and name in shown(page, language)
    toast = await api.post("/settings/tokens", data=data, headers={**SAME_SITE, "HX-Request": "true"})
    assert f'data-message="{name}"' in shown(toast, language)
    assert (await api.post("/settings/tokens", data={**data, "name": "one"}, headers=SAME_SITE)).status_code == 200
    again = await api.post("/settings/tokens", data={**data, "name": "one"}, headers=SAME_SITE)
    assert again.status_code == 409
    text = {"de": "Zuerst widerrufen, oder einen anderen Namen nehmen.", "zh": "请先将其吊销，或使用其他名称。"}
    assert text[language] in shown(again, language)


@pytest.mark.parametrize(
    ("card", "fields", "german"),
    [
        ("backups", {"backup.baseDir": "srv", "backup.skipTargetsOverBytes": "1"}, "absolut"),
        ("backups", {"backup.baseDir": "/srv", "backup.skipTargetsOverBytes": "much"}, "Zahl"),
        ("monitoring", {"resourceMonitor.sampleIntervalSeconds": "0"}, "10/30/60/300"),
        ("schedules", {"schedules.updateCheck.enabled": "true", "schedules.updateCheck.cron": "never"}, "Feld"),
        ("instance", {"instance.publicBaseUrl": "ftp://x"}, "http"),
    ],
)
async def test_settings_say_it_too(api: httpx.AsyncClient, card: str, fields: dict[str, str], german: str) -> None:
    for language in ("de", "zh"):
        api.cookies.set(COOKIE, language)
        data = {"csrf": api.cookies["dockrev_csrf"], **fields}
        page = await api.post(f"/settings/{card}", data=data, headers=SAME_SITE)
        assert page.status_code == 400, page.text[:200]
        found = re.search(r'data-problem="[^"]+"><span[^>]*>.*?<span>([^<]+)</span>', page.text, re.DOTALL)
        assert found and not re.search(r"\b(must|it|is|has|the)\b", found[1]), found and found[1]
        assert language == "zh" or german in shown(page, language)
        toast = await api.post(f"/settings/{card}", data=data, headers={**SAME_SITE, "HX-Request": "true"})
        shown(toast, language)


@pytest.mark.parametrize(
    ("language", "token", "site"),
    [
        ("de", "Die Seite neu laden und das Formular erneut senden.", "Diese Anfrage kam von einer anderen Website."),
        ("zh", "请重新加载页面并再次提交表单。", "此请求来自其他网站。"),
    ],
)
async def test_a_form_that_is_not_accepted(api: httpx.AsyncClient, language: str, token: str, site: str) -> None:
    page = await api.post("/checks", data={"scope": "all"}, headers=reading(language))
    assert page.status_code == 403 and token in shown(page, language)
    far = await api.post(
        "/checks", data={"scope": "all"}, headers=reading(language, **{"Sec-Fetch-Site": "cross-site"})
    )
    assert far.status_code == 403 and site in shown(far, language)


@pytest.mark.parametrize(("language", "title"), [("de", "Einstellungen für Caddy"), ("zh", "Caddy 设置")])
async def test_the_page_of_a_401(tmp_path: Path, language: str, title: str) -> None:
    async with running(tmp_path, **SIGNED_OUT) as (_, client):
        page = await client.get("/services", headers=reading(language))
        assert page.status_code == 401 and title in shown(page, language)
        part = await client.get("/services", headers=reading(language, **{"HX-Request": "true"}))
        assert part.status_code == 401 and {"de": "Anmeldung nötig.", "zh": "需要登录。"}[language] in shown(
            part, language
        )
        told = await client.get("/api/stacks", headers=reading(language))
        assert told.json()["error"]["message"] == "auth required"


@pytest.mark.parametrize(
    ("language", "taken", "moved"),
    [
        ("de", "An diesem Dienst wird schon gearbeitet.", "Der Ziel-Digest passt nicht mehr zur letzten Prüfung"),
        ("zh", "此服务正在处理中。", "目标摘要与最近一次检查不再相符"),
    ],
)
async def test_a_conflict(busy: Api, language: str, taken: str, moved: str) -> None:
    await busy.client.get("/services", headers=BROWSER)
    busy.client.cookies.set(COOKIE, language)
    target = {"serviceId": WEB, "targetTag": "1", "targetDigest": NEW, "pullTags": []}
    form = {
        "csrf": busy.client.cookies["dockrev_csrf"], "scope": "service", "serviceId": WEB, "mode": "apply",
        "target": json.dumps(target),
    }  # fmt: skip
    other = {**form, "target": json.dumps({**target, "targetDigest": NEW.replace("b", "c")})}
    page = await busy.client.post("/updates", data=other, headers=SAME_SITE)
    assert page.status_code == 409 and moved in shown(page, language), page.text[:400]
    await busy.occupy("service", STACK, WEB)
    page = await busy.client.post("/updates", data=form, headers=SAME_SITE)
    assert page.status_code == 409 and taken in shown(page, language)
    toast = await busy.client.post("/updates", data=form, headers={**SAME_SITE, "HX-Request": "true"})
    assert toast.status_code == 409 and taken in shown(toast, language)
    assert APP not in toast.text
