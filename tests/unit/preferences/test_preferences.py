"""The settings row: defaults, what the environment says at the first start, what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.clock import Clock
from app.core.db import Database
from app.core.errors import InvalidArgument
from app.features.preferences import BackupDefaults, Preferences


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "test.sqlite3")
    await database.create_all()
    yield database
    await database.close()


async def test_defaults_are_those_of_the_contract(db: Database) -> None:
    assert await Preferences(db, Clock()).backup() == BackupDefaults(True, True, "/data/backups", 104_857_600)


async def test_the_environment_gives_the_folder_at_the_first_start_only(db: Database) -> None:
    first = Preferences(db, Clock(), "/srv/backups/")
    assert (await first.backup()).base_dir == "/srv/backups"
    await first.ensure()
    assert (await Preferences(db, Clock(), "/elsewhere").backup()).base_dir == "/srv/backups"


async def test_what_is_set_is_kept(db: Database) -> None:
    wanted = BackupDefaults(False, False, "/srv/a/./b/", 7)
    stored = await Preferences(db, Clock()).set_backup(wanted)
    assert stored.base_dir == "/srv/a/b"
    assert await Preferences(db, Clock()).backup() == stored


@pytest.mark.parametrize("folder", ["", "backups", "/", "/srv/../etc", "../x", "/a\nb", "/" + "x" * 5000])
async def test_a_folder_that_is_no_safe_absolute_path_is_refused(db: Database, folder: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await Preferences(db, Clock()).set_backup(BackupDefaults(base_dir=folder))
    assert caught.value.details == {"field": "backup.baseDir"}


async def test_a_negative_threshold_is_refused(db: Database) -> None:
    with pytest.raises(InvalidArgument, match="skipTargetsOverBytes"):
        await Preferences(db, Clock()).set_backup(BackupDefaults(skip_targets_over_bytes=-1))


async def test_a_bad_folder_in_the_environment_is_ignored(db: Database) -> None:
    assert (await Preferences(db, Clock(), "relative").backup()).base_dir == "/data/backups"
