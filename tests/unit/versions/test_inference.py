"""Version inference: which tags are this digest, kept, folded, aged (spec §5.2, §7.6)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from app.adapters.registry import RegistryUnreachable
from app.core.events import EntitiesChanged
from app.features.versions.inference.overview import overview
from app.features.versions.inference.queue import Reason
from tests.fakes.registry import digest_of
from tests.unit.versions.room import Room

WEB = "ghcr.io/acme/web"


def told(room: Room) -> list[str]:
    """Types of all events so far."""
    return [document["type"] for _, document in room.inference.ring.after(0)]


async def follows_latest(room: Room) -> tuple[str, str, str]:
    """A service behind `latest` running 1.4.2 while 1.5.0 is out: service, current and candidate digest."""
    old = room.registry.push(WEB, ["1.4", "1.4.2", "stable"], "old")
    new = room.registry.push(WEB, ["latest", "1.5", "1.5.0", "1"], "new")
    service = await room.service("shop", "web", f"{WEB}:latest", runs=old)
    return service, old, new


async def test_floating_tags_get_their_versions(room: Room) -> None:
    service, _, new = await follows_latest(room)
    await room.check()
    waiting = (await room.versions.inference_state((await room.versions.records()).values()))[service]
    assert (waiting.status, waiting.reason) == ("pending", "cache_miss")
    with room.bus.subscribe() as heard:
        await room.work()
        changed = [event for event in heard.drain() if isinstance(event, EntitiesChanged)]
    record = await room.record(service)
    assert (record.current_resolved_tag, record.current_resolved_tags) == ("1.4.2", ("1.4.2", "1.4"))
    assert record.candidate_resolved_tag == "1.5.0"
    snapshot = await room.versions.snapshot(WEB, new)
    assert snapshot is not None
    assert snapshot.tags == ("1.5.0", "1.5", "1", "latest")
    ready = (await room.versions.inference_state([record]))[service]
    assert (ready.status, ready.reason) == ("ready", None)
    assert EntitiesChanged("services", frozenset({service})) in changed
    assert any(event.domain == "inference" for event in changed)
    assert set(told(room)) == {"task_enqueued", "task_started", "task_progress", "task_finished"}


async def test_two_digests_of_a_repository_share_their_questions(room: Room) -> None:
    await follows_latest(room)
    await room.check()
    room.registry.calls.clear()
    await room.work()
    assert room.registry.calls == {"tags": 1, "resolve": 7}


async def test_the_tag_that_came_with_a_new_digest_is_found_at_once(room: Room) -> None:
    """Also when the repository's tags were listed a moment before, and when an old tag was pushed again."""
    service, _, _ = await follows_latest(room)
    await room.check()
    await room.work()
    room.registry.push(WEB, ["latest", "1.5.1"], "newer")
    await room.check()
    await room.work()
    assert (await room.record(service)).candidate_resolved_tag == "1.5.1"
    room.registry.push(WEB, ["latest", "1.5.1"], "rebuilt")
    await room.check()
    await room.work()
    assert (await room.record(service)).candidate_resolved_tag == "1.5.1"


async def test_single_images_are_compared_by_heads_alone(room: Room) -> None:
    await follows_latest(room)
    await room.check()
    room.registry.calls.clear()
    await room.work()
    assert room.registry.calls["manifest"] == 0


async def test_a_platform_digest_is_found_in_the_index(room: Room) -> None:
    index = room.registry.push(WEB, ["latest", "2.0.1"], "x", arch=["linux/amd64", "linux/arm64"])
    service = await room.service("shop", "web", f"{WEB}:latest", runs=room.registry.child(index))
    await room.check()
    await room.work()
    assert (await room.record(service)).current_resolved_tag == "2.0.1"


