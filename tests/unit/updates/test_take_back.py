"""The way back when somebody else's Compose is at work at the same moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.adapters.compose import CommandResult, Compose, ComposeCommandFailed, Project
from app.adapters.engine import ContainerDetail
from app.core.clock import Clock
from app.core.db import Database
from app.core.events import EventBus
from app.core.jobs import JobContext, JobEngine, JobKind, JobOutcome, NewJob
from app.features.stacks import Stacks
from app.features.updates import take_back as way
from app.features.updates.journal import Journal
from app.features.updates.records import Change
from app.features.updates.rules.health import Verdict
from app.features.updates.tools import Tools
from app.settings import Settings
from tests.fakes.engine import FakeEngine, compose_container, image

OLD = "sha256:" + "a" * 64
CHANGE = Change(
    job_id="job_1", stack_id="stk_1", service_id="svc_1", service="web", project=Project("shop", (Path("/c.yml"),)),
    configured_ref="web:1", target_ref="web@sha256:b", target_tag="1", old_image_id=OLD,
)  # fmt: skip


class Host(FakeEngine):
    """One container; tags are taken without a word."""

    def __init__(self) -> None:
        super().__init__([compose_container("shop", "web", image_id=OLD)], [image("web", id=OLD)])
        self.show(running=False)

    def show(self, *, running: bool) -> None:
        row = self.listed[0]
        self.details[row.id] = ContainerDetail(
            id=row.id, name=row.name, image_ref="web:1", image_id=OLD, labels=row.labels,
            state="running" if running else "exited", running=running, restarting=False, restart_count=0, exit_code=0,
            oom_killed=False, error="", created=None, started_at=None, finished_at=None, health=None,
            health_policy=None, network_mode="", mounts=(),
        )  # fmt: skip

    async def tag(self, image_id: str, ref: str) -> None:
        assert (image_id, ref) == (OLD, "web:1")


class Disturbed(Compose):
    """`up` fails `failures` times without starting anything, then works."""

    def __init__(self, host: Host, failures: int, *, says_so: bool = True) -> None:
        super().__init__("docker-compose")
        self.host, self.failures, self.says_so, self.ups = host, failures, says_so, 0

    async def up(self, *_: Any, **options: Any) -> CommandResult:
        assert options["scale"] == {"web": 1}
        self.ups += 1
        works = self.ups > self.failures
        self.host.show(running=works)
        result = CommandResult(("docker-compose", "up"), 0 if works else 1, "", "", 0.1)
        if not works and self.says_so:
            raise ComposeCommandFailed(result, "up", "No such container: 80ff")
        return result


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[JobEngine]:
    database = Database(tmp_path / "jobs.sqlite3")
    await database.create_all()
    engine = JobEngine(database, EventBus())
    yield engine
    await engine.stop()
    await database.close()


@pytest.mark.parametrize(
    ("failures", "says_so", "ups", "state"),
    [(0, True, 1, "ok"), (1, True, 2, "ok"), (2, True, 2, "bad"), (1, False, 1, "bad")],
)
async def test_it_is_taken_once_more_when_compose_was_disturbed(
    jobs: JobEngine, monkeypatch: pytest.MonkeyPatch, failures: int, says_so: bool, ups: int, state: str
) -> None:
    monkeypatch.setattr(way, "DISTURBED_SECONDS", 0.0)
    host, clock = Host(), Clock()
    compose = Disturbed(host, failures, says_so=says_so)
    settings = Settings().model_copy(update={"update_settle_seconds": 0.0})
    tools = Tools(host, compose, Stacks(jobs.db, jobs.bus, clock), Journal(jobs.db, clock), settings, clock)
    verdicts: list[Verdict] = []

    async def handler(ctx: JobContext) -> JobOutcome:
        change = replace(CHANGE, job_id=ctx.job.id)
        await tools.journal.open(change)
        verdicts.append(await way.take_back(tools, ctx, change))
        return JobOutcome()

    jobs.register(JobKind("rollback", handler))
    job_id = await jobs.submit(NewJob("rollback", "service", "tester"))
    await jobs._running[job_id]
    assert (compose.ups, verdicts[0].state) == (ups, state), verdicts
