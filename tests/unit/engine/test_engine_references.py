"""What may become part of an address of the engine."""

from __future__ import annotations

import pytest

from app.adapters.engine import NoSuchContainer, NoSuchImage
from app.adapters.engine.references import container_ref, image_ref, split_ref


@pytest.mark.parametrize(
    ("ref", "parts"),
    [
        ("nginx", ("nginx", "latest")),
        ("nginx:1.25", ("nginx", "1.25")),
        ("r.example:5000/a/b", ("r.example:5000/a/b", "latest")),
        ("r.example:5000/a/b:2", ("r.example:5000/a/b", "2")),
        ("a/b@sha256:ff", ("a/b", "sha256:ff")),
        ("r:5000/a/b:2@sha256:ff", ("r:5000/a/b", "sha256:ff")),
    ],
)
def test_split(ref: str, parts: tuple[str, str]) -> None:
    assert split_ref(ref) == parts


@pytest.mark.parametrize("hostile", ["", "-x", "../images/json", "a/b", "a?force=1", "x\n", "a" * 300, "ä"])
def test_no_container_leads_elsewhere(hostile: str) -> None:
    with pytest.raises(NoSuchContainer):
        container_ref(hostile)


@pytest.mark.parametrize("hostile", ["", "-x", "../../containers", "a//b", "a b", "a?x", "x\x1b[0m", "a" * 1_000_000])
def test_no_image_leads_elsewhere(hostile: str) -> None:
    with pytest.raises(NoSuchImage):
        image_ref(hostile)
