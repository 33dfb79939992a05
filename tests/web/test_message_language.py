"""`DOCKREV_LANGUAGE` on the whole application: what is sent, and pages for who asks for no language there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.notifications.ends import HttpEnd
from tests.web.test_contract import running

HERE = "/settings/notifications"


async def test_a_message_is_in_it_and_the_answer_is_not(tmp_path: Path) -> None:
    with HttpEnd() as hook:
        async with running(tmp_path, language="de") as (_, api):
            off = {"enabled": False}
            body = {"email": off, "webhook": {"enabled": True, "url": hook.url}, "telegram": off, "webPush": off}
            assert (await api.put("/api/notifications", json=body)).status_code == 200
            told = await api.post("/api/notifications/test", json={}, headers={"Accept-Language": "zh"})
            page = await api.get(HERE, headers={"Accept": "text/html", "Accept-Language": "en"})
            as_json = await api.get(HERE)
    assert told.json() == {"ok": True, "results": {"webhook": {"ok": True}}}
    assert hook.seen[0].json()["human"]["title"] == "Dockrev-Test"
    assert 'Messages are in <span lang="de">Deutsch</span>' in page.text
    assert '<span lang="de">Dockrev-Test</span>' in page.text, "the title of a message is what was sent"
    assert as_json.json()["language"] == "de"


@pytest.mark.parametrize(
    ("accepted", "spoken"), [(None, "de"), ("fr, *;q=0.1", "de"), ("en", "en"), ("fr, zh;q=0.2", "zh-Hans")]
)
async def test_pages_speak_it_to_who_asks_for_none_there_is(tmp_path: Path, accepted: str | None, spoken: str) -> None:
    async with running(tmp_path, language="de") as (_, api):
        asked = {"Accept": "text/html", **({"Accept-Language": accepted} if accepted else {})}
        page = await api.get("/settings", headers=asked)
    assert f'<html lang="{spoken}"' in page.text
