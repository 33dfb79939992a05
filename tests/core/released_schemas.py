"""`python -m tests.core.released_schemas`: store what the newest schema looks like with a row in each table.

Every revision of the database that was ever released keeps its dump in `tests/core/released/`, as it was then: a dump
that exists is never made anew. The tests migrate each of them to the newest schema.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import cast

from sqlmodel import SQLModel

from app.core.db.migrate import revisions
from app.core.db.types import EnumText, UtcDateTime
from app.core.db.upgrade import upgrade
from app.installed import INSTALLED
from app.settings import project_root

assert INSTALLED  # every room's models are known from here on
MIGRATIONS = project_root() / "migrations"
FOLDER = Path(__file__).parent / "released"
MOMENT = "2026-03-04T05:06:07.000000Z"

# Where only one value will do.
MEANING = {
    "notification_settings.id": "default",
    "settings.id": "default",
    "github_packages_settings.id": "default",
}


def dump_of(revision: str) -> Path:
    """Where the dump of a revision lies."""
    return FOLDER / f"{revision}.sql"


def load(revision: str, path: Path) -> None:
    """Make a database file from the dump."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(dump_of(revision).read_text(encoding="utf-8"))


def make(revision: str, path: Path) -> None:
    """An empty database of the revision, by the migrations, and a row in each of its tables."""
    upgrade(path, MIGRATIONS, revision)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=OFF")  # rows name each other; all are there in the end
        for table in tables(connection):
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            values = [value(table, name, kind, key) for _, name, kind, _, _, key in columns]
            connection.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(values))})", values)
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        assert not broken, f"rows that belong to nothing: {broken}; give their columns a MEANING"


def tables(connection: sqlite3.Connection) -> list[str]:
    """Names of the tables with data of ours."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")
    return [name for (name,) in found if not name.startswith("sqlite_") and name != "alembic_version"]


def value(table: str, column: str, kind: str, key: int) -> object:
    """Something that fits; the id of a thing is the same wherever it is named."""
    if f"{table}.{column}" in MEANING:
        return MEANING[f"{table}.{column}"]
    known = SQLModel.metadata.tables.get(table)
    if known is not None and column in known.columns:
        type_ = known.columns[column].type
        if isinstance(type_, EnumText):
            values = list(cast(type[StrEnum], type_.enum))
            return values[0].value
        if isinstance(type_, UtcDateTime):
            return MOMENT
    if kind.upper() in ("INTEGER", "BIGINT", "BOOLEAN"):
        return 1
    if kind.upper() in ("FLOAT", "REAL"):
        return 1.5
    if column.endswith("_at") or column in ("ts", "at"):
        return MOMENT
    if column.endswith("_json"):
        return "[]" if column.rstrip("_json").endswith("s") else "{}"
    if column == "id":
        return f"{table.rstrip('s')}_1"
    return f"{column.removesuffix('_id')}_1" if column.endswith("_id") else f"{table} {column}"


def main() -> int:
    """Write the dump of the newest revision when there is none."""
    head = revisions(MIGRATIONS)[-1]
    if dump_of(head).exists():
        print(f"{dump_of(head)} is there already; a released schema does not change")
        return 1
    store(head)
    return 0


def store(revision: str) -> None:
    """Write the dump of a revision."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.sqlite3"
        make(revision, path)
        with closing(sqlite3.connect(path)) as connection:
            dump_of(revision).write_text("\n".join(connection.iterdump()) + "\n", encoding="utf-8")
    print(f"wrote {dump_of(revision)}")


if __name__ == "__main__":
    sys.exit(main())
