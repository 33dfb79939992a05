"""Nothing is sent twice, nothing is lost: retries, restarts, devices, and what the job's log says."""

from __future__ import annotations

import asyncio

import pytest

from app.adapters.notify import generate_keys
from app.core.events import EntitiesChanged
from app.core.jobs import JobStatus
from app.features.notifications import Failing, schemas
from app.features.notifications.models import DeliveryState
from app.features.notifications.outbox import wait_before
from app.features.notifications.payload import RepoAnomaly
from tests.unit.notifications.ends import HttpEnd, Phone
from tests.unit.notifications.house import House

FAILED = {"stacks": [{"update": {"failureStep": "health", "lastError": "health check failed"}}]}


async def test_a_failed_update_is_told_once(house: House, end: HttpEnd) -> None:
    await house.webhook()
    service = await house.room.service("demo", "web", "acme/web:1")
    pair = (house.room.stack_ids["demo"], service)
    job_id = await house.job(JobStatus.ROLLED_BACK, summary=FAILED, services=(pair,))
    await house.tell()
    await house.tell()
    (seen,) = end.seen
    told = seen.json()
    assert told["human"] == {"title": "Update rolled back", "summary": "demo/web", "detail": "health check failed"}
    assert told["job"]["id"] == job_id and told["job"]["status"] == "rolled_back"
    assert told["links"]["primaryUrl"] == f"/services/{pair[0]}/{service}"
    assert await house.notes(job_id) == ["info: notify: webhook=ok"]
    job = await house.room.jobs.store.get(job_id)
    assert job is not None and job.status is JobStatus.ROLLED_BACK


@pytest.mark.parametrize(
    ("status", "type", "payload", "told"),
    [
        (JobStatus.FAILED, "update", {"mode": "apply"}, True),
        (JobStatus.SUCCESS, "update", {"mode": "apply"}, True),
        (JobStatus.SUCCESS, "rollback", {"kind": "manual"}, True),
        (JobStatus.CANCELLED, "update", {"mode": "apply"}, False),
        (JobStatus.SUCCESS, "update", {"mode": "dry-run"}, False),
        (JobStatus.FAILED, "update", {"mode": "dry-run"}, False),
        (JobStatus.FAILED, "discovery", {}, False),
        (JobStatus.FAILED, "runtime_scan", {}, False),
    ],
)
async def test_which_jobs_are_told(
    house: House, end: HttpEnd, status: JobStatus, type: str, payload: dict[str, str], told: bool
) -> None:
    await house.webhook()
    await house.job(status, type=type, payload=payload)
    await house.tell()
    assert len(end.seen) == told


async def test_a_success_of_archived_services_is_not_told(house: House, end: HttpEnd) -> None:
    await house.webhook()
    service = await house.room.service("demo", "web", "acme/web:1")
    await house.room.stacks.archive_service(service)
    pair = ((house.room.stack_ids["demo"], service),)
    quiet = await house.job(JobStatus.SUCCESS, services=pair)
    loud = await house.job(JobStatus.FAILED, services=pair)
    await house.tell()
    assert [seen.json()["job"]["id"] for seen in end.seen] == [loud]
    assert await house.notes(quiet) == ["info: notify skipped (only archived services)"]


async def test_switches_are_a_gate_and_old_news_stay_old(house: House, end: HttpEnd) -> None:
    await house.job()
    await house.tell()
    await house.webhook()
    await house.settings.save(schemas.EventsInput(update=False))
    await house.job()
    await house.tell()
    await house.settings.save(schemas.EventsInput(update=True))
    again = await house.restart()
    await again.tell()
    assert not end.seen
    await again.job()
    await again.tell()
    assert len(end.seen) == 1


async def test_a_restart_loses_nothing_and_repeats_nothing(house: House, end: HttpEnd) -> None:
    await house.webhook()
    await house.job()  # ended, and the process died before anybody looked
    second = await house.restart()
    await second.notifications.look()  # queued, and the process died before it was sent
    third = await second.restart()
    await third.tell()
    fourth = await third.restart()
    await fourth.tell()
    assert len(end.seen) == 1


