"""Backups of a running service's data, and the way back, on a real engine (spec §7.10)."""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.core.clock import Clock, utc_now
from app.core.errors import Conflict
from app.core.jobs import JobStatus
from app.features.backups import BackupStatus
from app.features.preferences import BackupDefaults
from tests.lab.house import House, house
from tests.lab.lab import Lab

pytestmark = pytest.mark.lab


@pytest.fixture
async def home(clean_lab: Lab, tmp_path: Path) -> AsyncIterator[House]:
    async with house(clean_lab, tmp_path) as built:
        yield built


def start(lab: Lab, name: str, folder: Path, services: str = "") -> str:
    """A stack with a volume and a bind mount, with an update waiting after `publish`."""
    samples = lab.samples(name)
    lab.registry.publish(f"bak/{name}", "1", samples.good("1.0.0"))
    ref = lab.registry.ref(f"bak/{name}", "1")
    config = folder / "config"
    config.mkdir(exist_ok=True)
    (config / "app.yml").write_text("title: mine\n")
    mounts = f"['data:/data', '{config}:/config', '/etc/hostname:/etc/host:ro']"
    web = f"{{image: '{ref}', volumes: {mounts}}}"
    lab.stack(name, f"services: {{web: {web}{services}}}\nvolumes: {{data: {{}}}}").up(wait=True)
    return ref


def write(lab: Lab, container: str, path: str, text: str) -> None:
    lab.docker("exec", container, "sh", "-c", f"mkdir -p $(dirname {path}); echo {text} > {path}")


async def test_an_update_backs_up_first_and_the_data_comes_back(clean_lab: Lab, home: House, tmp_path: Path) -> None:
    lab = clean_lab
    start(lab, "keep", tmp_path)
    web = await home.only("keep", "web")
    write(lab, web.id, "/data/notes/today.txt", "precious")
    lab.docker(
        "exec", web.id, "sh", "-c", "busybox chmod 640 /data/notes/today.txt; busybox ln -s notes/today.txt /data/link"
    )
    lab.docker("exec", web.id, "busybox", "chown", "1234:5678", "/data/notes/today.txt")
    lab.registry.publish("bak/keep", "1", lab.samples("keep").good("2.0.0"))
    await home.look()
    job = await home.update("keep", "web", backupMode="force")
    assert job.status is JobStatus.SUCCESS, await home.log(job.id)
    (stack,) = job.summary["stacks"]
    backup = stack["backup"]
    assert backup["status"] == "success"
    config = str(tmp_path / "config")
    assert [(one["target"], one["status"]) for one in backup["targets"]] == [
        ({"kind": "docker-volume", "name": "keep_data"}, "included"),
        ({"kind": "bind-mount", "path": "/etc/hostname"}, "included"),
        ({"kind": "bind-mount", "path": config}, "included"),
    ]
    archive = Path(backup["artifactPath"])
    assert archive.parent == tmp_path / "backups" / stack["stackId"]
    assert archive.stat().st_size == backup["sizeBytes"]
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        kept = tar.getmember("volumes/keep_data/notes/today.txt")
        assert (kept.uid, kept.gid, kept.mode) == (1234, 5678, 0o640)
    assert names[0] == "manifest.json" and "binds/1/app.yml" in names
    assert lab.docker("ps", "-aq", "--filter", "label=dockrev.twin-of").strip() == ""
    # The owner ruins everything, and wants it back. A single file cannot be replaced while it is mounted.
    record = await home.backups.get(backup["backupId"])
    web = await home.only("keep", "web")
    write(lab, web.id, "/data/notes/today.txt", "ruined")
    lab.docker("exec", web.id, "sh", "-c", "rm /data/link; echo title: broken > /config/app.yml")
    done = await home.finished(await home.restores.start(record.id, "tester"))
    assert done.status is JobStatus.SUCCESS, await home.log(done.id)
    assert [one["name"] for one in done.summary["restored"]] == ["keep_data", config]
    assert "/etc/hostname" in done.summary["notRestored"][0]
    assert lab.docker("exec", web.id, "cat", "/data/link").strip() == "precious"
    assert (tmp_path / "config" / "app.yml").read_text() == "title: mine\n"


