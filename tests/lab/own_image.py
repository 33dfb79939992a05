"""Dockrev's own image, built from this tree by the Containerfile on the lab's engine.

    images = own_images(lab)          # {"0.1.0": "127.0.0.1:PORT/homelab/own-dockrev:0.1.0", "0.2.0": …, "0.3.0": …}

0.3.0 ends as soon as it starts, 0.3.1 stays and never answers. What was built is kept in the lab's cache folder under
the hash of what went into it, so a second lab loads it. `python -m tests.lab.own_image` builds it and says how large it
is.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from app.core.db.migrate import revisions
from tests.lab.debian_image import debian_image, debian_tar, import_folder, tools_image
from tests.lab.errors import LabUnavailable
from tests.lab.lab import Lab
from tests.lab.packages import PROJECT, lab_dir, lab_lock

REPOSITORY = "homelab/own-dockrev"  # never the one of `selfupgrade`, whose stand-ins have the same tags
LOCAL = "lab/dockrev"
WHEELS = "lab/wheels:1"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
GOOD, BROKEN, SILENT = ("0.1.0", "0.2.0"), "0.3.0", "0.3.1"
_BUILD_SECONDS = 400
_COPIED = ("Containerfile", ".dockerignore", ".ci/bare", "pyproject.toml", "README.md", "LICENSE", "requirements.lock")
_FOLDERS = ("app", "templates", "static", "migrations")
# Ends each time it is started: an upgrade notices after three restarts.
_ENDS = "print('Dockrev 0.3.0 cannot start: this is the version that fails', flush=True); raise SystemExit(3)"
# Runs, says so, obeys SIGTERM, and has no port open: what an upgrade must notice by itself.
_NEVER_ANSWERS = (
    "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print('starting', flush=True); signal.pause()"
)


def schema() -> str:
    """The newest revision of the database's schema in this tree."""
    return revisions(PROJECT / "migrations")[-1]


@functools.cache
def revision() -> str:
    """The commit this tree is at (when first asked); `unknown` outside of git."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, timeout=20)
    return done.stdout.strip() or "unknown"


def own_version() -> str:
    """The version in pyproject.toml."""
    found = re.search(r'^version = "([^"]+)"', (PROJECT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1]


def prefetch() -> None:
    """What has to be fetched or made before the first build. Raises `LabUnavailable`."""
    debian_tar()
    wheels()


def wheels() -> Path:
    """A folder with every wheel that the lock names (and the one that is packed here), filled once for each lock."""
    locks = [(PROJECT / name).read_bytes() for name in ("requirements.lock", "requirements-dev.lock")]
    target = lab_dir() / f"wheels-{hashlib.sha256(b''.join(locks)).hexdigest()[:12]}"
    with lab_lock("wheels"):
        if target.is_dir():
            return target
        _forget_others(target, "wheels-*")
        partial = target.with_name("wheels.partial")
        setuptools = re.search(r"^setuptools==.*?(?<!\\)$", locks[1].decode(), re.MULTILINE | re.DOTALL)
        assert setuptools, "setuptools is no longer in requirements-dev.lock"
        pinned = lab_dir() / "setuptools.lock"
        pinned.write_text(setuptools[0] + "\n", encoding="utf-8")
        # the image's Python, whatever this one is
        kind = [
            "--python-version",
            "3.11",
            "--implementation",
            "cp",
            "--only-binary",
            ":all:",
            "--no-binary",
            "http-ece",
        ]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps"]
        for lock in (pinned, PROJECT / "requirements.lock"):
            command = [*pip, "--require-hashes", "--dest", str(partial), "--requirement", str(lock)]
            if sys.version_info[:2] != (3, 11):
                command += kind
            done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS)
            if done.returncode != 0:
                raise LabUnavailable(f"the libraries can't be fetched: {done.stderr.strip()[-300:]}")
        partial.rename(target)
    return target


def wheels_image(lab: Lab) -> str:
    """The wheels as an image: the Containerfile's WHEELS."""
    if not lab.docker("images", "--quiet", WHEELS).strip():
        import_folder(lab, wheels(), WHEELS)
    return WHEELS


def build(lab: Lab, version: str, *, target: str = "full", wheelhouse: bool = True) -> str:
    """Build this tree as `version`; returns the name on the lab's engine. Steps are not repeated without need."""
    name = f"{LOCAL}:{version}{'' if target == 'full' else f'-{target}'}"
    arguments = {
        "BASE": debian_image(lab),
        "TOOLS": tools_image(lab),
        "VERSION": version,
        "SCHEMA": schema(),
        "REVISION": revision(),
    }
    if wheelhouse:
        arguments["WHEELS"] = wheels_image(lab)
    docker_build(lab, name, arguments, target)
    return name


