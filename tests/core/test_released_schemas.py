"""Every schema that was ever released can be brought to today's, with all that was in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, select

from app.core.db.migrate import inspect, prepare, revisions
from app.core.db.upgrade import upgrade
from app.installed import INSTALLED
from tests.core.released_schemas import FOLDER, MIGRATIONS, dump_of, load, tables
from tests.core.test_migrations import schema
from tests.unit.cli.conftest import Run, run  # noqa: F401  a fixture

RELEASED = revisions(MIGRATIONS)
# Columns that a later migration took away or gave another name on purpose: "table.column" -> why.
GONE: dict[str, str] = {}


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in tables(connection)
        }


def test_every_revision_has_its_dump() -> None:
    missing = [revision for revision in RELEASED if not dump_of(revision).exists()]
    assert not missing, f"schema {missing} has no dump: run `python -m tests.core.released_schemas` and commit it"
    assert {file.stem for file in FOLDER.glob("*.sql")} == set(RELEASED), "a dump of a revision that does not exist"
    assert INSTALLED


@pytest.mark.parametrize("revision", RELEASED)
def test_a_dump_is_what_the_migrations_make(revision: str, tmp_path: Path) -> None:
    dumped, migrated = tmp_path / "dumped.sqlite3", tmp_path / "migrated.sqlite3"
    load(revision, dumped)
    upgrade(migrated, MIGRATIONS, revision)
    assert schema(dumped) == schema(migrated), "a migration that was released has been changed"
    assert all(len(found) == 1 for found in rows(dumped).values())


@pytest.mark.parametrize("revision", RELEASED)
def test_a_released_schema_becomes_todays_with_its_data(revision: str, tmp_path: Path) -> None:
    path, fresh = tmp_path / "dockrev.sqlite3", tmp_path / "fresh.sqlite3"
    load(revision, path)
    before = rows(path)
    done = prepare(path, MIGRATIONS)
    assert done.before.kind == ("current" if revision == RELEASED[-1] else "behind")
    assert (done.copy is None) == (revision == RELEASED[-1])
    if done.copy is not None:
        assert rows(done.copy) == before
    prepare(fresh, MIGRATIONS)
    assert schema(path) == schema(fresh)
    assert inspect(path, MIGRATIONS).kind == "current"
    after = rows(path)
    for table, [row] in before.items():
        [now] = after[table]
        for column, value in row.items():
            if f"{table}.{column}" not in GONE:
                assert now[column] == value, f"{table}.{column}"


@pytest.mark.parametrize("revision", RELEASED)
def test_the_models_read_what_an_older_version_wrote(revision: str, tmp_path: Path) -> None:
    path = tmp_path / "dockrev.sqlite3"
    load(revision, path)
    before = rows(path)
    prepare(path, MIGRATIONS)
    engine = create_engine(f"sqlite:///{path}")
    models = [mapper.class_ for mapper in SQLModel._sa_registry.mappers]
    with Session(engine) as session:
        found = {model.__tablename__: session.execute(select(model)).scalars().all() for model in models}
    engine.dispose()
    assert {table for table, things in found.items() if things} >= set(before)


def test_the_version_before_says_that_it_cannot(run: Run, tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "dockrev.sqlite3"
    prepare(path, MIGRATIONS)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    content = path.read_bytes()
    for command in (["serve"], ["migrate"], ["migrate", "--check"]):
        ran = run(*command, env={"DOCKREV_DB_PATH": str(path), "DOCKREV_HTTP_ADDR": "127.0.0.1:0"})
        assert ran.code == 3, command
        assert "newer" in ran.out + ran.err
    assert "schema 9999" in ran.err or "9999" in ran.out
    assert path.read_bytes() == content
