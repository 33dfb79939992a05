from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.versions.rules import KINDS, first_match, matches, validate


@pytest.mark.parametrize(
    ("kind", "value", "tag", "expected"),
    [
        ("exact", "1.2", "1.2", True), ("exact", "1.2", "1.2.3", False), ("exact", "Latest", "latest", False),
        ("prefix", "1.", "1.2", True), ("prefix", "1.", "11.2", False), ("prefix", "", "1", False),
        ("regex", "rc", "1.2-rc1", True), ("regex", "^rc", "1.2-rc1", False), ("regex", "(", "(", False),
        ("semver", ">=2.0.0, <3", "2.5.1", True), ("semver", ">=2.0.0, <3", "3.0.0", False),
        ("semver", ">=2.0.0, <3", "v2", True), ("semver", ">= 2.0.0 , < 3", "2.1-alpine", True),
        ("semver", "^1.2", "1.9.0", True), ("semver", "^1.2", "2.0.0", False), ("semver", "~1.2", "1.2.9", True),
        ("semver", "~1.2", "1.3.0", False), ("semver", "1.*", "1.7", True), ("semver", "1.*", "2.7", False),
        ("semver", "=1.2.3", "v1.2.3", True), ("semver", "=1.2.3", "1.2.4", False), ("semver", "*", "latest", False),
        ("semver", "<2", "1.9.0-rc1", True), ("semver", ">=17", "17.2-bookworm", True),
        ("semver", "nonsense", "1", False),
        ("semver", ">=1", "release-2.0.0", False), ("other", "1", "1", False),
    ],
)  # fmt: skip
def test_kinds(kind: str, value: str, tag: str, expected: bool) -> None:
    assert matches(kind, value, tag) == expected


@pytest.mark.parametrize(
    ("kind", "value", "word"),
    [
        ("exact", "1", None), ("regex", "^1", None), ("semver", ">=2.0.0, <3", None), ("prefix", "v", None),
        ("glob", "1", "kind"), ("exact", " ", "empty"), ("regex", "(", "expression"), ("semver", "two", "range"),
        ("semver", ">=" + "9" * 100, "range"), ("prefix", "x" * 300, "longer"),
    ],
)  # fmt: skip
def test_validate_says_what_is_wrong(kind: str, value: str, word: str | None) -> None:
    said = validate(kind, value)
    assert said is None if word is None else said is not None and word in said


@dataclass
class Rule:
    kind: str
    value: str
    enabled: bool = True


def test_the_first_enabled_match_wins() -> None:
    rules = [Rule("exact", "1", enabled=False), Rule("regex", "("), Rule("prefix", "1"), Rule("exact", "1")]
    assert first_match(rules, "1") is rules[2]
    assert first_match(rules, "2") is None
    assert first_match([], "1") is None


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x", "(a{1,99}){1,99}b", "(?:a?){99}a{99}b"])
def test_a_runaway_pattern_is_stopped(pattern: str) -> None:
    started = time.perf_counter()
    matches("regex", pattern, "a" * 127 + "!")
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("pattern", ["(((((a{99}){99}){99}){99}){99})", "a{99999999}", "(?x)((a{9 9}){99}){9 9,}"])
def test_a_pattern_that_would_fill_the_memory_is_not_compiled(pattern: str) -> None:
    assert not matches("regex", pattern, "a")
    assert validate("regex", pattern) == "match value is not a valid regular expression"
    assert validate("regex", r"^\d{4}-\d{2}-\d{2}-[0-9a-f]{7,40}$") is None


@given(st.sampled_from(KINDS), st.text(max_size=60), st.text(max_size=150))
def test_no_rule_crashes_and_what_validates_is_asked(kind: str, value: str, tag: str) -> None:
    matched = matches(kind, value, tag)
    if validate(kind, value) is not None and value.strip():
        assert not matched


def test_regex_and_semver_are_loaded_only_when_a_rule_needs_them() -> None:
    code = (
        "import sys; from app.features.versions.rules.ignores import matches;"
        "assert matches('prefix', '1', '1.2'); assert not {'regex', 'semantic_version'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize("pattern", [r"(a|aa)+$", r"(.*a){20}$", r"(a{0,90}){0,100}$", r"^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_pattern_gets_fifty_milliseconds(pattern: str) -> None:
    """Of the processor: a busy machine is no fault of the pattern. Ten tries, since the first compiles it."""
    tag = "a" * 127 + "-"
    matches("regex", pattern, tag)
    started = time.process_time()
    for _ in range(10):
        assert not matches("regex", pattern, tag)
    assert (time.process_time() - started) / 10 < 0.08
