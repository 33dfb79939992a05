"""How the program ends: exit codes, and errors that carry one."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import IO, Any, Final

import click

from app.cli.text import plain


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    CONFLICT = 4
    UPDATES = 5


MEANINGS: Final[dict[Exit, str]] = {
    Exit.OK: "done",
    Exit.FAILED: "the job failed, was rolled back or cancelled; a required check of doctor failed",
    Exit.USAGE: "wrong usage, wrong settings, or not allowed",
    Exit.UNREACHABLE: "Dockrev, the engine or the database cannot be reached or used",
    Exit.CONFLICT: "something else is in the way: a running job, a port or a database in use",
    Exit.UPDATES: "updates are available (check --exit-code)",
}
EXIT_CODES_HELP: Final = "\b\nExit codes:\n" + "\n".join(f"  {code.value}  {text}" for code, text in MEANINGS.items())


class Failure(click.ClickException):
    """Ends the command with a sentence, a remedy and an exit code; with --json also as a document."""

    def __init__(self, message: str, *, exit_code: Exit = Exit.FAILED, hint: str = "", code: str = "failed") -> None:
        super().__init__(plain(message))
        self.exit_code = int(exit_code)  # type: ignore[misc]  # click reads it from the instance
        self.hint = plain(hint)
        self.code = code
        context = click.get_current_context(silent=True)
        self.as_json = bool(context and context.params.get("as_json"))

    def show(self, file: IO[Any] | None = None) -> None:
        """Message and remedy on stderr; the document, when asked for, on stdout."""
        if self.as_json:
            document = {"error": {"code": self.code, "message": self.message, "details": {"hint": self.hint}}}
            click.echo(json.dumps(document, ensure_ascii=False))
        click.echo(f"dockrev: {self.message}", file=file, err=file is None)
        if self.hint:
            click.echo(f"  {self.hint}", file=file, err=file is None)
