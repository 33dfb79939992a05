"""Updates that are about more than one service: restarts of dependents, all images first, a stop (spec §7.8, §7.9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.adapters.engine import PullResult
from app.core.errors import Conflict
from app.core.jobs import JobStatus
from app.features.updates.one_service import ServiceUpdate
from app.features.updates.records import Result
from app.features.updates.rules.recovery import Step
from tests.lab.house import House, house
from tests.lab.lab import Lab
from tests.lab.test_updates import publish, served, track

pytestmark = pytest.mark.lab


@pytest.fixture
async def home(clean_lab: Lab, tmp_path: Path) -> AsyncIterator[House]:
    async with house(clean_lab, tmp_path) as built:
        yield built


async def starts(home: House, project: str, names: str) -> dict[str, tuple[str, datetime | None]]:
    """Container id and start of services."""
    found = {name: await home.only(project, name) for name in names.split()}
    return {name: (one.id, one.started_at) for name, one in found.items()}


async def test_what_depends_on_it_with_restart_is_restarted_and_works(clean_lab: Lab, home: House) -> None:
    """app wants a restart after db; idle too, but is stopped; calm depends on db and wants none."""
    lab, samples = clean_lab, clean_lab.samples("db")
    db, app = publish(lab, "dep-db", samples.good("1.0.0")), publish(lab, "dep-app", samples.good("1.0.0"))
    after = "depends_on: {db: {condition: service_started, restart: true}}"
    stack = lab.stack(
        "dep",
        f"""services:
  db: {{image: '{db}'}}
  app: {{image: '{app}', {after}}}
  idle: {{image: '{app}', {after}}}
  calm: {{image: '{app}', depends_on: [db]}}
""",
    ).up(wait=True)
    stack.compose("stop", "-t", "1", "idle")
    idle = await starts(home, "dep", "idle")
    for version, ending in (("2.0.0", JobStatus.SUCCESS), ("3.0.0", JobStatus.ROLLED_BACK)):
        before = await starts(home, "dep", "app calm")
        good = ending is JobStatus.SUCCESS
        lab.registry.publish("up/dep-db", "1", samples.good(version) if good else samples.never_healthy(version))
        await home.look()
        service = await home.service("dep", "db")
        (planned,) = (await home.updates.plan("service", service_id=service.id)).targets
        assert (planned.restarted_after, planned.stays_up) == (("app",), ("calm",))
        assert planned.pull_bytes and (planned.away is None) is good, "known after the first update"
        dry = await home.update("dep", "db", mode="dry-run")
        (would,) = dry.summary["stacks"][0]["update"]["wouldChange"]
        assert would["restartedAfter"] == ["app", "idle"] and ("offlineSeconds" in would) is not good
        job = await home.update("dep", "db")
        assert job.status is ending, await home.log(job.id)
        assert served(lab, (await home.only("dep", "db")).id) == "2.0.0"
        now = await starts(home, "dep", "app calm")
        db_started = (await home.only("dep", "db")).started_at
        assert now["calm"] == before["calm"]
        (id, started), (old_id, old_started) = now["app"], before["app"]
        assert id == old_id and started and old_started and db_started and started > db_started > old_started
        health = (await home.only("dep", "app")).health
        assert health is not None and health.status == "healthy"
        assert await starts(home, "dep", "idle") == idle, "what was stopped stays stopped"
        log = await home.log(job.id)
        assert "dep/app depends on db with restart: true and is restarted" in log and "dep/idle" not in log
        if good:
            settled = job.summary["timeline"][0]["steps"][-1]
            assert (settled["step"], settled["note"]) == ("settled", "restarted after it: app")
    (planned,) = (await home.updates.plan("service", service_id=service.id)).targets
    assert planned.pull_bytes == 0, "what was taken back is still here"


async def test_all_images_are_here_before_the_first_container_is_touched(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("batch")
    names = ("db", "app", "web")
    refs = {name: publish(lab, f"batch-{name}", samples.good("1.0.0")) for name in names}
    after = "depends_on: {%s: {condition: service_started, restart: true}}"
    lab.stack(
        "batch",
        f"""services:
  db: {{image: '{refs["db"]}'}}
  app: {{image: '{refs["app"]}', {after % "db"}}}
  web: {{image: '{refs["web"]}', {after % "db"}}}
