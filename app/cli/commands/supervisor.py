"""`dockrev supervisor`."""

from __future__ import annotations

import click

from app.cli.exits import EXIT_CODES_HELP


@click.command("supervisor", epilog=EXIT_CODES_HELP)
def command() -> None:
    """Run the supervisor until Ctrl-C or SIGTERM: the process that outlives an upgrade of Dockrev itself.

    It shows its state and serves its API; address by DOCKREV_SUPERVISOR_HTTP_ADDR (0.0.0.0:50884).
    """
    from app.cli.memory import keep_small

    keep_small()
    from app.cli.server import listen, run, shown_url
    from app.cli.starting import bad_settings, load
    from app.core.logging import configure_logging
    from app.settings import SettingsError
    from app.supervisor.main import create_supervisor
    from app.supervisor.settings import load_settings

    try:
        settings, shared = load_settings(), load()
    except SettingsError as error:
        raise bad_settings(error) from error
    configure_logging(shared.log_level)
    with listen(*settings.bind, variable="DOCKREV_SUPERVISOR_HTTP_ADDR") as listener:
        application = create_supervisor(settings, shared.auth_policy)
        url = f"{shown_url(listener)}{settings.base_path}/"
        run(application, listener, f"Supervisor {settings.effective_version} at {url}")
