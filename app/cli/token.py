"""The API token of a script: from DOCKREV_TOKEN or a file, never from an argument, which everybody here can read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from app.cli.exits import Exit, Failure

VARIABLE: Final = "DOCKREV_TOKEN"
MAX_BYTES: Final = 4096
_KEPT: Final = "app.cli.token.file"


def token_option() -> Callable[[Any], Any]:
    """`--token-file`; kept in the context of the command for `token`."""

    def keep(context: click.Context, _: click.Parameter, path: str | None) -> None:
        if path is not None:
            context.meta[_KEPT] = path

    text = f"File with an API token, sent instead of a name; else {VARIABLE} has it."
    return click.option("--token-file", metavar="FILE", expose_value=False, callback=keep, help=text)


def token() -> str:
    """The token to send; '' for none. Raises Failure, whose message never has a part of it."""
    context = click.get_current_context(silent=True)
    path = context.meta.get(_KEPT) if context else None
    text, source = os.environ.get(VARIABLE, "").strip(), VARIABLE
    if path is not None:
        text, source = _read(path), f"the token file {path}"
    if path is not None and not text:
        raise Failure(f"{source} is empty", exit_code=Exit.USAGE, hint="It holds one token, on one line.")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise Failure(
            f"{source} has no API token", exit_code=Exit.USAGE, hint="A token is one word that begins with dkr_."
        )
    return text


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Failure(
            f"the token file {path} cannot be read: {error.strerror}",
            exit_code=Exit.USAGE,
            hint="It must be readable for you, and should be for nobody else.",
        ) from error
    if len(raw) > MAX_BYTES:
        raise Failure(f"the token file {path} is too large for a token", exit_code=Exit.USAGE)
    return raw.decode("utf-8", "replace").strip()
