"""Watches a job to its end: bars on a terminal, lines elsewhere; a lost connection is taken up where it broke."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

from app.cli.client import Client, Refused, Unreachable
from app.cli.exits import Exit
from app.cli.text import clock_time, human_bytes, one_line

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE_SECONDS: Final = 60.0  # how long a Dockrev that went away may take to come back
FINAL: Final = frozenset({"success", "failed", "rolled_back", "cancelled"})
MARKS: Final = {"done": "✓", "run": "…", "bad": "✗", "back": "↩", "skip": "–"}


class Display(Protocol):
    """Shows a job's events."""

    def line(self, document: dict[str, Any]) -> None:
        """A line of the log."""

    def step(self, document: dict[str, Any]) -> None:
        """One service moved to another step."""

    def progress(self, document: dict[str, Any]) -> None:
        """How far the whole is."""


class Silent:
    """For --json."""

    def line(self, document: dict[str, Any]) -> None:
        """Not a word: the document at the end is all that stands on stdout."""

    step = progress = line


class Lines:
    """For pipes and files: the log as it comes."""

    def line(self, document: dict[str, Any]) -> None:
        """Time, level, message."""
        level, message = one_line(document.get("level", ""), 8), one_line(document.get("msg", ""), 4000)
        click.echo(f"{clock_time(document.get('ts'))} {level:5} {message}")

    def step(self, document: dict[str, Any]) -> None:
        """The log says it too."""

    def progress(self, document: dict[str, Any]) -> None:
        """Bars are for terminals."""


class Bars:
    """For terminals: finished steps and warnings stay, one bar moves below them. A context manager."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

        self.bars: Progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[bytes]}", markup=False),
            TimeElapsedColumn(),
            console=Console(highlight=False),
            transient=True,
        )
        self._task = self.bars.add_task(title, total=None, bytes="")

    def __enter__(self) -> Bars:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def line(self, document: dict[str, Any]) -> None:
        """Only what needs attention; the whole log is one `dockrev jobs logs` away."""
        if document.get("level") in ("warn", "error"):
            self._print(f"  ! {one_line(document.get('msg', ''))}")

    def step(self, document: dict[str, Any]) -> None:
        """Steps that ended."""
        if document.get("status") == "run":
            return
        mark = MARKS.get(str(document.get("status")), "·")
        note = one_line(document.get("note", ""), 120)
        where, what = one_line(document.get("label", ""), 60), one_line(document.get("step", ""), 40)
        self._print(f"  {mark} {where}: {what}{f' ({note})' if note else ''}")

    def progress(self, document: dict[str, Any]) -> None:
        """Move the bar; without a known total it only shows that something goes on."""
        percent, total = document.get("percent"), document.get("total")
        known = isinstance(percent, int | float) and (percent > 0 or bool(total))
        download = document.get("download") or {}
        got, whole = human_bytes(download.get("currentBytes")), human_bytes(download.get("totalBytes"))
        self.bars.update(
            self._task,
            description=one_line(document.get("message", ""), 60),
            total=100 if known else None,
            completed=percent if known else 0,
            bytes=" / ".join(filter(None, (got, whole))),
        )

    def _print(self, text: str) -> None:
        self.bars.console.print(text, markup=False, soft_wrap=True)


def display(title: str, *, as_json: bool) -> AbstractContextManager[Display]:
    """What suits where the output goes."""
    if as_json:
        return nullcontext(Silent())
    return Bars(title) if sys.stdout.isatty() else nullcontext(Lines())


def follow(client: Client, job_id: str, shown: Display) -> dict[str, Any]:
    """Show the job's events from the first one until it has ended; returns its document.

    Raises Unreachable when Dockrev stays away for a minute.
    """
    last, deadline = "", time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            for event_id, ended in _watch(client, job_id, last, shown):
                last, deadline = event_id or last, time.monotonic() + PATIENCE_SECONDS
                if ended:
                    break
            job = read_job(client, job_id)
        except (Unreachable, Refused) as error:
            refused = isinstance(error, Refused) and error.status < 500 and error.status != 429
            if refused or time.monotonic() > deadline:
                raise
            time.sleep(max(1, error.wait) if isinstance(error, Refused) else 1)
            continue
        if job.get("status") in FINAL:
            return job
        time.sleep(0.2)


def _watch(client: Client, job_id: str, after: str, shown: Display) -> Iterator[tuple[str, bool]]:
    for event in client.stream(f"/api/jobs/{job_id}/events", after=after):
        document = event.document()
        if event.name == "job_log":
            shown.line(document)
        elif event.name == "job_step":
            shown.step(document)
        elif event.name == "job_progress":
            shown.progress(document)
        yield event.id, event.name == "job_finished"


def read_job(client: Client, job_id: str) -> dict[str, Any]:
    """The job's document with its log."""
    found = client.get(f"/api/jobs/{job_id}").get("job")
    return found if isinstance(found, dict) else {}


def exit_of(job: dict[str, Any]) -> Exit:
    """The exit code of a job that has ended."""
    return Exit.OK if job.get("status") == "success" else Exit.FAILED


def explain(job: dict[str, Any]) -> list[str]:
    """How it ended, why, and what to do; a single line for a success."""
    status = one_line(job.get("status", ""), 20).replace("_", " ")
    reason = job.get("resultReason")
    if not isinstance(reason, dict):
        return [f"{one_line(job.get('type', 'job'), 40)} {job.get('id', '')}: {status}"]
    lines = [f"{status}: {one_line(reason.get('summary', ''))}"]
    lines += [f"  {one_line(reason[key])}" for key in ("detail", "raw") if reason.get(key)]
    return [*lines, f"  The whole log: dockrev jobs logs {job.get('id', '')}"]
