"""Variables of compose files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.compose.interpolation import InterpolationFailed, interpolate, parse_env

KNOWN = {"A": "1", "EMPTY": "", "B": "two"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("$A-$B", "1-two"),
        ("${A}${B}", "1two"),
        ("${NONE}", ""),
        ("$NONE.", "."),
        ("$$A $$$$", "$A $$"),
        ("${NONE:-x}", "x"),
        ("${NONE-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${A:-x}", "1"),
        ("${A:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NONE+x}", ""),
        ("${A:?must}", "1"),
        ("${EMPTY?must}", ""),
        ("${NONE:-${B:-y}}", "two"),
        ("${NONE:-a:b/c-${A}}", "a:b/c-1"),
        ("r/${NONE:-x}:${A}", "r/x:1"),
        ("costs 5$", "costs 5$"),
        ("$1", "$1"),
    ],
)
def test_as_compose_does(text: str, result: str) -> None:
    assert interpolate(text, KNOWN) == result


@pytest.mark.parametrize("text", ["${NONE:?must be set}", "${EMPTY:?x}", "${A", "${}", "${A!}", "${-x}", "${A:-${B}"])
def test_failures(text: str) -> None:
    with pytest.raises(InterpolationFailed):
        interpolate(text, KNOWN)


def test_what_grows_or_nests_without_end_is_refused() -> None:
    with pytest.raises(InterpolationFailed):
        interpolate("$L" * 1_000, {"L": "x" * 10_000})
    with pytest.raises(InterpolationFailed):
        interpolate("${N:-" * 40 + "}" * 40, {})


@given(st.text(alphabet="${}A:-?+x ", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    try:
        interpolate(text, KNOWN)
    except InterpolationFailed as error:
        assert str(error)


def test_env_files() -> None:
    text = (
        "# comment\n\nA=1\nexport B = two # note\nC='it ''$A'\nD=\"x\\n$A\"\nE=${A}-$B\nF=\n"
        "G=a#b\nH=\"multi\nline\"\r\nbroken\nI: yaml\nJ='$A'\n=x\n"
    )
    assert parse_env(text) == {
        "A": "1", "B": "two", "C": "it ", "D": "x\n1", "E": "1-two", "F": "", "G": "a#b", "H": "multi\nline",
        "I": "yaml", "J": "$A",
    }  # fmt: skip


def test_variables_that_double_are_bounded() -> None:
    text = "A0=" + "x" * 100 + "\n" + "".join(f"A{n}=$A{n - 1}$A{n - 1}\n" for n in range(1, 60))
    assert max(map(len, parse_env(text).values())) <= 64 * 1024
