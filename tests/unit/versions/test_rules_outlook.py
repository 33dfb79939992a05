"""Which of the newer versions could be taken, and what a row says of them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.features.versions.rules import Entry, Known, Outlook, Version, drawn, ladder, outlook, with_newer
from app.features.versions.rules.status import Reach

HOST = "linux/amd64"
FITS, OTHER = ("linux/amd64", "linux/arm64"), ("linux/arm64",)


@dataclass(frozen=True)
class RuleOf:
    value: str
    kind: str = "exact"
    enabled: bool = True
    id: str = "ign_1"


def known(digest: str, platforms: tuple[str, ...] | None = FITS) -> Known:
    return Known(digest, platforms)


def look(tags: str, running: str = "1.0.0", facts: dict[str, Known] | None = None, **more: object) -> Outlook:
    options: dict[str, object] = {
        "reach": "none", "own_digests": ("sha256:now",), "ignore": (), "held": (), "host_platform": HOST,
    }  # fmt: skip
    found = ladder(tags.split(), Version.parse(running), running)
    return outlook(found, facts or {}, **(options | more))  # type: ignore[arg-type]


def told(found: Outlook) -> list[tuple[str, str]]:
    return [(entry.tag, entry.state) for entry in found.entries]


def test_the_newest_of_each_distance_unless_it_cannot_be_taken() -> None:
    facts = {"1.0.3": known("a", OTHER), "1.0.2": known("b"), "1.1.0": known("c"), "2.0.0": known("d")}
    found = look("1.0.1 1.0.2 1.0.3 1.1.0 2.0.0", facts=facts, held=("d",))
    assert told(found) == [
        ("1.0.3", "arch_mismatch"), ("1.0.2", "other_series"), ("1.1.0", "other_series"), ("2.0.0", "held"),
    ]  # fmt: skip
    assert [(entry.tag, entry.state) for entry in drawn(found.entries)] == [
        ("1.0.2", "other_series"), ("1.1.0", "other_series"), ("2.0.0", "held"),
    ]  # fmt: skip
    assert found.summary == "hint"
    assert found.wanted == ()
    assert [entry.more for entry in found.entries] == [0, 1, 0, 0], "1.0.1 is older than all that is told"


def test_an_ignored_version_makes_room_and_is_told_once() -> None:
    found = look("1.0.1 1.0.2 1.0.3", ignore=[RuleOf("^1[.]0[.][23]$", "regex")])
    assert told(found) == [("1.0.3", "ignored"), ("1.0.1", "other_series")]
    assert found.entries[0].rule_id == "ign_1"
    assert found.wanted == ("1.0.1",), "what is ignored is not asked about"


def test_no_more_than_three_are_asked_about() -> None:
    facts = {f"1.0.{number}": known(f"d{number}", OTHER) for number in range(1, 10)}
    assert len(look(" ".join(facts), facts=facts).entries) == 3


def test_the_same_image_is_no_other_version() -> None:
    facts = {"1.0.1": known("sha256:now"), "1.1.0": known("c")}
    assert told(look("1.0.1 1.1.0", facts=facts)) == [("1.1.0", "other_series")]


@pytest.mark.parametrize(
    ("reach", "outside"),
    [("none", ["patch", "minor", "major"]), ("patch", ["minor", "major"]), ("minor", ["major"]), ("all", [])],
)
def test_what_the_followed_tag_reaches_is_told_and_not_drawn(reach: Reach, outside: list[str]) -> None:
    found = look("1.0.1 1.1.0 2.0.0", reach=reach)
    assert [entry.step for entry in found.entries] == ["patch", "minor", "major"]
    assert [entry.step for entry in drawn(found.entries)] == outside
    assert found.summary == ("hint" if outside else "")


def test_a_name_leads_there_only_if_its_digest_says_so() -> None:
    facts = {"2.0.0": known("d"), "latest": known("d"), "stable": known("x"), "2": known("other")}
    (entry,) = look("2.0.0 2 2.0 latest stable", facts=facts, names=("latest", "stable")).entries
    assert entry.reached_by == ("2.0", "latest"), "2 is known to be something else"


def test_the_state_says_what_the_rail_shows() -> None:
    only = {
        "hint": look("1.1.0"),
        "arch": look("1.1.0", facts={"1.1.0": known("a", OTHER)}),
        "blocked": look("1.1.0", facts={"1.1.0": known("a")}, held=("a",)),
        "": look("1.1.0", ignore=[RuleOf("1.1.0")]),
    }
    states = {"hint": "cross_tag", "arch": "arch_mismatch", "blocked": "blocked", "": "ok"}
    for summary, found in only.items():
        assert found.summary == summary
        assert with_newer("ok", summary) == states[summary]
        assert with_newer("updatable", summary) == "updatable", "a candidate goes first"
        assert with_newer("unknown", summary) == "unknown"


entries = st.builds(
    Entry,
    tag=st.sampled_from(["1.0.1", "1.1.0", "2.0.0"]),
    step=st.sampled_from(["patch", "minor", "major"]),
    state=st.sampled_from(["other_series", "ignored", "arch_mismatch", "held"]),
    in_reach=st.booleans(),
)


@settings(deadline=None)
@given(st.lists(entries, max_size=8))
def test_one_point_for_each_distance_and_a_summary_that_is_among_them(found: list[Entry]) -> None:
    points = drawn(found)
    assert len({point.step for point in points}) == len(points)
    assert not any(point.in_reach for point in points)
    summary = Outlook(tuple(found)).summary
    expected = {"hint": "other_series", "arch": "arch_mismatch", "blocked": "held"}
    assert (summary == "") == (not {point.state for point in points} & set(expected.values()))
    assert summary == "" or expected[summary] in {point.state for point in points}
