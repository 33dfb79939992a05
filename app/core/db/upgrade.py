"""`python -m app.core.db.upgrade FILE`: run the migrations; used by `migrate.prepare`."""

from __future__ import annotations

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine


def config(migrations: Path) -> Config:
    """Alembic without an ini file."""
    made = Config()
    made.set_main_option("script_location", str(migrations))
    return made


def upgrade(db_path: Path, migrations: Path, revision: str = "head") -> None:
    """Bring the file to `revision` in one transaction: all of it or nothing."""
    engine = create_engine(f"sqlite:///{db_path}")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            made = config(migrations)
            made.attributes["connection"] = connection
            command.upgrade(made, revision)
            connection.commit()
    finally:
        engine.dispose()


if __name__ == "__main__":
    upgrade(Path(sys.argv[1]), Path(__file__).resolve().parents[3] / "migrations")
