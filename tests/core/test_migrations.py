"""Migrations and models say the same; an upgrade keeps data and a copy; a failed one changes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine

from app.core.db.migrate import SchemaError, inspect, prepare, revisions
from app.core.db.upgrade import config, upgrade
from app.installed import INSTALLED
from app.settings import project_root

MIGRATIONS = project_root() / "migrations"


def schema(path: Path) -> dict[str, str]:
    """Columns, keys and indexes of every table, in a form that does not depend on how they were written."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        found = {}
        for table in tables:
            columns = sorted(str(row[1:]) for row in connection.execute(f"PRAGMA table_info({table})"))
            keys = sorted(str(row[2:]) for row in connection.execute(f"PRAGMA foreign_key_list({table})"))
            indexes = []
            for _, name, unique, *_ in connection.execute(f"PRAGMA index_list({table})"):
                on = [row[2] for row in connection.execute(f"PRAGMA index_info({name})")]
                indexes.append(f"{on}{unique}" if name.startswith("sqlite_autoindex") else f"{name}{on}{unique}")
            found[table] = f"{columns} {keys} {sorted(indexes)}"
        return found


def test_one_line_of_history() -> None:
    assert revisions(MIGRATIONS)[0] == "0001"
    assert INSTALLED


def test_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    migrated, created = tmp_path / "migrated.sqlite3", tmp_path / "created.sqlite3"
    upgrade(migrated, MIGRATIONS)
    prepare(created, MIGRATIONS)
    assert schema(migrated) == schema(created)
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        made = config(MIGRATIONS)
        made.attributes["connection"] = connection
        command.check(made)
    engine.dispose()
    assert inspect(migrated, MIGRATIONS).kind == "current"


def folder_with_next(tmp_path: Path, body: str) -> Path:
    """The real history and one revision more."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        (folder / name).write_text((MIGRATIONS / name).read_text())
    for file in (MIGRATIONS / "versions").glob("*.py"):
        (folder / "versions" / file.name).write_text(file.read_text())
    last = revisions(MIGRATIONS)[-1]
    (folder / "versions" / "9999_next.py").write_text(
        f'import sqlalchemy as sa\nfrom alembic import op\nrevision = "9999"\ndown_revision = "{last}"\n'
        f"def upgrade():\n{body}\ndef downgrade():\n    pass\n"
    )
    return folder


def test_an_upgrade_keeps_data_and_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "d.sqlite3"
    prepare(path, MIGRATIONS)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO ignore_rules VALUES ('ign_1',1,'service','svc_1','exact','1.0',NULL,"
            "'2026-01-01T00:00:00.000000Z','2026-01-01T00:00:00.000000Z')"
        )
    folder = folder_with_next(tmp_path, "    op.add_column('ignore_rules', sa.Column('colour', sa.Text()))")
    monkeypatch.setattr("app.core.db.migrate._upgrade", lambda db: upgrade(db, folder))
    done = prepare(path, folder)
    assert done.before.kind == "behind"
    assert done.copy is not None
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT match_value, colour FROM ignore_rules").fetchall() == [("1.0", None)]
    with closing(sqlite3.connect(done.copy)) as connection:
        assert connection.execute("SELECT match_value FROM ignore_rules").fetchall() == [("1.0",)]
    assert inspect(path, folder).kind == "current"
    with pytest.raises(SchemaError, match="newer"):
        prepare(path, MIGRATIONS)


def test_a_failing_upgrade_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite3"
    prepare(path, MIGRATIONS)
    before = schema(path)
    folder = folder_with_next(
        tmp_path, "    op.add_column('ignore_rules', sa.Column('a', sa.Text()))\n    raise RuntimeError('no')"
    )
    with pytest.raises(RuntimeError):
        upgrade(path, folder)
    assert schema(path) == before
    assert inspect(path, folder).kind == "behind"
