"""`dockrev check`."""

from __future__ import annotations

import json
import sys

import click

from app.cli.connect import any_dockrev, connection_options
from app.cli.exits import EXIT_CODES_HELP, Exit
from app.cli.follow import display, exit_of, explain, follow
from app.cli.targets import Selection, select, service_table, target_options
from app.cli.text import table


@click.command("check", epilog=EXIT_CODES_HELP)
@target_options
@click.option("--exit-code", is_flag=True, help="End with 5 when updates are available.")
@click.option("--all", "show_all", is_flag=True, help="List the services without news too.")
@connection_options
def command(
    scope: str | None,
    stack: str | None,
    service: str | None,
    exit_code: bool,
    show_all: bool,
    url: str | None,
    user: str | None,
    as_json: bool,
) -> None:
    """Ask the registries whether there is something new, and list it.

    A running Dockrev does it; where none runs, it is done here, once.

    \b
    dockrev check                         everything
    dockrev check --stack news            one stack
    dockrev check --service news/web      one service
    """
    with any_dockrev(url, user) as (client, own):
        if own:
            with display("looking for Compose stacks", as_json=as_json) as shown:
                follow(client, client.post("/api/discovery/scan")["jobId"], shown)
        selection = select(client, scope, stack, service)
        check_id = client.post("/api/checks", {**selection.body(), "reason": "ui"})["checkId"]
        with display("checking", as_json=as_json) as shown:
            job = follow(client, check_id, shown)
        selection = selection.again(client) if selection.services else selection
    updates = [found for found in selection.services if found.actionable()]
    if as_json:
        found = [one.summary() for one in selection.services]
        click.echo(json.dumps({"job": job, "services": found, "updates": len(updates)}, ensure_ascii=False))
    else:
        report(selection, updates=len(updates), show_all=show_all)
        if exit_of(job) is not Exit.OK:
            click.echo("\n".join(explain(job)), err=True)
    sys.exit(Exit.UPDATES if exit_code and updates and exit_of(job) is Exit.OK else exit_of(job))


def report(selection: Selection, *, updates: int, show_all: bool) -> None:
    """The list, and a sentence."""
    listed = [found for found in selection.services if show_all or found.candidate]
    for line in table(("SERVICE", "RUNS", "CANDIDATE", "STATE"), service_table(listed)):
        click.echo(line)
    count = len(selection.services)
    if not count:
        click.echo("No services: no container of a Compose project is known.")
    else:
        noun = "service" if count == 1 else "services"
        click.echo(f"{count} {noun}, {updates} with an update." + (" Next: dockrev update" if updates else ""))
