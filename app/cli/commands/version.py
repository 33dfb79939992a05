"""`dockrev version`."""

from __future__ import annotations

import json
import os
import platform
import sqlite3

import click


@click.command("version")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document, with the versions of Python and SQLite.")
def command(as_json: bool) -> None:
    """Print the version of this Dockrev."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("dockrev")
    except PackageNotFoundError:
        installed = "0.0.0"
    found = os.environ.get("APP_EFFECTIVE_VERSION", "").strip() or installed
    if as_json:
        versions = {"version": found, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
        click.echo(json.dumps(versions))
    else:
        click.echo(found)