async def test_full_versions_need_nothing(room: Room) -> None:
    room.registry.push(WEB, "1.2.3", "x")
    service = await room.service("shop", "web", f"{WEB}:1.2.3", runs=digest_of("old"))
    await room.check()
    assert room.inference.queue.counts() == (0, 0)
    state = await room.versions.inference_state((await room.versions.records()).values())
    assert (state[service].status, state[service].reason) == ("ready", "not_required")


async def test_known_versions_come_with_the_next_check(room: Room) -> None:
    await follows_latest(room)
    await room.check()
    await room.work()
    other = await room.service("other", "web", f"{WEB}:stable", runs=digest_of("old"))
    await room.check()
    assert (await room.record(other)).current_resolved_tag == "1.4.2"
    assert room.inference.queue.counts() == (0, 0)


async def test_nothing_but_failures_is_tried_again_after_ten_minutes(room: Room) -> None:
    service, old, _ = await follows_latest(room)
    await room.check()
    room.registry.failing[WEB] = RegistryUnreachable("ghcr.io cannot be reached")
    await room.work()
    snapshot = await room.versions.snapshot(WEB, old)
    assert snapshot is not None
    assert (snapshot.all_failed, snapshot.tags, snapshot.scan.manifests_error) == (True, (), 1)
    state = await room.versions.inference_state([await room.record(service)])
    assert (state[service].status, state[service].reason) == ("pending", "all_failed")
    assert await room.inference.warm_up() == 0
    room.time.ahead = timedelta(minutes=11)
    room.registry.failing.clear()
    assert await room.inference.warm_up() == 2
    await room.work()
    assert (await room.record(service)).current_resolved_tag == "1.4.2"


async def test_an_incomplete_scan_takes_no_known_version_away(room: Room) -> None:
    service, old, _ = await follows_latest(room)
    await room.check()
    await room.work()
    room.registry.failing[f"{WEB}:1.4.2"] = RegistryUnreachable("ghcr.io answered 503")
    room.registry.failing[f"{WEB}:1.4"] = RegistryUnreachable("ghcr.io answered 503")
    await room.inference.request(room.inference.key(WEB, old), Reason.FORCE)
    await room.work()
    assert (await room.record(service)).current_resolved_tag == "1.4.2"
    snapshot = await room.versions.snapshot(WEB, old)
    assert snapshot is not None
    assert snapshot.scan.manifests_error == 2
    assert "1.4.2" in snapshot.tags


async def test_a_complete_scan_does(room: Room) -> None:
    service, old, _ = await follows_latest(room)
    await room.check()
    await room.work()
    for tag in ("1.4", "1.4.2"):
        room.registry.push(WEB, tag, "rebuilt")
    await room.inference.request(room.inference.key(WEB, old), Reason.FORCE)
    await room.work()
    assert (await room.record(service)).current_resolved_tag is None


async def test_a_label_only_hints_at_a_tag_that_was_left_out(room: Room) -> None:
    for number in range(60):
        room.registry.push(WEB, f"9.{number}.0", f"other {number}")
    digest = room.registry.push(WEB, ["latest", "v0.3.1"], "mine")
    liar = room.registry.push(WEB, "edge", "liar")
    for wanted, label in ((digest, "0.3.1"), (liar, "7.7.7")):
        stored = room.registry.manifests[wanted]
        stored.labels["org.opencontainers.image.version"] = label
    service = await room.service("shop", "web", f"{WEB}:latest", runs=digest)
    edge = await room.service("shop", "edge", f"{WEB}:edge", runs=liar)
    await room.check()
    await room.work()
    assert (await room.record(service)).current_resolved_tag == "v0.3.1"
    assert (await room.record(edge)).current_resolved_tag is None


async def test_reading_queues_what_is_missing_once(room: Room) -> None:
    await follows_latest(room)
    await room.check()
    await room.work()
    records = list((await room.versions.records()).values())
    room.time.ahead = timedelta(days=8)
    room.inference.note_read(records)
    room.inference.note_read(records)
    await asyncio.sleep(0.1)
    assert room.inference.queue.counts() == (2, 0)
    assert {task.reason for task in room.inference.queue.tasks()} == {Reason.CACHE_STALE}
    state = await room.versions.inference_state(records)
    assert {value.reason for value in state.values()} == {"cache_stale"}


