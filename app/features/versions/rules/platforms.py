"""Platforms: what the host is, and whether an image runs on it (spec §1, §7.3). Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

ArchMatch = Literal["match", "mismatch", "unknown"]

_MACHINES = {
    "x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "armv8l": "arm64", "armv7l": "arm/v7",
    "armv7": "arm/v7", "armv6l": "arm/v6", "i386": "386", "i686": "386", "ppc64le": "ppc64le", "s390x": "s390x",
    "riscv64": "riscv64", "loongarch64": "loong64",
}  # fmt: skip


def host_platform(configured: str | None, machine: str) -> str:
    """`os/arch[/variant]`: the owner's DOCKREV_HOST_PLATFORM, else derived from `platform.machine()`."""
    if configured and configured.strip():
        return configured.strip().lower()
    return "linux/" + _MACHINES.get(machine.lower(), machine.lower() or "unknown")


def arch_match(arch: Collection[str], host: str) -> ArchMatch:
    """Whether a manifest's platforms include the host's; an empty list says nothing either way."""
    if not arch:
        return "unknown"
    offered = {_comparable(platform) for platform in arch}
    wanted = _comparable(host)
    return "match" if wanted in offered or "/".join(wanted.split("/")[:2]) in offered else "mismatch"


def _comparable(platform: str) -> str:
    """`linux/arm64/v8` is what plain `linux/arm64` means."""
    lowered = platform.lower()
    return lowered.removesuffix("/v8") if lowered.endswith("arm64/v8") else lowered
