"""Fetch the engine, the registry and Compose as Debian packages and unpack them into a cache folder.

Nothing is installed on the machine: packages are downloaded with lists and a cache of the lab's own and
unpacked below `.lab/` of the project (or `DOCKREV_LAB_DIR`). A second call finds the folders and returns
at once; the folder of a half-done unpacking never gets its final name.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.lab.archive import find_archive, machine_codename
from tests.lab.errors import LabUnavailable

Flavor = Literal["debian", "new"]

PROJECT = Path(__file__).resolve().parents[2]

_BASE = ("docker.io", "containerd", "runc", "iptables", "iproute2", "busybox-static", "docker-registry")
_NEWEST = ("docker.io", "docker-cli", "containerd", "docker-compose")
_PLUGIN = Path("usr/libexec/docker/cli-plugins/docker-compose")


@dataclass(frozen=True)
class Tools:
    """Programs of one flavour of the lab; all of them are real files."""

    flavor: Flavor
    path: tuple[Path, ...]
    docker: Path
    compose: Path
    registry: Path
    busybox: Path

    def search_path(self) -> str:
        """A `PATH` that finds the lab's programs before the machine's."""
        return os.pathsep.join([*map(str, self.path), os.environ.get("PATH", os.defpath), "/usr/sbin:/sbin"])


def lab_dir() -> Path:
    """The cache folder, made when missing. Raises `LabUnavailable` when it can't be written."""
    folder = Path(os.environ.get("DOCKREV_LAB_DIR") or PROJECT / ".lab").resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabUnavailable(f"the lab's cache folder can't be made: {error}") from error
    if not os.access(folder, os.W_OK):
        raise LabUnavailable(f"the lab's cache folder {folder} can't be written; DOCKREV_LAB_DIR chooses another")
    return folder


