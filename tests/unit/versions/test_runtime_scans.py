"""Runtime scans: what runs against what is noted (spec §5.3, §7.7)."""

from __future__ import annotations

import asyncio

import pytest

from app.adapters.registry import RegistryUnreachable
from app.core.errors import Conflict, InvalidArgument, NotFound
from app.core.jobs import JobContext, JobFilter, JobKind, JobOutcome, JobRecord, JobStatus, NewJob
from app.features.stacks import EngineConnected, RuntimeChanged, ServiceAdded
from app.features.versions.inference.queue import Reason
from tests.fakes.registry import digest_of
from tests.unit.versions.room import Room

WEB, API = "ghcr.io/acme/web", "ghcr.io/acme/api"
OLD = digest_of("old")


async def checked(room: Room) -> tuple[str, str]:
    """Two services, checked; web has a candidate. Their ids."""
    room.registry.push(WEB, ["latest", "2.0.0"], "new")
    api = room.registry.push(API, "1.0.0", "api")
    ids = (
        await room.service("shop", "web", f"{WEB}:latest", runs=OLD),
        await room.service("shop", "api", f"{API}:1.0.0", runs=api),
    )
    await room.check()
    await room.work()
    room.registry.calls.clear()
    room.registry.asked.clear()
    return ids


async def scans_of(room: Room) -> list[JobRecord]:
    """Runtime scan jobs, newest first."""
    return await room.jobs.store.search(JobFilter(types=("runtime_scan",)))


async def test_nothing_drifted_asks_no_registry(room: Room) -> None:
    await checked(room)
    job = await room.scan()
    assert job.status is JobStatus.SUCCESS
    assert not room.registry.calls
    assert {key: value for key, value in job.summary.items() if key != "progress"} == {
        "hostPlatform": "linux/amd64",
        "scope": "all",
        "stackIds": [room.stack_ids["shop"]],
        "stacksScanned": 1,
        "stacksWithErrors": 0,
        "servicesWithRuntimeDigest": 2,
        "servicesDrifted": 0,
        "servicesUpdated": 0,
    }
    assert len(await room.events(job.id, "runtime_scan_started")) == 1
    assert len(await room.events(job.id, "runtime_scan_finished")) == 1


async def test_a_manual_update_is_noticed(room: Room) -> None:
    web, _ = await checked(room)
    new = digest_of("new")
    room.run("shop", "web", f"{WEB}:latest", new)
    job = await room.scan()
    record = await room.record(web)
    assert (record.current_digest, record.has_candidate, record.current_resolved_tag) == (new, False, "2.0.0")
    assert room.registry.asked == [f"{WEB}:latest"]
    assert (job.summary["servicesDrifted"], job.summary["servicesUpdated"]) == (1, 1)
    [event] = await room.events(job.id, "runtime_scan_service")
    assert {name: event[name] for name in event if name not in ("ts", "jobId", "type")} == {
        "stackId": room.stack_ids["shop"],
        "serviceId": web,
        "serviceName": "web",
        "imageRef": f"{WEB}:latest",
        "rawTag": "latest",
        "runtimeDigest": new,
        "dbDigestBefore": OLD,
        "updated": {"currentDigest": new, "resolvedTag": "2.0.0", "resolvedTags": ["2.0.0"]},
        "changed": True,
        "inferenceOk": True,
    }


async def test_an_unknown_digest_is_looked_up(room: Room) -> None:
    await checked(room)
    room.run("shop", "web", f"{WEB}:latest", digest_of("other"))
    await room.scan()
    assert {task.reason for task in room.inference.queue.tasks()} == {Reason.RUNTIME_SCAN_DIGEST_CHANGED}


async def test_with_the_registry_away_only_what_runs_is_kept(room: Room) -> None:
    web, _ = await checked(room)
    before = await room.record(web)
    assert before.candidate_resolved_tag == "2.0.0"
    room.registry.failing[WEB] = RegistryUnreachable("ghcr.io cannot be reached")
    room.run("shop", "web", f"{WEB}:latest", digest_of("other"))
    job = await room.scan()
    record = await room.record(web)
    assert (record.current_digest, record.current_resolved_tag, record.has_candidate) == (
        digest_of("other"),
        None,
        False,
    )
    [event] = await room.events(job.id, "runtime_scan_service")
    assert event["inferenceOk"] is False
    assert job.summary["stacksWithErrors"] == 1


async def test_the_engine_being_away_is_no_drift(room: Room) -> None:
    web, _ = await checked(room)
    room.engine.down()
    job = await room.scan()
    assert (job.summary["servicesDrifted"], job.summary["stacksWithErrors"]) == (0, 1)
    assert (await room.record(web)).current_digest == OLD


async def test_the_same_scan_twice_is_refused(room: Room) -> None:
    await checked(room)
    room.registry.delay = 0.2
    room.run("shop", "web", f"{WEB}:latest", digest_of("other"))
    first = await room.scans.start("all")
    assert first.startswith("job_")
    with pytest.raises(Conflict, match="runtime scan already running") as refused:
        await room.scans.start("all")
    assert refused.value.details == {"existingJobId": first}
    await room.finished(first)


async def test_what_does_not_exist_is_not_scanned(room: Room) -> None:
    with pytest.raises(InvalidArgument, match="stackId is required"):
        await room.scans.start("stack")
    with pytest.raises(NotFound, match="service not found"):
        await room.scans.start("service", service_id="svc_nobody")


