"""`make bench`: measure everything on a lab of its own, print the table, write it into the README."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench import checks, fanout, many, selfupgrade, starting, updating
from tests.bench.figures import Figure, markdown, plain, put_between_marks
from tests.lab.errors import LabError, LabUnavailable
from tests.lab.faults import FaultProxy
from tests.lab.lab import Lab
from tests.lab.packages import PROJECT
from tests.lab.up import raise_on_sigterm

README = PROJECT / "README.md"
PARTS: dict[str, Callable[[Lab], list[Figure]]] = {
    "checks": lambda lab: _checks(lab),
    "newer": lambda lab: _newer(lab),
    "start": starting.figures,
    "many": lambda lab: _many(lab),
    "update": updating.figures,
    "fanout": fanout.figures,
    "selfupgrade": selfupgrade.figures,
}


def say(text: str) -> None:
    """One line of progress."""
    print(f"bench: {text}", flush=True)


def _checks(lab: Lab) -> list[Figure]:
    with FaultProxy(lab.registry) as proxy:
        stacks = checks.bring_up(lab, proxy)
        try:
            return checks.figures(checks.repeated(lab, proxy))
        finally:
            with ThreadPoolExecutor(4) as together:
                list(together.map(lambda stack: stack.down(), stacks))


def _newer(lab: Lab) -> list[Figure]:
    with FaultProxy(lab.registry) as proxy:
        stacks = checks.bring_up_pinned(lab, proxy)
        try:
            return checks.newer_figures(checks.look_for_newer(lab, proxy))
        finally:
            with ThreadPoolExecutor(4) as together:
                list(together.map(lambda stack: stack.down(), stacks))


def _many(lab: Lab) -> list[Figure]:
    digests = many.publish(lab)
    sizes = []
    for count in many.SIZES:
        say(f"  {count:,} services …")
        sizes.append(many.measure(lab, digests, count))
    folder = next(size.folder for size in sizes if size.services == 500)
    return many.figures(sizes, many.statements(folder))


def main() -> int:
    """0 when all goals are reached, 1 when one is missed or nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=(*PARTS, []), help="only these; the README is left alone then")
    options = parser.parse_args()
    raise_on_sigterm()
    began, figures, failed = time.monotonic(), [], False
    try:
        with Lab() as lab:
            for name in options.parts or PARTS:
                say(f"{name} …")
                try:
                    figures += PARTS[name](lab)
                except LabError as error:  # the others count all the same
                    say(f"{name} failed: {error}")
                    failed = True
    except LabUnavailable as error:
        say(f"It can't run here: {error.reason}")
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\n{plain(figures)}\n\n{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f} at the end")
    if not options.parts and not failed:
        _write(README, figures)
    return 0 if not failed and all(figure.good for figure in figures) else 1


def _write(readme: Path, figures: list[Figure]) -> None:
    text = readme.read_text(encoding="utf-8")
    readme.write_text(put_between_marks(text, f"\n{markdown(figures)}\n"), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
