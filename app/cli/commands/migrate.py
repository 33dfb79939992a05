"""`dockrev migrate`."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext

import click

from app.cli.exits import EXIT_CODES_HELP, Exit
from app.cli.lock import DatabaseLock
from app.cli.starting import bad_schema, load, prepare_database

_WORDS = {
    "fresh": "There is no database yet",
    "current": "The database has the schema of this version",
    "behind": "The database is older than this version",
    "newer": "The database is newer than this version of Dockrev",
}


@click.command("migrate", epilog=EXIT_CODES_HELP)
@click.option(
    "--check", is_flag=True, help="Only say how it stands; 1 when there is something to do, 3 when it is newer."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(check: bool, as_json: bool) -> None:
    """Create the database or bring it to the schema of this version; a copy is kept before a change.

    `dockrev serve` does the same when it starts.
    """
    from app.core.db.migrate import SchemaError, inspect
    from app.settings import project_root

    settings = load()
    with nullcontext() if check else DatabaseLock(settings.db_path):
        try:
            state = inspect(settings.db_path, project_root() / "migrations")
        except SchemaError as error:
            raise bad_schema(error) from error
        copy = None
        if not check:
            import app.installed  # noqa: F401  a fresh database is made from the rooms' models

            copy = prepare_database(settings).copy
    if as_json:
        kept = str(copy) if copy else None
        click.echo(json.dumps({"state": state.kind, "revision": state.revision, "head": state.head, "copy": kept}))
    else:
        done = not check and state.kind in ("fresh", "behind")
        click.echo(f"{_WORDS[state.kind]} ({state.revision or 'nothing'}, newest {state.head}).")
        if done:
            click.echo(f"It has schema {state.head} now." + (f" The copy from before: {copy}" if copy else ""))
    if check and state.kind != "current":
        sys.exit(Exit.UNREACHABLE if state.kind == "newer" else Exit.FAILED)
