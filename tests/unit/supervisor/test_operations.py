"""What an operation does, in which order, and what is left when it breaks at any point (spec §10)."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import Conflict, InvalidArgument, Unavailable
from app.supervisor.ledger import StateUnwritable
from app.supervisor.operations import parse_start
from app.supervisor.state import INTERRUPTED, Book
from app.supervisor.world import Container
from tests.unit.supervisor.fake_world import (
    DATABASE,
    REPO,
    FakeWorld,
    database_with,
    digest_of,
    dockrev,
    image_of,
    note_in,
)
from tests.unit.supervisor.house import QUICK, log_of, published, run, supervisor_of


async def test_a_dry_run_pulls_and_stops_there(tmp_path: Path) -> None:
    world = FakeWorld(registry=published("0.2.0"))
    book = await run(supervisor_of(tmp_path, world), "latest", "dry-run")
    assert (book.state, book.progress.step, book.progress.message) == ("succeeded", "done", "dry-run completed")
    assert not [call for call in world.calls if call.split()[0] in ("up", "stop", "start", "put")]
    assert (book.previous.tag, book.previous.digest) == (f"{REPO}:latest", digest_of("0.1.0"))
    assert {check.name for check in book.preflight} == {
        "current", "files", "reach", "disk", "database", "target", "platform", "schema",
    }  # fmt: skip
    assert world.closed == 1


async def test_an_upgrade_recreates_from_the_tag_or_the_digest(tmp_path: Path) -> None:
    world = FakeWorld(registry={**published("0.2.0"), f"{REPO}@{digest_of('0.2.0')}": image_of("0.2.0")})
    supervisor = supervisor_of(tmp_path, world)
    book = await run(supervisor, "latest")
    assert book.state == "succeeded", log_of(book)
    assert f"up always {REPO}:latest" in world.calls
    assert f"pull {REPO}:0.2.0" in world.calls, "the version its label names"
    assert world.version == "0.2.0"
    await run(supervisor, "latest", digest=digest_of("0.2.0"))
    assert f"up always {REPO}@{digest_of('0.2.0')}" in world.calls


async def test_what_does_not_get_healthy_is_taken_back_by_digest_without_the_registry(tmp_path: Path) -> None:
    world = FakeWorld(registry=published("0.2.0"), sick={"0.2.0"})
    book = await run(supervisor_of(tmp_path, world), "latest")
    assert (book.state, book.progress.step) == ("rolled_back", "done")
    assert f"up missing {REPO}@{digest_of('0.1.0')}" in world.calls
    assert world.version == "0.1.0"
    assert "dockrev: fatal: token=***" in log_of(book)


async def test_without_a_digest_the_old_image_gets_its_name_back(tmp_path: Path) -> None:
    old = image_of("0.1.0")
    world = FakeWorld(registry=published("0.2.0"), sick={"0.2.0"})
    world.local = {f"{REPO}:latest": replace(old, repo_digests=())}
    world.kept = []
    book = await run(supervisor_of(tmp_path, world), "latest")
    assert book.state == "rolled_back", log_of(book)
    assert book.previous.digest is None
    assert world.calls.index(f"tag {REPO}:latest") < world.calls.index(f"up missing {REPO}:latest")
    assert world.version == "0.1.0"


async def test_without_the_wish_a_failure_stays_and_can_be_taken_back_by_hand(tmp_path: Path) -> None:
    world = FakeWorld(registry=published("0.2.0"), sick={"0.2.0"})
    supervisor = supervisor_of(tmp_path, world)
    book = await run(supervisor, "latest", back=False)
    assert (book.state, book.progress.step) == ("failed", "wait_healthy")
    assert "it answered with status 503" in book.progress.message
    with pytest.raises(InvalidArgument, match="opId not found"):
        await supervisor.roll_back("sup_other", "tester")
    await supervisor.roll_back(book.op_id, "tester")
    with pytest.raises(Conflict, match="running"):
        await supervisor.roll_back(book.op_id, "tester")
    await supervisor.finished()
    assert supervisor.book.state == "rolled_back"
    assert world.version == "0.1.0"


async def test_a_rollback_that_fails_says_so(tmp_path: Path) -> None:
    world = FakeWorld(registry=published("0.2.0"), sick={"0.1.0", "0.2.0"})
    book = await run(supervisor_of(tmp_path, world), "latest")
    assert (book.state, book.progress.step) == ("failed", "rollback")
    assert book.progress.message.startswith("rollback failed: not healthy")


@pytest.mark.parametrize(
    ("spoil", "step", "said"),
    [
        ("look", "precheck", "look failed, password=***"),
        ("pull", "pull", "failed"),
        ("platform", "pull", "The image is for linux/arm64, this host is linux/amd64"),
        ("files", "precheck", "Compose files that cannot be read here: /srv/dockrev/compose.yaml"),
        ("older", "pull", "The target knows schema 0001, the database has 0002"),
        ("inside", "precheck", "lies inside the container"),
        ("nothing", "precheck", "no container uses an image of"),
    ],
)
async def test_what_fails_before_a_change_changes_nothing(tmp_path: Path, spoil: str, step: str, said: str) -> None:
    world = FakeWorld(registry=published("0.2.0"), files={DATABASE: database_with("0001", "first")})
    match spoil:
        case "look" | "pull":
            world.fails = {spoil}
        case "platform":
            world.registry = published("0.2.0", platform="linux/arm64")
        case "files":
            world.missing = {"/srv/dockrev/compose.yaml"}
        case "older":
            world.local[f"{REPO}:latest"] = image_of("0.1.0", schema="0002")
        case "inside":
            world.containers = [dockrev(mounts=())]
        case "nothing":
            world.containers = []
    before = list(world.containers)
    book = await run(supervisor_of(tmp_path, world), "latest")
    assert (book.state, book.progress.step) == ("failed", step), log_of(book)
    assert said in log_of(book)
    assert world.containers == before
    assert "hunter22" not in (tmp_path / "self-upgrade.json").read_text()


async def test_a_healthy_dockrev_that_cannot_be_reached_forbids_it(tmp_path: Path) -> None:
    world = FakeWorld(registry=published("0.2.0"), unreachable=True)
    world.containers = [dockrev(health="healthy")]
    book = await run(supervisor_of(tmp_path, world), "latest")
    assert (book.state, book.progress.step) == ("failed", "precheck")
    assert "Put both into one network" in log_of(book)


async def test_the_database_goes_back_with_the_schema(tmp_path: Path) -> None:
    world = FakeWorld(
        registry=published("0.2.0", schema="0002"), files={DATABASE: database_with("0001", "first")}, sick={"0.2.0"}
    )
    book = await run(supervisor_of(tmp_path, world), "latest")
    assert book.state == "rolled_back", log_of(book)
    assert note_in(world.files[DATABASE]) == "first"
    assert world.files[DATABASE + "-wal"] == b"", "what the newer version left there must not be taken for ours"
    copied = next(tmp_path.glob("sup_*.newer.tar"))
    assert copied.stat().st_mode & 0o777 == 0o600
    assert "is back (schema 0001)" in log_of(book)


async def test_data_of_the_same_schema_stays_when_taken_back(tmp_path: Path) -> None:
    """The label says nothing, so a copy is taken; the database itself says that it was not changed."""
    world = FakeWorld(registry=published("0.2.0", schema=None), files={DATABASE: database_with("0001", "first")})
    supervisor = supervisor_of(tmp_path, world)
    book = await run(supervisor, "latest")
    assert book.state == "succeeded", log_of(book)
    world.files[DATABASE] = database_with("0001", "written since")
    await supervisor.roll_back(book.op_id, "tester")
    await supervisor.finished()
    assert supervisor.book.state == "rolled_back"
    assert note_in(world.files[DATABASE]) == "written since"
    assert not list(tmp_path.glob("sup_*.newer.tar"))


async def test_without_the_copy_a_changed_database_is_not_gone_back_from(tmp_path: Path) -> None:
    world = FakeWorld(registry=published("0.2.0", schema="0002"), files={DATABASE: database_with("0001", "first")})
    supervisor = supervisor_of(tmp_path, world)
    book = await run(supervisor, "latest")
    assert book.recovery is not None and book.recovery.database is not None
    (tmp_path / book.recovery.database.file).unlink()
    await supervisor.roll_back(book.op_id, "tester")
    await supervisor.finished()
    assert supervisor.book.state == "failed"
    assert "is gone: the previous version would refuse it" in supervisor.book.progress.message
    assert world.version == "0.2.0", "it runs again"


async def test_a_copy_that_fails_leaves_dockrev_running_as_it_was(tmp_path: Path) -> None:
    world = FakeWorld(registry=published("0.2.0", schema="0002"), files={DATABASE: b"no database" * 200})
    supervisor = supervisor_of(tmp_path, world)
    world.fails = {"read"}
    book = await run(supervisor, "latest")
    assert (book.state, book.progress.step) == ("failed", "pull")
    assert "the database cannot be copied: no way back" in log_of(book)
    assert "stop" not in world.calls
    world.fails, stopped = set(), world.stop

    async def stop(id: str) -> None:
        await stopped(id)
        world.fails = {"read"}

    world.stop = stop  # type: ignore[method-assign]
    world.local[f"{REPO}:latest"] = image_of("0.1.0")
    book = await run(supervisor, "latest")
    assert (book.state, book.progress.step) == ("failed", "apply"), log_of(book)
    assert world.version == "0.1.0"
    assert "nothing was replaced; Dockrev is started again" in log_of(book)


async def test_a_state_that_cannot_be_written_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    world = FakeWorld(registry=published("0.2.0"))
    supervisor = supervisor_of(tmp_path / "file", world)
    body = {"target": {"tag": "latest"}, "mode": "apply", "rollbackOnFailure": True}
    with pytest.raises(StateUnwritable, match="cannot be written"):
        await supervisor.start(*parse_start(body, REPO), "tester")
    assert supervisor.book.state == "idle"
    assert world.calls == []


async def test_killed_at_every_moment_it_tells_the_truth_and_goes_back(tmp_path: Path) -> None:
    """Every state that was ever on disk, with the world as it was then, is what a killed supervisor may find."""
    world = FakeWorld(registry=published("0.2.0", schema="0002"), files={DATABASE: database_with("0001", "first")})
    home = tmp_path / "home"
    supervisor = supervisor_of(home, world)
    moments: list[tuple[str, FakeWorld, Path]] = []
    save = supervisor.ledger.save

    async def saved() -> None:
        await save()
        kept = tmp_path / f"moment-{len(moments)}"
        shutil.copytree(home, kept)
        moments.append((supervisor.book.progress.step, world.copied(), kept))

    supervisor.ledger.save = saved  # type: ignore[method-assign]
    assert (await run(supervisor, "latest")).state == "succeeded"
    assert {step for step, _, _ in moments} == {"precheck", "pull", "apply", "wait_healthy", "postcheck", "done"}

    for step, then, folder in moments:
        running = Book.model_validate_json((folder / "self-upgrade.json").read_text()).state == "running"
        again = supervisor_of(folder, then)
        await again.after_restart()
        await again.finished()
        book = again.book
        if not running:
            assert book.state == "succeeded"
            continue
        assert (book.state, book.progress.step, book.progress.message) == ("failed", "postcheck", INTERRUPTED), step
        assert book.request is None
        assert f"it was at step {step}" in log_of(book)
        assert then.version, f"at {step} Dockrev runs, in one version or the other"
        if book.recovery is None:
            with pytest.raises(Conflict, match="no rollback target available"):
                await again.roll_back(book.op_id, "tester")
            continue
        await again.roll_back(book.op_id, "tester")
        await again.finished()
        assert again.book.state == "rolled_back", f"{step}: {log_of(again.book)}"
        assert then.version == "0.1.0"
        assert note_in(then.files[DATABASE]) == "first"


@pytest.mark.parametrize("refused", [False, True])
async def test_what_a_killed_compose_made_and_did_not_start_is_removed(tmp_path: Path, *, refused: bool) -> None:
    """The way back of an apply that was killed between the new container and the end of the old one."""
    world = FakeWorld(registry=published("0.2.0"), fails={"up", *(("remove",) if refused else ())})
    supervisor = supervisor_of(tmp_path, world)
    assert (await run(supervisor, "latest", back=False)).state == "failed"
    half = replace(dockrev("0.2.0", id="c" * 64), name="cccc_house-dockrev-1", running=False, never_ran=True)
    other = replace(half, id="d" * 64, service="neighbour")
    stopped = replace(dockrev("0.0.9", id="e" * 64), running=False)
    world.containers += [half, other, stopped]
    await supervisor.roll_back(supervisor.book.op_id, "tester")
    await supervisor.finished()
    assert (supervisor.book.state, world.version) == ("rolled_back", "0.1.0"), log_of(supervisor.book)
    assert (half in world.containers) is refused and {other, stopped} <= set(world.containers)
    told = "never started is left" if refused else "removed cccc_house-dockrev-1"
    assert told in log_of(supervisor.book)


async def test_thirty_operations_are_kept(tmp_path: Path) -> None:
    world = FakeWorld(registry=published("0.2.0"))
    supervisor = supervisor_of(tmp_path, world)
    ids = [(await run(supervisor, "latest", "dry-run")).op_id for _ in range(32)]
    kept = [operation.op_id for operation in supervisor.book.operations]
    assert kept == ids[::-1][:30]
    assert all(operation.logs for operation in supervisor.book.operations)


async def test_an_identical_request_is_the_same_operation_another_a_conflict(tmp_path: Path) -> None:
    supervisor = supervisor_of(tmp_path, FakeWorld(registry=published("0.2.0")))
    body = {"target": {"tag": "latest"}, "mode": "apply", "rollbackOnFailure": True}
    first = await supervisor.start(*parse_start(body, REPO), "tester")
    assert await supervisor.start(*parse_start(body, REPO), "tester") == first
    for other in ({"mode": "dry-run"}, {"rollbackOnFailure": False}, {"target": {"tag": "0.2.0"}}):
        with pytest.raises(Conflict):
            await supervisor.start(*parse_start({**body, **other}, REPO), "tester")
    await supervisor.finished()
    assert await supervisor.start(*parse_start(body, REPO), "tester") != first
    await supervisor.finished()


async def test_an_engine_that_is_away_for_a_moment_is_no_reason_to_go_back(tmp_path: Path) -> None:
    world = FakeWorld(registry=published("0.2.0"), free_bytes=1000)
    up, looks = world.up, 0

    async def up_and_away(*arguments: Any, **more: Any) -> None:
        await up(*arguments, **more)
        service, world.service = world.service, away  # type: ignore[method-assign]
        world.found = service  # type: ignore[attr-defined]

    async def away(project: str, service: str) -> list[Container]:
        nonlocal looks
        looks += 1
        if 1 < looks < 9:
            raise Unavailable("The Docker engine cannot be reached: connection refused")
        return list(await world.found(project, service))  # type: ignore[attr-defined]

    world.up = up_and_away  # type: ignore[method-assign]
    book = await run(supervisor_of(tmp_path, world, pace=replace(QUICK, health=30)), "latest")
    assert looks >= 9
    assert book.state == "succeeded", log_of(book)
    assert [check.verdict for check in book.preflight if check.name == "disk"] == ["warn"], (
        "little room forbids nothing"
    )


async def test_it_never_replaces_itself(tmp_path: Path) -> None:
    world = FakeWorld(registry=published("0.2.0"), containers=[dockrev(id="abcdef123456" + "0" * 52)])
    supervisor = supervisor_of(tmp_path, world, target_container_id="house-dockrev-1")
    supervisor._own_id = "abcdef123456"
    book = await run(supervisor, "latest")
    assert (book.state, book.progress.step) == ("failed", "precheck")
    assert "is the supervisor itself" in log_of(book)


async def test_copies_of_the_last_three_operations_are_kept_and_halves_are_not(tmp_path: Path) -> None:
    """A copy holds the owner's secrets: no more of them than are of use."""
    world = FakeWorld(registry=published("0.2.0", schema=None), files={DATABASE: database_with("0001", "first")})
    supervisor = supervisor_of(tmp_path, world)
    ids = [(await run(supervisor, "latest")).op_id for _ in range(5)]
    assert sorted(tmp_path.glob("sup_*")) == sorted(tmp_path / f"{op_id}.database.tar" for op_id in ids[-3:])
    (tmp_path / ".copy-x").mkdir()
    (tmp_path / ".copy-x" / "database.tar").write_bytes(b"half")
    await run(supervisor, "latest")
    assert not list(tmp_path.glob(".copy-*"))
