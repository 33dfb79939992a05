from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.versions.rules import (
    Version,
    family,
    is_downgrade,
    is_strict,
    lenient_semver,
    needs_inference,
    sort_tags,
)


@pytest.mark.parametrize(
    ("tag", "prefix", "numbers", "variant"),
    [
        ("1", "", (1,), ""),
        ("16", "", (16,), ""),
        ("v1.2", "v", (1, 2), ""),
        ("V1.2.3", "V", (1, 2, 3), ""),
        ("24.04.9.2", "", (24, 4, 9, 2), ""),
        ("1.2.3-alpine", "", (1, 2, 3), "alpine"),
        ("3.12-slim-bookworm", "", (3, 12), "slim-bookworm"),
        ("7.4.1-alpine3.20", "", (7, 4, 1), "alpine3.20"),
        ("1.2.3_php8.3", "", (1, 2, 3), "php8.3"),
        ("2024.11.1", "", (2024, 11, 1), ""),
        ("20240102", "", (20240102,), ""),
        ("2024-01-02", "", (2024, 1, 2), ""),
        ("2024-01", "", (2024, 1), ""),
        ("RELEASE.2024-01-16T16-07-38Z", "RELEASE.", (2024, 1, 16, 16, 7, 38), ""),
        ("nightly-20240101", "nightly-", (20240101,), ""),
        ("release-1.2.3", "release-", (1, 2, 3), ""),
        ("pg14-v0.2.0", "pg14-v", (0, 2, 0), ""),
        ("1.2.3-ls45", "", (1, 2, 3), "ls45"),
    ],
)
def test_reads_tags_as_people_write_them(tag: str, prefix: str, numbers: tuple[int, ...], variant: str) -> None:
    version = Version.parse(tag)
    assert version is not None
    assert (version.prefix, version.numbers, version.variant, version.text) == (prefix, numbers, variant, tag)


@pytest.mark.parametrize(
    "tag",
    [
        "", "latest", "stable", "alpine", "alpine3.19", "edge", "main", "sha-1234567", "pr-12", "1.2.x", "1.2.3.4.5",
        "v", "x1", "1x", "٣.١", "1.2.3\n", "2024-13-01", "9999-01-01", "a" * 200, "1" * 40, "1." + "2" * 30, "-1", ".1",
        "1..2",
    ],
)  # fmt: skip
def test_everything_else_is_not_a_version(tag: str) -> None:
    assert Version.parse(tag) is None
    assert lenient_semver(tag) is None


@pytest.mark.parametrize(
    ("tag", "calendar", "stamp"),
    [
        ("2024.11.1", True, False), ("20240101", True, True), ("2024-01-02", True, True), ("202401021530", True, True),
        ("1.2.3", False, False), ("24.04", False, False), ("2024.13.1", False, False), ("12345678", False, False),
        ("nightly-20240101", True, True),
    ],
)  # fmt: skip
def test_tells_dates_from_versions(tag: str, calendar: bool, stamp: bool) -> None:
    version = Version.parse(tag)
    assert version is not None
    assert (version.is_calendar, version.is_stamp) == (calendar, stamp)


@pytest.mark.parametrize(
    "ascending",
    [
        ["1.0.0-alpha.1", "1.0.0-beta1", "1.0.0-rc.2", "1.0.0-rc10", "1.0.0", "1.0.0-1", "1.0.0-2", "1.0.1", "1.10.0"],
        ["3.13.0a1", "3.13.0b2", "3.13.0rc1", "3.13.0"],
        ["1.2.3-alpine3.9", "1.2.3-alpine3.19", "1.2.4-alpine3.9"],
        ["1.2.3-ls9", "1.2.3-ls45", "1.2.3-ls101"],
        ["v1.9", "1.10", "v1.11"],
        ["1", "1.0", "1.0.0", "1.0.1"],
        ["2024.1.5", "2024.2.0", "2024.11.1"],
        ["RELEASE.2024-01-16T16-07-38Z", "RELEASE.2024-01-16T18-00-00Z", "RELEASE.2024-02-01T00-00-00Z"],
    ],
)
def test_orders_within_a_family(ascending: list[str]) -> None:
    assert len({family(tag) for tag in ascending}) == 1
    assert sort_tags(reversed(ascending)) == list(reversed(ascending))


def test_families_keep_apart_what_cannot_be_compared() -> None:
    apart = ["1.2.3", "1.2.3-alpine", "1.2.3-slim", "release-1.2.3", "2024.1.1"]
    assert len({family(tag) for tag in apart}) == len(apart)
    assert family("1.2-alpine3.19") == family("v1.3-alpine3.20")
    assert family("latest") is None


