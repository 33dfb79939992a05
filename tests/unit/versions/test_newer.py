"""Newer versions under other tags: what is asked, what is kept, what is told (issue 3)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.adapters.registry import ManifestUnknown, RegistryUnreachable, StoredHost
from app.core.errors import InvalidArgument, NotFound
from app.core.events import EntitiesChanged
from app.core.jobs import Job, JobStatus
from app.features.versions.newer.asking import published_at
from app.features.versions.newer.listing import NotYet, VersionList, listed
from app.features.versions.newer.rows import NewerVersions
from app.features.versions.rules import Entry, drawn
from tests.unit.versions.room import Room

WEB = "ghcr.io/acme/web"
BOTH = ("linux/amd64", "linux/arm64")


async def pinned(room: Room, tag: str = "1.22.3", *others: str) -> str:
    """A service that runs a pinned version of a repository that has newer ones; its id."""
    runs = room.registry.push(WEB, tag, f"web {tag}", arch=BOTH)
    for other in others or ("1.22.6", "1.23.1", "2.0.0"):
        room.registry.push(WEB, other, f"web {other}", arch=BOTH)
    service_id = await room.service("news", "web", f"{WEB}:{tag}", runs=runs)
    await room.check()
    return service_id


async def ready(room: Room, service_id: str) -> VersionList:
    """The list once nothing is left to look up."""
    for _ in range(3):
        found = await room.lists.of(service_id)
        await room.look_for_newer()
    found = await room.lists.of(service_id)
    assert isinstance(found, VersionList)
    assert not found.refreshing
    return found


async def row(room: Room, service_id: str) -> NewerVersions:
    """The row that lists are drawn from."""
    return (await room.versions.records_and_newer())[1][service_id]


def told(found: VersionList) -> list[tuple[str | None, str, str]]:
    return [(one.version, one.distance, one.state) for one in found.versions]


async def test_a_pinned_service_sees_the_newest_at_each_distance(room: Room) -> None:
    service_id = await pinned(room)
    assert isinstance(await room.lists.of(service_id), NotYet)
    found = await ready(room, service_id)
    assert told(found) == [
        ("1.22.3", "now", "current"), ("1.22.6", "patch", "other_series"),
        ("1.23.1", "minor", "other_series"), ("2.0.0", "major", "other_series"),
    ]  # fmt: skip
    assert found.reach == "none"
    assert all(one.digest == room.registry.repos[WEB][str(one.version)] for one in found.versions)
    assert all(one.platforms == BOTH for one in found.versions[1:])
    assert (await row(room, service_id)).summary == "hint"


async def test_a_background_look_is_one_list_and_a_head_and_a_manifest_per_version_drawn(room: Room) -> None:
    await pinned(room)
    room.registry.calls.clear()
    await room.look_for_newer()
    assert room.registry.calls == {"tags": 1, "resolve": 3, "manifest": 3}
    room.registry.calls.clear()
    await room.check()
    await room.look_for_newer()
    assert room.registry.calls == {"resolve": 1}, "a check asks about its own tag; the rest is known"


async def test_many_services_of_a_repository_share_what_is_asked(room: Room) -> None:
    await pinned(room)
    for number in range(6):
        await room.service("more", f"s{number}", f"{WEB}:1.22.3", runs=room.registry.repos[WEB]["1.22.3"])
    await room.check()
    room.registry.calls.clear()
    await room.look_for_newer()
    assert room.registry.calls == {"tags": 1, "resolve": 3, "manifest": 3}
    assert len((await room.versions.records_and_newer())[1]) == 7


async def test_a_floating_tag_is_compared_by_what_it_was_inferred_to_be(room: Room) -> None:
    runs = room.registry.push(WEB, ["1", "1.22", "1.22.3"], "old", arch=BOTH)
    room.registry.push(WEB, ["1.23", "1.23.1"], "newer", arch=BOTH)
    room.registry.push(WEB, ["2", "2.0.0", "latest"], "newest", arch=BOTH)
    service_id = await room.service("news", "web", f"{WEB}:1.22", runs=runs)
    await room.check()
    await room.work()  # the inference
    room.registry.calls.clear()
    found = await ready(room, service_id)
    assert room.registry.calls["tags"] == 0, "the list of the inference serves"
    assert room.registry.calls["resolve"] == 0, "and so do its answers"
    current, minor, major = found.versions
    assert (current.version, current.inferred) == ("1.22.3", True)
    assert (minor.version, minor.follow, minor.reached_by) == ("1.23.1", "1.23", ("1.23.1", "1.23")), (
        "1 still leads to what runs"
    )
    assert (major.version, major.follow, set(major.reached_by)) == ("2.0.0", "2.0.0", {"2.0.0", "2", "latest"})
    assert not minor.in_reach


async def test_what_latest_would_bring_is_listed_but_not_drawn(room: Room) -> None:
    runs = room.registry.push(WEB, ["latest", "1.0.0"], "old", arch=BOTH)
    room.registry.push(WEB, "1.1.0", "not yet latest", arch=BOTH)
    service_id = await room.service("news", "web", f"{WEB}:latest", runs=runs)
    await room.check()
    await room.work()
    room.registry.calls.clear()
    await room.look_for_newer()
    assert not room.registry.calls, "nobody looked, so nothing is asked"
    assert not drawn((await row(room, service_id)).entries)
    found = await ready(room, service_id)
    assert told(found)[1:] == [("1.1.0", "minor", "other_series")]
    assert found.versions[1].in_reach


async def test_a_rule_hides_at_once_and_shows_again(room: Room) -> None:
    service_id = await pinned(room, "1.22.3", "2.0.0")
    await room.look_for_newer()
    assert (await row(room, service_id)).summary == "hint"
    rule = await room.ignore.add(service_id, "prefix", "2.")
    await room.look_for_newer()
    assert told(await ready(room, service_id))[1:] == [("2.0.0", "major", "ignored")]
    assert (await row(room, service_id)).summary == ""
    await room.ignore.delete(rule)
    await room.look_for_newer()
    assert (await row(room, service_id)).summary == "hint"


async def test_a_version_for_other_hosts_makes_room_for_the_one_before_it(room: Room) -> None:
    room.registry.push(WEB, "1.22.6", "arm only", arch=("linux/arm64",))
    runs = room.registry.push(WEB, "1.22.3", "old", arch=BOTH)
    room.registry.push(WEB, "1.22.5", "fits", arch=BOTH)
    service_id = await room.service("news", "web", f"{WEB}:1.22.3", runs=runs)
    await room.check()
    found = await ready(room, service_id)
    assert told(found)[1:] == [("1.22.6", "patch", "arch_mismatch"), ("1.22.5", "patch", "other_series")]
    assert [entry.tag for entry in drawn((await row(room, service_id)).entries)] == ["1.22.5"]


async def test_a_digest_that_was_rolled_back_is_held(room: Room) -> None:
    service_id = await pinned(room, "1.22.3", "1.22.4")
    await room.look_for_newer()
    digest = room.registry.repos[WEB]["1.22.4"]
    now = datetime.now(UTC)
    timeline = [{"key": service_id, "toDigest": digest, "steps": [{"step": "health"}, {"step": "rolled_back"}]}]
    async with room.db.transaction() as session:
        session.add(
            Job(
                id="job_1", type="update", scope="service", status=JobStatus.ROLLED_BACK, created_by="alice",
                reason="ui", created_at=now, summary={"timeline": timeline},
            )
        )  # fmt: skip
    await room.newer.note(EntitiesChanged("jobs", frozenset({"job_1"})))
    await room.look_for_newer()
    assert told(await ready(room, service_id))[1:] == [("1.22.4", "patch", "held")]
    assert (await row(room, service_id)).summary == "blocked"


async def test_the_candidate_stands_first_and_is_not_told_twice(room: Room) -> None:
    runs = room.registry.push(WEB, ["1", "1.0.0"], "old", arch=BOTH)
    service_id = await room.service("news", "web", f"{WEB}:1", runs=runs)
    new = room.registry.push(WEB, ["1", "1.1.0"], "new", arch=BOTH)
    await room.check()
    await room.work()
    found = await ready(room, service_id)
    assert told(found) == [("1.0.0", "now", "current"), ("1.1.0", "minor", "candidate")]
    assert found.versions[1].digest == new
    assert found.versions[1].reached_by == ("1.1.0", "1")


async def test_a_version_whose_digest_is_not_known_yet_may_be_the_candidate(room: Room) -> None:
    service_id = await room.service("shop", "web", f"{WEB}:1", runs=room.registry.push(WEB, ["1", "1.0.0"], "old"))
    new = room.registry.push(WEB, ["1", "1.1.0"], "new", arch=BOTH)
    await room.check()
    await room.work()
    record = await room.record(service_id)
    assert (record.candidate_digest, record.candidate_resolved_tag) == (new, "1.1.0")
    entries = [Entry("1.1.0", "minor", "other_series", in_reach=True), Entry("1.2.0", "minor", "other_series")]
    assert [one.version for one in listed(record, entries, {}, ())] == ["1.0.0", "1.1.0", "1.2.0"]


async def test_another_running_version_makes_the_row_void_until_it_is_made_anew(room: Room) -> None:
    service_id = await pinned(room)
    await room.look_for_newer()
    async with room.db.transaction() as session:
        from app.features.stacks.models import ServiceRow

        service = await session.get_one(ServiceRow, service_id)
        service.image_ref, service.image_tag = f"{WEB}:1.23.1", "1.23.1"
    room.run("news", "web", f"{WEB}:1.23.1", room.registry.repos[WEB]["1.23.1"])
    await room.check()
    assert service_id not in (await room.versions.records_and_newer())[1]
    room.registry.calls.clear()
    found = await ready(room, service_id)
    assert told(found) == [("1.23.1", "now", "current"), ("2.0.0", "major", "other_series")]
    assert room.registry.calls["tags"] == 0, "the list is still good"


async def test_a_registry_that_fails_is_told_and_left_alone_for_a_while(room: Room) -> None:
    service_id = await pinned(room)
    room.registry.failing[WEB] = RegistryUnreachable("ghcr.io answered 503")
    found = await ready(room, service_id)
    assert (told(found), found.error) == ([("1.22.3", "now", "current")], "ghcr.io answered 503")
    asked = room.registry.calls["tags"]
    assert asked == 1
    await room.look_for_newer()
    assert room.registry.calls["tags"] == asked
    room.registry.failing.clear()
    room.time.ahead += timedelta(minutes=31)
    assert len((await ready(room, service_id)).versions) == 4


async def test_an_old_list_is_shown_and_renewed(room: Room) -> None:
    service_id = await pinned(room)
    await room.look_for_newer()
    room.registry.push(WEB, "3.0.0", "three", arch=BOTH)
    room.time.ahead += timedelta(hours=7)
    found = await room.lists.of(service_id)
    assert isinstance(found, VersionList)
    assert (found.stale, found.refreshing, len(found.versions)) == (True, True, 4)
    assert told(await ready(room, service_id))[-1] == ("3.0.0", "major", "other_series")


async def test_a_resting_registry_is_not_asked(room: Room) -> None:
    service_id = await pinned(room)
    room.registry.cooling.add(WEB)
    found = await ready(room, service_id)
    assert len(found.versions) == 1
    assert found.error is not None
    assert "rest" in found.error


async def test_half_of_a_pull_quota_is_left_alone(room: Room) -> None:
    service_id = await pinned(room)
    gate = room.registry._session._transport.gate("ghcr.io")
    gate.restore(StoredHost("ghcr.io", None, 50, 100, 21600, None, datetime.now(UTC)))
    await room.look_for_newer()
    assert room.registry.calls["manifest"] == 0
    found = await ready(room, service_id)
    assert [one.platforms for one in found.versions[1:]] == [None] * 3
    assert all(one.digest for one in found.versions)


async def test_a_tag_that_is_gone_is_taken_off_the_list(room: Room) -> None:
    service_id = await pinned(room)
    room.registry.failing[f"{WEB}:2.0.0"] = ManifestUnknown("gone")
    found = await ready(room, service_id)
    assert [one.version for one in found.versions] == ["1.22.3", "1.22.6", "1.23.1"]


async def test_unchecked_unknown_and_unreadable_services(room: Room) -> None:
    service_id = await room.service("news", "web", f"{WEB}:1.22.3")
    assert await room.lists.of(service_id) == NotYet(service_id, "not_checked")
    with pytest.raises(NotFound):
        await room.lists.of("svc_none")
    with pytest.raises(InvalidArgument):
        await room.lists.of(await room.service("news", "bad", "NOT a reference"))


async def test_what_changes_is_followed_without_anybody_asking(room: Room) -> None:
    tasks = [asyncio.create_task(room.newer.follow()), asyncio.create_task(room.newer.run())]
    try:
        service_id = await pinned(room)
        async with asyncio.timeout(20):
            while not (found := (await room.versions.records_and_newer())[1].get(service_id)):
                await asyncio.sleep(0.05)
        assert found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_jobs_go_first_unless_somebody_looks(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    service_id = await pinned(room)
    await room.newer.everything()
    monkeypatch.setattr(type(room.jobs), "running", property(lambda _: {"job_1"}))
    worker = asyncio.create_task(room.newer.run())
    try:
        await asyncio.sleep(0.5)
        assert room.newer.counts() == (1, 0)
        await room.lists.of(service_id)
        async with asyncio.timeout(20):
            while room.newer.counts() != (0, 0):
                await asyncio.sleep(0.02)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def test_a_check_of_one_service_by_hand_wants_a_new_list(room: Room) -> None:
    service_id = await pinned(room)
    await room.look_for_newer()
    room.registry.push(WEB, "3.0.0", "three", arch=BOTH)
    room.time.ahead += timedelta(minutes=11)
    follower = asyncio.create_task(room.newer.follow())
    try:
        await room.check()
        await asyncio.sleep(1.3)
        assert room.newer.counts() == (0, 0), "a check of everything does not"
        await room.check(service_id=service_id)
        async with asyncio.timeout(20):
            while not room.newer.counts()[0]:
                await asyncio.sleep(0.02)
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
    assert told(await ready(room, service_id))[-1] == ("3.0.0", "major", "other_series")


async def test_what_is_archived_is_not_looked_for(room: Room) -> None:
    service_id = await pinned(room)
    await room.stacks.archive_service(service_id)
    room.registry.calls.clear()
    await room.look_for_newer()
    assert not room.registry.calls


async def test_old_lists_and_versions_go(room: Room) -> None:
    service_id = await pinned(room)
    await room.look_for_newer()
    room.time.ahead += timedelta(days=31)
    await room.newer.collect_garbage()
    for table in ("repository_tags", "repository_versions"):
        async with room.db.session() as session:
            assert (await session.connection()) is not None
            count = await (await session.connection()).exec_driver_sql(f"SELECT count(*) FROM {table}")
            assert count.scalar() == 0
    assert len((await ready(room, service_id)).versions) == 4


async def test_thousands_of_tags_are_kept_by_their_newest(room: Room) -> None:
    room.registry.repos[WEB] = dict.fromkeys((f"0.{number}.0" for number in range(12_000)), "sha256:" + "0" * 64)
    service_id = await pinned(room)
    await room.look_for_newer()
    assert len((await row(room, service_id)).entries) == 3


async def test_reading_all_of_it_is_one_query(room: Room, tmp_path: Path) -> None:
    await pinned(room)
    await room.look_for_newer()
    before = room.db.statements
    records, newer = await room.versions.records_and_newer()
    assert room.db.statements - before == 2  # BEGIN and the query
    assert set(records) == set(newer)


@pytest.mark.parametrize(
    ("text", "year"),
    [("2026-01-02T03:04:05Z", 2026), ("2026-01-02T03:04:05.123456789Z", 2026), ("2026-01-02T03:04:05+02:00", 2026),
     ("1970-01-01T00:00:00Z", None), ("0001-01-01T00:00:00Z", None), ("<script>", None), ("", None), (None, None)],
)  # fmt: skip
def test_times_of_publication(text: str | None, year: int | None) -> None:
    found = published_at(text)
    assert (found.year if found else None) == year
