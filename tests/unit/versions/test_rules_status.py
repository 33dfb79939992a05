from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.versions.rules import distance, reach, row_status


def status(**changes: Any) -> str:
    facts: dict[str, Any] = {
        "checked": True, "has_candidate": True, "tag": "1", "current": "1.2.3", "candidate": "1.3.0",
        "arch_match": "match",
    }  # fmt: skip
    return row_status(**(facts | changes))


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("updatable", {}),
        ("blocked", {"ignored": True, "arch_match": "mismatch"}),
        ("ok", {"has_candidate": False, "candidate": None}),
        ("unknown", {"has_candidate": False, "candidate": None, "checked": False}),
        ("unknown", {"has_candidate": False, "candidate": None, "runtime_known": False}),
        ("arch_mismatch", {"arch_match": "mismatch", "candidate": "2.0.0"}),
        ("cross_tag", {"candidate": "2.0.0"}),
        ("cross_tag", {"tag": "1.2", "candidate": "1.3.0"}),
        (
            "cross_tag",
            {"tag": "16-alpine", "current": "16.6-alpine", "candidate": "17.0-alpine", "arch_match": "unknown"},
        ),
        ("updatable", {"tag": "1.2", "candidate": "1.2.9"}),
        ("updatable", {"tag": "latest", "candidate": "9.0.0"}),
        ("updatable", {"tag": "7-alpine", "current": "7.4.1", "candidate": "7.4.1"}),
        ("hint", {"arch_match": "unknown"}),
        ("hint", {"arch_match": None}),
        ("hint", {"tag": "latest", "current": "latest", "candidate": "latest"}),
        ("hint", {"candidate": "2024.11.1", "tag": "latest"}),
        ("hint", {"current": "1.4.0"}),
    ],
)
def test_one_state_by_priority(expected: str, changes: dict[str, Any]) -> None:
    assert status(**changes) == expected


@given(
    st.booleans(), st.booleans(), st.text(max_size=9), st.text(max_size=9), st.none() | st.text(max_size=9),
    st.sampled_from(["match", "mismatch", "unknown", None]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_unknown_never_looks_fine(
    checked: bool,
    has: bool,
    tag: str,
    current: str,
    candidate: str | None,
    arch: str | None,
    ignored: bool,
    known: bool,
) -> None:
    found = row_status(
        checked=checked, has_candidate=has, tag=tag, current=current, candidate=candidate, arch_match=arch,
        ignored=ignored, runtime_known=known,
    )  # fmt: skip
    if found == "ok":
        assert checked
        assert known
        assert not has
    if found == "updatable":
        assert arch == "match"
        assert not ignored


@pytest.mark.parametrize(
    ("current", "candidate", "expected"),
    [
        ("1.22.3", "1.22.6", "patch"), ("1.22.3", "1.23.0", "minor"), ("1.22.3", "2.0.0", "major"),
        ("16.6", "17.2", "major"), ("16.6", "16.7", "minor"), ("7.4.1", "7.4.1", "patch"),
        ("24.04.9.2", "24.04.9.3", "patch"),
        ("2024.11.1", "2024.11.3", "patch"), ("2024.11.1", "2024.12.0", "minor"), ("2024.11.1", "2025.1.0", "major"),
        ("20240101", "2024-02-01", "minor"), ("latest", "1.0.0", "unknown"), ("1.0.0", "latest", "unknown"),
        ("1.4.2", "1", "unknown"), ("1.4.2", "2", "major"), ("1.4", "1.4.2", "patch"), ("3.0.0", "2024.1.1", "unknown"),
        ("pg14-v0.2.0", "pg14-v0.3.0", "minor"), ("7.4.1", "7.4.2-alpine", "patch"),
    ],
)  # fmt: skip
def test_distance(current: str, candidate: str, expected: str) -> None:
    assert distance(current, candidate) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("1.22.3", "none"), ("v1.22.3-alpine", "none"), ("24.04.9.2", "none"), ("1.22", "patch"),
        ("1.22-alpine", "patch"),
        ("1", "minor"), ("16-alpine", "minor"), ("latest", "all"), ("stable", "all"), ("alpine", "all"),
        ("2024.11.1", "none"), ("2024.11", "patch"), ("2024", "minor"), ("20240101", "none"), ("2024-01-02", "none"),
        ("RELEASE.2024-01-16T16-07-38Z", "none"), ("pg14-v0.2.0", "none"),
    ],
)  # fmt: skip
def test_reach(tag: str, expected: str) -> None:
    assert reach(tag) == expected
    assert reach(tag, pinned=True) == "none"