def test_sorts_versions_then_stamps_then_names() -> None:
    tags = ["latest", "1.4", "20240101", "1.4.2", "edge", "1", "1.4.2-alpine", "20240301", "1.4.2", "stable"]
    assert sort_tags(tags) == [
        "1.4.2", "1.4.2-alpine", "1.4", "1", "20240301", "20240101", "stable", "latest", "edge",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "strict"),
    [
        ("1.2.3", True), ("v1.2.3", True), ("1.2.3-rc.1", True), ("1.2.3-alpine", True), ("1.2.3+build.5", True),
        ("2024.11.1", True), ("1", False), ("1.2", False), ("16-alpine", False), ("latest", False), ("1.2.3.4", False),
        ("1.2.3_1", False), ("2024-01-02", False), ("", False), ("1.2.3-", False),
    ],
)  # fmt: skip
def test_only_full_versions_need_no_inference(tag: str, strict: bool) -> None:
    assert is_strict(tag) == strict
    assert needs_inference(tag) != strict


@pytest.mark.parametrize(
    ("tag", "parsed"),
    [
        ("1", (1, 0, 0, ())), ("v1.2", (1, 2, 0, ())), ("1.2.3-alpine", (1, 2, 3, ())),
        ("1.2.3-rc.1", (1, 2, 3, ("rc", "1"))), ("release-1.2.3", None), ("2024-01-02", None),
        ("20240102", (20240102, 0, 0, ())),
    ],
)  # fmt: skip
def test_lenient_semver(tag: str, parsed: object) -> None:
    assert lenient_semver(tag) == parsed


@pytest.mark.parametrize(
    ("current", "candidate", "downgrade"),
    [
        ("1.4.2", "1.4.1", True), ("1.4.2", "1.5.0", False), ("1.4.2", "1.4.2", False), ("v2.0.0", "1.9.9", True),
        ("1.4.2", "1.4", False), ("1.4.2", "1", False), ("2.1.0", "1", True), ("1.4.2", "1.3", True),
        ("1.0.0", "1.0.0-rc1", True), ("1.0.0-rc1", "1.0.0", False), ("latest", "1.0.0", False),
        ("1.0.0", "latest", False), ("1.2.3", "1.2.2-alpine", False), ("2024-01-02", "20240101", True),
        ("2024.11.1", "3.0.0", False), ("1.2.3-alpine3.20", "1.2.3-alpine3.19", False),
    ],
)  # fmt: skip
def test_downgrades(current: str, candidate: str, downgrade: bool) -> None:
    assert is_downgrade(current, candidate) == downgrade


_WORDS = st.sampled_from(
    ["", "-alpine", "-alpine3.19", "-slim-bookworm", "-rc1", "-rc.2", "-beta", "-3", "_1", "-ls9", "a1"]
)
_TAGS = st.builds(
    lambda prefix, numbers, rest: prefix + ".".join(map(str, numbers)) + rest,
    st.sampled_from(["", "v", "V"]),
    st.lists(st.integers(0, 3000), min_size=1, max_size=4),
    _WORDS,
)


@given(_TAGS)
def test_what_is_built_of_parts_reads_back(tag: str) -> None:
    version = Version.parse(tag)
    assert version is not None
    assert ".".join(map(str, version.numbers)) in tag
    assert tag.startswith(version.prefix)
    assert version == Version.parse(version.text)
    assert not is_downgrade(tag, tag)


@given(st.lists(_TAGS | st.text(max_size=12), max_size=30))
def test_sorting_is_total_stable_and_loses_nothing(tags: list[str]) -> None:
    once = sort_tags(tags)
    assert set(once) == set(tags)
    assert sort_tags(once) == sort_tags(reversed(once)) == once
    by_family: dict[object, list[Version]] = {}
    for tag in once:
        if version := Version.parse(tag):
            by_family.setdefault(version.family, []).append(version)
    for versions in by_family.values():
        for newer, older in pairwise(versions):
            assert not is_downgrade(older.text, newer.text)


@given(_TAGS, _TAGS)
def test_a_downgrade_is_no_downgrade_the_other_way(one: str, other: str) -> None:
    assert not (is_downgrade(one, other) and is_downgrade(other, one))


@given(_TAGS, _TAGS, _TAGS)
def test_downgrades_of_equal_precision_are_transitive(a: str, b: str, c: str) -> None:
    versions = [Version.parse(tag) for tag in (a, b, c)]
    if len({version.precision for version in versions if version}) == 1 and is_downgrade(a, b) and is_downgrade(b, c):
        assert is_downgrade(a, c)


@given(st.text(max_size=200))
def test_no_text_crashes_the_parser(text: str) -> None:
    assert (lenient_semver(text) is not None) or not is_strict(text), "a strict version is a version"
    parsed = Version.parse(text)
    assert parsed is None or (parsed.text == text and parsed.numbers)
    assert set(sort_tags([text, "1.2.3", "latest"])) == {text, "1.2.3", "latest"}


@pytest.mark.parametrize(
    "text", ["1" * 5_000_000, "1." * 2_000_000, "-" * 5_000_000, "a-" * 64, "1-" * 64, "v1.2.3-" + "0.a" * 40]
)
def test_long_texts_are_done_at_once(text: str) -> None:
    started = time.perf_counter()
    Version.parse(text)
    is_strict(text)
    assert time.perf_counter() - started < 5
