"""`dockrev update`."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

import click

from app.cli.client import Client, Refused
from app.cli.connect import any_dockrev, connection_options
from app.cli.exits import EXIT_CODES_HELP, Exit, Failure
from app.cli.follow import display, exit_of, explain, follow
from app.cli.targets import Selection, Service, select, service_table, target_options
from app.cli.text import one_line, table


@click.command("update", epilog=EXIT_CODES_HELP)
@target_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option(
    "--backup",
    type=click.Choice(["inherit", "skip", "force"]),
    default="inherit",
    show_default=True,
    help="Back up volumes and folders first: as set, not at all, in any case.",
)
@click.option("--allow-arch-mismatch", is_flag=True, help="Also take images made for another platform.")
@connection_options
def command(
    scope: str | None,
    stack: str | None,
    service: str | None,
    dry_run: bool,
    yes: bool,
    backup: str,
    allow_arch_mismatch: bool,
    url: str | None,
    user: str | None,
    as_json: bool,
) -> None:
    """Update to the candidates of the last check; what does not get healthy is taken back.

    A running Dockrev does it; where none runs, it is done here, once, after a check.

    \b
    dockrev update --service news/web --dry-run
    dockrev update --stack news --yes
    """
    with any_dockrev(url, user) as (client, own):
        selection = (
            select_fresh(client, scope, stack, service, as_json) if own else select(client, scope, stack, service)
        )
        chosen = choose(selection, allow_arch_mismatch)
        if not chosen:
            nothing_to_do(selection, as_json)
        options = {
            "mode": "dry-run" if dry_run else "apply",
            "allowArchMismatch": allow_arch_mismatch,
            "backupMode": backup,
            "reason": "ui",
        }
        confirm(chosen, dry_run=dry_run, yes=yes, as_json=as_json)
        job_id, left_out = start(client, selection, chosen, options)
        if left_out and not as_json:
            click.echo(f"Left out, Dockrev does not update it in a batch: {', '.join(left_out)}")
        with display("updating", as_json=as_json) as shown:
            job = follow(client, job_id, shown)
    if as_json:
        click.echo(json.dumps({"job": job}, ensure_ascii=False))
    else:
        click.echo("\n".join([*plan_lines(job), *explain(job)]), err=exit_of(job) is not Exit.OK)
    sys.exit(exit_of(job))


def select_fresh(client: Client, scope: str | None, stack: str | None, service: str | None, as_json: bool) -> Selection:
    """A Dockrev that was just started looks and checks before it is asked to update."""
    with display("looking for Compose stacks", as_json=as_json) as shown:
        follow(client, client.post("/api/discovery/scan")["jobId"], shown)
    selection = select(client, scope, stack, service)
    with display("checking", as_json=as_json) as shown:
        follow(client, client.post("/api/checks", {**selection.body(), "reason": "ui"})["checkId"], shown)
    return selection.again(client) if selection.services else selection


def choose(selection: Selection, allow_arch_mismatch: bool) -> list[Service]:
    """What the update would be about. A service that was named is taken also when a rule ignores its candidate."""
    if selection.scope == "service":
        return [found for found in selection.services if found.candidate]
    return [found for found in selection.services if found.actionable(allow_arch_mismatch)]


def nothing_to_do(selection: Selection, as_json: bool) -> NoReturn:
    """Say so; it is not an error."""
    if as_json:
        click.echo(json.dumps({"job": None, "services": [found.summary() for found in selection.services]}))
    else:
        click.echo("Nothing to update. `dockrev check` asks the registries anew.")
    sys.exit(Exit.OK)


def confirm(chosen: list[Service], *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Show what comes and ask. Raises Failure (2) where nobody can be asked."""
    if not as_json:
        for line in table(("SERVICE", "RUNS", "CANDIDATE", "STATE"), service_table(chosen)):
            click.echo(line)
    if dry_run or yes:
        return
    if as_json or not sys.stdin.isatty():
        raise Failure("nobody here can be asked", exit_code=Exit.USAGE, hint="Add --yes to update, or --dry-run.")
    noun = "this service" if len(chosen) == 1 else f"these {len(chosen)} services"
    if not click.confirm(f"Update {noun} now?"):
        click.echo("Nothing was changed.")
        sys.exit(Exit.OK)


def start(
    client: Client, selection: Selection, chosen: list[Service], options: dict[str, Any]
) -> tuple[str, list[str]]:
    """Ask for the update; returns the job's id and the names of what Dockrev does not take in a batch.

    Some services are left out by rules that only the server knows (its own, downgrades): it names them, and the request
    is made once more without them. Raises Refused.
    """
    if selection.scope == "service":
        target = {key: value for key, value in chosen[0].target().items() if key != "serviceId"}
        return str(client.post("/api/updates", {**selection.body(), **target, **options})["jobId"]), []
    request = {**selection.body(), **options}
    try:
        return str(client.post("/api/updates", {**request, "targets": _targets(chosen)})["jobId"]), []
    except Refused as refused:
        extra = set(refused.details.get("extraServiceIds") or ())
        kept = [found for found in chosen if found.id not in extra]
        if not extra or not kept or refused.details.get("missingServiceIds"):
            raise
    job_id = str(client.post("/api/updates", {**request, "targets": _targets(kept)})["jobId"])
    return job_id, [found.name for found in chosen if found.id in extra]


def _targets(chosen: list[Service]) -> list[dict[str, Any]]:
    return [found.target() for found in chosen]


def plan_lines(job: dict[str, Any]) -> list[str]:
    """One line per service: how it went, or what would be done."""
    timeline = (job.get("summary") or {}).get("timeline")
    lines = []
    for track in timeline if isinstance(timeline, list) else []:
        steps = [step for step in track.get("steps", []) if isinstance(step, dict) and step.get("status") != "todo"]
        if not steps:
            continue
        told = ", ".join(
            f"{one_line(step.get('step', ''), 30)} {one_line(step.get('status', ''), 10)}" for step in steps
        )
        lines.append(f"  {one_line(track.get('label', ''), 80)}: {told}")
    return lines
