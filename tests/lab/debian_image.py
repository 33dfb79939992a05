"""A Debian 12 image where none can be pulled: what the Containerfile builds on, and real proxies to stand before it.

Made once by mmdebstrap (some 40 s) and kept as a tar in the lab's cache folder. It has nginx, Caddy and HAProxy in it,
so that the tests of `docs/deploy` need no image besides.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.archive import find_archive, machine_codename
from tests.lab.errors import LabUnavailable
from tests.lab.lab import Lab
from tests.lab.packages import fetch, lab_dir, lab_lock

DEBIAN = "lab/debian:12"
TOOLS = "lab/tools:1"
_PACKAGES = ("python3-venv", "ca-certificates", "binutils", "tzdata", "netbase", "libsqlite3-0")
_PROXIES = ("nginx-light", "caddy", "haproxy")
_LIMIT_SECONDS = 400


def debian_tar() -> Path:
    """The root file system, made when it is not there yet. Raises `LabUnavailable` with the reason."""
    target = lab_dir() / "debian-12.tar"
    with lab_lock("debian-image"):
        if not target.exists():
            _make(target)
    return target


def _make(target: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("perl") or not shutil.which("unshare"):
        raise LabUnavailable("a Debian image is made by root, with perl and unshare")
    source = find_archive(machine_codename()).line("bookworm").strip()
    program = fetch("mmdebstrap") / "usr/bin/mmdebstrap"
    partial = target.with_name("debian-12.partial.tar")
    partial.unlink(missing_ok=True)
    # a mount namespace of its own: nothing that is mounted for the packages' scripts is seen outside, or stays
    isolate = ["unshare", "--mount", "perl", str(program), "--mode=root", "--quiet"]
    wanted = ["--variant=minbase", f"--include={','.join((*_PACKAGES, *_PROXIES))}", "bookworm", str(partial), source]
    done = subprocess.run([*isolate, *wanted], capture_output=True, text=True, timeout=_LIMIT_SECONDS)
    if done.returncode != 0:
        raise LabUnavailable(f"a Debian image can't be made here: {' '.join(done.stderr.strip().splitlines()[-3:])}")
    partial.rename(target)


def debian_image(lab: Lab) -> str:
    """The name of the image on the lab's engine."""
    if not lab.docker("images", "--quiet", DEBIAN).strip():
        lab.docker("import", str(debian_tar()), DEBIAN, timeout=120)
    return DEBIAN


def tools_image(lab: Lab) -> str:
    """The lab's docker CLI and Compose where docker's own image has them: the Containerfile's TOOLS."""
    if not lab.docker("images", "--quiet", TOOLS).strip():
        folder = lab.folder / "tools"
        for program, place in (
            (lab.docker_bin, "usr/local/bin/docker"),
            (lab.compose_bin, "usr/local/libexec/docker/cli-plugins/docker-compose"),
        ):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(program, folder / place)
        import_folder(lab, folder, TOOLS)
        shutil.rmtree(folder)
    return TOOLS


def import_folder(lab: Lab, folder: Path, name: str) -> None:
    """An image of one layer with just these files."""
    archive = folder.with_name(folder.name + ".tar")
    subprocess.run(["tar", "--directory", str(folder), "--create", "--file", str(archive), "."], check=True, timeout=60)
    lab.docker("import", str(archive), name, timeout=120)
    archive.unlink()
