"""Clean up after a lab whose owner may have died in any way, `kill -9` included.

A lab writes down what it owns (processes, bridges, cgroups, its folder) in `owned.jsonl` before it makes it.
`clean(folder)` undoes all of that and may be called again. `Janitor` starts a small process that
waits on a pipe from the owner: when the pipe closes, the owner is gone, and the process calls `clean`.
Only the standard library is used here, so that the process starts at once and stays small.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PREFIX = "dlab-"
PLACES = (Path("/dev/shm"), Path("/tmp"))
_RECORD = "owned.jsonl"
_PLENTY = 4 * 1024**3


def started_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: tells a process from a later one with its number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


class Janitor:
    """Owner's end: record what is owned, and have it cleaned when this process is gone."""

    def __init__(self) -> None:
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_place()))
        self.folder.chmod(0o711)
        self.own_process(os.getpid(), owner=True)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is for the owner, not for its janitor
            cwd="/",
        )
        self.own_process(self._process.pid, janitor=True)

    def own(self, **entry: object) -> None:
        """Record something before it is made. Keys: see `clean`."""
        with (self.folder / _RECORD).open("a") as handle:
            handle.write(json.dumps(entry) + "\n")

    def own_process(self, pid: int, **more: object) -> None:
        """Record a process that is to be killed (not so with `owner` or `janitor` set)."""
        self.own(process=pid, started=started_ticks(pid), **more)

    def close(self) -> None:
        """Clean now and let the janitor process go."""
        clean(self.folder)
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)


def _place() -> Path:
    """Where lab folders go: memory when there is plenty, since an engine and a registry sync every file.

    Never TMPDIR: a unix socket's path may have 107 characters at most.
    """
    memory = PLACES[0]
    with contextlib.suppress(OSError):
        types = {line.split()[1]: line.split()[2] for line in Path("/proc/mounts").read_text().splitlines()}
        if types.get(str(memory)) == "tmpfs" and shutil.disk_usage(memory).free >= _PLENTY:
            return memory
    return PLACES[1]


def _entries(folder: Path) -> list[dict[str, object]]:
    entries = []
    with contextlib.suppress(OSError):
        for line in (folder / _RECORD).read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # the owner may have died while writing
                entries.append(json.loads(line))
    return entries


def _alive(entry: dict[str, object]) -> bool:
    return started_ticks(int(str(entry["process"]))) == entry.get("started") is not None


def clean(folder: Path) -> None:
    """Undo everything recorded in the folder, in this order, then remove the folder.

    `command` is run (a list, for instance removing containers from a shared engine); `process` (with
    `started`) is killed, except owner and janitor; bridges with an address inside `bridges`
    ({"ip": program, "prefix": "10.1."}) are deleted; `cgroup` names are removed from every hierarchy.
    """
    entries = _entries(folder)
    doomed = [e for e in entries if "process" in e and not (e.get("owner") or e.get("janitor"))]
    for entry in entries:
        command = entry.get("command")
        if isinstance(command, list):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=60,
                )
    for entry in reversed(doomed):
        if _alive(entry):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(str(entry["process"])), signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(map(_alive, doomed)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for entry in entries:
        bridges = entry.get("bridges")
        if isinstance(bridges, dict):
            _delete_bridges(str(bridges["ip"]), str(bridges["prefix"]))
        if isinstance(entry.get("cgroup"), str):
            _remove_cgroups(str(entry["cgroup"]))
    _remove_tree(folder)


def _delete_bridges(ip: str, prefix: str) -> None:
    with contextlib.suppress(OSError, subprocess.SubprocessError, json.JSONDecodeError):
        done = subprocess.run([ip, "-j", "-4", "addr"], capture_output=True, text=True, timeout=10)
        for link in json.loads(done.stdout):
            addresses = [address.get("local", "") for address in link.get("addr_info", [])]
            if any(address.startswith(prefix) for address in addresses):
                subprocess.run([ip, "link", "delete", link["ifname"]], capture_output=True, timeout=10)


def _remove_cgroups(name: str) -> None:
    """Remove the emptied cgroups; the kernel frees them a moment after their last process."""
    deadline = time.monotonic() + 5
    while True:
        left = [Path(top) for top, _, _ in os.walk("/sys/fs/cgroup") if name in Path(top).parts]
        for group in sorted(left, key=lambda path: -len(path.parts)):
            with contextlib.suppress(OSError):
                group.rmdir()
        if not left or time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _remove_tree(folder: Path) -> None:
    deadline = time.monotonic() + 5
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            time.sleep(0.05)


def sweep() -> None:
    """Clean what labs left whose owner and janitor were both killed."""
    for folder in [found for place in PLACES for found in place.glob(PREFIX + "*")]:
        keepers = [e for e in _entries(folder) if e.get("owner") or e.get("janitor")]
        if keepers and not any(map(_alive, keepers)):
            clean(folder)


def _wait_for_the_owner(folder: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1024):
        pass  # only the end counts: the owner is gone
    if folder.exists():
        clean(folder)


if __name__ == "__main__":
    _wait_for_the_owner(Path(sys.argv[1]))
