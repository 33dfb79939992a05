"""`python -m app.core.db.upgrade FILE`: run the migrations; used by `migrate.prepare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event


def config(migrations: Path) -> Config:
    """Alembic without an ini file."""
    made = Config()
    made.set_main_option("script_location", str(migrations))
    return made


def upgrade(db_path: Path, migrations: Path, revision: str = "head") -> None:
    """Bring the file to `revision` in one transaction: all of it or nothing."""
    engine = create_engine(f"sqlite:///{db_path}")
    event.listen(engine, "connect", _no_driver_transactions)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as connection:
            made = config(migrations)
            made.attributes["connection"] = connection
            command.upgrade(made, revision)
            connection.commit()
    finally:
        engine.dispose()


def _no_driver_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # or the driver would commit before each change of the schema
    connection.execute("PRAGMA foreign_keys=OFF")


if __name__ == "__main__":
    upgrade(Path(sys.argv[1]), Path(__file__).resolve().parents[3] / "migrations")
