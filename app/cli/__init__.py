"""The command line. Commands are loaded when they are called, so that `--help` is quick."""

from __future__ import annotations

import sys

if sys.argv[1:2] in (["serve"], ["supervisor"]):  # they run for months, so what follows is loaded small already
    from app.cli.bare import load_bare

    load_bare()

from importlib import import_module
from typing import Any, Final

import click

from app.cli.exits import EXIT_CODES_HELP

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("app.cli.commands.serve", "Run Dockrev: web pages, API, background work."),
    "supervisor": ("app.cli.commands.supervisor", "Run the supervisor that watches over Dockrev's own upgrades."),
    "check": ("app.cli.commands.check", "Look for new versions."),
    "update": ("app.cli.commands.update", "Update services to the versions found by the last check."),
    "jobs": ("app.cli.commands.jobs", "List, show and follow jobs."),
    "backups": ("app.cli.commands.backups", "List the backups of services' data and restore one."),
    "backup": ("app.cli.commands.backup", "Back up Dockrev's own database and settings into one file."),
    "restore": ("app.cli.commands.restore", "Restore Dockrev's own database from such a file."),
    "passkeys": ("app.cli.commands.passkeys", "Make a code to sign in again; list and remove passkeys."),
    "homeassistant": ("app.cli.commands.homeassistant", "Take back what the MQTT broker keeps for Home Assistant."),
    "migrate": ("app.cli.commands.migrate", "Bring the database to the schema of this version."),
    "doctor": ("app.cli.commands.doctor", "Check settings, database, engine, Compose and registries' credentials."),
    "version": ("app.cli.commands.version", "Print the version."),
    "help": ("app.cli.commands.help", "Show the help of a command."),
}


class LazyGroup(click.Group):
    """Knows names and one line of each command; imports a command's module only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Tell what is there when somebody mistypes."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}. Commands: {', '.join(COMMANDS)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES_HELP,
)
def main(**_: Any) -> None:
    """See what runs on your Docker host, what is new, what it really is, and change it without fear.

    Settings come from environment variables; `dockrev doctor` tells whether they work.
    """
