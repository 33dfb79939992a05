"""Options of the commands that talk to Dockrev, and the way to it: the running one, else one of our own."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import click

from app.cli.client import Client, Unreachable, default_url
from app.cli.token import token, token_option


def connection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--url`, `--user`, `--token-file` and `--json`."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else on stdout."),
        token_option(),
        click.option("--user", envvar="DOCKREV_USER", help="Who you are, sent as the identity header."),
        click.option(
            "--url", envvar="DOCKREV_URL", help="Address of a running Dockrev.  [default: http://127.0.0.1:50883]"
        ),
    ):
        function = option(function)
    return function


def identity(user: str | None) -> str:
    """The name to send: as given, else the one allowed user, else who is logged in here."""
    if user is not None:
        return user.strip()
    if allowed := os.environ.get("DOCKREV_AUTH_ALLOWED_USER", "").strip():
        return allowed
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


@contextmanager
def running_dockrev(url: str | None, user: str | None) -> Iterator[Client]:
    """A running Dockrev. Raises Unreachable."""
    client = Client(url or default_url(), user=identity(user), token=token())
    try:
        client.version()
        yield client
    finally:
        client.close()


@contextmanager
def any_dockrev(url: str | None, user: str | None) -> Iterator[tuple[Client, bool]]:
    """A running Dockrev, or one of our own when none was named and none runs here; True says that it is our own."""
    with ExitStack() as stack:
        try:
            client, own = stack.enter_context(running_dockrev(url, user)), False
        except Unreachable:
            if url:
                raise
            from app.cli.local import local_dockrev

            click.echo(f"No Dockrev runs at {default_url()}: doing it here, once.", err=True)
            client, own = stack.enter_context(local_dockrev(identity(user))), True
        yield client, own