async def test_in_the_background_only_drift_makes_a_job(room: Room) -> None:
    web, _ = await checked(room)
    await room.scans.periodic()
    assert await scans_of(room) == []
    room.run("shop", "web", f"{WEB}:latest", digest_of("new"))
    await room.scans.periodic()
    [job] = await scans_of(room)
    await room.finished(job.id)
    assert (job.scope, job.service_id, job.reason) == ("service", web, "schedule")
    assert not (await room.record(web)).has_candidate


async def test_a_new_service_is_looked_at_by_itself(room: Room) -> None:
    new = room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    await room.scans.note_service(ServiceAdded(web, room.stack_ids["shop"]))
    await room.scans.look_at_noted()
    [job] = await scans_of(room)
    await room.finished(job.id)
    assert (await room.record(web)).candidate_digest == new


async def test_what_changed_while_the_engine_was_away_is_found(room: Room) -> None:
    web, _ = await checked(room)
    room.run("shop", "web", f"{WEB}:latest", digest_of("new"))
    await room.scans.note_engine(EngineConnected("28.5.1"))
    await room.scans.look_at_noted()
    [job] = await scans_of(room)
    await room.finished(job.id)
    assert not (await room.record(web)).has_candidate
    await room.scans.look_at_noted()
    assert len(await scans_of(room)) == 1


async def test_changes_at_the_engine_are_followed(room: Room) -> None:
    web, _ = await checked(room)
    following = asyncio.create_task(room.scans.follow())
    room.run("shop", "web", f"{WEB}:latest", digest_of("new"))
    await room.scans.note_runtime(RuntimeChanged("shop", frozenset({"web", "api"})))
    async with asyncio.timeout(5):
        while (await room.record(web)).has_candidate:
            await asyncio.sleep(0.01)
    following.cancel()
    assert room.slept[0] == 2.0
    assert [job.service_id for job in await scans_of(room)] == [web]


async def test_as_long_as_more_is_noted_nothing_is_looked_at(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    web, api = await checked(room)
    room.run("shop", "web", f"{WEB}:latest", digest_of("new"))
    room.run("shop", "api", f"{API}:1.0.0", digest_of("other"))
    notes = [web, api, api]
    calm = room.scans._sleep

    async def discover(seconds: float) -> None:
        await calm(seconds)
        if notes:
            await room.scans.note_service(ServiceAdded(notes.pop(0), room.stack_ids["shop"]))

    monkeypatch.setattr(room.scans, "_sleep", discover)
    await room.scans.note_service(ServiceAdded(web, room.stack_ids["shop"]))
    following = asyncio.create_task(room.scans.follow())
    async with asyncio.timeout(5):
        while not (found := await scans_of(room)):
            await asyncio.sleep(0.01)
    following.cancel()
    assert room.slept[:4] == [2.0] * 4
    [job] = found
    assert job.payload["serviceIds"] == sorted([web, api])
    await room.finished(job.id)


async def test_notes_without_end_are_looked_at_after_half_a_minute(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    web, _ = await checked(room)
    room.run("shop", "web", f"{WEB}:latest", digest_of("new"))
    calm, look, waited = room.scans._sleep, room.scans.look_at_noted, list[float]()

    async def busy(seconds: float) -> None:
        await calm(seconds)
        await room.scans.note_service(ServiceAdded(web, room.stack_ids["shop"]))

    async def looking() -> None:
        waited.append(sum(room.slept))
        await look()

    monkeypatch.setattr(room.scans, "_sleep", busy)
    monkeypatch.setattr(room.scans, "look_at_noted", looking)
    await room.scans.note_service(ServiceAdded(web, room.stack_ids["shop"]))
    following = asyncio.create_task(room.scans.follow())
    async with asyncio.timeout(5):
        while not (found := await scans_of(room)):
            await asyncio.sleep(0.01)
    following.cancel()
    assert waited[0] == 30.0
    await room.finished(found[-1].id)


async def test_services_of_a_running_update_are_left_to_it(room: Room) -> None:
    web, _ = await checked(room)
    going_on = asyncio.Event()

    async def update(ctx: JobContext) -> JobOutcome:
        await going_on.wait()
        return JobOutcome()

    room.jobs.register(JobKind("update", update))
    targets = [(room.stack_ids["shop"], web)]
    job_id = await room.jobs.submit(NewJob(type="update", scope="service", created_by="alice", targets=targets))
    room.run("shop", "web", f"{WEB}:latest", digest_of("new"))
    await room.scans.note_runtime(RuntimeChanged("shop", frozenset({"web"})))
    await room.scans.look_at_noted()
    assert await scans_of(room) == []
    going_on.set()
    await room.finished(job_id)


async def test_one_that_must_wait_is_not_forgotten(room: Room) -> None:
    web, _ = await checked(room)
    room.run("shop", "web", f"{WEB}:latest", digest_of("other"))
    room.registry.delay = 0.2
    first = await room.scans.start("service", service_id=web)
    await room.scans.note_runtime(RuntimeChanged("shop", frozenset({"web"})))
    await room.scans.look_at_noted()
    await room.finished(first)
    room.run("shop", "web", f"{WEB}:latest", digest_of("new"))
    await room.scans.look_at_noted()
    [second, _] = await scans_of(room)
    await room.finished(second.id)
    assert (await room.record(web)).current_digest == digest_of("new")