async def test_a_restore_brings_everything_back_and_starts_what_it_stopped(
    clean_lab: Lab, home: House, tmp_path: Path
) -> None:
    lab = clean_lab
    ref = start(lab, "back", tmp_path)
    yaml = f"services: {{web: {{image: '{ref}', volumes: ['data:/data', '{tmp_path / 'config'}:/config']}},"
    yaml += f" idle: {{image: '{ref}', volumes: ['data:/data']}},"
    yaml += f" able: {{image: '{ref}', volumes: ['data:/data'], depends_on: [web]}}}}\nvolumes: {{data: {{}}}}"
    lab.stacks[0].write(yaml)
    lab.stacks[0].up(wait=True)
    lab.stacks[0].compose("stop", "-t", "1", "idle")
    web = await home.only("back", "web")
    write(lab, web.id, "/data/notes/today.txt", "precious")
    lab.docker("exec", web.id, "busybox", "chown", "1234:5678", "/data/notes/today.txt")
    lab.registry.publish("bak/back", "1", lab.samples("back").good("2.0.0"))
    await home.look()
    job = await home.update("back", "web")
    record = (await home.backups.recent())[0]
    assert record.status is BackupStatus.SUCCESS and record.job_id == job.id
    web = await home.only("back", "web")
    write(lab, web.id, "/data/notes/today.txt", "ruined")
    lab.docker("exec", web.id, "sh", "-c", "echo new > /data/new.txt; echo title: broken > /config/app.yml")
    started = await home.restores.start(record.id, "tester")
    with pytest.raises(Conflict, match="in progress"):
        await home.restores.start(record.id, "tester")
    done = await home.finished(started)
    assert done.status is JobStatus.SUCCESS, await home.log(done.id)
    after = await home.only("back", "web")
    assert after.id == web.id and after.running
    able = await home.only("back", "able")
    assert able.started_at and after.started_at and able.started_at > after.started_at, "what it depends on is first"
    log = await home.log(done.id)
    assert log.index(f"docker stop {able.name}") < log.index(f"docker stop {after.name}")
    assert lab.docker("exec", web.id, "cat", "/data/notes/today.txt").strip() == "precious"
    owner = lab.docker("exec", web.id, "busybox", "stat", "-c", "%u:%g", "/data/notes/today.txt")
    assert owner.strip() == "1234:5678"
    assert (tmp_path / "config" / "app.yml").read_text() == "title: mine\n"
    assert lab.docker("exec", web.id, "cat", "/data/new.txt").strip() == "new", "newer files stay"
    assert not (await home.only("back", "idle")).running, "what was stopped stays stopped"
    archive = Path(record.artifact_path or "")
    archive.write_bytes(archive.read_bytes()[:-10])
    broken = await home.finished(await home.restores.start(record.id, "tester"))
    assert broken.status is JobStatus.FAILED and "damaged" in broken.summary["error"]
    assert (await home.only("back", "web")).running


async def test_a_failing_backup_stops_the_update_before_anything_is_touched(
    clean_lab: Lab, home: House, tmp_path: Path
) -> None:
    lab = clean_lab
    start(lab, "stop", tmp_path)
    lab.registry.publish("bak/stop", "1", lab.samples("stop").good("2.0.0"))
    await home.look()
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    await home.preferences.set_backup(BackupDefaults(base_dir=str(blocked / "backups")))
    before = await home.only("stop", "web")
    job = await home.update("stop", "web")
    assert (job.status, job.summary["failureStep"]) == (JobStatus.FAILED, "backup")
    assert (await home.only("stop", "web")).id == before.id
    text = await home.log(job.id)
    assert "docker pull" not in text and "up --detach" not in text
    (row,) = await home.backups.recent()
    assert row.status is BackupStatus.FAILED and row.error
    await home.preferences.set_backup(BackupDefaults(require_success=False, base_dir=str(blocked / "backups")))
    job = await home.update("stop", "web")
    assert job.status is JobStatus.SUCCESS, await home.log(job.id)
    assert job.summary["stacks"][0]["backup"]["status"] == "failed"


