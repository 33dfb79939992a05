"""Sample images that really run: a static busybox, a tiny program and its health check.

Every image serves its version at port 80 (`GET /`), stops at once on SIGTERM, and has a digest of its own
per version. Health checks run every second, so that a gate is decided in seconds.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tests.lab.builder import Health, Layer, Spec, layer
from tests.lab.packages import Tools

_APPLETS = (
    "sh cat ls echo sleep true false httpd wget nslookup nc ping kill ps grep sed awk head tail date touch mkdir rm "
    "mv cp test printf env id seq wc du df find tar sha256sum dd ip hostname od"
)

# The trap makes `docker stop` immediate: PID 1 gets no default action for SIGTERM.
_RUN = """#!/bin/sh
trap 'echo "stopping"; exit 0' TERM INT
echo "{name} {version} starting"
mkdir -p /www /data
echo "{name} {version}" > /www/index.html
{before}
httpd -f -p 80 -h /www &
echo "{name} {version} ready"
while :; do sleep 3600 & wait $!; done
"""

_HEALTHY = "wget -q -O - http://127.0.0.1/ || exit 1"


@functools.cache
def busybox_layer(busybox: Path) -> Layer:
    """The base layer: busybox with links for its applets."""
    files: dict[str, bytes | str] = {"bin/busybox": busybox.read_bytes()}
    files |= {f"bin/{name}": "->busybox" for name in _APPLETS.split()}
    files |= {"etc/passwd": "root:x:0:0:root:/:/bin/sh\n", "etc/group": "root:x:0:\n", "tmp/.keep": ""}
    return layer(files, {"bin/busybox": 0o755}, level=1)


class Samples:
    """Specs of the sample images, all named after one invented program."""

    def __init__(self, tools: Tools, name: str = "paperboy") -> None:
        self._base = busybox_layer(tools.busybox)
        self.name = name

    def _spec(self, version: str, before: str = "", labels: Mapping[str, str] | None = None) -> Spec:
        script = _RUN.format(name=self.name, version=version, before=before)
        return Spec(
            layers=(self._base, layer({"app/run": script, "app/version": version + "\n"}, {"app/run": 0o755})),
            labels={
                "org.opencontainers.image.title": self.name,
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.source": f"https://git.example.org/homelab/{self.name}",
                **(labels or {}),
            },
            ports=(80,),
        )

    def good(self, version: str, labels: Mapping[str, str] | None = None) -> Spec:
        """Serves and becomes healthy about a second after its start."""
        return replace(self._spec(version, labels=labels), health=Health(_HEALTHY))

    def never_healthy(self, version: str) -> Spec:
        """Runs, but its health check fails with a message; `unhealthy` after three seconds."""
        command = 'echo "migration 7 failed: table items is locked" >&2; exit 1'
        return replace(self._spec(version), health=Health(command))

    def no_healthcheck(self, version: str) -> Spec:
        """Serves; nothing says whether it is well."""
        return self._spec(version)

    def crash_looping(self, version: str, *, exit_code: int = 3) -> Spec:
        """Ends with an error right after its start."""
        crash = f'echo "fatal: setting HOMEPAGE_TITLE is missing" >&2\nexit {exit_code}'
        return replace(self._spec(version, before=crash), health=Health(_HEALTHY))

    def slow_start(self, version: str, seconds: float, *, start_period: float = 0.0) -> Spec:
        """Healthy only after `seconds`; the check's retries (or start period) are long enough for that."""
        health = Health(_HEALTHY, start_period=start_period, retries=max(3, int(seconds) + 5))
        return replace(self._spec(version, before=f"sleep {seconds}"), health=health)

    def ignores_stop(self, version: str) -> Spec:
        """Healthy, but never reacts to SIGTERM."""
        return replace(self._spec(version, before="trap '' TERM"), health=Health(_HEALTHY))

    def big(self, version: str, *, layers: int = 4, megabytes: float = 5) -> Spec:
        """Like `good` with layers of random bytes on top, to watch a pull's progress."""
        spec = self.good(version)
        size = int(megabytes * 1_000_000)
        noise = random.Random(f"{self.name} {version}")
        blobs = tuple(layer({f"data/{i}.bin": noise.randbytes(size)}, level=0) for i in range(layers))
        return replace(spec, layers=(*spec.layers, *blobs))

    def for_arch(self, version: str, arch: str) -> Spec:
        """`good` declared for another architecture (for instance `arm64` or `arm/v7`)."""
        return replace(self.good(version), arch=arch)
