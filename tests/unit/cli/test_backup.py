"""`dockrev backup` and `dockrev restore`: it holds everything, tells nothing, and hides no change."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.cli import backup_file
from app.cli.lock import DatabaseLock
from app.core.db.migrate import inspect, prepare, revisions
from app.installed import INSTALLED
from app.settings import project_root
from tests.core.released_schemas import load
from tests.unit.cli.conftest import Run

MIGRATIONS = project_root() / "migrations"
TOKEN = "123456:a-bot-token-nobody-may-see"
assert INSTALLED


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with a secret, and with more than one piece of data that does not compress."""
    path = tmp_path / "dockrev.sqlite3"
    prepare(path, MIGRATIONS)
    put(path, TOKEN)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE ballast (noise BLOB)")
        connection.execute("INSERT INTO ballast VALUES (?)", (os.urandom(3 * backup_file.PIECE),))
    return path


def put(path: Path, token: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM registry_manifests")
        connection.execute("INSERT INTO registry_manifests VALUES (?, '{}', '2026-01-01T00:00:00.000000Z')", (token,))


def kept_in(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT digest FROM registry_manifests").fetchone()[0])


@pytest.fixture
def backup(run: Run, database: Path, tmp_path: Path) -> Path:
    target = tmp_path / "dockrev.backup"
    assert run("backup", str(target), env={"DOCKREV_WEBHOOK_SECRET": "hush-hush"}).code == 0
    return target


def test_there_and_back_again(run: Run, database: Path, backup: Path, tmp_path: Path) -> None:
    content = backup.read_bytes()
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert TOKEN.encode() not in content
    assert b"hush-hush" not in content
    put(database, "another life")
    ran = run("restore", str(backup), "--yes", "--settings-file", str(tmp_path / "dockrev.env"))
    assert ran.code == 0, ran.err
    assert kept_in(database) == TOKEN
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    [before] = tmp_path.glob("dockrev.before-restore-*.sqlite3")
    assert kept_in(before) == "another life"
    assert str(before) in ran.out
    assert "DOCKREV_WEBHOOK_SECRET" in ran.out
    assert "hush-hush" not in ran.out
    assert "DOCKREV_WEBHOOK_SECRET=hush-hush\n" in (tmp_path / "dockrev.env").read_text()
    assert stat.S_IMODE((tmp_path / "dockrev.env").stat().st_mode) == 0o600
    assert inspect(database, MIGRATIONS).kind == "current"
    assert not [file for file in tmp_path.iterdir() if file.name.startswith("dockrev-")], (
        "something was left lying about"
    )


def test_the_key_is_made_once_and_told_of(run: Run, database: Path, tmp_path: Path) -> None:
    first, second = run("backup", str(tmp_path / "a.backup")), run("backup", str(tmp_path / "b.backup"), "--json")
    key = tmp_path / "backup.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "keep a copy of it" in first.err
    assert str(key) in first.err
    assert second.err == ""
    assert second.document["keyMade"] is False
    assert second.document["bytes"] == (tmp_path / "b.backup").stat().st_size
    heads = [(tmp_path / name).read_bytes().split(b"\n")[1] for name in ("a.backup", "b.backup")]
    assert json.loads(heads[0])["nonce"] != json.loads(heads[1])["nonce"]
    assert json.loads(heads[0])["schema"] == revisions(MIGRATIONS)[-1]


def test_without_its_key_it_stays_shut(run: Run, database: Path, backup: Path, tmp_path: Path) -> None:
    key = tmp_path / "backup.key"
    elsewhere = key.rename(tmp_path / "elsewhere.key")
    lost = run("restore", str(backup), "--yes", "--json")
    assert lost.code == 3
    assert "no key file" in lost.document["error"]["message"]
    backup_file.make_key(key)
    wrong = run("restore", str(backup), "--yes")
    assert wrong.code == 3
    assert "another key" in wrong.err
    key.write_text("not a key\n")
    assert run("restore", str(backup), "--yes").code == 3
    assert run("restore", str(backup), "--yes", "--key-file", str(elsewhere)).code == 0


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def swapped(content: bytes) -> bytes:
    """The first two pieces in the other order."""
    start = content.index(b"\n", len(backup_file.MAGIC)) + 1
    size = 4 + backup_file.PIECE + 16
    first, second, rest = (
        content[start : start + size],
        content[start + size : start + 2 * size],
        content[start + 2 * size :],
    )
    return content[:start] + second + first + rest


def shortened(content: bytes) -> bytes:
    """Without its last pieces, cut exactly where one ends."""
    start = content.index(b"\n", len(backup_file.MAGIC)) + 1
    return content[: start + 4 + backup_file.PIECE + 16]


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: flip(content, len(content) // 2),
        lambda content: flip(content, len(content) - 1),
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content + b"more",
        lambda content: content.replace(b'"version": "', b'"version": "9', 1),
        lambda content: content[: content.index(b"\n", 20) + 1],
        lambda content: b"PK" + content,
        lambda content: b"",
        swapped,
        shortened,
    ],
)
def test_what_was_changed_is_refused_and_changes_nothing(
    run: Run, database: Path, backup: Path, tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    harmed = tmp_path / "harmed.backup"
    harmed.write_bytes(harm(backup.read_bytes()))
    put(database, "still here")
    for words in (["--check"], ["--yes"]):
        ran = run("restore", str(harmed), *words)
        assert ran.code == 3
        assert ran.err.count("\n") >= 2, "a sentence and a remedy"
    assert kept_in(database) == "still here"
    assert not list(tmp_path.glob("*.before-restore-*"))
    assert not list(tmp_path.glob("dockrev-restore-*"))


def test_not_under_a_running_dockrev_and_not_without_a_word(
    run: Run, database: Path, backup: Path, tmp_path: Path
) -> None:
    put(database, "still here")
    with DatabaseLock(database):
        ran = run("restore", str(backup), "--yes")
        assert ran.code == 4
        assert run("restore", str(backup), "--check").code == 0
        assert run("backup", str(tmp_path / "meanwhile.backup")).code == 0
    assert run("restore", str(backup)).code == 2
    assert run("restore", str(backup), "--json").code == 2
    assert run("restore", str(tmp_path / "none.backup"), "--yes").code == 3
    assert kept_in(database) == "still here"


def test_a_copy_is_whole_while_somebody_writes(run: Run, database: Path, tmp_path: Path) -> None:
    """Two rows that change together are never seen apart; a write that is not committed is not in it."""
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM registry_manifests")
        assert run("backup", str(tmp_path / "a.backup")).code == 0
        writer.execute("ROLLBACK")
        writer.execute("UPDATE registry_manifests SET digest = 'in the log only'")
        assert Path(f"{database}-wal").stat().st_size > 0
        assert run("backup", str(tmp_path / "b.backup")).code == 0
    assert run("restore", str(tmp_path / "a.backup"), "--yes").code == 0
    assert kept_in(database) == TOKEN
    assert run("restore", str(tmp_path / "b.backup"), "--yes").code == 0
    assert kept_in(database) == "in the log only"


def test_an_older_schema_is_migrated_a_newer_one_refused(run: Run, tmp_path: Path) -> None:
    path, target = tmp_path / "dockrev.sqlite3", str(tmp_path / "old.backup")
    load("0001", path)
    assert run("backup", target).code == 0
    path.unlink()
    assert run("restore", target, "--yes").code == 0
    assert inspect(path, MIGRATIONS).kind == "behind"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM update_journal").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    assert run("migrate").code == 0
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    newer = str(tmp_path / "new.backup")
    assert run("backup", newer).code == 0
    ran = run("restore", newer, "--yes")
    assert ran.code == 3
    assert "schema 9999, which is newer" in ran.err


def test_what_cannot_be_backed_up_says_why(run: Run, tmp_path: Path) -> None:
    missing = run("backup", str(tmp_path / "a.backup"))
    assert missing.code == 3
    assert "no database" in missing.err
    assert not (tmp_path / "backup.key").exists()
    path = tmp_path / "dockrev.sqlite3"
    prepare(path, MIGRATIONS)
    nowhere = run("backup", str(tmp_path / "no/folder/a.backup"))
    assert nowhere.code == 3
    assert "cannot be written" in nowhere.err
    assert run("backup", "-", "--json").code == 2
    path.write_bytes(path.read_bytes()[:5000])
    assert run("backup", str(tmp_path / "a.backup")).code == 3
    assert not (tmp_path / "a.backup").exists()


def test_through_a_pipe(database: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "app.cli"]
    environment = {**os.environ, "DOCKREV_DB_PATH": str(database)}
    made = subprocess.run([*program, "backup", "-"], env=environment, capture_output=True, timeout=60, check=True)
    put(database, "another life")
    command = [*program, "restore", "-", "--yes"]
    subprocess.run(command, env=environment, input=made.stdout, capture_output=True, timeout=60, check=True)
    assert kept_in(database) == TOKEN
