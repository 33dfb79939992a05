"""Pull progress in the CLI's words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.compose import PullLines, pull_message
from app.adapters.compose.pull_output import parse_size

ID = "d1aab432c6de"
TEXT = (
    f" web Pulling \r\n {ID} Pulling fs layer \n\x1b[1A\x1b[2K {ID} Downloading [==>   ]  1.5MB/3MB\r"
    f" {ID} Downloading [=====>] 3MB/3MB\r\x1b[32m {ID} Download complete\x1b[0m\n {ID} Pull complete\n web Pulled"
)


def message(status: str, **detail: int) -> dict[str, Any]:
    return {"id": ID, "status": status, "progressDetail": detail}


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (f" {ID} Downloading [>    ]  12B/1.5KiB", message("Downloading", current=12, total=1536)),
        (f"{ID}: Downloading  2.5 GB / 10 GB", message("Downloading", current=5 << 29, total=10 << 30)),
        (f"{ID}: Downloading  7kB", message("Downloading", current=7 << 10)),
        (f"{ID} Downloading", message("Downloading")),
        (f" {ID} Already exists ", message("Already exists")),
        (f" {ID} Retrying in 5 seconds ", message("Retrying in 5 seconds")),
        (f" {ID} Extracting [==>] 5s", message("Extracting")),
        (" web Pulling", None),
        (" downloads Downloading 3MB/4MB", None),
        ("", None),
        ("Digest: sha256:" + "0" * 64, {"status": "Digest: sha256:" + "0" * 64}),
    ],
)
def test_frames(frame: str, found: dict[str, Any] | None) -> None:
    assert pull_message(frame) == found


@given(st.integers(1, len(TEXT)))
def test_pieces_of_any_size_give_the_same(size: int) -> None:
    reader = PullLines()
    found = [m for i in range(0, len(TEXT), size) for m in reader.feed(TEXT[i : i + size])] + list(reader.end())
    assert found == [
        message("Pulling fs layer"),
        message("Downloading", current=3 << 19, total=3 << 20),
        message("Downloading", current=3 << 20, total=3 << 20),
        message("Download complete"),
        message("Pull complete"),
    ]


def test_a_line_without_end_is_bounded() -> None:
    reader = PullLines()
    for _ in range(100):
        assert list(reader.feed("x" * 100_000)) == []
    assert len(reader._pending) <= 4_096


SIZES = [("1", "B", 1), ("1", "kB", 1024), ("1.5", "MiB", 3 << 19), ("2", "TB", 2 << 40)]


@pytest.mark.parametrize(("number", "unit", "size"), SIZES)
def test_sizes_are_binary(number: str, unit: str, size: int) -> None:
    assert parse_size(number, unit) == size
