"""Without a running Dockrev: run one for the length of a command, in a process of its own, on a private socket."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.cli.client import Client
from app.cli.exits import Exit, Failure
from app.cli.starting import load
from app.cli.text import plain

START_SECONDS: Final = 60.0
END_SECONDS: Final = 10.0
# Only its owner reaches the socket's folder, so whoever runs the command counts as allowed.
_OPEN: Final = {
    "DOCKREV_AUTH_ALLOWED_USER": "",
    "DOCKREV_AUTH_ALLOWED_GROUP": "",
    "DOCKREV_AUTH_ALLOW_ANONYMOUS_IN_DEV": "loopback",
    "DOCKREV_LOG_LEVEL": "ERROR",
}


@contextmanager
def local_dockrev(user: str) -> Iterator[Client]:
    """The API of a Dockrev of our own, gone when the block ends, also when we are killed.

    Raises Failure when the settings are wrong (2), the database cannot be used (3) or another Dockrev works on it (4).
    """
    load()
    with tempfile.TemporaryDirectory(prefix="dockrev-") as folder:
        socket_path, errors = Path(folder) / "api.sock", Path(folder) / "errors"
        process = _start(socket_path, errors)
        try:
            _wait_until_ready(process, errors)
            client = Client("http://dockrev", user=user, uds=str(socket_path))
            try:
                yield client
            finally:
                client.close()
        finally:
            _end(process)


def _start(socket_path: Path, errors: Path) -> subprocess.Popen[bytes]:
    """It ends when its stdin does, that is when this process is gone for whatever reason."""
    with errors.open("wb") as log:
        return subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-m", "app.cli", "serve", "--private-socket", str(socket_path)],
            env={**os.environ, **_OPEN},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )


def _wait_until_ready(process: subprocess.Popen[bytes], errors: Path) -> None:
    """Until it has printed its line. Raises Failure with its own words when it ends instead."""
    assert process.stdout is not None
    impatience = threading.Timer(START_SECONDS, process.kill)
    impatience.start()
    try:
        ready = process.stdout.readline()
    finally:
        impatience.cancel()
    if ready:
        return
    code = process.wait()
    first, _, rest = plain(errors.read_text(encoding="utf-8", errors="replace")).partition("\n")
    known = code in (Exit.USAGE, Exit.UNREACHABLE, Exit.CONFLICT) and first.startswith("dockrev: ")
    if known:
        raise Failure(first.removeprefix("dockrev: "), exit_code=Exit(code), hint=rest.strip(), code="unavailable")
    raise Failure(
        "Dockrev could not be started for this command",
        exit_code=Exit.UNREACHABLE,
        hint="`dockrev serve` tells why, `dockrev doctor` what is missing.",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
