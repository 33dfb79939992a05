"""Which services run the image of a GitHub repository (spec §9.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from app.adapters.registry import ImageRef, InvalidReference
from app.features.stacks import ServiceRecord

REGISTRY: Final = "ghcr.io"


def repo_of(service: ServiceRecord) -> str | None:
    """Lower-case `owner/repo` of an image `ghcr.io/owner/repo`; None for any other image."""
    try:
        image = ImageRef.parse(service.image_ref)
    except InvalidReference:
        return None
    return image.name.lower() if image.registry == REGISTRY and image.name.count("/") == 1 else None


def deployed_repos(services: Iterable[ServiceRecord]) -> set[str]:
    """Lower-case full names of the repositories whose images run here."""
    return {name for service in services if (name := repo_of(service)) is not None}


def users_of(full_name: str, services: Iterable[ServiceRecord]) -> list[ServiceRecord]:
    """The services with the image of exactly this repository, whatever the case of its name."""
    wanted = full_name.lower()
    return [service for service in services if repo_of(service) == wanted]
