"""The state's file: read so that nothing in it can stop the supervisor, written whole or not at all (spec §10.6)."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from pydantic import ValidationError

from app.core.clock import utc_now
from app.core.errors import Conflict, Unavailable
from app.supervisor import state as machine
from app.supervisor.state import Book, Level, Step

log = structlog.get_logger(__name__)

SIZE_LIMIT: Final = 64_000_000


class StateUnwritable(Unavailable):
    """The state cannot be kept on disk: without it nothing may be changed."""


def read_book(path: Path, *, now: datetime, image: str) -> Book:
    """The persisted state; the idle default when there is none or it cannot be read (which is logged)."""
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise ValueError("the file is too large")
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.get("schemaVersion", 1) != machine.SCHEMA_VERSION:
            raise ValueError("the schema version is not known")
        return Book.model_validate(document)
    except FileNotFoundError:
        log.info("no self-upgrade was ever done", path=str(path))
    except (OSError, ValueError, RecursionError, ValidationError) as error:
        cause = f"{error.error_count()} members are wrong" if isinstance(error, ValidationError) else str(error)
        log.warning("state of self-upgrades cannot be read", path=str(path), cause=cause[:300])
        if not isinstance(error, OSError):
            _set_aside(path)
    return machine.idle(now, image)


def _set_aside(path: Path) -> None:
    """Keep what could not be read: the next write would take its place."""
    with suppress(OSError):
        path.replace(path.with_name(path.name + ".unreadable"))


def write_book(path: Path, book: Book) -> None:
    """Write beside the file, then rename: a reader sees the old or the new one. Raises StateUnwritable."""
    import tempfile

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = book.model_dump_json(by_alias=True, indent=1).encode()
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StateUnwritable(
            f"the state {path} cannot be written: {error.strerror or error}",
            hint="Let DOCKREV_SUPERVISOR_STATE_PATH lie in a folder the supervisor may write to, on a disk with space.",
        ) from error


def hold_alone(path: Path) -> int | None:
    """Take the state for this process until it ends; None where the folder cannot be used, which `save` tells later.

    Raises Conflict when another supervisor has it: each would take the other's operation for an interrupted one.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise Conflict(
            f"another supervisor uses the state {path}",
            hint="Stop it first, or give this one a DOCKREV_SUPERVISOR_STATE_PATH of its own.",
        ) from error
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


class Ledger:
    """The book in memory and on disk, one writer. `clean` removes what looks like a credential from every text."""

    def __init__(self, path: Path, image: str, clean: Callable[[str], str]) -> None:
        self.path = path
        self.clean = clean
        self.book = read_book(path, now=utc_now(), image=image)
        self.revision = 0
        self._moved = asyncio.Event()
        self._writing = asyncio.Lock()

    def put(self, book: Book) -> None:
        """Take over a book, for now in memory only; whoever waits is told."""
        self.book = book
        self.revision += 1
        self._moved.set()
        self._moved = asyncio.Event()

    async def save(self) -> None:
        """Put what is in memory on disk. Raises StateUnwritable."""
        async with self._writing:
            await asyncio.shield(asyncio.to_thread(write_book, self.path, self.book))

    async def keep(self) -> None:
        """`save` where the way goes on without: a full disk must not stop a log line, still less a way back."""
        try:
            await self.save()
        except StateUnwritable as error:
            log.error("the state of the self-upgrade is in memory only", cause=error.message)

    async def enter(self, step: Step, message: str) -> None:
        """The next step, on disk before it is taken. Raises StateUnwritable."""
        self.put(machine.enter(self.book, step, self.clean(message), utc_now()))
        await self.note("INFO", f"{step}: {message}", durable=True)

    async def say(self, message: str) -> None:
        """News of the step that runs."""
        self.put(machine.enter(self.book, self.book.progress.step, self.clean(message), utc_now()))
        await self.keep()

    async def note(self, level: Level, message: str, *, durable: bool = False) -> None:
        """One line of the log; `durable` raises StateUnwritable."""
        self.put(machine.note(self.book, level, self.clean(message), utc_now()))
        await (self.save() if durable else self.keep())

    async def moved(self, seen: int, timeout: float) -> bool:
        """Wait until the revision is not `seen`; False after `timeout` seconds."""
        if self.revision != seen:
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._moved.wait(), timeout)
        return self.revision != seen
