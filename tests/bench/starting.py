"""From the start of the process to its first good answer, with and without a database."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.process import Dockrev
from tests.lab.lab import Lab

RUNS = 5
GOAL = 1.5
PATHS = (("/api/health", "first answer"), ("/", "first page"))


def figures(lab: Lab) -> list[Figure]:
    """Each kind of start several times; the first one, which may compile modules, is left out."""
    folder = lab.folder / "bench-start"
    _start(lab, folder.with_name("bench-start-warm"), "/")
    measured: dict[tuple[str, str], list[float]] = {}
    for number in range(RUNS):
        for path, name in PATHS:
            fresh = folder / f"{name} {number}"
            for kind in ("fresh database", "existing database"):
                measured.setdefault((name, kind), []).append(_start(lab, fresh, path))
            shutil.rmtree(fresh)
    return [Figure(f"start to {name}, {kind}", tuple(seconds), "s", GOAL) for (name, kind), seconds in measured.items()]


def _start(lab: Lab, folder: Path, path: str) -> float:
    dockrev = Dockrev(folder, lab.env())
    dockrev.start()
    try:
        return dockrev.first_answer(path)
    finally:
        dockrev.stop()
