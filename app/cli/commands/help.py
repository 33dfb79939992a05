"""`dockrev help`."""

from __future__ import annotations

import click


@click.command("help", add_help_option=False)
@click.argument("names", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of Dockrev or of one of its commands."""
    parent = ctx.parent
    assert parent is not None
    current, context = parent.command, parent
    for name in names:
        found = current.get_command(context, name) if isinstance(current, click.Group) else None
        if found is None:
            ctx.fail(f"No such command {name!r}.")
        current, context = found, click.Context(found, info_name=name, parent=context)
    click.echo(current.get_help(context))
