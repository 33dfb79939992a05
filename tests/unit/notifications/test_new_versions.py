"""New versions are told once, with real versions, and let go when they are no more (spec §8.4, §13 line 29)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.adapters.notify import generate_keys
from app.core.jobs import JobStatus
from app.features.notifications import schemas
from app.features.notifications.models import AnnouncementStatus
from app.features.notifications.newversions import shown
from app.features.versions import ScanCounts, Snapshot
from tests.unit.notifications.ends import HttpEnd, Phone
from tests.unit.notifications.house import House

REPO = "ghcr.io/acme/web"


async def two_services(house: House) -> list[str]:
    """Two services on `latest`, each behind what the registry has."""
    ids = []
    for name in ("web", "api"):
        repo = f"ghcr.io/acme/{name}"
        old = house.room.registry.push(repo, ["1.4.2", "latest"], f"{name}-old")
        ids.append(await house.room.service("demo", name, f"{repo}:latest", runs=old))
        house.room.registry.push(repo, ["1.5.0", "latest"], f"{name}-new")
    return ids


async def statuses(house: House) -> list[str]:
    return [row.status.value for row in await house.announced()]


async def test_one_message_per_check_and_each_digest_once(house: House, end: HttpEnd) -> None:
    await house.webhook()
    await two_services(house)
    job = await house.room.check(reason="schedule")
    await house.room.work()
    await house.tell()
    (seen,) = end.seen
    told = seen.json()
    assert told["kind"] == "new_version_discovered"
    assert told["check"] == {
        "jobId": job.id,
        "status": "success",
        "scope": "all",
        "servicesChecked": 2,
        "newVersions": 2,
    }
    assert [entry["serviceName"] for entry in told["links"]["serviceUrls"]] == ["api", "web"]
    for entry in told["links"]["serviceUrls"]:
        assert entry["currentTag"] == entry["candidateTag"] == "latest"
        assert (entry["currentDisplayTag"], entry["candidateDisplayTag"]) == ("1.4.2", "1.5.0")
    assert await statuses(house) == ["sent", "sent"]
    assert [row.sent_channels for row in await house.announced()] == [["webhook"], ["webhook"]]
    for reason in ("schedule", "webhook", "ui"):
        await house.room.check(reason=reason)
        await house.tell()
    await (await house.restart()).tell()
    assert len(end.seen) == 1


@pytest.mark.parametrize(
    ("reason", "audit", "told"),
    [
        ("ui", None, 0),
        ("schedule", None, 1),
        ("webhook", None, 0),  # somebody's own trigger: that one asked, and sees the answer
        ("webhook", {"source": "github_webhook"}, 1),
        ("ui", {"source": "github_webhook"}, 1),  # a delivery joined a check that was under way
        ("ui", "nonsense", 0),
    ],
)
async def test_who_asked_decides(house: House, end: HttpEnd, reason: str, audit: object, told: int) -> None:
    await house.webhook()
    await two_services(house)
    await house.room.check(reason=reason, summary=None if audit is None else {"audit": audit})
    await house.tell()
    assert len(end.seen) == told


async def test_what_a_scan_saw_first_is_told_by_the_next_scheduled_check(house: House, end: HttpEnd) -> None:
    """As after a start: the scan of what runs finds candidates, and no check lists them as new any more."""
    await house.webhook()
    await two_services(house)
    await house.room.scan()
    await house.room.check()  # by hand: tells nobody
    await house.tell()
    assert not end.seen
    for _ in range(2):
        job = await house.room.check(reason="schedule")
        await house.tell()
        assert job.summary["newVersions"]["count"] == 0
    assert [seen.json()["check"]["newVersions"] for seen in end.seen] == [2]
    assert await statuses(house) == ["sent", "sent"]


async def test_what_a_scan_saw_and_somebody_tried_to_update_is_no_news(house: House, end: HttpEnd) -> None:
    web, api = await two_services(house)
    await house.room.scan()
    await house.job(JobStatus.ROLLED_BACK, services=(("stk_demo", web),))
    await house.webhook()
    await house.room.check(reason="schedule")
    await house.tell()
    (told,) = [seen.json() for seen in end.seen if seen.json()["kind"] == "new_version_discovered"]
    assert [entry["serviceId"] for entry in told["links"]["serviceUrls"]] == [api]


async def test_what_somebody_saw_in_a_check_is_no_news_for_the_schedule(house: House, end: HttpEnd) -> None:
    await house.webhook()
    await two_services(house)
    await house.room.check()
    await house.room.check(reason="schedule")
    await house.tell()
    assert not end.seen


async def test_nobody_is_told_while_switched_off(house: House, end: HttpEnd) -> None:
    await house.webhook()
    await house.settings.save(schemas.EventsInput(new_version=False))
    await two_services(house)
    await house.room.check(reason="schedule")
    await house.tell()
    assert not end.seen and not await house.announced()


async def test_it_waits_for_versions_but_not_for_ever(house: House, end: HttpEnd) -> None:
    await house.webhook()
    await two_services(house)
    await house.room.check(reason="schedule")  # and no worker that looks versions up
    await house.tell()
    assert sum(house.slept) == 10
    told = end.seen[0].json()
    assert "latest → latest" not in end.seen[0].body.decode()
    assert told["human"]["detail"].split("\n") == ["demo/api", "demo/web"]


async def test_another_digest_is_news_again_and_the_old_one_is_let_go(house: House, end: HttpEnd) -> None:
    await house.webhook()
    web, _ = await two_services(house)
    await house.room.check(reason="schedule")
    await house.tell()
    house.room.registry.push(REPO, ["1.6.0", "latest"], "web-newer")
    await house.room.check(reason="schedule")
    await house.tell()
    rows = [(row.service_id == web, row.status) for row in await house.announced()]
    assert (True, AnnouncementStatus.SUPERSEDED) in rows and (True, AnnouncementStatus.SENT) in rows
    assert len(end.seen) == 2 and end.seen[1].json()["check"]["newVersions"] == 1


async def test_what_comes_back_is_told_again(house: House, end: HttpEnd) -> None:
    await house.webhook()
    old = house.room.registry.push(REPO, ["1.4.2", "latest"], "web-old")
    await house.room.service("demo", "web", f"{REPO}:latest", runs=old)
    for content in ("web-new", "web-old", "web-new"):  # withdrawn in between
        house.room.registry.push(REPO, "latest", content)
        await house.room.check(reason="schedule")
        await house.tell()
    assert await statuses(house) == ["superseded", "sent"]
    assert len(end.seen) == 2


async def test_an_image_of_another_name_lets_go(house: House, end: HttpEnd) -> None:
    await house.webhook()
    services = await two_services(house)
    await house.room.check(reason="schedule")
    await house.tell()
    from sqlalchemy import update
    from sqlmodel import col

    from app.features.stacks.models import ServiceRow

    async with house.room.db.transaction() as session:
        await session.exec(update(ServiceRow).where(col(ServiceRow.id) == services[0]).values(image_ref="acme/other:1"))
    await house.notifications.supersede()
    assert sorted(await statuses(house)) == ["sent", "superseded"]


async def test_what_is_overtaken_while_waiting_is_not_told(house: House, end: HttpEnd) -> None:
    await house.webhook()
    web, api = await two_services(house)
    await house.room.check(reason="schedule")
    await house.room.stacks.archive_service(web)
    await house.tell()
    (told,) = [seen.json() for seen in end.seen if seen.json()["kind"] == "new_version_discovered"]
    assert [entry["serviceId"] for entry in told["links"]["serviceUrls"]] == [api]
    assert sorted(await statuses(house)) == ["sent", "superseded"]


async def test_when_every_channel_fails_the_next_check_tries_again(house: House, end: HttpEnd) -> None:
    await house.webhook()
    end.answers = [(404, b"")]
    await two_services(house)
    await house.room.check(reason="schedule")
    await house.tell()
    assert await statuses(house) == ["failed", "failed"]
    await house.room.check(reason="schedule")
    await house.tell()
    assert (await statuses(house))[2:] == ["sent", "sent"] and len(end.seen) == 2
    await house.room.check(reason="schedule")
    await house.tell()
    assert len(end.seen) == 2


async def test_killed_between_reserving_and_telling(
    house: House, end: HttpEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.webhook()
    await two_services(house)
    await house.room.check(reason="schedule")
    monkeypatch.setattr(house.notifications, "_spawn", lambda work: work.close())
    await house.notifications.look()
    assert await statuses(house) == ["pending", "pending"]
    again = await house.restart()
    await again.tell()
    assert len(end.seen) == 1 and await statuses(house) == ["sent", "sent"]


async def test_old_deliveries_and_closed_announcements_are_forgotten(house: House, end: HttpEnd) -> None:
    await house.webhook()
    await two_services(house)
    await house.room.check(reason="schedule")
    await house.tell()
    house.room.registry.push(REPO, "latest", "web-old")
    await house.room.check(reason="schedule")
    await house.tell()
    assert sorted(await statuses(house)) == ["sent", "superseded"]
    house.room.time.ahead += timedelta(days=31)
    assert await house.outbox.purge() == 1
    assert len(await house.announced()) == 2
    house.room.time.ahead += timedelta(days=150)
    await house.outbox.purge()
    assert await statuses(house) == ["sent"], "what is open is never forgotten: it would be told again"


def snapshot(*tags: str) -> Snapshot:
    return Snapshot("acme/web", "sha256:1", "linux/amd64", tags, ScanCounts(), datetime.now(UTC))


@pytest.mark.parametrize(
    ("found", "resolved", "frozen", "label", "told"),
    [
        (snapshot("1.5.0", "latest"), "1.4.0", "1.3.0", "1.2.0", "1.5.0"),
        (snapshot("latest"), "1.4.0", "1.3.0", "1.2.0", "1.4.0"),
        (None, None, "1.3.0", "1.2.0", "1.3.0"),
        (None, None, "latest", "1.2.0", "1.2.0"),
        (None, None, "latest", None, "latest"),
    ],
)
def test_which_version_is_shown(
    found: Snapshot | None, resolved: str | None, frozen: str, label: str | None, told: str
) -> None:
    assert shown(found, resolved, frozen, label, "latest") == told


async def test_a_push_says_how_many_updates_wait(house: House, end: HttpEnd) -> None:
    keys = generate_keys()
    push = schemas.WebPushInput(enabled=True, vapid_public_key=keys.public, vapid_private_key=keys.private)
    await house.settings.save(push)
    end.default = (201, b"")
    phone = Phone(end, "pocket")
    await house.devices.subscribe(phone.endpoint, **phone.subscription["keys"], name="pocket")
    await two_services(house)
    await house.job(JobStatus.FAILED)
    await house.tell()
    assert "updatesWaiting" not in phone.read(phone.pushes()[-1]), "nothing was checked yet, which is not none"
    await house.room.check(reason="schedule")
    await house.room.work()
    await house.tell()
    assert phone.read(phone.pushes()[-1])["updatesWaiting"] == 2
