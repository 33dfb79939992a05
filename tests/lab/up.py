"""Keep one lab running for experiments: `python -m tests.lab.up [--engine new] [--env-file FILE]`.

The file gets shell lines to `source`: the variables of `Lab.env()` and the addresses of both registries.
Ctrl-C or SIGTERM takes everything down again.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from pathlib import Path

from tests.lab.errors import LabUnavailable
from tests.lab.lab import Lab


def env_lines(lab: Lab) -> str:
    """Shell lines that export what a program needs to use the lab."""
    credentials = lab.private_registry.credentials
    values = {
        **lab.env(),
        "LAB_REGISTRY": lab.registry.host,
        "LAB_PRIVATE_REGISTRY": lab.private_registry.host,
        "LAB_PRIVATE_USER": credentials.user if credentials else "",
        "LAB_PRIVATE_PASSWORD": credentials.password if credentials else "",
        "LAB_FOLDER": str(lab.folder),
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def raise_on_sigterm() -> None:
    """Let SIGTERM end the program the way Ctrl-C does, so that `with` blocks clean up."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


def main() -> int:
    """Run until interrupted; 1 when the lab can't be had."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.up", description=__doc__)
    parser.add_argument("--engine", choices=("debian", "new", "host"))
    parser.add_argument("--env-file", type=Path)
    options = parser.parse_args()
    raise_on_sigterm()
    try:
        with Lab(options.engine) as lab:
            text = env_lines(lab)
            if options.env_file:
                options.env_file.write_text(text)
            print(text, "# The lab is up; Ctrl-C takes it down.", sep="", flush=True)
            while True:
                time.sleep(3600)
    except LabUnavailable as error:
        print(f"No lab here: {error.reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