def docker_build(lab: Lab, name: str, arguments: Mapping[str, str], target: str) -> None:
    """Run the Containerfile over this tree. Raises RuntimeError with the end of the output."""
    command = [str(lab.docker_bin), "build", "--network", "host", "--progress", "plain", "--file", "Containerfile"]
    command += ["--target", target, "--tag", name]
    command += [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
    if CERTIFICATES.exists():
        command += ["--secret", f"id=ca,src={CERTIFICATES}"]
    done = subprocess.run(
        [*command, "."],
        cwd=PROJECT,
        env={**lab.env(), "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"docker build failed:\n{done.stderr[-3000:]}")


def derive(lab: Lab, base: str, version: str, *lines: str) -> str:
    """An image of one more step over a built one (`LABEL …`, `ENTRYPOINT …`); returns its name on the engine."""
    folder = lab.folder / "derived" / version
    folder.mkdir(parents=True, exist_ok=True)
    text = [f"FROM {base}", f"LABEL org.opencontainers.image.version={version}", *lines]
    (folder / "Containerfile").write_text("\n".join(text) + "\n")
    name = f"{LOCAL}:{version}"
    lab.docker("build", "--quiet", "--file", str(folder / "Containerfile"), "--tag", name, str(folder), timeout=120)
    return name


def built(lab: Lab) -> dict[str, str]:
    """Version → name on the lab's engine of 0.1.0 (also as `slim`) and 0.2.0, from this tree.

    Takes some 30 s where the base and the libraries are at hand, five where this very tree was built before.
    """
    names = {version: f"{LOCAL}:{version}" for version in GOOD} | {"slim": f"{LOCAL}:{GOOD[0]}-slim"}
    kept = lab_dir() / f"own-image-{_fingerprint()}.tar"
    with lab_lock("own-image"):
        if kept.exists():
            lab.docker("load", "--input", str(kept), timeout=120)
        else:
            for version in GOOD:
                build(lab, version)
            build(lab, GOOD[0], target="slim")
            _forget_others(kept, "own-image-*.tar")
            lab.docker("save", "--output", str(kept), *names.values(), timeout=180)
    return names


def own_images(lab: Lab) -> dict[str, str]:
    """Version → reference in the lab's open registry: 0.1.0, 0.2.0, 0.3.0 (ends at once), 0.3.1 (never answers)."""
    names = built(lab)
    for version, program in ((BROKEN, _ENDS), (SILENT, _NEVER_ANSWERS)):
        entry = json.dumps(["python3", "-c", program])
        derive(lab, names[GOOD[1]], version, f"ENTRYPOINT {entry}", "CMD []")
    return {version: publish(lab, f"{LOCAL}:{version}", version) for version in (*GOOD, BROKEN, SILENT)}


def publish(lab: Lab, name: str, tag: str) -> str:
    """Push an image of the engine to the lab's open registry; returns the reference."""
    reference = lab.registry.ref(REPOSITORY, tag)
    lab.docker("tag", name, reference)
    lab.docker("push", "--quiet", reference, timeout=180)
    return reference


def _fingerprint() -> str:
    """Of everything that gets into the image."""
    found = hashlib.sha256(f"{debian_tar().stat().st_mtime_ns} {revision()}".encode())
    for path in _files():
        found.update(str(path.relative_to(PROJECT)).encode() + path.read_bytes())
    return found.hexdigest()[:16]


def _files() -> Iterable[Path]:
    yield from (PROJECT / name for name in _COPIED)
    for folder in _FOLDERS:
        yield from sorted(
            path for path in (PROJECT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts
        )


def _forget_others(keep: Path, pattern: str) -> None:
    """Another tree's are of no use any more."""
    for other in keep.parent.glob(pattern):
        if other.is_dir():
            subprocess.run(["rm", "-rf", str(other)], check=True, timeout=60)
        elif other != keep:
            other.unlink()


def sizes(lab: Lab) -> dict[str, float]:
    """Megabytes (10⁶ bytes, unpacked) of each part and of the whole, with and without the docker CLI and Compose."""
    history = lab.docker(
        "history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", f"{LOCAL}:0.1.0"
    )
    parts = {
        "COPY /programs": "tools",
        "COPY /program ": "dockrev",
        "COPY /opt/venv": "libraries",
        "COPY /root": "debian",
    }
    found: dict[str, float] = {}
    for line in history.splitlines():
        size, _, step = line.partition(" ")
        for start, name in parts.items():
            if step.startswith(start):
                found[name] = int(size) / 1e6
    for name, image in (("slim", f"{LOCAL}:0.1.0-slim"), ("full", f"{LOCAL}:0.1.0")):
        found[name] = int(lab.docker("image", "inspect", "--format", "{{.Size}}", image)) / 1e6
    return found


def main() -> int:
    """Build, and print the sizes; 0 also where the lab cannot run, which is said."""
    try:
        prefetch()
        with Lab() as lab:
            built(lab)
            found = sizes(lab)
    except LabUnavailable as error:
        print(f"image not built: {error.reason}")
        return 0
    for name in ("debian", "libraries", "dockrev", "tools"):
        print(f"  {name:10} {found[name]:6.1f} MB")
    print(f"image {found['slim']:.0f} MB without docker CLI and Compose, {found['full']:.0f} MB with them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
