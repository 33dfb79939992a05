"""A notification channel that does not get through is told on the overview, which asks the database no more for it."""

from __future__ import annotations

import asyncio
from typing import Any

from app.features.notifications import SettingsStore, schemas
from tests.unit.notifications.ends import HttpEnd
from tests.web.test_pages import BROWSER
from tests.web.test_updates_api import Api, api
from tests.web.test_widget import counted

__all__ = ["api"]
STATEMENTS = 8


async def issues(api: Api) -> list[dict[str, Any]]:
    with counted() as statements:
        answer = await api.client.get("/", headers={"Accept": "application/json"})
    assert answer.status_code == 200 and len(statements) <= STATEMENTS, statements
    return [issue for issue in answer.json()["issues"] if issue["key"].startswith("channel-")]


async def until(api: Api, told: bool) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        while bool(found := await issues(api)) is not told:
            await asyncio.sleep(0.05)
    return found


async def test_a_failing_channel_needs_somebody(api: Api) -> None:
    with HttpEnd() as end:
        end.default = (500, b"<b>kitchen</b> fire " + b"and smoke " * 60)
        store = api.container.get(SettingsStore)
        await store.save(schemas.WebhookInput(enabled=True, url=f"{end.url}/s3cret"))
        assert await issues(api) == []
        await api.client.post("/api/notifications/test", json={"channel": "webhook"})
        [issue] = await until(api, told=True)
        assert issue["severity"] == "bad" and issue["title"] == "Webhook: the last message did not arrive."
        assert "500" in issue["detail"] and len(issue["detail"]) <= 125
        assert [action["href"] for action in issue["actions"]] == ["/settings/notifications#webhook"]
        page = (await api.client.get("/", headers=BROWSER)).text
        assert 'id="issue-channel-webhook"' in page and 'href="/settings/notifications#webhook"' in page
        assert "<b>kitchen" not in page and "s3cret" not in page
        assert 'id="webhook"' in (await api.client.get("/settings/notifications", headers=BROWSER)).text
        end.default = (204, b"")
        await api.client.post("/api/notifications/test", json={"channel": "webhook"})
        assert await until(api, told=False) == []
        page = (await api.client.get("/", headers=BROWSER)).text
        assert "issue-channel-webhook" not in page
