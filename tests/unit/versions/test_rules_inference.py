from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.versions.rules import (
    budget_seconds,
    clear_allowed,
    consider_tags,
    display_tag,
    resolved_tag,
    resolved_tags,
)


def test_anchors_then_versions_then_names() -> None:
    tags = ["latest", "1.0.0", "1.1.0", "edge", "2.0.0", "stable"]
    assert consider_tags(tags, ["stable", "gone"]) == ["stable", "2.0.0", "1.1.0", "1.0.0", "latest", "edge"]


def test_forty_at_most_and_twenty_names_at_most() -> None:
    many = [f"1.{minor}.0" for minor in range(300)]
    names = [f"branch{number}" for number in range(100)]
    assert consider_tags([*many, *names], ["latest"]) == [f"1.{minor}.0" for minor in range(299, 259, -1)]
    assert len(consider_tags([*names, "1.0.0"], [])) == 21
    assert len(consider_tags(many, ["1.0.0"], limit=5)) == 5


def test_the_series_of_an_anchor_comes_before_newer_ones() -> None:
    tags = [f"{major}.{minor}{variant}" for major in range(10, 20) for minor in range(9) for variant in ("", "-alpine")]
    tags += ["16-alpine", "17", "latest"]
    chosen = consider_tags(tags, ["16-alpine", "17"])
    assert chosen[:2] == ["16-alpine", "17"]
    assert chosen[2:6] == ["16.8-alpine", "17.8", "16.7-alpine", "17.7"]
    assert len(chosen) == 40
    assert "19.8" in chosen


@given(
    st.lists(st.from_regex(r"[a-z0-9.]{1,6}", fullmatch=True), max_size=120),
    st.lists(st.sampled_from(["1", "1.2", "latest"])),
)
def test_considers_only_existing_tags_once(tags: list[str], anchors: list[str]) -> None:
    chosen = consider_tags(tags, anchors)
    assert len(chosen) == len(set(chosen)) <= 40
    assert set(chosen) <= set(tags)


@pytest.mark.parametrize(("considered", "seconds"), [(0, 20), (10, 20), (40, 20), (60, 30), (1000, 90)])
def test_budget(considered: int, seconds: float) -> None:
    assert budget_seconds(considered) == seconds


@pytest.mark.parametrize(
    ("tags", "raw", "best", "every"),
    [
        (["latest", "1.4", "1.4.2", "1"], "latest", "1.4.2", ["1.4.2", "1.4", "1"]),
        (["1.4", "1.4.2"], "1.4", "1.4.2", ["1.4.2", "1.4"]),
        (["1.22", "1", "latest"], "1.22", None, ["1.22", "1"]),
        (["latest", "stable"], "latest", None, []),
        (["16-alpine", "16.6-alpine3.20", "16.6-alpine"], "16-alpine", "16.6-alpine",
         ["16.6-alpine", "16.6-alpine3.20", "16-alpine"]),
        (["20240102", "2.1.0", "latest"], "latest", "2.1.0", ["2.1.0", "20240102"]),
        (["20240102", "latest"], "latest", "20240102", ["20240102"]),
        ([], "latest", None, []),
    ],
)  # fmt: skip
def test_the_highest_version_that_says_more(tags: list[str], raw: str, best: str | None, every: list[str]) -> None:
    assert resolved_tag(tags, raw) == best
    assert resolved_tags(tags) == every
    assert display_tag(raw, best) == (best or raw)


@dataclass
class Scan:
    complete: bool


def test_only_a_complete_scan_clears() -> None:
    assert clear_allowed(Scan(True))
    assert not clear_allowed(Scan(False))
