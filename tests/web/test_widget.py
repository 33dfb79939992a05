"""`GET /api/widget`: what dashboards get, what is null, and what it costs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic.alias_generators import to_camel
from ruamel.yaml import YAML
from sqlalchemy import event
from sqlalchemy.engine import Engine as SqlEngine

from app.core.clock import Clock
from app.core.db import Database
from app.core.jobs import Job, JobStatus
from app.features.overview.widget import WidgetOut
from app.features.stacks.models import ServiceRow
from app.features.versions.models import IgnoreRule, ServiceVersion
from tests.web.test_contract import running
from tests.web.test_updates_api import APP, DB, FAR, NOW, OWN, STACK, WEB, Api, api

__all__ = ["api"]
EVERY = {
    "services", "stacks", "updates", "held", "upToDate", "unknown", "failedChecks", "runningJobs", "lastCheckAt",
    "lastCheckMinutes", "engineReachable", "version", "asOf",
}  # fmt: skip


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements of this task for a while, not of what else goes on; beginning a transaction is none."""
    found: list[str] = []
    mine = asyncio.current_task()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if asyncio.current_task() is mine and not statement.startswith(("BEGIN", "PRAGMA")):
            found.append(statement)

    event.listen(SqlEngine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(SqlEngine, "before_cursor_execute", note)


async def asked(api: Api) -> dict[str, Any]:
    answer = await api.client.get("/api/widget")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert set(found) == EVERY, "flat, and nothing is left out"
    assert not any(isinstance(value, dict | list) for value in found.values())
    return found


async def test_what_nobody_looked_for_is_not_known(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        answer = (await client.get("/api/widget")).json()
    assert set(answer) == EVERY
    unknown = EVERY - {"runningJobs", "engineReachable", "version", "asOf"}
    assert {name for name in unknown if answer[name] is not None} == set()
    assert answer["engineReachable"] in (None, False), "there is no engine here"


async def test_an_empty_host_that_was_looked_at_has_none(tmp_path: Path) -> None:
    async with running(tmp_path) as (app, client):
        looked = Job(
            id="dsc_1", type="discovery", scope="all", status=JobStatus.SUCCESS, created_by="x", reason="x",
            created_at=NOW, finished_at=NOW,
        )  # fmt: skip
        async with app.state.container.get(Database).transaction() as session:
            session.add(looked)
        answer = (await client.get("/api/widget")).json()
    assert [answer[name] for name in ("services", "stacks", "updates", "held", "unknown")] == [0] * 5
    assert answer["lastCheckAt"] is None


async def test_it_counts_what_the_pages_count(api: Api) -> None:
    rule = IgnoreRule(
        id="ign_1", scope_service_id=DB, match_kind="prefix", match_value="1", created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    async with api.container.get(Database).transaction() as session:
        session.add(rule)
    await api.set(DB, ignore_rule_id="ign_1", ignore_reason="prefix")
    await api.set(FAR, last_error="HTTP 429", last_error_at=NOW)
    found = await asked(api)
    assert (found["services"], found["stacks"], found["runningJobs"]) == (5, 2, 0)
    assert (found["updates"], found["held"], found["upToDate"], found["unknown"]) == (2, 1, 1, 0)
    assert found["failedChecks"] == 1
    assert found["lastCheckAt"] == NOW.isoformat().replace("+00:00", "Z")
    assert found["lastCheckMinutes"] >= 0
    assert found["updates"] == (await api.client.get("/", headers={"Accept": "application/json"})).json()["actionable"]


async def test_archived_things_do_not_count(api: Api) -> None:
    assert (await api.client.post(f"/api/services/{WEB}/archive")).status_code == 200
    found = await asked(api)
    assert (found["services"], found["updates"]) == (4, 2)


async def test_before_the_first_check_nothing_is_said_of_updates(api: Api) -> None:
    async with api.container.get(Database).transaction() as session:
        for service_id in (WEB, APP, DB, FAR):
            await session.delete(await session.get_one(ServiceVersion, service_id))
    await api.client.post(f"/api/services/{OWN}/archive")
    found = await asked(api)
    assert (found["services"], found["unknown"]) == (4, 4)
    assert [found[name] for name in ("updates", "held", "upToDate", "failedChecks", "lastCheckAt")] == [None] * 5


async def test_a_clock_that_went_back_is_no_negative_age(api: Api) -> None:
    await api.set(WEB, checked_at=api.container.get(Clock).now() + timedelta(hours=1))
    assert (await asked(api))["lastCheckMinutes"] == 0


async def test_it_is_cheap_however_many_services_there_are(api: Api) -> None:
    await asked(api)
    with counted() as few:
        await asked(api)
    assert len(few) <= 3, few
    async with api.container.get(Database).transaction() as session:
        for number in range(200):
            row = ServiceRow(
                id=f"svc_{number}", stack_id=STACK, name=f"n{number}", image_ref="a/b:1", image_tag="1",
                created_at=NOW, updated_at=NOW,
            )  # fmt: skip
            session.add(row)
    with counted() as many:
        assert (await asked(api))["unknown"] == 200
    assert len(many) == len(few), many


async def test_metrics_have_the_same_states(api: Api) -> None:
    await api.set(FAR, candidate_arch_match="mismatch")
    told = (await api.client.get("/metrics")).text
    assert 'dockrev_services{state="arch_mismatch"} 1.0' in told
    assert 'dockrev_services{state="ok"} 1.0' in told
    assert 'dockrev_services{state="unknown"} 0.0' in told
    (checked,) = (line for line in told.splitlines() if line.startswith("dockrev_last_check_timestamp_seconds "))
    assert float(checked.split()[1]) == NOW.timestamp()


async def test_metrics_of_what_nobody_looked_for(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        told = (await client.get("/metrics")).text
    assert "dockrev_services{" not in told, "no zeros while nothing is known"
    assert "dockrev_last_check_timestamp_seconds NaN" in told


def test_the_snippets_of_the_documentation_name_what_there_is() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    homepage, glance = (YAML(typ="safe").load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    (service,) = homepage
    widget = service["Dockrev"]["widget"]
    assert (widget["type"], urlsplit(widget["url"]).path) == ("customapi", "/api/widget")
    fields = WidgetOut.model_fields
    nullable = {to_camel(name) for name, field in fields.items() if field.annotation not in (int, str, datetime)}
    for mapping in widget["mappings"]:
        assert mapping["field"] in EVERY
        assert "format" not in mapping, "a formatted null looks like a number"
        remapped = [entry["value"] for entry in mapping.get("remap", ())]
        assert (None in remapped) == (mapping["field"] in nullable), mapping
    assert set(re.findall(r'JSON\.String "(\w+)"', glance[0]["template"])) <= EVERY
    assert ".Int " not in glance[0]["template"]