async def test_what_was_being_sent_is_sent_again_with_its_id(house: House, end: HttpEnd) -> None:
    await house.webhook()
    await house.job()
    await house.notifications.look()
    (claimed,) = await house.outbox.claim(8)
    assert await house.outbox.claim(8) == [], "nobody else gets it"
    again = await house.restart()  # killed while sending
    await again.tell()
    (seen,) = end.seen
    assert seen.headers["x-dockrev-delivery"] == claimed.message_id


async def test_a_channel_that_is_down_is_tried_again(house: House, end: HttpEnd) -> None:
    await house.webhook()
    end.answers = [(503, b""), (503, b"")]
    job_id = await house.job()
    await house.tell()
    assert await house.notes(job_id) == [
        f"warn: notify: webhook=failed 127.0.0.1:{end.url.rpartition(':')[2]} answered 503; next try in 30 s"
    ]
    await house.later(seconds=29)
    assert len(end.seen) == 1
    await house.later(seconds=2)
    await house.later(seconds=30)
    assert len(end.seen) == 2, "the second wait is longer"
    await house.later(seconds=31)
    assert len(end.seen) == 3
    assert (await house.notes(job_id))[1:] == ["info: notify: webhook=ok"]
    (row,) = await house.deliveries()
    assert (row.state, row.attempts) == (DeliveryState.DELIVERED, 3)
    assert len({seen.headers["x-dockrev-delivery"] for seen in end.seen}) == 1


async def test_it_is_given_up_after_a_day(house: House, end: HttpEnd) -> None:
    await house.webhook()
    end.default = (503, b"")
    job_id = await house.job()
    await house.tell()
    for _ in range(30):
        await house.later(hours=1)
    (row,) = await house.deliveries()
    assert row.state is DeliveryState.FAILED and 24 <= row.attempts <= 33
    assert row.last_error is not None and row.last_error.startswith(f"given up after {row.attempts} tries in a day")
    assert "given up after" in (await house.notes(job_id))[-1] and len(await house.notes(job_id)) == 2
    last = (await house.outbox.last(["webhook"]))["webhook"]
    assert last.state is DeliveryState.FAILED and last.title == "Update failed"


async def test_what_another_try_cannot_help_is_not_tried_again(house: House, end: HttpEnd) -> None:
    await house.webhook()
    end.default = (404, b"")
    job_id = await house.job()
    await house.tell()
    await house.later(hours=2)
    assert len(end.seen) == 1
    (note,) = await house.notes(job_id)
    assert "answered 404" in note and "next try" not in note and "s3cret" not in note


async def test_a_channel_switched_off_meanwhile_gets_nothing(house: House, end: HttpEnd) -> None:
    await house.webhook()
    end.answers = [(503, b"")]
    await house.job()
    await house.tell()
    await house.webhook(on=False)
    await house.later(minutes=1)
    (row,) = await house.deliveries()
    assert len(end.seen) == 1 and row.last_error == "the channel was switched off"


async def test_devices_are_served_one_by_one(house: House, end: HttpEnd) -> None:
    keys = generate_keys()
    push = schemas.WebPushInput(enabled=True, vapid_public_key=keys.public, vapid_private_key=keys.private)
    await house.settings.save(push)
    end.default = (201, b"")
    phones = [Phone(end, name) for name in ("good", "away", "gone")]
    for phone in phones:
        subscription = phone.subscription
        await house.devices.subscribe(phone.endpoint, **subscription["keys"], name=phone.path)
    end.by_path = {"/push/away": (503, b""), "/push/gone": (410, b"")}
    job_id = await house.job()
    await house.tell()
    assert {device.name for device in await house.devices.all()} == {"/push/good", "/push/away"}
    (note,) = await house.notes(job_id)
    assert note.startswith("info: notify: webPush=ok (1 of 3 devices)")
    end.by_path.clear()
    good = len(phones[0].pushes())
    await house.later(seconds=31)
    assert len(phones[0].pushes()) == good, "a device that has it is left alone"
    told = phones[1].read(phones[1].pushes()[-1])
    assert told["title"] == "Update failed" and told["notificationId"] == f"job:{job_id}"
    assert (await house.notes(job_id))[-1].startswith("info: notify: webPush=ok (2 of 3 devices)")
    last = (await house.outbox.last(["webPush"]))["webPush"]
    assert (last.delivered, last.of, last.state) == (2, 3, DeliveryState.DELIVERED)


