"""What may be put into an address of the engine: ids, names and image references that cannot leave their place."""

from __future__ import annotations

import re

from app.adapters.engine.errors import NoSuchContainer, NoSuchImage

_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,511}")


def container_ref(given: str) -> str:
    """`given` if it can be an id or a name. Raises NoSuchContainer."""
    if not _CONTAINER.fullmatch(given):
        raise NoSuchContainer(f"{given[:64]!a} cannot be the id or name of a container")
    return given


def image_ref(given: str) -> str:
    """`given` if it can be an image id or reference. Raises NoSuchImage."""
    if not _IMAGE.fullmatch(given) or ".." in given or "//" in given:
        raise NoSuchImage(f"{given[:64]!a} cannot be the name of an image")
    return given


def split_ref(ref: str) -> tuple[str, str]:
    """(repository, tag or digest) as the engine's create and tag calls want them; a digest wins over a tag."""
    image_ref(ref)
    name, _, digest = ref.partition("@")
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        head, tag = name, ""
    return head, digest or tag or "latest"
