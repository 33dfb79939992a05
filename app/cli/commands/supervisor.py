"""`dockrev supervisor`."""

from __future__ import annotations

import sys

import click

from app.cli.exits import EXIT_CODES_HELP, Exit, Failure


def _leave_out() -> None:
    """What the libraries load on the chance that a server uses it, and this one does not: 0.8 MB.

    structlog looks for greenlet, which is here for SQLAlchemy.
    """
    sys.modules.setdefault("greenlet", None)  # type: ignore[arg-type]


@click.command("supervisor", epilog=EXIT_CODES_HELP)
def command() -> None:
    """Run the supervisor until Ctrl-C or SIGTERM: the process that outlives an upgrade of Dockrev itself.

    It upgrades Dockrev's container and takes it back; address by DOCKREV_SUPERVISOR_HTTP_ADDR (0.0.0.0:50884).
    """
    from app.cli.memory import keep_small

    keep_small()
    _leave_out()
    from app.cli.server import listen, run, shown_url
    from app.cli.starting import bad_settings
    from app.core.errors import Conflict
    from app.core.logging import configure_logging
    from app.settings import SettingsError, load_access
    from app.supervisor.ledger import hold_alone
    from app.supervisor.main import create_supervisor
    from app.supervisor.settings import load_settings

    try:
        settings, shared = load_settings(), load_access()
    except SettingsError as error:
        raise bad_settings(error) from error
    configure_logging(shared.log_level)
    try:
        hold_alone(settings.state_path)
    except Conflict as error:
        raise Failure(error.message, exit_code=Exit.CONFLICT, hint=error.hint, code=error.code) from error
    with listen(*settings.bind, variable="DOCKREV_SUPERVISOR_HTTP_ADDR") as listener:
        application = create_supervisor(
            settings,
            shared.auth_policy,
            docker_config=shared.docker_config,
            pass_key=settings.pass_key(shared.pass_key_path) if shared.passkeys else None,
            step_up=shared.passkeys_step_up,
            language=shared.language,
        )
        url = f"{shown_url(listener)}{settings.base_path}/"
        run(application, listener, f"Supervisor {settings.effective_version} at {url}")
