"""`dockrev backups`."""

from __future__ import annotations

import json
import sys

import click

from app.cli.connect import any_dockrev, connection_options
from app.cli.exits import EXIT_CODES_HELP, Exit, Failure
from app.cli.follow import display, exit_of, explain, follow
from app.cli.text import ago, human_bytes, one_line, table


@click.group("backups", epilog=EXIT_CODES_HELP)
def command() -> None:
    """List the backups taken before updates, and restore one.

    A running Dockrev does it; where none runs, it is done here, once.
    """


@command.command("list")
@click.option("--stack", metavar="NAME|ID", help="Only of this stack.")
@connection_options
def backup_list(stack: str | None, url: str | None, user: str | None, as_json: bool) -> None:
    """Backups, newest first."""
    with any_dockrev(url, user) as (client, _):
        names = {
            row["id"]: row.get("name", "") for row in client.get("/api/stacks", archived="include").get("stacks", [])
        }
        found = client.get("/api/backups").get("backups", [])
    if stack:
        found = [row for row in found if stack in (row.get("stackId"), names.get(row.get("stackId")))]
    if as_json:
        click.echo(json.dumps({"backups": found}, ensure_ascii=False))
        return
    rows = [
        [
            row.get("id"),
            names.get(row.get("stackId"), row.get("stackId")),
            row.get("status"),
            ago(row.get("createdAt")),
            human_bytes(row.get("sizeBytes")),
            "yes" if row.get("restorable") else "no",
        ]
        for row in found
    ]
    for line in table(("BACKUP", "STACK", "STATUS", "AGE", "SIZE", "RESTORABLE"), rows):
        click.echo(line)
    if not rows:
        click.echo("No backups.")


@command.command("restore")
@click.argument("backup_id")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@connection_options
def backup_restore(backup_id: str, yes: bool, url: str | None, user: str | None, as_json: bool) -> None:
    """Put the files of a backup back: the services that use them are stopped and started again.

    Files of the backup replace those of the same name; files that came since then stay.
    """
    if not backup_id.replace("_", "").isalnum() or not backup_id.isascii() or len(backup_id) > 64:
        raise click.BadParameter("not the id of a backup", param_hint="BACKUP_ID")
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise Failure("nobody here can be asked", exit_code=Exit.USAGE, hint="Add --yes to restore.")
        click.confirm("Stop the services of this backup, put its files back and start them again?", abort=True)
    with any_dockrev(url, user) as (client, _):
        job_id = one_line(client.post(f"/api/backups/{backup_id}/restore")["jobId"], 64)
        with display("restoring", as_json=as_json) as shown:
            job = follow(client, job_id, shown)
    click.echo(json.dumps({"job": job}, ensure_ascii=False) if as_json else "\n".join(explain(job)))
    sys.exit(exit_of(job))
