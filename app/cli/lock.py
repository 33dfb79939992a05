"""One Dockrev per database: a lock held as long as the process lives, also by `kill -9` given back."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from app.cli.exits import Exit, Failure


class DatabaseLock:
    """Held while a process runs jobs on a database: a second one would take the first one's jobs for dead.

    A context manager; raises Failure (exit code 4) when another process holds it, (3) when the folder can't be used.
    """

    def __init__(self, db_path: Path) -> None:
        self.db_path = db_path
        self.path = db_path.with_name(db_path.name + ".lock")
        self._handle: int | None = None

    def __enter__(self) -> DatabaseLock:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Failure(
                f"the data folder {self.path.parent} cannot be used: {error.strerror}",
                exit_code=Exit.UNREACHABLE,
                hint="Set DOCKREV_DB_PATH to a place Dockrev may write to.",
                code="unavailable",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(handle, 20).decode(errors="replace").strip()
            os.close(handle)
            raise Failure(
                f"another Dockrev{f' (process {owner})' if owner.isdigit() else ''} works on {self.db_path}",
                exit_code=Exit.CONFLICT,
                hint="Talk to it with --url or DOCKREV_URL, or stop it first.",
                code="conflict",
            ) from error
        except OSError:  # a file system without locks: SQLite's own must do
            os.close(handle)
            return self
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        self._handle = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