async def test_a_job_that_is_gone_meanwhile(house: House, end: HttpEnd) -> None:
    await house.webhook()
    end.answers = [(503, b"")]
    await house.job()
    await house.tell()
    await house.room.jobs.store.purge(house.room.time.clock().now())
    await house.later(seconds=31)
    assert [row.state for row in await house.deliveries()] == [DeliveryState.DELIVERED]


async def test_push_without_devices_fails_plainly(house: House) -> None:
    keys = generate_keys()
    push = schemas.WebPushInput(enabled=True, vapid_public_key=keys.public, vapid_private_key=keys.private)
    await house.settings.save(push)
    job_id = await house.job()
    await house.tell()
    assert "notify: webPush=failed no subscriptions" in (await house.notes(job_id))[0]


async def test_the_worker_wakes_sends_and_stops(house: House, end: HttpEnd) -> None:
    await house.webhook()
    running = [asyncio.create_task(loop()) for loop in (house.worker.run, house.notifications.follow)]
    for _ in range(3):
        await house.job()
    await asyncio.to_thread(end.wait_for, 3)
    await house.worker.stop()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert {row.state for row in await house.deliveries()} == {DeliveryState.DELIVERED}


async def test_anomalies_of_the_scheduled_audit(house: House, end: HttpEnd) -> None:
    await house.webhook()
    repos = [RepoAnomaly("acme", "web", "missing"), RepoAnomaly("acme", "api", "error", "403 from GitHub")]
    told = []
    for reason, found in (("ui", repos), ("schedule", []), ("schedule", repos)):
        job_id = await house.job(JobStatus.SUCCESS, type="github_packages_webhook_sync_all", reason=reason, payload={})
        job = await house.room.jobs.store.get(job_id)
        assert job is not None
        told.append(await house.notifications.announce_anomaly(job, found))
    await house.tell()
    assert told == [False, False, True]
    (seen,) = end.seen
    assert seen.json()["job"]["totalAnomalies"] == 2
    assert seen.json()["human"]["detail"].split("\n") == ["acme/web: missing", "acme/api: error, 403 from GitHub"]
    await house.settings.save(schemas.EventsInput(ghcr_webhook_anomaly=False))
    job = await house.room.jobs.store.get(job_id)
    assert job is not None and not await house.notifications.announce_anomaly(job, repos)


@pytest.mark.parametrize(
    ("attempts", "asked", "seconds"), [(1, None, 30), (2, None, 60), (8, None, 3600), (99, None, 3600), (1, 500, 500)]
)
def test_waits(attempts: int, asked: float | None, seconds: float) -> None:
    assert wait_before(attempts, asked) == seconds


async def test_a_channel_fails_when_its_newest_message_did_not_arrive(house: House, end: HttpEnd) -> None:
    failing = Failing(house.outbox, house.settings, house.room.time.clock())
    house.settings.changed = failing.refresh
    house.room.bus.on(EntitiesChanged, failing.note)
    await house.webhook()
    assert failing.now() == []
    end.default = (503, b"")
    await house.job()
    await house.tell()
    assert failing.now() == [], "a moment is no trouble"
    await house.later(minutes=11)
    await failing.refresh()
    [late] = failing.now()
    assert (late.name, late.label, late.given_up) == ("webhook", "Webhook", False) and "503" in late.error
    for _ in range(30):
        await house.later(hours=1)
    await failing.refresh()
    [gone] = failing.now()
    assert gone.given_up and gone.error.startswith("given up after") and "s3cret" not in gone.error
    await house.webhook(on=False)
    assert failing.now() == [], "a channel that is off owes nothing"
    await house.webhook()
    assert failing.now() == [gone]
    end.default = (200, b"")
    await house.job()
    await house.tell()
    await failing.refresh()
    assert failing.now() == []
