"""`dockrev serve`."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.exits import EXIT_CODES_HELP


@click.command("serve", epilog=EXIT_CODES_HELP)
@click.option("--private-socket", type=click.Path(path_type=Path), hidden=True)  # how `check` runs one for itself
def command(private_socket: Path | None) -> None:
    """Run Dockrev until Ctrl-C or SIGTERM: web pages, API, background work.

    Everything is set by environment variables; address and port by DOCKREV_HTTP_ADDR (0.0.0.0:50883).
    """
    from app.cli.memory import keep_small

    keep_small()
    from app.cli.lock import DatabaseLock
    from app.cli.server import listen, own, run, shown_url
    from app.cli.starting import load, prepare_database
    from app.core.logging import configure_logging
    from app.settings import ignored_variables

    settings = load()
    configure_logging(settings.log_level)
    for name in ignored_variables():
        click.echo(f"dockrev: {name} is set and has no effect any more", err=True)
    address = listen(*settings.bind, variable="DOCKREV_HTTP_ADDR") if private_socket is None else own(private_socket)
    with DatabaseLock(settings.db_path), address as listener:
        from app.main import create_app

        application = create_app(settings)
        prepare_database(settings)
        run(application, listener, f"Dockrev {settings.effective_version} at {shown_url(listener)}")
