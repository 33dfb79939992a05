"""The pages of GitHub packages: three shapes, forms without JavaScript, hostile names (spec §11.3)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.features.hooks.settings import HookSettings
from tests.fakes.github import TOKEN, Fault
from tests.web.hooks_house import CALLBACK, House, house, published
from tests.web.test_pages import BROWSER

HERE, JOBS, INBOX = "/settings/ghcr-webhooks", "/queue/ghcr-webhooks", "/queue/ghcr-webhook-inbox"
PAGES = [HERE, f"{HERE}/add", f"{HERE}/add?input=acme/web", JOBS, INBOX]
CSRF = "x" * 32


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        made.client.cookies.set("dockrev_csrf", CSRF)
        yield made


async def show(at: House, path: str, status: int = 200) -> str:
    answer = await at.client.get(path, headers=BROWSER)
    assert answer.status_code == status, answer.text[:500]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", answer.text)
    assert TOKEN not in answer.text
    return answer.text


async def submit(at: House, path: str, status: int = 303, **fields: Any) -> httpx.Response:
    answer = await at.client.post(
        path, data={"csrf": CSRF, **fields}, headers={**BROWSER, "Referer": f"http://localhost{HERE}?q=a"}
    )
    assert answer.status_code == status, answer.text[:500]
    return answer


@pytest.mark.parametrize("path", PAGES)
async def test_three_shapes(at: House, path: str) -> None:
    text = await show(at, path)
    assert text.startswith("<!doctype html>") and text.count("<h1") == 1
    fragment = await at.client.get(path, headers={**BROWSER, "HX-Request": "true", "HX-Target": "page"})
    assert "<html" not in fragment.text and "<h1" in fragment.text
    document = await at.client.get(path, headers={"Accept": "application/json"})
    assert isinstance(document.json(), dict) and "HX-Request" in document.headers["vary"]


async def test_from_nothing_to_a_webhook(at: House) -> None:
    text = await show(at, HERE)
    assert "GitHub does not tell of new images yet" in text and "Select acme/web" in text
    answer = await submit(at, HERE, enabled="true", callbackUrl=CALLBACK, pat=TOKEN)
    assert answer.headers["location"] == f"{HERE}#settings"
    assert "No repository is selected yet" in await show(at, HERE)
    await submit(at, HERE, enabled="true", callbackUrl=CALLBACK, pat="")
    assert (await at.container.get(HookSettings).read()).pat == TOKEN
    text = await show(at, f"{HERE}/add?input=https://github.com/acme")
    assert "acme has 3 repositories" in text and text.index('value="acme/web" checked') < text.index('value="acme/api"')
    answer = await submit(at, f"{HERE}/targets/add", input="https://github.com/acme", repo=["acme/web", "acme/tools"])
    assert answer.headers["location"] == HERE
    found = (await at.get("/repos"))["repos"]
    assert [each["fullName"] for each in found] == ["acme/tools", "acme/web"]
    await at.finished(found[0]["webhookJobId"])
    text = await show(at, HERE)
    assert "GitHub tells of new images of 2 repositories" in text and text.count("In place") >= 2
    assert "Full webhook sync of all repositories" in await show(at, JOBS)


async def test_forms_of_a_repository(at: House) -> None:
    await at.settings(repos=[{"fullName": "acme/web", "selected": False}])
    answer = await submit(at, f"{HERE}/repos/select", fullName="acme/web", selected="true")
    assert answer.headers["location"] == f"{HERE}?q=a"
    repo = await at.repo("acme/web")
    assert repo is not None and repo["selected"]
    await at.finished(repo["webhookJobId"])
    answer = await at.client.post(
        f"{HERE}/repos/sync", data={"csrf": CSRF, "fullName": "acme/web"}, headers={**BROWSER, "HX-Request": "true"}
    )
    assert answer.status_code == 200 and 'class="toast"' in answer.text
    await submit(at, f"{HERE}/audit")
    await submit(at, f"{HERE}/sync-all")
    await submit(at, f"{HERE}/repos/bulk", q="", selectedFilter="all", selected="false")
    assert (await at.get("/repos"))["selectedTotal"] == 0
    await submit(at, f"{HERE}/targets/remove", input="acme")
    await submit(at, f"{HERE}/repos/delete", fullName="acme/web")
    await submit(at, f"{HERE}/repos/delete", 404, fullName="acme/none")
    await submit(at, f"{HERE}/targets/add", 400, input="acme/web")


@pytest.mark.parametrize(
    "path",
    ["", "/targets/add", "/targets/remove", "/repos/select", "/repos/sync", "/repos/delete", "/repos/bulk",
     "/sync-all", "/audit", "/conflict/acme/web"],
)  # fmt: skip
async def test_forms_want_their_token(at: House, path: str) -> None:
    answer = await at.client.post(HERE + path, data={"csrf": "wrong"}, headers=BROWSER)
    assert answer.status_code == 403


async def test_a_conflict_is_settled_on_its_page(at: House) -> None:
    await at.settings(repos=[{"fullName": "acme/web", "selected": True}])
    first, second = at.github.add_hook("acme/web", CALLBACK), at.github.add_hook("acme/web", CALLBACK + "/")
    await at.finished((await at.post("/webhook/sync-repo", {"fullName": "acme/web"}))["jobId"])
    text = await show(at, HERE)
    assert "1 webhook needs you" in text and f"{HERE}/conflict/acme/web" in text and "Several webhooks" in text
    text = await show(at, f"{HERE}/conflict/acme/web")
    assert "2 webhooks call this Dockrev" in text
    await submit(at, f"{HERE}/conflict/acme/web", keep=str(second), shown=[str(first), str(second)])
    repo = await at.repo("acme/web")
    assert repo is not None
    await at.finished(repo["webhookJobId"])
    assert [hook["id"] for hook in at.github.hooks["acme/web"]] == [second]
    assert "The conflict is over" in await show(at, f"{HERE}/conflict/acme/web")
    await submit(at, f"{HERE}/conflict/acme/web", 400, keep="x")
    at.github.faults.append(Fault(401, times=9))
    assert "GitHub cannot be asked" in await show(at, f"{HERE}/conflict/acme/web")
    await show(at, f"{HERE}/conflict/acme/none", 404)


async def test_what_cannot_be_found_is_said_on_the_page(at: House) -> None:
    assert "There is no token yet" in await show(at, f"{HERE}/add")
    assert "Nothing was found" in await show(at, f"{HERE}/add?input=acme")
    assert "expected owner" in await show(at, f"{HERE}/add?input=a/b/c")
    assert "&lt;script&gt;" in await show(at, f"{HERE}/add?input=<script>")


async def test_deliveries_on_their_page(at: House) -> None:
    await at.settings(repos=[{"fullName": "acme/web", "selected": True}, {"fullName": "acme/api", "selected": False}])
    told = await at.deliver(published())
    await at.deliver(published())
    await at.deliver(published("acme/api"), delivery="<b>d-2")
    await at.deliver(b"{", delivery="d-3", status=400)
    text = await show(at, INBOX)
    assert "GitHub called 3 times" in text and "Acted on" in text and "Rejected" in text and "Came 2 times" in text
    assert f'href="/queue/{told["jobIds"][1]}"' in text and "&lt;b&gt;d-2" in text
    assert "The repository is not selected." in text
    text = await show(at, f"{INBOX}?decision=ignored&q=acme")
    assert "acme/<wbr>api" in text and "acme/<wbr>web" not in text
    await show(at, f"{INBOX}?decision=foo", 400)


async def test_many_repositories_have_pages(at: House) -> None:
    await at.settings(repos=[{"fullName": f"acme/r{number:03}", "selected": True} for number in range(120)])
    text = await show(at, f"{HERE}?page=2")
    assert "Page 2 of 3" in text and f'href="{HERE}?page=3"' in text and len(text.encode()) < 130_000
    text = await show(at, f"{HERE}?q=r00&selectedFilter=selected")
    assert "All 10 that match" in text
    assert "No repository matches" in await show(at, f"{HERE}?q=zzz")
    await show(at, f"{HERE}?page=x", 400)


async def test_a_mistake_comes_back_with_the_page(at: House) -> None:
    answer = await submit(at, HERE, 400, enabled="true", callbackUrl="dockrev.example", pat=TOKEN)
    assert answer.text.startswith("<!doctype html>") and "Nothing was saved." in answer.text
    assert 'value="dockrev.example"' in answer.text and TOKEN not in answer.text
    assert (await at.get("/settings"))["enabled"] is False
    fields = {"csrf": CSRF, "enabled": "true", "callbackUrl": CALLBACK}
    alert = await at.client.post(HERE, data=fields, headers={**BROWSER, "HX-Request": "true"})
    assert alert.status_code == 400 and 'data-field="pat"' in alert.text