""",
    ).up(wait=True)
    before = await starts(home, "batch", "db app web")
    for name in names:
        lab.registry.publish(f"up/batch-{name}", "1", samples.good("2.0.0"))
    await home.look()
    body = await home.stack_body("batch", list(names))
    web = await home.service("batch", "web")
    (missing,) = (one for one in body.targets or () if one.service_id == web.id)
    lab.registry.delete_manifest("up/batch-web", missing.target_digest)
    job = await home.finished(await home.updates.start(body, "tester"))
    assert (job.status, job.summary["failureStep"]) == (JobStatus.FAILED, "pull"), await home.log(job.id)
    assert job.summary["error"].startswith("web: ") and "batch-web" in job.summary["error"], job.summary["error"]
    assert await starts(home, "batch", "db app web") == before, "nothing may be touched"
    assert {label["label"]: track(job, n).get("unchanged") for n, label in enumerate(job.summary["timeline"])} == {
        "batch/db": "skip", "batch/app": "skip", "batch/web": "done",
    }  # fmt: skip
    assert await home.updates._tools.journal.all() == []
    assert "up --detach" not in await home.log(job.id)
    # With all images, but the one in the middle goes back: web waited for an update of its own and is restarted now.
    for name in names:
        spec = samples.never_healthy("3.0.0") if name == "app" else samples.good("3.0.0")
        lab.registry.publish(f"up/batch-{name}", "1", spec)
    await home.look()
    job = await home.finished(await home.updates.start(await home.stack_body("batch", list(names)), "tester"))
    assert job.status is JobStatus.ROLLED_BACK and job.summary["error"].startswith("app: "), await home.log(job.id)
    versions = [served(lab, (await home.only("batch", name)).id)[:3] for name in names]
    assert versions == ["3.0", "1.0", "1.0"]
    now, db = (await starts(home, "batch", "web"))["web"], (await home.only("batch", "db")).started_at
    assert now[0] == before["web"][0] and now[1] and db and now[1] > db, "restarted, not recreated"
    assert (await home.log(job.id)).count("and is restarted") == 1, "app was recreated anyway"
    assert await home.updates._tools.journal.all() == []


async def test_a_restart_put_off_is_made_up_for_after_a_crash(
    clean_lab: Lab, home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """db is updated, app waits with its restart for its own update; then the process dies."""
    lab, samples = clean_lab, clean_lab.samples("owed")
    names = ["db", "app"]
    refs = {name: publish(lab, f"owed-{name}", samples.good("1.0.0")) for name in names}
    after = "depends_on: {db: {condition: service_started, restart: true}}"
    lab.stack("owed", f"services: {{db: {{image: '{refs['db']}'}}, app: {{image: '{refs['app']}', {after}}}}}").up(
        wait=True
    )
    for name in names:
        lab.registry.publish(f"up/owed-{name}", "1", samples.good("2.0.0"))
    await home.look()
    before, apply = (await starts(home, "owed", "app"))["app"], ServiceUpdate.apply

    async def dying(self: ServiceUpdate, ahead: Collection[str] = ()) -> Result:
        if self.service.name == "app":
            raise SystemError("as if killed")
        return await apply(self, ahead)

    monkeypatch.setattr(ServiceUpdate, "apply", dying)
    job = await home.finished(await home.updates.start(await home.stack_body("owed", names), "tester"))
    assert job.status is JobStatus.FAILED and served(lab, (await home.only("owed", "db")).id) == "2.0.0"
    assert (await starts(home, "owed", "app"))["app"] == before
    (owing,) = await home.updates._tools.journal.all()
    assert (owing.service, owing.step, [one.service for one in owing.dependents]) == ("db", Step.RESTARTS, ["app"])
    half_done = replace(owing, service_id=(await home.service("owed", "app")).id, service="app", step=Step.PREPARE)
    await home.updates._tools.journal.open(half_done)
    with pytest.raises(Conflict):
        await home.updates.start(await home.body("owed", "app"), "tester")
    for status, left in (("old_image_kept", 1), ("restarts_made", 0)):
        (recovery,) = await home.recovery.begin()
        ended = await home.finished(recovery)
        assert ended.status is JobStatus.SUCCESS and ended.summary["recovery"] == status, await home.log(recovery)
        assert len(await home.updates._tools.journal.all()) == left
    now, db = (await starts(home, "owed", "app"))["app"], (await home.only("owed", "db")).started_at
    assert now[0] == before[0] and now[1] and db and now[1] > db, "restarted, not recreated"
    # Whoever was replaced in the meantime needs no restart.
    await home.updates._tools.journal.open(
        replace(owing, job_id="job_later", dependents=(replace(owing.dependents[0], containers=("gone",)),))
    )
    (recovery,) = await home.recovery.begin()
    await home.finished(recovery)
    assert (await starts(home, "owed", "app"))["app"] == now and "was replaced or ended" in await home.log(recovery)


async def test_a_stop_is_honoured_until_the_first_container_is_touched(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("stop")
    ref = publish(lab, "stop", samples.good("1.0.0"))
    lab.stack("stop", f"services: {{web: {{image: '{ref}'}}, zoo: {{image: '{ref}'}}}}").up(wait=True)
    before = await starts(home, "stop", "web zoo")
    lab.registry.publish("up/stop", "1", samples.good("2.0.0"))
    await home.look()
    pulling, go_on = asyncio.Event(), asyncio.Event()
    pull = home.engine.pull

    async def slow_pull(ref: str, **options: Any) -> PullResult:
        pulling.set()
        await go_on.wait()
        return await pull(ref, **options)

    home.engine.pull = slow_pull  # type: ignore[method-assign]
    job_id = await home.updates.start(await home.stack_body("stop", ["web", "zoo"]), "tester")
    await asyncio.wait_for(pulling.wait(), 20)
    assert await home.jobs.request_stop(job_id, "bob") == "requested"
    go_on.set()
    job = await home.finished(job_id)
    assert (job.status, job.summary["error"]) == (JobStatus.CANCELLED, "stopped on request of bob")
    assert await starts(home, "stop", "web zoo") == before
    assert [track(job, n)["unchanged"] for n in (0, 1)] == ["skip", "skip"]
    assert (await home.log(job_id)).count("docker pull") == 1, "the running pull is finished, the next is not begun"
    assert await home.updates._tools.journal.all() == []
    # The service is free again, and once a container is touched it is too late.
    job_id = await home.updates.start(await home.body("stop", "web"), "tester")
    async with asyncio.timeout(20):
        while not await home.updates._tools.journal.all():
            await asyncio.sleep(0.02)
    with pytest.raises(Conflict) as refused:
        await home.jobs.request_stop(job_id, "bob")
    assert refused.value.details["reason"] == "apply_committed"
    assert (await home.finished(job_id)).status is JobStatus.SUCCESS, await home.log(job_id)
