"""`dockrev backup`."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from pathlib import Path

import click

from app.cli.exits import EXIT_CODES_HELP, Exit, Failure
from app.cli.starting import bad_schema, load
from app.cli.text import human_bytes
from app.cli.token import VARIABLE


def key_beside(db_path: Path) -> Path:
    """Where the key lies unless told otherwise."""
    return db_path.with_name("backup.key")


@click.command("backup", epilog=EXIT_CODES_HELP)
@click.argument("file", required=False, metavar="[FILE|-]")
@click.option(
    "--key-file", type=click.Path(path_type=Path, dir_okay=False), help="Default: backup.key beside the database."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(file: str | None, key_file: Path | None, as_json: bool) -> None:
    """Write Dockrev's own database and settings into one encrypted file; a running Dockrev may go on.

    \b
    dockrev backup                        dockrev-DATE.backup in this folder
    dockrev backup /mnt/nas/dockrev.backup
    dockrev backup - > dockrev.backup     from a container

    The key is made at the first backup. KEEP A COPY OF IT ELSEWHERE: who has lost it cannot restore. Of your services'
    data, `dockrev backups` has the archives.
    """
    from app.cli import backup_file
    from app.core.clock import rfc3339, utc_now
    from app.core.db.migrate import SchemaError, inspect
    from app.settings import project_root

    if file == "-" and as_json:
        raise click.UsageError("stdout is either the backup or the document")
    settings = load()
    try:
        state = inspect(settings.db_path, project_root() / "migrations")
    except SchemaError as error:
        raise bad_schema(error) from error
    if state.revision is None:
        raise backup_file.unreadable(
            f"there is no database at {settings.db_path}", "Set DOCKREV_DB_PATH to yours.", "database"
        )
    key_path = key_file or key_beside(settings.db_path)
    made = not key_path.exists()
    key = backup_file.make_key(key_path) if made else backup_file.read_key(key_path)
    now = utc_now()
    header = backup_file.Header(
        version=settings.effective_version,
        schema=state.revision,
        created_at=rfc3339(now),
        key=backup_file.name_of(key),
        nonce=secrets.token_hex(8),
    )
    target = Path(file or f"dockrev-{now:%Y%m%d-%H%M%S}.backup")
    with tempfile.TemporaryDirectory(prefix="dockrev-backup-", dir=settings.db_path.parent) as folder:
        copy = Path(folder) / backup_file.DATABASE
        backup_file.copy_database(settings.db_path, copy)
        if file == "-":
            if sys.stdout.isatty():
                raise Failure("a backup is not for a terminal", exit_code=Exit.USAGE, hint="dockrev backup - > FILE")
            size = backup_file.write(sys.stdout.buffer, header, key, copy, variables())
        else:
            size = _write(target, header, key, copy)
    if made:
        click.echo(f"dockrev: made the key {key_path}; keep a copy of it apart from the backups", err=True)
    if as_json:
        found = {"file": str(target.absolute()), "bytes": size, "schema": header.schema, "keyFile": str(key_path)}
        click.echo(json.dumps({**found, "keyMade": made, "createdAt": header.created_at}, ensure_ascii=False))
    elif file != "-":
        click.echo(f"Wrote {target}, {human_bytes(size)}, schema {header.schema}. `dockrev restore` puts it back.")


def variables() -> dict[str, str]:
    """The settings as they were given: they live in the environment alone. A script's token is none of them."""
    return {
        name: text
        for name, text in sorted(os.environ.items())
        if name.startswith(("DOCKREV_", "APP_EFFECTIVE_", "DOCKER_HOST")) and name != VARIABLE
    }


def _write(target: Path, header: object, key: bytes, copy: Path) -> int:
    """Beside the target first, so that there is never half a backup under its name. Raises Failure (3)."""
    from app.cli import backup_file

    assert isinstance(header, backup_file.Header)
    partial = target.with_name(target.name + ".partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            size = backup_file.write(out, header, key, copy, variables())
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise backup_file.unreadable(
            f"{target} cannot be written: {error.strerror}", "Name a place with enough space that Dockrev may write to."
        ) from error
    return size
