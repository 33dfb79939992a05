"""`dockrev doctor`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

import click

from app.cli.checkup import Checkup, Finding
from app.cli.exits import EXIT_CODES_HELP, Exit, Failure
from app.cli.starting import load

CHECKS: Final = (
    *("settings", "database", "disk", "engine", "platform"),
    *("compose", "files", "registries", "access", "mqtt", "passes"),
)
_MARKS: Final = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command("doctor", epilog=EXIT_CODES_HELP)
@click.option("--only", multiple=True, type=click.Choice(CHECKS), help="Only this check; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(only: tuple[str, ...], as_json: bool) -> None:
    """Check what Dockrev needs, from here, with the settings of this shell: ✓ well, ! worth a look, ✗ must be mended.

    Ends with 1 when something must be mended. Nothing is changed.
    """
    findings = examine(only)
    bad = any(finding.health == "fail" for finding in findings)
    if as_json:
        rows = [
            {"name": finding.name, "status": finding.health, "text": finding.text, "remedy": finding.remedy}
            for finding in findings
        ]
        click.echo(json.dumps({"ok": not bad, "checks": rows}, ensure_ascii=False))
    else:
        for finding in findings:
            show(finding)
    sys.exit(Exit.FAILED if bad else Exit.OK)


def examine(only: tuple[str, ...]) -> list[Finding]:
    """All findings; wrong settings are the only one then, for nothing else can be looked at."""
    try:
        settings = load()
    except Failure as error:
        return [Finding("settings", "fail", error.message, error.hint)]
    return asyncio.run(Checkup(settings).run(only))


def show(finding: Finding) -> None:
    """A line, and one for the remedy."""
    mark, colour = _MARKS[finding.health]
    click.echo(f"{click.style(mark, fg=colour)} {finding.name:10} {finding.text}")
    if finding.remedy:
        click.echo(f"  {'':10} → {finding.remedy}")