async def test_choices_and_the_threshold_decide_what_is_kept(clean_lab: Lab, home: House, tmp_path: Path) -> None:
    lab = clean_lab
    start(lab, "pick", tmp_path)
    web = await home.only("pick", "web")
    lab.docker("exec", web.id, "sh", "-c", "head -c 300000 /dev/zero > /data/big")
    lab.registry.publish("bak/pick", "1", lab.samples("pick").good("2.0.0"))
    await home.look()
    service = await home.service("pick", "web")
    config = str(tmp_path / "config")
    await home.preferences.set_backup(BackupDefaults(base_dir=str(tmp_path / "b"), skip_targets_over_bytes=1000))
    await home.stacks.save_service_settings(
        service.id, auto_rollback=True, bind_paths={config: "skip", "/etc/hostname": "skip"}, volume_names={}
    )
    job = await home.update("pick", "web")
    assert job.status is JobStatus.SUCCESS
    backup = job.summary["stacks"][0]["backup"]
    assert (backup["status"], backup["reason"]) == ("skipped", "no_included_targets")
    assert {one["reason"] for one in backup["targets"]} == {"skipped_by_size", "skipped_by_user"}
    await home.stacks.save_service_settings(
        service.id, auto_rollback=True, bind_paths={config: "skip", "/etc/hostname": "skip"},
        volume_names={"data": "force"},
    )  # fmt: skip
    lab.registry.publish("bak/pick", "1", lab.samples("pick").good("3.0.0"))
    await home.look()
    job = await home.update("pick", "web")
    backup = job.summary["stacks"][0]["backup"]
    assert backup["status"] == "success" and backup["targets"][0]["sizeBytes"] >= 300_000
    job = await home.finished(
        await home.updates.start(await home.body("pick", "web", mode="dry-run", backupMode="force"), "tester")
        if (await home.versions.records([service.id]))[service.id].has_candidate
        else job.id
    )
    assert job.status is JobStatus.SUCCESS


async def test_old_archives_go_the_newest_stays(clean_lab: Lab, home: House, tmp_path: Path) -> None:
    lab = clean_lab
    start(lab, "tidy", tmp_path)
    for version in ("2", "3", "4"):
        lab.registry.publish("bak/tidy", "1", lab.samples("tidy").good(version))
        await home.look()
        assert (await home.update("tidy", "web")).status is JobStatus.SUCCESS
    records = await home.backups.recent()
    assert await home.backups.clean() == 0, "within the hour everything stays"
    home.backups._clock = Clock(now=lambda: utc_now() + timedelta(hours=2))
    assert await home.backups.clean() == 2
    left = [record for record in await home.backups.recent() if record.restorable]
    assert [record.id for record in left] == [records[0].id]
    assert Path(left[0].artifact_path or "").exists()
    assert not Path(records[1].artifact_path or "").exists()
    with pytest.raises(Conflict):
        await home.restores.start(records[1].id, "tester")


async def test_a_cancelled_backup_leaves_no_half_archive(clean_lab: Lab, home: House, tmp_path: Path) -> None:
    lab = clean_lab
    start(lab, "half", tmp_path)
    web = await home.only("half", "web")
    lab.docker("exec", web.id, "sh", "-c", "head -c 60000000 /dev/urandom > /data/big")
    lab.registry.publish("bak/half", "1", lab.samples("half").good("2.0.0"))
    await home.look()
    job_id = await home.updates.start(await home.body("half", "web", backupMode="force"), "tester")
    folder = tmp_path / "backups"
    async with asyncio.timeout(30):
        while not list(folder.rglob("*.partial")):
            await asyncio.sleep(0.02)
    home.jobs._running[job_id].cancel()
    job = await home.finished(job_id)
    assert job.status is JobStatus.CANCELLED
    async with asyncio.timeout(10):
        while list(folder.rglob("*.partial")):
            await asyncio.sleep(0.05)
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    (row,) = await home.backups.recent()
    assert row.status is BackupStatus.FAILED
    assert (await home.only("half", "web")).id == web.id
