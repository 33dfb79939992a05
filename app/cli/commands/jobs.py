"""`dockrev jobs`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from app.cli.connect import connection_options, running_dockrev
from app.cli.exits import EXIT_CODES_HELP
from app.cli.follow import display, exit_of, explain, follow, read_job
from app.cli.text import ago, clock_time, one_line, table


@click.group("jobs", invoke_without_command=True, epilog=EXIT_CODES_HELP)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List, show and follow jobs of a running Dockrev. Without a subcommand: list."""
    if ctx.invoked_subcommand is None:
        with job_list.make_context("list", [], parent=ctx) as alone:
            job_list.invoke(alone)


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--type", "kind", help="Only these types, separated by commas (check, update, …).")
@click.option("--status", help="Only these states, separated by commas (running, failed, …).")
@connection_options
def job_list(
    limit: int, kind: str | None, status: str | None, url: str | None, user: str | None, as_json: bool
) -> None:
    """Jobs, newest first."""
    with running_dockrev(url, user) as client:
        found = client.get("/api/jobs", limit=limit, type=kind, status=status)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    rows = [
        [
            job.get("id"),
            job.get("type"),
            job.get("scope"),
            job.get("status"),
            ago(job.get("createdAt")),
            job.get("createdBy"),
        ]
        for job in found.get("jobs", [])
    ]
    for line in table(("JOB", "TYPE", "SCOPE", "STATUS", "AGE", "BY"), rows):
        click.echo(line)
    if not rows:
        click.echo("No jobs.")


@command.command("show")
@click.argument("job_id")
@connection_options
def job_show(job_id: str, url: str | None, user: str | None, as_json: bool) -> None:
    """One job: how it stands or ended, and why."""
    job = _read(job_id, url, user)
    if as_json:
        click.echo(json.dumps(job, ensure_ascii=False))
        return
    for line in explain(job):
        click.echo(line)
    for key in ("scope", "createdBy", "createdAt", "startedAt", "finishedAt"):
        if job.get(key):
            click.echo(f"  {key:11} {one_line(job[key])}")
    progress = job.get("progress")
    if isinstance(progress, dict):
        click.echo(f"  progress    {progress.get('percent', 0)} % {one_line(progress.get('message', ''))}")


@command.command("logs")
@click.argument("job_id")
@connection_options
def job_logs(job_id: str, url: str | None, user: str | None, as_json: bool) -> None:
    """The job's log, the newest 500 lines."""
    job = _read(job_id, url, user)
    if as_json:
        click.echo(json.dumps(job.get("logs", []), ensure_ascii=False))
        return
    for row in job.get("logs", []):
        click.echo(f"{clock_time(row.get('ts'))} {one_line(row.get('level'), 8):5} {one_line(row.get('msg'), 4000)}")


@command.command("follow")
@click.argument("job_id")
@connection_options
def job_follow(job_id: str, url: str | None, user: str | None, as_json: bool) -> None:
    """Watch a job to its end; the exit code is the job's."""
    with running_dockrev(url, user) as client, display(job_id, as_json=as_json) as shown:
        job = follow(client, _checked(job_id), shown)
    click.echo(json.dumps({"job": job}, ensure_ascii=False) if as_json else "\n".join(explain(job)))
    sys.exit(exit_of(job))


def _read(job_id: str, url: str | None, user: str | None) -> dict[str, Any]:
    with running_dockrev(url, user) as client:
        return read_job(client, _checked(job_id))


def _checked(job_id: str) -> str:
    """Ids are letters, digits and `_`; anything else would change the address."""
    if not job_id.replace("_", "").isalnum() or not job_id.isascii() or len(job_id) > 64:
        raise click.BadParameter("not the id of a job", param_hint="JOB_ID")
    return job_id
