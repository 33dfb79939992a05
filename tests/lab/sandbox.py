"""Dockrev with an engine, a registry and four stacks of its own: `python -m tests.lab.sandbox`.

Runs in the foreground. Ctrl-C or SIGTERM ends Dockrev and removes everything that was started here.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.lab.errors import LabError, LabUnavailable
from tests.lab.lab import Lab
from tests.lab.packages import PROJECT, is_cached
from tests.lab.sample_stacks import bring_up_samples
from tests.lab.up import raise_on_sigterm

_PORT = 50883
_GRACE = 10.0


def say(text: str) -> None:
    """One line of progress."""
    print(f"sandbox: {text}", flush=True)


def choose_address(first: int = _PORT, tries: int = 20) -> str:
    """`DOCKREV_HTTP_ADDR`, or the first free port of this machine from the usual one on."""
    if given := os.environ.get("DOCKREV_HTTP_ADDR"):
        return given
    for port in range(first, first + tries):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port != first:
            say(f"Port {first} is taken, so Dockrev listens on {port}. DOCKREV_HTTP_ADDR chooses another address.")
        return f"127.0.0.1:{port}"
    raise LabUnavailable(f"ports {first} to {first + tries - 1} are all taken; set DOCKREV_HTTP_ADDR")


def serve(lab: Lab, program: Path) -> int:
    """Run `dockrev serve` on the lab until it ends or somebody ends it; its exit code, 0 after an interrupt."""
    address = choose_address()
    environment = {
        **os.environ,
        **lab.env(),
        "DOCKREV_SANDBOX": "1",
        "DOCKREV_DB_PATH": str(lab.folder / "dockrev.sqlite3"),
        "DOCKREV_BACKUP_DIR": str(lab.folder / "backups"),
        "DOCKREV_HTTP_ADDR": address,
    }
    # A session of its own: Ctrl-C comes here only, and Dockrev is ended in good order before the engine goes.
    dockrev = subprocess.Popen([str(program), "serve"], env=environment, cwd=PROJECT, start_new_session=True)
    lab.own_process(dockrev.pid)
    try:
        say(f"Dockrev starts at http://{address}/ (Ctrl-C ends it and cleans up)")
        return dockrev.wait()
    except KeyboardInterrupt:
        say("Stopping …")
        return 0
    finally:
        if dockrev.poll() is None:
            dockrev.send_signal(signal.SIGTERM)
            try:
                dockrev.wait(_GRACE)
            except subprocess.TimeoutExpired:
                dockrev.kill()
                dockrev.wait()


def run(program: Path) -> int:
    """The whole sandbox; its exit code."""
    started = time.monotonic()
    if not is_cached():
        say("Fetching Docker, a registry and Compose from Debian (once, about half a minute) …")
    lab = Lab()
    try:
        say("Starting a Docker engine and registries of its own …")
        lab.start()
        bring_up_samples(lab, say)
        say(f"Ready after {time.monotonic() - started:.0f} s.")
        return serve(lab, program)
    except KeyboardInterrupt:
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not stop the cleaning
        lab.stop()
        say("Everything it started is gone.")


def main() -> int:
    """0 when ended by a person, 1 when the sandbox can't run here, otherwise Dockrev's own exit code."""
    raise_on_sigterm()
    program = PROJECT / ".venv/bin/dockrev"
    if not program.exists():
        say("Dockrev is not set up yet: run `make setup` first.")
        return 1
    try:
        return run(program)
    except LabUnavailable as error:
        say(f"It can't run here: {error.reason}")
    except LabError as error:
        say(f"It broke: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
