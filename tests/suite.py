"""The whole suite in one call: `python -m tests.suite unit lab e2e`.

Each part is a pytest process of its own (browser and asyncio tests do not get along in one) and runs even where an
earlier one failed. At the end stands what passed, failed and was skipped, with the reasons.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FIRST_KNOWN = ("--dist", "loadfile", "--no-loadscope-reorder")  # which files begin first, `tests/conftest.py` knows
TOGETHER = ("-n", str(min(4, os.cpu_count() or 1)), *FIRST_KNOWN)  # a process for each core
WAITING = ("-n", str(min(4, os.cpu_count() or 1) + 1), *FIRST_KNOWN)  # and one more, where a third of it is waiting
PARTS: dict[str, tuple[str, ...]] = {
    "unit": (
        *("tests", "-m", "not lab", "-p", "no:playwright", *WAITING),
        *("--disable-socket", "--allow-hosts=127.0.0.1,::1", "--allow-unix-socket"),
    ),
    "lab": ("tests", "-m", "lab", "-p", "no:playwright", *TOGETHER),  # each with an engine and a registry of its own
    "e2e": ("e2e", *TOGETHER),
}
LIMITS = {"unit": 1200, "lab": 1800, "e2e": 1200}  # seconds; a part that takes longer has hung
NO_TESTS = 5


@dataclass
class Part:
    """How one part ended; `reason` says why it did not run at all."""

    name: str
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    reason: str = ""
    broken: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing of it failed."""
        return not self.failed and not self.broken


def find_chromium() -> str | None:
    """Where Chromium is; installed first on a Debian machine where we may."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found or not Path("/etc/debian_version").exists() or os.geteuid() != 0:
        return found
    print("Installing Chromium …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False, timeout=600)
    return shutil.which("chromium")


def run_part(name: str, extra: list[str]) -> Part:
    """One pytest process; its output goes straight to the terminal."""
    part = Part(name)
    if name == "e2e" and find_chromium() is None:
        part.reason = "there is no Chromium; install the package chromium of your system"
        return part
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", *PARTS[name], "-q", f"--junit-xml={report}", *extra]
        print(f"\n── {name} ──", flush=True)
        try:
            code = subprocess.run(command, cwd=PROJECT, timeout=LIMITS[name], check=False).returncode
        except subprocess.TimeoutExpired:
            code, part.broken = 1, f"took longer than {LIMITS[name]} s"
        if report.exists():
            count(part, report)
    part.seconds = time.monotonic() - started
    if code == NO_TESTS:
        part.broken = "no tests found"
    elif code and part.good:
        part.broken = f"pytest ended with {code}"
    return part


def count(part: Part, report: Path) -> None:
    """Read pytest's own report into `part`."""
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            part.failed += 1
        elif skipped is not None:
            part.skipped[skipped.get("message", "no reason given")] += 1
        else:
            part.passed += 1


def summary(parts: list[Part]) -> str:
    """What a person wants to know at the end; the last line is for programs too."""
    lines = ["", "── summary ──"]
    for part in parts:
        if part.reason:
            lines.append(f"{part.name:5} not run: {part.reason}")
            continue
        skipped = part.skipped.total()
        word = "ok" if part.good else "FAILED"
        lines.append(
            f"{part.name:5} {word}: {part.passed} passed, {part.failed} failed, {skipped} skipped"
            f" in {part.seconds:.0f} s{f' ({part.broken})' if part.broken else ''}"
        )
        lines += [f"      skipped {number}: {reason}" for reason, number in part.skipped.most_common()]
    totals = (
        sum(part.passed for part in parts),
        sum(part.failed + bool(part.broken) for part in parts),
        sum(part.skipped.total() for part in parts),
    )
    lines += ["", "{} passed, {} failed, {} skipped".format(*totals)]
    return "\n".join(lines)


def main() -> int:
    """0 when nothing failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.suite", description=__doc__)
    parser.add_argument("parts", nargs="+", choices=tuple(PARTS))
    options, extra = parser.parse_known_args()
    parts = [run_part(name, extra) for name in options.parts]
    print(summary(parts), flush=True)
    return 0 if all(part.good for part in parts) else 1


if __name__ == "__main__":
    sys.exit(main())
