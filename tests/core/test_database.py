"""SQLite as we need it: WAL, foreign keys, one writer, honest about a full disk and a lock, copies kept."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from app.core.db import Database, StorageError, UtcDateTime
from app.core.db.migrate import SchemaError, inspect, keep_copy, prepare, revisions
from app.core.jobs.models import Job, JobLog, JobStatus


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(tmp_path / "d.sqlite3")
    await made.create_all()
    yield made
    await made.close()


def job(number: int) -> Job:
    return Job(
        id=f"job_{number}", type="t", scope="all", status=JobStatus.RUNNING, created_by="a", reason="ui",
        created_at=datetime.now(UTC),
    )  # fmt: skip


async def test_pragmas(database: Database) -> None:
    async with database.session() as session:
        connection = await session.connection()
        assert (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar() == "wal"
        assert (await connection.exec_driver_sql("PRAGMA foreign_keys")).scalar() == 1


async def test_all_or_nothing(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            session.add(job(1))
            await session.flush()
            session.add(JobLog(job_id="job_unknown", ts=datetime.now(UTC), level="info", msg="orphan"))
    async with database.session() as session:
        assert await session.get(Job, "job_1") is None


async def test_many_writers_take_turns(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.transaction() as session:
            session.add(job(number))

    await asyncio.gather(*(write(number) for number in range(60)))
    async with database.session() as session:
        assert (await session.exec(select(func.count()).select_from(Job))).one() == 60


async def test_a_foreign_lock_is_said_plainly(database: Database) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        async with database.session() as session:  # readers are not disturbed
            assert await session.get(Job, "job_1") is None
        async with database.session() as session:
            await (await session.connection()).exec_driver_sql("PRAGMA busy_timeout=50")
        with pytest.raises(StorageError) as caught:
            async with database.transaction() as session:
                session.add(job(1))
        assert "locked" in caught.value.message
        assert caught.value.status == 503
        assert caught.value.hint
    finally:
        other.close()
    async with database.transaction() as session:
        session.add(job(2))


async def test_a_full_disk_is_survived(database: Database) -> None:
    async with database.transaction() as session:
        session.add(job(1))
        pages = (await (await session.connection()).exec_driver_sql("PRAGMA page_count")).scalar()
    with pytest.raises(StorageError) as caught:
        async with database.transaction() as session:
            await (await session.connection()).exec_driver_sql(f"PRAGMA max_page_count={pages}")
            for number in range(10, 400):
                entry = job(number)
                entry.summary = {"x": "y" * 2000}
                session.add(entry)
            await session.flush()
    assert "full" in caught.value.message
    async with database.session() as session:
        assert await session.get(Job, "job_1") is not None
        assert await session.get(Job, "job_10") is None


def test_utc_column_refuses_naive_and_orders_as_text() -> None:
    column = UtcDateTime()
    with pytest.raises(ValueError, match="naive"):
        column.process_bind_param(datetime(2026, 1, 1), None)  # type: ignore[arg-type]  # noqa: DTZ001
    early = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    late = datetime(2026, 1, 1, 8, 0, 0, 1, tzinfo=UTC)
    written = [column.process_bind_param(moment, None) for moment in (early, late)]  # type: ignore[arg-type]
    assert written == sorted(str(item) for item in written)
    read = column.result_processor(None, None)  # type: ignore[arg-type]
    assert read(written[0]) == early
    assert read("2026-01-01T12:00:00+05:00") == early, "as another tool may have written it"
    assert read(None) is None


def migrations_folder(tmp_path: Path, *lines: tuple[str, str | None]) -> Path:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for revision, parent in lines:
        below = f'"{parent}"' if parent else "None"
        (folder / "versions" / f"{revision}.py").write_text(f'revision = "{revision}"\ndown_revision = {below}\n')
    return folder


def test_revisions_are_one_line(tmp_path: Path) -> None:
    folder = migrations_folder(tmp_path, ("0002", "0001"), ("0001", None), ("0003", "0002"))
    assert revisions(folder) == ["0001", "0002", "0003"]
    (folder / "versions" / "x.py").write_text('revision = "0004"\ndown_revision = "0002"\n')
    with pytest.raises(SchemaError, match="more than one head"):
        revisions(folder)


def test_fresh_newer_foreign_and_broken_files(tmp_path: Path) -> None:
    folder = migrations_folder(tmp_path, ("0001", None))
    path = tmp_path / "data" / "d.sqlite3"
    assert prepare(path, folder).before.kind == "fresh"
    assert inspect(path, folder).kind == "current"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(SchemaError, match="newer than this version") as caught:
        prepare(path, folder)
    assert "0099" in caught.value.message
    foreign = tmp_path / "foreign.sqlite3"
    with closing(sqlite3.connect(foreign)) as connection, connection:
        connection.execute("CREATE TABLE precious (id INTEGER)")
    with pytest.raises(SchemaError, match="not a Dockrev database"):
        prepare(foreign, folder)
    broken = tmp_path / "broken.sqlite3"
    broken.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(SchemaError, match="cannot be read"):
        prepare(broken, folder)
    assert broken.read_bytes().startswith(b"this is not")


def test_a_copy_is_kept_before_another_version_works_with_it(tmp_path: Path) -> None:
    folder, path = Path(__file__).resolve().parents[2] / "migrations", tmp_path / "d.sqlite3"
    assert [prepare(path, folder, "0.1.0").copy, prepare(path, folder, "0.1.0").copy, prepare(path, folder).copy] == [
        None
    ] * 3
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (x INTEGER)")
    copy = prepare(path, folder, "0.2.0/../x").copy
    assert copy is not None and copy.name.startswith("d.before-0.1.0-")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    back = prepare(path, folder, "0.1.0").copy
    assert back is not None and back.parent == tmp_path and back.name.startswith("d.before-0.2.0-..-x-")
    assert prepare(path, folder, "0.1.0").copy is None


def test_a_copy_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    folder, path = Path(__file__).resolve().parents[2] / "migrations", tmp_path / "d.sqlite3"
    prepare(path, folder, "0.1.0")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE large AS SELECT zeroblob(200000) AS x")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, limits[1]))  # as good as a full disk
    try:
        with pytest.raises(SchemaError, match="no copy of the database can be kept") as caught:
            keep_copy(path, "0001")
        assert prepare(path, folder, "0.2.0").copy is None, "the schema is the same: it starts all the same"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "Make room" in caught.value.hint and not list(tmp_path.glob("*.before-*"))


def test_copies_are_complete_and_few(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite3"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t (x INTEGER)")
    writer.execute("INSERT INTO t VALUES (7)")
    writer.commit()  # still in the WAL
    for label in ("a", "b", "c", "d"):
        copy = keep_copy(path, label)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT x FROM t").fetchone() == (7,)
    assert len(list(tmp_path.glob("d.before-*.sqlite3"))) == 3
    writer.close()
