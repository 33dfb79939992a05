"""`dockrev restore`."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from app.cli.commands.backup import key_beside, variables
from app.cli.exits import EXIT_CODES_HELP, Exit, Failure
from app.cli.lock import DatabaseLock
from app.cli.starting import bad_schema, load

if TYPE_CHECKING:
    from app.cli.backup_file import Header


@click.command("restore", epilog=EXIT_CODES_HELP)
@click.argument("file", metavar="FILE|-")
@click.option(
    "--key-file", type=click.Path(path_type=Path, dir_okay=False), help="Default: backup.key beside the database."
)
@click.option(
    "--settings-file", type=click.Path(path_type=Path, dir_okay=False), help="Write the settings of the backup there."
)
@click.option("--check", is_flag=True, help="Only read and prove the backup; change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(
    file: str, key_file: Path | None, settings_file: Path | None, check: bool, yes: bool, as_json: bool
) -> None:
    """Put a backup made by `dockrev backup` in the place of Dockrev's database. Stop Dockrev first.

    The database that was there is kept beside it. A backup of an older version is migrated at the next start, one of a
    newer version is refused. Settings are environment variables: those that differ are named, --settings-file writes
    them all. (Of your services' data: `dockrev backups restore`.)
    """
    from app.cli import backup_file

    settings = load()
    with ExitStack() as held:
        if not check:
            held.enter_context(DatabaseLock(settings.db_path))
        source = held.enter_context(_open(file))
        header, line = backup_file.read_header(source, file)
        _require_known(header)
        key = backup_file.read_key(key_file or key_beside(settings.db_path))
        beside = None if check else settings.db_path.parent
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="dockrev-restore-", dir=beside)))
        saved = backup_file.unpack(source, header, line, key, folder)
        _require_schema(folder / backup_file.DATABASE, header)
        kept: Path | None = None
        if not check:
            _ask(header, settings.db_path, yes=yes, askable=not as_json and file != "-" and sys.stdin.isatty())
        if settings_file is not None:
            write_settings(settings_file, saved)
        if not check:
            forget_half_done(folder / backup_file.DATABASE)
            kept = swap(folder / backup_file.DATABASE, settings.db_path)
    differ = sorted(name for name in saved.keys() | variables().keys() if saved.get(name) != variables().get(name))
    if as_json:
        found = {
            "restored": not check,
            "version": header.version,
            "schema": header.schema,
            "createdAt": header.created_at,
        }
        click.echo(json.dumps({**found, "kept": str(kept) if kept else None, "settingsThatDiffer": differ}))
        return
    what = f"The backup of {header.created_at} (Dockrev {header.version}, schema {header.schema})"
    click.echo(f"{what} is whole." if check else f"{what} is in place at {settings.db_path}.")
    if kept:
        click.echo(f"What was there before: {kept}")
    if differ:
        click.echo(f"Set otherwise now than then: {', '.join(differ)}")


def _open(file: str) -> IO[bytes]:
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise Failure(
            f"{file} cannot be read: {error.strerror}", exit_code=Exit.UNREACHABLE, hint="Is it the right place?"
        ) from error


def _require_known(header: Header) -> None:
    """Raises Failure when this version does not know the schema."""
    from app.core.db.migrate import revisions
    from app.settings import project_root

    if header.schema not in revisions(project_root() / "migrations"):
        raise Failure(
            f"the backup has schema {header.schema}, which is newer than this version of Dockrev knows",
            exit_code=Exit.UNREACHABLE,
            hint=f"Restore it with Dockrev {header.version} or newer.",
            code="database",
        )


def _require_schema(database: Path, header: Header) -> None:
    from app.core.db.migrate import SchemaError, inspect
    from app.settings import project_root

    try:
        state = inspect(database, project_root() / "migrations")
    except SchemaError as error:
        raise bad_schema(error) from error
    if state.revision != header.schema:
        raise Failure("the backup does not hold what it says", exit_code=Exit.UNREACHABLE, hint="Use another backup.")


def _ask(header: Header, db_path: Path, *, yes: bool, askable: bool) -> None:
    if yes:
        return
    if not askable:
        raise Failure("nobody here can be asked", exit_code=Exit.USAGE, hint="Add --yes to restore.")
    click.confirm(f"Replace {db_path} by the backup of {header.created_at}?", abort=True)


def forget_half_done(database: Path) -> None:
    """What an update had left half done when the backup was made is long over: nothing may be taken back for it."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM update_journal")


def swap(new: Path, db_path: Path) -> Path | None:
    """Put a file in the place of the database; returns where the old one is now, with what SQLite keeps beside it."""
    from app.core.clock import utc_now

    kept: Path | None = None
    new.chmod(0o600)
    if db_path.exists():
        kept = db_path.with_name(f"{db_path.stem}.before-restore-{utc_now():%Y%m%d-%H%M%S}{db_path.suffix}")
        for tail in ("-wal", "-shm"):
            if (beside := db_path.with_name(db_path.name + tail)).exists():
                beside.rename(kept.with_name(kept.name + tail))
        db_path.rename(kept)
    new.replace(db_path)
    folder = os.open(db_path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return kept


def write_settings(path: Path, saved: dict[str, str]) -> None:
    """As lines for `docker --env-file`, systemd and Compose; readable for their owner only. Raises Failure (3)."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.writelines(f"{name}={text}\n" for name, text in saved.items() if "\n" not in text)
    except OSError as error:
        raise Failure(
            f"{path} cannot be written: {error.strerror}",
            exit_code=Exit.UNREACHABLE,
            hint="Name a file that is not there.",
        ) from error
