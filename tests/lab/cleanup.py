"""Remove what stacks left on an engine, found by Compose's labels and by registry.

Also a program, for the janitor: `python -m tests.lab.cleanup DOCKER HOST project=NAME… registry=HOST:PORT…`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_KINDS = (
    (("container", "ls", "--all"), ("container", "rm", "--force", "--volumes")),
    (("network", "ls"), ("network", "rm")),
    (("volume", "ls"), ("volume", "rm", "--force")),
)


def _run(docker: Path, docker_host: str, *arguments: str) -> list[str]:
    command = [str(docker), "--host", docker_host, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return done.stdout.split()


def remove_projects(docker: Path, docker_host: str, projects: Iterable[str]) -> None:
    """Remove containers, networks and volumes that Compose labelled with one of the projects."""
    filters = [f"label=com.docker.compose.project={project}" for project in projects]
    for listing, removal in _KINDS:
        found: set[str] = set()
        for each in filters:
            found.update(_run(docker, docker_host, *listing, "--quiet", "--filter", each))
        if found:
            _run(docker, docker_host, *removal, *sorted(found))


def remove_images(docker: Path, docker_host: str, registries: Iterable[str]) -> None:
    """Remove every image pulled from one of the registries (`127.0.0.1:PORT`)."""
    for registry in registries:
        for reference in (f"{registry}/*", f"{registry}/*/*", f"{registry}/*/*/*"):
            found = set(_run(docker, docker_host, "image", "ls", "--quiet", "--filter", f"reference={reference}"))
            if found:
                _run(docker, docker_host, "image", "rm", "--force", *sorted(found))


def _main(docker: str, docker_host: str, *what: str) -> None:
    named = [item.partition("=") for item in what]
    remove_projects(Path(docker), docker_host, [value for key, _, value in named if key == "project"])
    remove_images(Path(docker), docker_host, [value for key, _, value in named if key == "registry"])


if __name__ == "__main__":
    _main(*sys.argv[1:])
