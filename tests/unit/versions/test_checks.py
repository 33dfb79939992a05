"""The check job: what it finds, what it keeps, what it costs (spec §5.3, §7.5, §14.1)."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from app.adapters.registry import RegistryUnreachable
from app.core.errors import Conflict, InvalidArgument, NotFound
from app.core.jobs import JobStatus, NewJob
from tests.fakes.registry import digest_of
from tests.unit.versions.room import Room

WEB = "ghcr.io/acme/web"
OLD = digest_of("old")


async def test_a_moved_tag_becomes_a_candidate(room: Room) -> None:
    new = room.registry.push(WEB, "latest", "new", arch=["linux/amd64", "linux/arm64"])
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    job = await room.check(stack_id=room.stack_ids["shop"])
    record = await room.record(web)
    assert (record.current_digest, record.candidate_tag, record.candidate_digest) == (OLD, "latest", new)
    assert (record.candidate_arch_match, record.candidate_arch) == ("match", ("linux/amd64", "linux/arm64"))
    assert record.checked_at is not None
    assert job.status is JobStatus.SUCCESS
    progress = job.summary["progress"]
    assert (progress["phase"], progress["current"], progress["total"], progress["percent"]) == ("done", 1, 1, 100)
    assert {name: job.summary[name] for name in ("hostPlatform", "scope", "stackIds")} == {
        "hostPlatform": "linux/amd64",
        "scope": "stack",
        "stackIds": [room.stack_ids["shop"]],
    }
    assert (job.summary["servicesChecked"], job.summary["servicesWithCandidate"]) == (1, 1)
    assert job.summary["newVersions"] == {
        "count": 1,
        "services": [
            {
                "stackId": room.stack_ids["shop"],
                "serviceId": web,
                "serviceName": "web",
                "imageRef": f"{WEB}:latest",
                "currentTag": "latest",
                "currentDigest": OLD,
                "currentDisplayTag": "latest",
                "candidateTag": "latest",
                "candidateDisplayTag": "latest",
                "candidateDigest": new,
            }
        ],
    }


@pytest.mark.parametrize("by", ["index", "platform"])
async def test_what_the_tag_points_to_is_no_candidate(room: Room, by: str) -> None:
    index = room.registry.push(WEB, "1.2", "x", arch=["linux/amd64", "linux/arm64"])
    running = index if by == "index" else room.registry.child(index)
    web = await room.service("shop", "web", f"{WEB}:1.2", runs=running)
    await room.check()
    record = await room.record(web)
    assert not record.has_candidate
    assert record.current_digest == running


async def test_only_a_new_candidate_is_news(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    assert (await room.check()).summary["newVersions"]["count"] == 1
    assert (await room.check()).summary["newVersions"] == {"count": 0, "services": []}
    room.registry.push(WEB, "latest", "newer")
    assert (await room.check()).summary["newVersions"]["count"] == 1


async def test_what_came_out_is_remembered_once(room: Room) -> None:
    first = room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    job = await room.check()
    second = room.registry.push(WEB, "latest", "newer")
    await room.check()
    room.registry.push(WEB, "latest", "new")  # taken back
    await room.check()
    history = await room.versions.discoveries(web)
    assert [line.candidate_digest for line in history] == [second, first]
    assert (history[1].source_job_id, history[1].current_digest) == (job.id, OLD)
    assert await room.evidence.purge_discoveries(history[0].discovered_at) == 1
    assert len(await room.versions.discoveries(web)) == 1


async def test_a_failed_request_keeps_the_evidence(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    await room.check()
    before = await room.record(web)
    room.registry.failing[WEB] = RegistryUnreachable("ghcr.io answered 503")
    job = await room.check()
    after = await room.record(web)
    assert job.status is JobStatus.SUCCESS
    assert "warn: shop/web: ghcr.io answered 503" in await room.lines(job.id)
    assert (after.candidate_digest, after.checked_at) == (before.candidate_digest, before.checked_at)
    assert after.last_error == "ghcr.io answered 503"
    del room.registry.failing[WEB]
    await room.check()
    healed = await room.record(web)
    assert healed.last_error is None
    assert healed.checked_at is not None and before.checked_at is not None
    assert healed.checked_at > before.checked_at


async def test_a_first_check_that_fails_knows_what_runs_and_no_more(room: Room) -> None:
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    room.registry.failing[WEB] = RegistryUnreachable("ghcr.io answered 503")
    await room.check()
    record = await room.record(web)
    assert (record.current_digest, record.checked_at, record.last_error) == (OLD, None, "ghcr.io answered 503")


async def test_an_unknown_running_digest_brings_no_candidate(room: Room) -> None:
    digest = room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest")
    await room.check()
    record = await room.record(web)
    assert (record.current_digest, record.has_candidate, record.checked_at) == (digest, False, None)
    assert record.last_error == "what runs is not known: the service has no container"


async def test_an_image_known_under_two_digests_is_the_one_its_tag_points_to(room: Room) -> None:
    new = room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest")
    room.run("shop", "web", f"{WEB}:latest", OLD, new)
    await room.check()
    record = await room.record(web)
    assert (record.current_digest, record.has_candidate) == (new, False)


async def test_a_pinned_digest_is_neither_asked_about_nor_replaced(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}@{OLD}", runs=OLD)
    await room.check()
    record = await room.record(web)
    assert (record.current_digest, record.has_candidate) == (OLD, False)
    assert record.checked_at is not None
    assert not room.registry.asked


async def test_an_image_that_is_no_reference_is_skipped(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    await room.service("shop", "bad", "--privileged", runs=OLD)
    await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    job = await room.check()
    assert job.summary["servicesChecked"] == 1
    assert any(line.startswith("warn: shop/bad: skipped") for line in await room.lines(job.id))


async def test_the_engine_being_away_is_said_and_harms_nothing(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    await room.check()
    before = await room.record(web)
    room.engine.down()
    job = await room.check()
    after = await room.record(web)
    assert job.status is JobStatus.SUCCESS
    assert (after.current_digest, after.candidate_digest) == (OLD, before.candidate_digest)
    assert after.checked_at == before.checked_at
    assert after.last_error == "what runs is not known: the engine does not answer"


async def test_another_image_makes_the_evidence_void(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    await room.check()
    async with room.db.transaction() as session:
        from app.features.stacks.models import ServiceRow

        service = await session.get_one(ServiceRow, web)
        service.image_ref, service.image_tag = f"{WEB}:2", "2"
    assert await room.versions.records() == {}
    room.registry.push(WEB, "2", "two")
    await room.check()
    record = await room.record(web)
    assert (record.image_tag, record.candidate_digest) == ("2", digest_of("two"))


async def test_a_matching_rule_blocks_the_candidate(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    off = await room.ignore.add(web, "exact", "latest", enabled=False)
    rule = await room.ignore.add(web, "prefix", "lat")
    await room.check()
    record = await room.record(web)
    assert (record.ignore_rule_id, record.ignore_reason) == (rule, "matched ignore rule for tag latest")
    assert record.has_candidate
    await room.ignore.delete(rule)
    await room.check()
    assert (await room.record(web)).ignore_rule_id is None
    assert {kept.id for kept in await room.ignore.all()} == {off}


async def test_the_same_check_twice_is_refused(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    room.registry.delay = 0.2
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    first = await room.checks.start("all")
    with pytest.raises(Conflict, match="check already running") as refused:
        await room.checks.start("all")
    assert refused.value.details == {"existingJobId": first}
    other = await room.checks.start("service", service_id=web)  # another scope is another check
    assert first.startswith("chk_") and other.startswith("chk_")
    await room.finished(first)
    await room.finished(other)
    await room.finished(await room.checks.start("all"))


async def test_clicks_at_the_same_moment_start_one_check(room: Room) -> None:
    await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    room.registry.delay = 0.1
    outcomes = await asyncio.gather(*(room.checks.start("all") for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 7


async def test_a_check_that_hangs_for_two_hours_is_replaced(room: Room) -> None:
    room.registry.delay = 30
    await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    first = await room.checks.start("all")
    await asyncio.sleep(0.05)
    room.time.ahead = timedelta(hours=2, minutes=1)
    room.registry.delay = 0
    second = await room.checks.start("all")
    await room.finished(second)
    dead = await room.finished(first)
    assert (dead.status, dead.summary["cause"]) == (JobStatus.FAILED, "stale_check")


async def test_what_does_not_exist_is_not_checked(room: Room) -> None:
    with pytest.raises(InvalidArgument, match="stackId is required for scope=stack"):
        await room.checks.start("stack")
    with pytest.raises(InvalidArgument, match="serviceId is required for scope=service"):
        await room.checks.start("service")
    with pytest.raises(NotFound, match="service not found"):
        await room.checks.start("service", service_id="svc_nobody")
    with pytest.raises(NotFound, match="stack not found"):
        await room.checks.start("stack", stack_id="stk_nobody")


async def test_archived_services_are_left_out(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    await room.stacks.archive_service(web)
    assert (await room.check()).summary["servicesChecked"] == 0


async def test_services_share_questions_and_stacks_note_the_time(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    for number in range(6):
        await room.service(f"stack{number % 2}", f"web{number}", f"{WEB}:latest", runs=OLD)
    await room.check()
    assert room.registry.calls["resolve"] == 1
    assert set(await room.versions.last_checks()) == set(room.stack_ids.values())


async def test_a_check_of_one_service_does_not_make_the_stack_checked(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    await room.check(service_id=web)
    assert await room.versions.last_checks() == {}
    assert (await room.record(web)).has_candidate


async def test_background_checks_start_slowly_and_leave_resting_hosts_alone(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    room.registry.cooling.add(WEB)
    for number in range(3):
        room.registry.push(f"{WEB}{number}", "1", "x")
        await room.service("shop", f"s{number}", f"{WEB}{number}:1", runs=OLD)
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    job = await room.check(reason="schedule")
    assert room.slept == [1.0, 2.0, 3.0]
    assert any("background checks rest" in line for line in await room.lines(job.id))
    assert not (await room.record(web)).has_candidate
    room.slept.clear()
    await room.check()  # a person may ask, and is not slowed down
    assert room.slept == []
    assert (await room.record(web)).has_candidate


async def test_at_most_seven_are_asked_at_once(room: Room) -> None:
    room.registry.delay = 0.01
    for number in range(20):
        room.registry.push(f"{WEB}{number}", "1", "x")
        await room.service("shop", f"s{number:02}", f"{WEB}{number}:1", runs=OLD)
    await room.check()
    assert room.registry.at_once == 7


async def test_newer_findings_of_somebody_else_are_not_overwritten(room: Room) -> None:
    """An update that ends while a check is under way knows better (spec §12, 44)."""
    new = room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    await room.check()
    room.registry.push(WEB, "latest", "newer")
    room.registry.delay = 0.2
    check = await room.checks.start("all")
    await asyncio.sleep(0.1)  # the check has read OLD from the engine
    room.run("shop", "web", f"{WEB}:latest", new)
    room.registry.delay = 0.0
    await room.checks.recheck([web])
    await room.finished(check)
    assert (await room.record(web)).current_digest == new


async def test_a_service_that_vanishes_meanwhile_is_not_written(room: Room) -> None:
    room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    room.registry.delay = 0.1
    check = await room.checks.start("all")
    await asyncio.sleep(0.05)
    async with room.db.transaction() as session:
        from app.features.stacks.models import ServiceRow

        await session.delete(await session.get_one(ServiceRow, web))
    assert (await room.finished(check)).status is JobStatus.SUCCESS
    assert await room.versions.records() == {}


async def test_after_an_update_the_service_is_settled(room: Room) -> None:
    new = room.registry.push(WEB, "latest", "new")
    web = await room.service("shop", "web", f"{WEB}:latest", runs=OLD)
    await room.check()
    room.run("shop", "web", f"{WEB}:latest", new)
    [result] = await room.checks.recheck([web])
    assert (result.runtime_digest, result.candidate_present, result.registry_ok) == (new, False, True)
    assert not (await room.record(web)).has_candidate


async def test_an_unchanged_check_is_cheap_for_the_database(room: Room) -> None:
    for number in range(30):
        digest = room.registry.push(f"{WEB}{number}", "1.2.3", f"image {number}")
        await room.service(f"stack{number // 6}", f"s{number}", f"{WEB}{number}:1.2.3", runs=digest)
    await room.check()
    room.registry.calls.clear()
    before, began = room.db.statements, time.perf_counter()
    await room.check()
    spent = room.db.statements - before
    assert room.registry.calls == {"resolve": 30}
    # A handful for the job, the reads and one transaction; neither services nor stacks add to it.
    assert spent <= 60, spent
    assert time.perf_counter() - began < 5


async def test_cost_grows_with_the_stacks_not_with_the_services(room: Room) -> None:
    async def spent(services: int) -> int:
        for number in range(services):
            digest = room.registry.push(f"{WEB}{services}x{number}", "1.2.3", f"image {number}")
            await room.service("shop", f"s{services}x{number}", f"{WEB}{services}x{number}:1.2.3", runs=digest)
        await room.check()
        before = room.db.statements
        await room.check()
        return room.db.statements - before

    few = await spent(5)
    assert await spent(40) <= few + 15


async def test_progress_is_told_twice_a_second_at_most(room: Room) -> None:
    room.registry.delay = 0.04
    for number in range(25):
        room.registry.push(f"{WEB}{number}", "1", "x")
        await room.service(f"stack{number}", "web", f"{WEB}{number}:1", runs=OLD)
    began = time.monotonic()
    job = await room.check()
    took = time.monotonic() - began
    told = await room.events(job.id, "job_progress")
    assert (told[0]["phase"], told[-1]["phase"]) == ("prepare", "done")
    assert len(told) <= 4 + 2 * took


async def test_other_jobs_do_not_forbid_a_check(room: Room) -> None:
    from app.core.jobs import JobContext, JobKind, JobOutcome

    async def idle(ctx: JobContext) -> JobOutcome:
        await asyncio.sleep(0.2)
        return JobOutcome()

    room.jobs.register(JobKind("update", idle))
    await room.jobs.submit(NewJob(type="update", scope="all", created_by="alice"))
    assert (await room.check()).status is JobStatus.SUCCESS
