"""Repositories full of versions, tagged the ways that real projects tag theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.lab.images import Samples
from tests.lab.registry import Registry

FamilyName = Literal["semver", "v_prefixed", "variants", "calendar", "nightly"]


@dataclass(frozen=True)
class Family:
    """Version tags from old to new, and floating tags with the version each one points to."""

    versions: tuple[str, ...]
    floating: dict[str, str]


FAMILIES: dict[FamilyName, Family] = {
    "semver": Family(
        ("1.0.0", "1.1.0", "1.2.0", "1.2.1", "2.0.0-rc.1", "2.0.0", "2.1.0"),
        {"1": "1.2.1", "1.2": "1.2.1", "2": "2.1.0", "2.1": "2.1.0", "latest": "2.1.0"},
    ),
    "v_prefixed": Family(
        ("v0.9.0", "v0.9.1", "v0.10.0", "v1.0.0"), {"v0": "v0.10.0", "v1": "v1.0.0", "latest": "v1.0.0"}
    ),
    "variants": Family(
        ("3.1.0", "3.1.0-alpine", "3.1.0-slim", "3.2.0", "3.2.0-alpine", "3.2.0-slim"),
        {"3": "3.2.0", "3-alpine": "3.2.0-alpine", "alpine": "3.2.0-alpine", "latest": "3.2.0"},
    ),
    "calendar": Family(
        ("2025.9.0", "2025.11.2", "2025.12.0", "2026.1.0", "2026.1.1"), {"stable": "2026.1.0", "latest": "2026.1.1"}
    ),
    "nightly": Family(("nightly-20260103", "nightly-20260104", "nightly-20260105"), {"nightly": "nightly-20260105"}),
}


def publish_family(registry: Registry, repo: str, name: FamilyName, samples: Samples) -> dict[str, str]:
    """Publish a family of good images, a digest of its own per version. Tag → digest."""
    family = FAMILIES[name]
    made = {tag: registry.publish(repo, tag, samples.good(tag)) for tag in family.versions}
    for tag, version in family.floating.items():
        made[tag] = registry.retag(repo, version, tag)
    return made