@contextmanager
def lab_lock(name: str) -> Iterator[None]:
    """Hold a lock that excludes other processes using the same cache folder."""
    with (lab_dir() / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_cached(flavor: Flavor = "debian") -> bool:
    """Whether `obtain` has nothing to fetch."""
    return all((lab_dir() / name).is_dir() for name in ("base", "sid" if flavor == "new" else "trixie"))


def obtain(flavor: Flavor = "debian") -> Tools:
    """Programs of the flavour, fetched when they are not there yet (about half a minute).

    Raises `LabUnavailable` when the machine has no apt, no archive or no network.
    """
    suite, packages = ("sid", _NEWEST) if flavor == "new" else ("trixie", ("docker-compose",))
    with lab_lock("packages"), ThreadPoolExecutor() as together:  # much of it is waiting for the mirror and the disk
        base_job = together.submit(_base_root)
        other_job = together.submit(_suite_root, suite, packages)
        base, other = base_job.result(), other_job.result()
    path = [other / "usr/sbin", other / "usr/bin"] if flavor == "new" else []
    docker = (other if flavor == "new" else base) / "usr/bin/docker"
    plugin = other / _PLUGIN
    for program in (docker, plugin):
        if not program.is_file():
            raise LabUnavailable(f"Debian's packages no longer bring {program.name} where the lab looks for it")
    path += [base / "lab-bin", base / "usr/sbin", base / "usr/bin"]
    return Tools(flavor, tuple(path), docker, plugin, base / "usr/bin/docker-registry", base / "lab-bin/busybox")


def _base_root() -> Path:
    """The unpacked packages of the machine's own suite, with wrappers for what needs their libraries."""
    target = lab_dir() / "base"
    if not target.is_dir():
        _require_apt()
        # The machine's own sources as they are: whatever it can install, the lab can unpack.
        apt = _Apt("base", ())
        apt.update()
        names = [*_BASE, *(["docker-cli"] if apt.knows("docker-cli") else [])]
        debs = apt.download_with_missing_libraries(names)
        _unpack(debs, target, finish=_write_wrappers)
        apt.forget()
    return target


def _suite_root(suite: str, packages: Sequence[str]) -> Path:
    """The named packages of another Debian suite, unpacked without their dependencies."""
    target = lab_dir() / suite
    if not target.is_dir():
        _require_apt()
        source = lab_dir() / f"{suite}.list"
        source.write_text(find_archive(machine_codename()).line(suite))
        apt = _Apt(suite, (f"Dir::Etc::sourcelist={source}", "Dir::Etc::sourceparts=/dev/null"))
        apt.update()
        _unpack(apt.download(packages), target)
        apt.forget()
    return target


def fetch(*packages: str, libraries: bool = False) -> Path:
    """The folder of packages of the machine's own suite, unpacked without their dependencies; with `libraries` also
    those of them that the machine does not have."""
    target = lab_dir() / packages[0]
    with lab_lock("packages"):
        if not target.is_dir():
            _require_apt()
            apt = _Apt(packages[0], ())
            apt.update()
            got = apt.download_with_missing_libraries if libraries else apt.download
            _unpack(got(packages), target)
            apt.forget()
    return target


def _require_apt() -> None:
    for program in ("apt-get", "dpkg"):
        if not shutil.which(program):
            raise LabUnavailable(f"the lab needs Debian's {program} to fetch the engine's packages")


class _Apt:
    """apt-get with lists and cache of its own, so that the machine's apt state stays as it is."""

    def __init__(self, name: str, options: Sequence[str]) -> None:
        self._folder = lab_dir() / f"apt-{name}"
        self._archives = self._folder / "cache/archives"
        (self._folder / "lists/partial").mkdir(parents=True, exist_ok=True)
        (self._archives / "partial").mkdir(parents=True, exist_ok=True)
        self._options = [
            *options,
            f"Dir::State::lists={self._folder / 'lists'}",
            f"Dir::Cache={self._folder / 'cache'}",
            "APT::Sandbox::User=root",  # the unprivileged user may not see the cache folder
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Debug::NoLocking=1",  # nothing is installed; the machine's own apt may be busy
        ]

    def _run(self, program: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        flags = [part for option in self._options for part in ("-o", option)]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        try:
            return subprocess.run(
                [program, *flags, *arguments], capture_output=True, text=True, timeout=300, cwd=cwd, env=environment
            )
        except subprocess.TimeoutExpired as error:
            raise LabUnavailable(f"{program} {arguments[0]} did not end within 5 minutes") from error

    def _require(self, *arguments: str, cwd: Path | None = None) -> None:
        done = self._run("apt-get", *arguments, cwd=cwd)
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise LabUnavailable(f"apt-get {arguments[0]} failed: {' '.join(lines)}")

    def update(self) -> None:
        self._require("update", "-q")

    def knows(self, package: str) -> bool:
        return bool(self._run("apt-cache", "show", package).stdout.strip())

    def download_with_missing_libraries(self, packages: Sequence[str]) -> list[Path]:
        """The packages and whatever they depend on that the machine does not have."""
        self._require("install", "-y", "--download-only", "--no-install-recommends", "--reinstall", *packages)
        return sorted(self._archives.glob("*.deb"))

    def download(self, packages: Sequence[str]) -> list[Path]:
        self._require("download", *packages, cwd=self._archives)
        return sorted(self._archives.glob("*.deb"))

    def forget(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _unpack(debs: Sequence[Path], target: Path, finish: Callable[[Path], None] | None = None) -> None:
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for deb in debs:
        done = subprocess.run(["dpkg", "-x", str(deb), str(partial)], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise LabUnavailable(f"{deb.name} could not be unpacked: {done.stderr.strip()}")
    if finish:
        finish(partial)
    partial.rename(target)


def _first(root: Path, *places: str) -> Path:
    for place in places:
        if (root / place).is_file():
            return root / place
    raise LabUnavailable(f"Debian's packages no longer bring {places[0]}")


def _write_wrappers(root: Path) -> None:
    """Put programs that need libraries from the unpacked packages into `bin/`, under their usual names."""
    for folder in (root / "lab-bin", root / "lab-lib"):
        folder.mkdir()
    for library in root.glob("usr/lib/*-linux-gnu/*"):
        (root / "lab-lib" / library.name).symlink_to(Path("..") / library.relative_to(root))
    tables = _first(root, "usr/sbin/xtables-legacy-multi").relative_to(root)
    ip = _first(root, "usr/bin/ip", "bin/ip").relative_to(root)
    for name, program, first in (("iptables", tables, "iptables"), ("ip6tables", tables, "ip6tables"), ("ip", ip, "")):
        wrapper = root / "lab-bin" / name
        wrapper.write_text(
            "#!/bin/sh\n"
            'root="${0%/*}/.."\n'
            'export LD_LIBRARY_PATH="$root/lab-lib" XTABLES_LIBDIR="$root/lab-lib/xtables"\n'
            f'exec "$root/{program}" {first} "$@"\n'
        )
        wrapper.chmod(0o755)
    shutil.copy2(_first(root, "usr/bin/busybox", "bin/busybox"), root / "lab-bin/busybox")
