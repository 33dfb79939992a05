"""Newer versions under other tags: families, distances, calendar versions, pre-releases, order."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.features.versions.rules.newer import KEPT_PER_STEP, STEPS, Ladder, ladder, running_version, skipped, step_to
from app.features.versions.rules.versions import Version, numbers_of


def parsed(tag: str) -> Version:
    version = Version.parse(tag)
    assert version is not None
    return version


def newest(tags: list[str], running: str, followed: str = "") -> dict[str, str]:
    """The first of each distance."""
    found = ladder(tags, Version.parse(running), followed or running)
    return {step: rungs[0].tag for step, rungs in found.rungs.items() if rungs}


@pytest.mark.parametrize(
    ("running", "followed", "tags", "expected"),
    [
        ("1.2.0", "1.2.0", "1.0.0 1.1.0 1.2.0 1.2.1 2.0.0-rc.1 2.0.0 2.1.0 1 1.2 2 latest",
         {"patch": "1.2.1", "major": "2.1.0"}),
        ("1.22.3", "1.22", "1.22.4 1.22.6 1.23.0-rc0 1.23.1 1 1.22 1.23 latest",
         {"patch": "1.22.6", "minor": "1.23.1"}),
        ("v0.9.0", "v0.9.0", "v0.9.1 v0.10.0 v1.0.0 0.9.9 1.9.9 v0 v1",
         {"patch": "v0.9.1", "minor": "v0.10.0", "major": "v1.0.0"}),
        ("3.1.0-alpine", "3-alpine", "3.2.0 3.2.0-alpine 3.3.0-slim 4.0.0 3-alpine", {"minor": "3.2.0-alpine"}),
        ("16.6-alpine3.20", "16-alpine", "16.7-alpine3.20 16.7-alpine 17.2-alpine3.21 17.2-alpine 17.2 17-alpine 17",
         {"minor": "16.7-alpine", "major": "17.2-alpine"}),
        ("6.7.1-php8.3-apache", "6.7-php8.3-apache", "6.8.0-php8.3-apache 6.8.0-php8.4-apache 6.8.0-apache",
         {"minor": "6.8.0-php8.3-apache"}),
        ("2025.11.2", "stable", "2025.12.0 2026.1.0 2026.1.1 3.0.0 1.0.0", {"minor": "2025.12.0", "major": "2026.1.1"}),
        ("1.4.2", "latest", "2026.1.1 2025.1 20260101 1.4.3", {"patch": "1.4.3"}),
        ("nightly-20260103", "nightly-20260103", "nightly-20260104 nightly-20260205 nightly 20260301",
         {"patch": "nightly-20260104", "minor": "nightly-20260205"}),
        ("2.0.0-rc.1", "2.0.0-rc.1", "2.0.0-rc.2 2.0.0 2.1.0-beta.1 2.1.0", {"patch": "2.0.0", "minor": "2.1.0"}),
        ("1.22", "1.22", "1.22.6 1.23.1 2.0.0 1.21.9", {"minor": "1.23.1", "major": "2.0.0"}),
        ("16", "16", "17.2 16.9 17 20241108 1234567", {"major": "17.2"}),
        ("24.04.9.2", "24.04.9.2", "24.04.10.1 24.04.9.3 24.5.0.0", {"patch": "24.04.10.1", "minor": "24.5.0.0"}),
        ("1.2.3-4", "1.2.3-4", "1.2.3-5 1.2.3-10", {"patch": "1.2.3-10"}),
        ("pg14-v0.2.0", "pg14-v0.2.0", "pg14-v0.3.0 pg15-v0.4.0 pg16-v1.0.0", {"minor": "pg14-v0.3.0"}),
        ("latest", "latest", "1.0.0 2.0.0", {}),
        ("9.9.9", "9.9.9", "1.0.0 9.9.8", {}),
    ],
)  # fmt: skip
def test_the_newest_of_each_distance(running: str, followed: str, tags: str, expected: dict[str, str]) -> None:
    assert newest(tags.split(), running, followed) == expected


def test_the_tag_to_follow_is_as_floating_as_the_followed_one() -> None:
    tags = ["1.22.6", "1.22", "1.23.0", "1.23.1", "1.23", "1", "2.0.0", "2", "2.0", "latest"]
    found = ladder(tags, parsed("1.22.3"), "1.22")
    (minor,) = [rung for rung in found.rungs["minor"] if rung.tag == "1.23.1"]
    assert (minor.follow, minor.series_tags) == ("1.23", ("1.23", "1"))
    assert found.rungs["minor"][1].series_tags == (), "1.23 has moved on from 1.23.0"
    assert found.rungs["major"][0].series_tags == ("2.0", "2")
    pinned = ladder(tags, parsed("1.22.3"), "1.22.3")
    assert pinned.rungs["minor"][0].follow == "1.23.1"
    assert (
        ladder(["17.2-alpine", "17-alpine", "17"], parsed("16.6-alpine"), "16-alpine").rungs["major"][0].follow
        == "17-alpine"
    )


def test_what_runs_is_named_in_the_manner_of_the_followed_tag() -> None:
    aliases = ["v1.4.2", "1.4.2", "1.4", "1"]
    for followed, expected in (("1", "1.4.2"), ("v1", "v1.4.2"), ("latest", "v1.4.2")):
        version = running_version(followed, "v1.4.2", aliases)
        assert version is not None
        assert version.text == expected
    assert running_version("latest", "latest", []) is None


def test_how_many_are_skipped() -> None:
    found = ladder(["1.0.1", "1.0.2", "1.0.3"], parsed("1.0.0"), "1.0")
    assert [skipped(found, "patch", tag) for tag in ("1.0.3", "1.0.2", "1.0.1", "nothing")] == [2, 1, 0, 0]


def test_twenty_thousand_tags_are_done_in_a_moment() -> None:
    tags = [f"1.{number // 100}.{number % 100}" for number in range(20_000)]
    began = time.perf_counter()
    found = ladder(tags, parsed("1.0.0"), "1.0.0")
    assert time.perf_counter() - began < 5
    assert found.rungs["minor"][0].tag == "1.199.99"
    assert len(found.rungs["patch"]) == KEPT_PER_STEP
    assert found.counts == {"patch": 99, "minor": 19_900, "major": 0}


numbers = st.lists(st.integers(0, 40), min_size=1, max_size=4)
variants = st.sampled_from(["", "-alpine", "-alpine3.19", "-bookworm", "-rc.1", "-beta2", "-3", "-php8.3-apache"])
prefixes = st.sampled_from(["", "v", "release-", "nightly-"])


@st.composite
def made_tags(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["version", "version", "version", "calendar", "stamp", "name"]))
    if kind == "name":
        return draw(st.sampled_from(["latest", "stable", "alpine", "main", "sha-abc1234", "<b>", "1.x"]))
    if kind == "stamp":
        return f"{draw(prefixes)}2026{draw(st.integers(1, 12)):02}{draw(st.integers(1, 28)):02}"
    head = [draw(st.integers(2020, 2027)), draw(st.integers(1, 12))] if kind == "calendar" else []
    body = ".".join(map(str, head + draw(numbers)[: 4 - len(head)]))
    return draw(prefixes) + body + draw(variants)


def every(found: Ladder) -> list[tuple[str, str]]:
    return [(step, rung.tag) for step in STEPS for rung in found.rungs.get(step, ())]


@settings(deadline=None)  # a busy machine is no slow rule
@given(st.lists(made_tags(), max_size=40), made_tags())
def test_only_newer_ones_of_the_same_family_and_no_pre_release_by_surprise(tags: list[str], followed: str) -> None:
    running = Version.parse(followed)
    for step, tag in every(ladder(tags, running, followed)):
        assert running is not None
        version = parsed(tag)
        assert tag in tags
        assert version.prefix.lower() == running.prefix.lower()
        assert version.variant_words == running.variant_words
        assert (version.is_calendar, version.is_stamp) == (running.is_calendar, running.is_stamp)
        assert running.is_prerelease or not version.is_prerelease
        assert (numbers_of(version), version.order[1:3]) > (numbers_of(running), running.order[1:3])
        assert step_to(version, running) is None, "nothing is newer both ways"
        places = [a == b for a, b in zip(numbers_of(version), numbers_of(running), strict=True)]
        assert places[0] == (step != "major")
        assert step != "patch" or places[1]


@settings(deadline=None)
@given(st.lists(made_tags(), max_size=40), made_tags(), st.randoms())
def test_the_order_of_the_list_does_not_matter(tags: list[str], followed: str, chance: random.Random) -> None:
    running, shuffled = Version.parse(followed), [*tags, *tags]
    chance.shuffle(shuffled)
    assert ladder(tags, running, followed) == ladder(shuffled, running, followed)


@settings(deadline=None)
@given(st.lists(made_tags(), max_size=40), made_tags())
def test_newest_first_and_one_tag_for_a_release(tags: list[str], followed: str) -> None:
    found = ladder(tags, Version.parse(followed), followed)
    for rungs in found.rungs.values():
        keys = [(numbers_of(parsed(rung.tag)), parsed(rung.tag).order[1:3]) for rung in rungs]
        assert keys == sorted(set(keys), reverse=True)
        for rung in rungs:
            assert {*rung.series_tags, rung.follow} <= set(tags)


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=20), st.text(max_size=40))
def test_no_tag_crashes_it(tags: list[str], followed: str) -> None:
    found = ladder(tags, Version.parse(followed), followed)
    assert {rung.tag for rungs in found.rungs.values() for rung in rungs} <= set(tags)
