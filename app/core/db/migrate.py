"""Bringing the database file to the schema of this version, and refusing what cannot be.

A fresh file is made from the models directly and stamped with the newest revision (a test holds both ways equal), so
that the migration tool, which is heavy, is loaded only when there is something to migrate. A copy of the file is kept
beside it before a schema change, and before another version of Dockrev works with it for the first time.
"""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import structlog

from app.core.errors import DockrevError

log = structlog.get_logger(__name__)

KEPT_COPIES: Final = 3
_VERSION_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL,"
    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


class SchemaError(DockrevError):
    """The database cannot be used by this version; the hint says what to do."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where a file stands: `fresh` (no file or no tables), `current`, `behind`, or `newer` than this version knows."""

    kind: Literal["fresh", "current", "behind", "newer"]
    revision: str | None
    head: str


@dataclass(frozen=True, slots=True)
class Migrated:
    """What `prepare` did; `copy` is the file kept before a change."""

    before: SchemaState
    copy: Path | None = None


def revisions(migrations: Path) -> list[str]:
    """Known revisions, oldest first; raises SchemaError when they are not one line of history."""
    parents: dict[str | None, str] = {}
    for file in (migrations / "versions").glob("*.py"):
        text = file.read_text(encoding="utf-8")
        own = re.search(r'^revision(?::[^=]+)? = "([^"]+)"', text, re.MULTILINE)
        parent = re.search(r'^down_revision(?::[^=]+)? = (?:"([^"]+)"|None)', text, re.MULTILINE)
        if own is None or parent is None:
            raise SchemaError(f"migration {file.name} has no revision")
        if parent.group(1) in parents:
            raise SchemaError("migrations have more than one head")
        parents[parent.group(1)] = own.group(1)
    line: list[str] = []
    current: str | None = None
    while (following := parents.get(current)) is not None:
        line.append(following)
        current = following
    if not line:
        raise SchemaError("no migrations found", hint=f"Is {migrations} part of this installation?")
    return line


def inspect(db_path: Path, migrations: Path) -> SchemaState:
    """Read the state of the file without changing it."""
    known = revisions(migrations)
    head = known[-1]
    if not db_path.exists() or db_path.stat().st_size == 0:
        return SchemaState("fresh", None, head)
    try:
        connection = sqlite3.connect(f"file:{db_path}?mode=ro", uri=True, timeout=5)
        try:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
            row = None
            if "alembic_version" in tables:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise SchemaError(
            f"{db_path} cannot be read as a database: {error}",
            hint="Restore it from a copy kept beside it (*.before-*.sqlite3), or move it away to start anew.",
        ) from error
    if row is None:
        if tables - {"sqlite_sequence", "alembic_version"}:
            raise SchemaError(f"{db_path} is not a Dockrev database", hint="Point DOCKREV_DB_PATH at another file.")
        return SchemaState("fresh", None, head)
    if row[0] == head:
        return SchemaState("current", row[0], head)
    return SchemaState("behind" if row[0] in known else "newer", row[0], head)


def prepare(db_path: Path, migrations: Path, version: str = "") -> Migrated:
    """Make the file usable: create it, migrate it, or raise SchemaError. Blocking; run before the server starts.

    `version` is that of Dockrev; where it is another than the last one that worked with the file, a copy is kept.
    """
    try:
        db_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SchemaError(
            f"the data folder {db_path.parent} cannot be made: {error.strerror}",
            hint="Set DOCKREV_DB_PATH to a place Dockrev may write to.",
        ) from error
    state = inspect(db_path, migrations)
    if state.kind == "newer":
        raise SchemaError(
            f"the database has schema {state.revision}, which is newer than this version of Dockrev knows",
            hint="Start the newer version again, or restore the copy kept before it was migrated.",
        )
    if state.kind == "fresh":
        _create(db_path, state.head)
    copy: Path | None = None
    if state.kind == "behind":
        copy = keep_copy(db_path, state.revision or "unknown")
        _upgrade(db_path)
    elif state.kind == "current":
        copy = _copy_of_other_version(db_path, version)
    if version:
        _note_version(db_path, version)
    return Migrated(state, copy)


def _copy_of_other_version(db_path: Path, version: str) -> Path | None:
    """What the last version left. Without it the start goes on: the schema, which decides the way back, is the same."""
    try:
        last = _version_file(db_path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        last = ""
    if not version or not last or last == version:
        return None
    try:
        return keep_copy(db_path, re.sub(r"[^A-Za-z0-9._-]", "-", last)[:40])
    except SchemaError as error:
        log.warning("starting without a copy of the database", cause=error.message)
        return None


def _note_version(db_path: Path, version: str) -> None:
    file = _version_file(db_path)
    try:
        if not file.exists() or file.read_text(encoding="utf-8", errors="replace").strip() != version:
            file.write_text(f"{version}\n", encoding="utf-8")
    except OSError as error:
        log.warning("which version works with the database cannot be noted", file=str(file), cause=error.strerror)


def _version_file(db_path: Path) -> Path:
    return db_path.with_name(f"{db_path.stem}.version")


def keep_copy(db_path: Path, label: str) -> Path:
    """A consistent copy beside the file (also of what is still in the WAL); the newest three are kept.

    Raises SchemaError when there is no room for it, or the file cannot be read.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    copy = db_path.with_name(f"{db_path.stem}.before-{label}-{stamp}{db_path.suffix}")
    copy.unlink(missing_ok=True)
    connection = sqlite3.connect(db_path, timeout=5)
    try:
        connection.execute("VACUUM INTO ?", (str(copy),))
    except sqlite3.Error as error:
        copy.unlink(missing_ok=True)
        raise SchemaError(
            f"no copy of the database can be kept at {copy}: {error}",
            hint="Make room on its disk, and see that its folder can be written.",
        ) from error
    finally:
        connection.close()
    older = sorted(
        db_path.parent.glob(f"{db_path.stem}.before-*{db_path.suffix}"), key=lambda file: file.stat().st_mtime
    )
    for file in older[:-KEPT_COPIES]:
        file.unlink(missing_ok=True)
    return copy


def _create(db_path: Path, head: str) -> None:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import OperationalError
    from sqlmodel import SQLModel

    engine = create_engine(f"sqlite:///{db_path}")
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            SQLModel.metadata.create_all(connection)
            connection.exec_driver_sql(_VERSION_TABLE)
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": head})
    except OperationalError as error:
        raise SchemaError(
            f"the database {db_path} cannot be created: {error.orig}",
            hint="Check that its folder is writable and its disk has space.",
        ) from error
    finally:
        engine.dispose()


def _upgrade(db_path: Path) -> None:
    """In a process of its own, so that the migration tool's memory is given back."""
    command = [sys.executable, "-m", "app.core.db.upgrade", str(db_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)  # noqa: S603
    if done.returncode != 0:
        raise SchemaError(
            "the database could not be migrated; it is unchanged",
            hint="A copy of it was kept beside it. The end of the output: " + done.stderr.strip()[-600:],
        )
