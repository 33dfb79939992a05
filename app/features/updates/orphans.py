"""A Compose that outlived the Dockrev that started it: it must end before anybody judges what is there.

`kill -9` of Dockrev does not reach its children when it runs outside a container.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
PATIENCE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.2


async def wait_for_orphans(marker: str, patience: float = PATIENCE_SECONDS) -> bool:
    """Wait until no process has `marker` among its arguments; after `patience` seconds tell it to stop.

    Returns whether there was one. `marker` must be unique to one command: the path of its override file.
    """
    seen, waited = False, 0.0
    while pids := await asyncio.to_thread(processes_with, marker):
        seen = True
        if waited >= patience:
            _tell(pids, signal.SIGKILL if waited >= patience + 10 else signal.SIGTERM)
        await asyncio.sleep(LOOK_SECONDS)
        waited += LOOK_SECONDS
    return seen


def processes_with(argument: str) -> list[int]:
    """Processes of this machine's view that were started with exactly this argument."""
    wanted = argument.encode()
    found: list[int] = []
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if wanted in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def _tell(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
