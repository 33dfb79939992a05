"""Platforms of a manifest list and the choice among them (spec §7.3)."""

from __future__ import annotations

from collections.abc import Mapping


def platform_key(os: str, architecture: str, variant: str = "") -> str:
    """`os/arch[/variant]`, lower-case, as the registry lists it."""
    return "/".join(part.lower() for part in (os, architecture, variant) if part)


def select_platform(children: Mapping[str, str], host: str) -> str | None:
    """Digest of the child for the host: the exact platform, else the only one of the same os/arch, else None."""
    wanted = _comparable(host)
    exact = {digest for platform, digest in children.items() if _comparable(platform) == wanted}
    if exact:
        return min(exact)
    family = _without_variant(wanted)
    near = {digest for platform, digest in children.items() if _without_variant(_comparable(platform)) == family}
    return near.pop() if len(near) == 1 else None


def _comparable(platform: str) -> str:
    """`linux/arm64/v8` is what plain `linux/arm64` means; registries use either."""
    lowered = platform.lower()
    return lowered.removesuffix("/v8") if lowered.endswith("arm64/v8") else lowered


def _without_variant(platform: str) -> str:
    return "/".join(platform.split("/")[:2])
