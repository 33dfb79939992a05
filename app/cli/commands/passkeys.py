"""`dockrev passkeys`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from app.cli.exits import EXIT_CODES_HELP, Exit, Failure
from app.cli.starting import bad_schema, load
from app.cli.text import ago, one_line, table

if TYPE_CHECKING:
    from app.core.db import Database

T = TypeVar("T")


@click.group("passkeys", epilog=EXIT_CODES_HELP)
def command() -> None:
    """The way back in when no passkey is at hand; for a shell on the host, whether or not Dockrev runs."""


@command.command("code")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def passkey_code(as_json: bool) -> None:
    """Make a code for /login, where it lets somebody add a passkey: once, within 15 minutes.

    It ends a code made before. Passkeys that there are stay.
    """
    from app.core.clock import Clock, rfc3339
    from app.features.passkeys.codes import Codes

    if not load().passkeys:
        raise Failure("passkeys are off", exit_code=Exit.USAGE, hint="Set DOCKREV_PASSKEYS=on and start Dockrev again.")
    code, ends = _on_database(lambda db: Codes(db, Clock()).make())
    if as_json:
        click.echo(json.dumps({"code": code, "expiresAt": rfc3339(ends)}))
    else:
        click.echo(f"{code}\nEnter it at /login before {ends:%H:%M} UTC.")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def passkey_list(as_json: bool) -> None:
    """Passkeys, in the order in which they were added."""
    from app.core.clock import rfc3339

    keys = _on_database(lambda db: _keys(db).all())
    if as_json:
        rows = [
            {"id": key.id, "name": key.name, "address": key.rp_id, "createdAt": rfc3339(key.created_at),
             "lastUsedAt": rfc3339(key.last_used_at) if key.last_used_at else None}
            for key in keys
        ]  # fmt: skip
        click.echo(json.dumps({"passkeys": rows}, ensure_ascii=False))
        return
    if not keys:
        click.echo("No passkeys.")
        return
    told = [
        [
            key.id,
            one_line(key.name, 60),
            key.rp_id,
            ago(rfc3339(key.created_at)),
            ago(rfc3339(key.last_used_at)) if key.last_used_at else "never",
        ]
        for key in keys
    ]
    for line in table(("PASSKEY", "NAME", "WORKS AT", "ADDED", "USED"), told):
        click.echo(line)


@command.command("remove")
@click.argument("passkey_id")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def passkey_remove(passkey_id: str, yes: bool) -> None:
    """Remove a passkey; browsers that signed in with it are signed out at once.

    After the last one nobody can sign in with a passkey: a new code is written into the log.
    """
    from app.core.errors import DockrevError
    from app.core.web.pass_key import NoKey

    async def remove(db: Database) -> Any:
        keys = _keys(db)
        return await keys.remove(passkey_id, even_the_last=True), await keys.count()

    if not yes:
        if not sys.stdin.isatty():
            raise Failure("nobody here can be asked", exit_code=Exit.USAGE, hint="Add --yes to remove it.")
        click.confirm("Remove this passkey and sign out what it opened?", abort=True)
    try:
        gone, left = _on_database(remove)
    except DockrevError as error:
        raise Failure(error.message, hint="`dockrev passkeys list` shows which there are.", code=error.code) from error
    click.echo(f"{one_line(gone.name, 60)} is removed; {left} left.")
    try:
        load().pass_key.change()
    except NoKey as error:
        raise Failure(
            f"the passes for the supervisor still count for up to two days: {error}",
            hint=f"Remove the file {load().pass_key.path}.",
        ) from error


def _keys(db: Database) -> Any:
    from app.core.clock import Clock
    from app.features.passkeys.codes import Codes
    from app.features.passkeys.keys import Passkeys

    return Passkeys(db, Clock(), Codes(db, Clock()))


def _on_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """The database as it is: this runs beside a server. Raises Failure when it is not of this version."""
    from app.core.db import Database
    from app.core.db.migrate import SchemaError, inspect
    from app.settings import project_root

    settings = load()
    try:
        state = inspect(settings.db_path, project_root() / "migrations")
    except SchemaError as error:
        raise bad_schema(error) from error
    if state.kind != "current":
        raise Failure(
            f"the database {settings.db_path} is not one of this version ({state.kind})",
            exit_code=Exit.UNREACHABLE,
            hint="Start Dockrev once, or run `dockrev migrate`.",
            code="database",
        )

    async def run() -> T:
        db = Database(settings.db_path)
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(run())
