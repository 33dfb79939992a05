"""Updates on a real engine: what works, what is taken back, and what is left alone (spec §7.8)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Conflict
from app.core.jobs import JobRecord, JobStatus
from tests.lab.builder import Spec
from tests.lab.house import House, house
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab


@pytest.fixture
async def home(clean_lab: Lab, tmp_path: Path) -> AsyncIterator[House]:
    async with house(clean_lab, tmp_path) as built:
        yield built


def publish(lab: Lab, name: str, spec: Spec, tag: str = "1") -> str:
    """A reference to a freshly published image."""
    lab.registry.publish(f"up/{name}", tag, spec)
    return lab.registry.ref(f"up/{name}", tag)


def track(job: JobRecord, n: int = 0) -> dict[str, str]:
    """Steps of a service's line with how they ended."""
    return {step["step"]: step["status"] for step in job.summary["timeline"][n]["steps"]}


def served(lab: Lab, home_container: str) -> str:
    """The version a container says it is."""
    return lab.docker("exec", home_container, "cat", "/app/version").strip()


async def test_an_update_ends_healthy_on_exactly_the_confirmed_digest(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("web")
    ref = publish(lab, "web", samples.good("1.0.0"))
    lab.stack("news", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)
    before_id = lab.docker("image", "inspect", "-f", "{{.Id}}", ref).strip()
    new = lab.registry.publish("up/web", ["1", "1.1.0"], samples.good("1.1.0"))
    await home.look()
    job = await home.update("news", "web", pullTags=["1.1.0", "9.9.9"])
    assert job.status is JobStatus.SUCCESS, await home.log(job.id)
    container = await home.only("news", "web")
    assert served(lab, container.id) == "1.1.0"
    assert container.health is not None and container.health.status == "healthy"
    assert (await home.engine.image(ref)).id == container.image_id, "a plain compose up must keep the new image"
    (stack,) = job.summary["stacks"]
    service = await home.service("news", "web")
    assert stack["backup"] == {"status": "skipped", "reason": "no_targets"}
    assert stack["update"]["changedServices"] == 1
    assert stack["update"]["oldDigests"] == {service.id: before_id}
    assert stack["update"]["newDigests"] == {service.id: container.image_id}
    assert stack["update"]["targetTagsPulled"] == [ref]
    assert stack["update"]["pullTagsPulled"] == [ref.removesuffix(":1") + ":1.1.0"]
    assert [warning["tagRef"][-5:] for warning in stack["update"]["pullTagWarnings"]] == ["9.9.9"]
    assert job.summary["progress"]["percent"] == 100
    assert track(job) == {
        "queued": "done", "backup": "skip", "pull": "done", "recreate": "done", "health": "done", "settled": "done",
    }  # fmt: skip
    assert job.summary["timeline"][0]["toDigest"] == new
    assert job.summary["timeline"][0]["layers"]
    rows = await home.jobs.store.rows_after(0, job_id=job.id, limit=1000)
    kinds = [row.event()["type"] for row in rows if row.level == "event"]
    assert "update_state_settled" in kinds and kinds.count("job_progress") > 5
    record = (await home.versions.records([service.id]))[service.id]
    assert (record.current_digest, record.candidate_digest) == (new, None)
    assert await home.updates._tools.journal.all() == []
    lab.stacks[0].up()
    assert (await home.only("news", "web")).image_id == container.image_id, "a plain compose up goes back"


async def test_a_version_that_never_gets_healthy_is_taken_back_with_evidence(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("sick")
    ref = publish(lab, "sick", samples.good("1.0.0"))
    other = publish(lab, "other", samples.good("1.0.0"))
    yaml = f"services: {{web: {{image: '{ref}'}}, zoo: {{image: '{other}'}}}}"
    lab.stack("sick", yaml).up(wait=True)
    before = await home.only("sick", "web")
    digest = lab.registry.publish("up/sick", "1", samples.never_healthy("2.0.0"))
    lab.registry.publish("up/other", "1", samples.good("2.0.0"))
    await home.look()
    body = await home.stack_body("sick", ["web", "zoo"])
    job = await home.finished(await home.updates.start(body, "tester"))
    assert job.status is JobStatus.ROLLED_BACK, await home.log(job.id)
    after = await home.only("sick", "web")
    assert after.image_id == before.image_id and after.id != before.id
    assert after.health is not None and after.health.status == "healthy"
    assert (await home.engine.image(ref)).id == before.image_id
    assert served(lab, (await home.only("sick", "zoo")).id) == "1.0.0", "the rest is not attempted"
    (stack,) = job.summary["stacks"]
    assert (stack["update"]["failureStep"], stack["update"]["changedServices"]) == ("health", 0)
    web = await home.service("sick", "web")
    evidence = stack["update"]["rollbackEvidence"][web.id]
    assert evidence["failedDigest"] == digest and evidence["restoredOk"] is True
    assert "sick 2.0.0 ready" in "\n".join(evidence["lastOutput"])
    assert "migration 7 failed" in evidence["healthOutput"] and 1 <= len(evidence["healthProbes"]) <= 5
    assert track(job)["health"] == "bad" and track(job)["rolled_back"] == "back"
    assert track(job, 1) == {"queued": "done", "backup": "skip", "pull": "done", "unchanged": "skip"}


async def test_a_settled_update_can_be_taken_back_on_request(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("undo")
    ref = publish(lab, "undo", samples.good("1.0.0"))
    lab.stack("undo", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)
    old = await home.only("undo", "web")
    old_digest = lab.registry.digest("up/undo", "1")
    digest = lab.registry.publish("up/undo", "1", samples.good("2.0.0"))
    await home.look()
    service = await home.service("undo", "web")
    assert (await home.rollbacks.target(service.id)).unavailable_reason == "no_matching_update_history"
    with pytest.raises(Conflict):
        await home.rollbacks.start(service.id, "tester")
    job = await home.update("undo", "web")
    target = await home.rollbacks.target(service.id)
    assert (target.available, target.target_digest, target.source_update_job_id) == (True, old_digest, job.id)
    back = await home.finished(await home.rollbacks.start(service.id, "tester"))
    assert (back.type, back.status) == ("rollback", JobStatus.SUCCESS), await home.log(back.id)
    assert (await home.only("undo", "web")).image_id == old.image_id
    assert (await home.engine.image(ref)).id == old.image_id
    line = back.summary["timeline"][0]
    assert (line["fromDigest"], line["toDigest"]) == (digest, old_digest)
    record = (await home.versions.records([service.id]))[service.id]
    assert (record.current_digest, record.candidate_digest) == (old_digest, digest)


async def test_a_crash_loop_without_a_health_check_is_taken_back(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("loop")
    ref = publish(lab, "loop", samples.no_healthcheck("1.0.0"))
    lab.stack("loop", f"services: {{web: {{image: '{ref}', restart: always}}}}").up()
    before = await home.only("loop", "web")
    from dataclasses import replace

    lab.registry.publish("up/loop", "1", replace(samples.crash_looping("2.0.0", exit_code=7), health=None))
    await home.look()
    job = await home.update("loop", "web")
    assert job.status is JobStatus.ROLLED_BACK, await home.log(job.id)
    after = await home.only("loop", "web")
    assert after.running and after.image_id == before.image_id
    (evidence,) = job.summary["stacks"][0]["update"]["rollbackEvidence"].values()
    assert "setting HOMEPAGE_TITLE is missing" in "\n".join(evidence["lastOutput"])
    assert evidence["exitCode"] == 7 or evidence["restarts"] >= 1


async def test_no_health_check_settles_after_running_undisturbed(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("calm")
    ref = publish(lab, "calm", samples.no_healthcheck("1.0.0"))
    lab.stack("calm", f"services: {{web: {{image: '{ref}'}}}}").up()
    lab.registry.publish("up/calm", "1", samples.no_healthcheck("2.0.0"))
    await home.look()
    assert (await home.update("calm", "web")).status is JobStatus.SUCCESS


async def test_a_slow_start_is_waited_for(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("slow")
    ref = publish(lab, "slow", samples.good("1.0.0"))
    lab.stack("slow", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)
    lab.registry.publish("up/slow", "1", samples.slow_start("2.0.0", 6))
    await home.look()
    job = await home.update("slow", "web")
    assert job.status is JobStatus.SUCCESS, await home.log(job.id)


async def test_an_image_that_cannot_be_had_changes_nothing(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("gone")
    ref = publish(lab, "gone", samples.good("1.0.0"))
    lab.stack("gone", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)
    before = await home.only("gone", "web")
    lab.registry.publish("up/gone", "1", samples.good("2.0.0"))
    await home.look()
    body = await home.body("gone", "web")
    lab.registry.delete_manifest("up/gone", body.target_digest or "")
    job = await home.finished(await home.updates.start(body, "tester"))
    assert (job.status, job.summary["failureStep"]) == (JobStatus.FAILED, "pull"), await home.log(job.id)
    assert (await home.only("gone", "web")).id == before.id
    assert track(job)["unchanged"] == "done"
    assert await home.updates._tools.journal.all() == []


async def test_what_lives_in_a_service_comes_back_working(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("vpn")
    vpn, app = publish(lab, "vpn", samples.good("1.0.0")), publish(lab, "lodger", samples.no_healthcheck("1.0.0"))
    lodger = f"{{image: '{app}', network_mode: 'service:vpn', command: ['sleep', '3600'], init: true}}"
    # `inner` lives in what lives in it
    others = {"watcher": "pid: 'service:vpn'", "cache": "ipc: 'service:vpn', init: true", "inner": "pid: 'service:app'"}
    more = ", ".join(f"{name}: {{image: '{app}', {how}, command: ['sleep', '3600']}}" for name, how in others.items())
    services = f"{{vpn: {{image: '{vpn}', ipc: shareable}}, app: {lodger}, {more}}}"
    lab.stack("house", f"services: {services}").up(wait=True)
    guest = f"{{image: '{app}', network_mode: 'container:house-vpn-1', command: ['sleep', '3600'], init: true}}"
    lab.stack("guest", f"services: {{far: {guest}}}").up()
    lab.docker("run", "-d", "--name", "stranger", "--network", "container:house-vpn-1", app, "sleep", "60")
    try:
        for version, ending in (("2.0.0", JobStatus.SUCCESS), ("3.0.0", JobStatus.ROLLED_BACK)):
            good = ending is JobStatus.SUCCESS
            lab.registry.publish("up/vpn", "1", samples.good(version) if good else samples.never_healthy(version))
            await home.look()
            job = await home.update("house", "vpn")
            assert job.status is ending, await home.log(job.id)
            for project, name in (("house", "app"), ("guest", "far")):
                mate = await home.only(project, name)
                assert mate.running
                page = lab.docker("exec", mate.id, "wget", "-q", "-O", "-", "http://127.0.0.1/")
                assert page.strip() == "vpn 2.0.0", "it must see the network of the container that runs now"
            host, lodged = await home.only("house", "vpn"), await home.only("house", "app")
            assert await shared_with(home, "watcher", "cache") == [f"container:{host.id}"] * 2
            assert await shared_with(home, "inner") == [f"container:{lodged.id}"]
            if good:
                assert any("stranger" in text for text in job.summary["stacks"][0]["update"]["warnings"])
                lab.docker("rm", "-f", "stranger")
    finally:
        lab.docker("rm", "-f", "stranger", check=False)


async def shared_with(home: House, *names: str) -> list[str]:
    """Whose processes or memory these running services of `house` use."""
    found = [await home.only("house", name) for name in names]
    assert all(one.running for one in found)
    return [mode for one in found for mode in (one.pid_mode, one.ipc_mode) if mode.startswith("container:")]


async def test_dependencies_are_updated_first_and_stopped_services_stay_stopped(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("order")
    names = {"a": "[c]", "b": "[]", "c": "[b]", "z": "[]"}
    refs = {name: publish(lab, f"order-{name}", samples.good("1.0.0")) for name in names}
    services = ", ".join(f"{n}: {{image: '{refs[n]}', depends_on: {after}}}" for n, after in names.items())
    stack = lab.stack("order", f"services: {{{services}}}").up(wait=True)
    stack.compose("stop", "-t", "1", "z")
    for name in names:
        lab.registry.publish(f"up/order-{name}", "1", samples.good(f"2.0.0-{name}"))
    # z still tells what it ran, so that a candidate is known for it
    await home.look()
    with_candidate = [
        name
        for name in names
        if (await home.versions.records([(await home.service("order", name)).id])).popitem()[1].has_candidate
    ]
    body = await home.stack_body("order", with_candidate)
    job = await home.finished(await home.updates.start(body, "tester"), timeout=120)
    assert job.status is JobStatus.SUCCESS, await home.log(job.id)
    assert [entry["label"] for entry in job.summary["timeline"] if entry["label"] != "order/z"] == [
        "order/b", "order/c", "order/a",
    ]  # fmt: skip
    for name in "abc":
        assert served(lab, (await home.only("order", name)).id) == f"2.0.0-{name}"
    assert (await home.only("order", "z")).state == "exited"


async def test_a_scaled_service_keeps_its_number(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("many")
    ref = publish(lab, "many", samples.good("1.0.0"))
    few = f"few: {{image: '{ref}', deploy: {{replicas: 2}}}}, two: {{image: '{ref}', deploy: {{replicas: 2}}}}"
    stack = lab.stack("many", f"services: {{web: {{image: '{ref}'}}, {few}}}")
    stack.compose("up", "-d", "--wait", "--scale", "web=3", "--scale", "few=1")
    lab.registry.publish("up/many", "1", samples.good("2.0.0"))
    await home.look()
    body = await home.stack_body("many", ["web", "few", "two"])
    job = await home.finished(await home.updates.start(body, "tester"))
    assert job.status is JobStatus.SUCCESS, await home.log(job.id)
    for name, number in (("web", 3), ("few", 1), ("two", 2)):
        found = await home.containers("many", name)
        assert len(found) == number and {served(lab, one.id) for one in found} == {"2.0.0"}, name


async def test_an_owner_may_want_no_automatic_roll_back(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("stay")
    ref = publish(lab, "stay", samples.good("1.0.0"))
    lab.stack("stay", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)
    lab.registry.publish("up/stay", "1", samples.never_healthy("2.0.0"))
    await home.look()
    service = await home.service("stay", "web")
    await home.stacks.save_service_settings(service.id, auto_rollback=False, bind_paths={}, volume_names={})
    job = await home.update("stay", "web")
    assert job.status is JobStatus.FAILED
    assert "automatic rollback is switched off" in job.summary["error"]
    assert served(lab, (await home.only("stay", "web")).id) == "2.0.0"


async def test_conflicts_stale_targets_and_dry_runs(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("busy")
    ref = publish(lab, "busy", samples.good("1.0.0"))
    lab.stack("busy", f"services: {{web: {{image: '{ref}'}}}}").up(wait=True)
    lab.registry.publish("up/busy", "1", samples.slow_start("2.0.0", 3))
    await home.look()
    body = await home.body("busy", "web")
    stale = body.model_copy(update={"target_digest": "sha256:" + "0" * 64})
    with pytest.raises(Conflict, match="rescan required") as refused:
        await home.updates.start(stale, "tester")
    assert refused.value.details["expectedDigest"] == body.target_digest
    started = await asyncio.gather(*(home.updates.start(body, "tester") for _ in range(4)), return_exceptions=True)
    jobs = [one for one in started if isinstance(one, str)]
    conflicts = [one for one in started if isinstance(one, Conflict)]
    assert (len(jobs), len(conflicts)) == (1, 3)
    for conflict in conflicts:
        assert conflict.details == {"reason": "service_update_in_progress", "existingJobId": jobs[0]}
    calls: list[Any] = []
    original = home.engine._call

    async def counted(*args: Any, **kwargs: Any) -> Any:
        task = asyncio.current_task()
        if task is not None and task.get_name() == dry_id:
            calls.append(args)
        return await original(*args, **kwargs)

    dry_id = ""
    home.engine._call = counted  # type: ignore[method-assign]
    dry_id = await home.updates.start(await home.body("busy", "web", mode="dry-run"), "tester")
    dry = await home.finished(dry_id)
    assert dry.status is JobStatus.SUCCESS and calls == []
    (stack,) = dry.summary["stacks"]
    assert stack["backup"] == {"status": "skipped", "reason": "dry_run"}
    assert (stack["update"]["mode"], stack["update"]["changedServices"]) == ("dry-run", 1)
    assert (await home.finished(jobs[0])).status is JobStatus.SUCCESS


async def test_the_plan_says_what_will_happen(clean_lab: Lab, home: House) -> None:
    lab, samples = clean_lab, clean_lab.samples("plan")
    ref = publish(lab, "plan", samples.good("1.0.0"))
    web = f"{{image: '{ref}', volumes: ['data:/data']}}"
    lodger = f"{{image: '{ref}', command: [sleep, '99'], network_mode: 'service:web'}}"
    services = f"{{web: {web}, lodger: {lodger}, idle: {{image: '{ref}'}}}}"
    lab.stack("plan", f"services: {services}\nvolumes: {{data: {{}}}}").up()
    digest = lab.registry.publish("up/plan", "1", samples.good("2.0.0"))
    await home.look()
    service = await home.service("plan", "web")
    plan = await home.updates.plan("service", service_id=service.id)
    (target,) = plan.targets
    assert (target.target_tag, target.target_digest, target.running) == ("1", digest, True)
    assert target.has_health_check and target.health_s is not None and target.health_s >= 20
    assert target.recreated_with == ("lodger",) and target.stays_up == ("idle",)
    assert [(one.kind, one.name, one.included) for one in target.backups] == [("docker-volume", "plan_data", True)]
    assert plan.busy_job_id is None
    whole = await home.updates.plan("stack", stack_id=service.stack_id)
    assert {one.service_name for one in whole.targets} == {"web", "lodger", "idle"}