async def test_force_overtakes_and_tells(room: Room) -> None:
    _, old, new = await follows_latest(room)
    key = room.inference.key(WEB, old)
    assert await room.inference.request(room.inference.key(WEB, new), Reason.NEW_VERSION) == "queued"
    assert await room.inference.request(key, Reason.CACHE_STALE) == "queued"
    assert await room.inference.request(key, Reason.WARM_UP) == "running"
    assert await room.inference.request(key, Reason.FORCE) == "running"
    _, event = room.inference.ring.after(0)[-1]
    assert (event["type"], event["fromReason"], event["reason"]) == ("task_reason_upgraded", "cache_stale", "force")
    assert room.inference.queue.tasks()[0].key == key


async def test_force_leaves_a_usable_value_in_sight(room: Room) -> None:
    service, old, _ = await follows_latest(room)
    await room.check()
    await room.work()
    await room.inference.request(room.inference.key(WEB, old), Reason.FORCE)
    state = await room.versions.inference_state([await room.record(service)])
    assert state[service].status == "ready"


async def test_one_repository_is_worked_on_once_at_a_time(room: Room) -> None:
    _, old, new = await follows_latest(room)
    await room.check()
    room.registry.delay = 0.02
    room.registry.at_once = 0
    await room.work()
    assert room.registry.at_once <= 4
    assert await room.versions.snapshot(WEB, old) is not None
    assert await room.versions.snapshot(WEB, new) is not None


async def test_old_snapshots_go(room: Room) -> None:
    _, old, _ = await follows_latest(room)
    await room.check()
    await room.work()
    room.time.ahead = timedelta(days=31)
    await room.inference.collect_garbage()
    assert await room.versions.snapshot(WEB, old) is None
    _, event = room.inference.ring.after(0)[-1]
    assert (event["type"], event["deleted"], event["ok"]) == ("gc_ran", 2, True)
    assert room.inference.gc["lastDeleted"] == 2


async def test_the_overview_shows_rows_by_urgency(room: Room) -> None:
    await follows_latest(room)
    await room.check()
    await room.work()
    tools = "docker.io/library/tools"
    room.registry.push(tools, "latest", "t")
    await room.service("shop", "tools", "tools:latest", runs=digest_of("t0"))
    await room.check()
    found = await overview(room.inference, room.evidence)
    assert [(row.key, row.status, len(row.services)) for row in found.rows] == [
        (f"{tools}@linux/amd64", "queued", 1),
        (f"{WEB}@linux/amd64", "ready", 1),
    ]
    assert (found.summary["snapshotsTotal"], found.summary["ready"], found.summary["queued"]) == (2, 2, 2)
    assert (found.summary["total"], found.summary["missing"]) == (4, 2)
    narrow = await overview(room.inference, room.evidence, q="ACME")
    assert (narrow.total, [row.image_repo for row in narrow.rows]) == (1, [WEB])
    assert narrow.summary == found.summary
    assert (await overview(room.inference, room.evidence, status="all_failed")).total == 0
    second = await overview(room.inference, room.evidence, page=2, per_page=1)
    assert ([row.image_repo for row in second.rows], second.total) == ([WEB], 2)


async def test_an_unexpected_failure_ends_one_task_only(room: Room) -> None:
    _, old, new = await follows_latest(room)
    await room.check()
    original = room.registry.tags
    calls = 0

    async def broken_once(*args: object, **more: object) -> list[str]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        return await original(*args, **more)  # type: ignore[arg-type]

    room.registry.tags = broken_once  # type: ignore[method-assign]
    await room.work()
    snapshots = [await room.versions.snapshot(WEB, digest) for digest in (old, new)]
    assert sum(snapshot is not None for snapshot in snapshots) == 1
