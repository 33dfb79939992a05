"""Pure parts: text made safe for a terminal, server-sent events."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.sse import Event, events
from app.cli.text import human_bytes, one_line, plain, short_digest, table


@given(st.text())
def test_plain_text_has_nothing_a_terminal_acts_on(text: str) -> None:
    cleaned = plain(text)
    assert not [c for c in cleaned if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert plain(cleaned) == cleaned


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x9b2Jb", "a2Jb"),
        ("user\u202etxt", "usertxt"),
    ],
)
def test_control_sequences_go(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_one_line_is_one_line() -> None:
    assert one_line("a\n  b\tc\r\n") == "a b c"


def test_tables_are_aligned_and_empty_without_rows() -> None:
    assert table(("A", "B"), []) == []
    assert table(("A", "B"), [["long", 1]]) == ["A     B", "long  1"]


def test_small_formats() -> None:
    assert short_digest("sha256:" + "ab" * 32) == "sha256:abababababab"
    assert short_digest(None) == ""
    assert human_bytes(None) == ""
    assert human_bytes(12_300_000) == "12.3 MB"


def test_events_are_read_with_their_ids_and_joined_lines() -> None:
    lines = [
        ": keep-alive",
        "",
        "id: 7",
        "event: job_log",
        'data: {"a":',
        "data: 1}",
        "",
        "data: later",
        "",
        "data: cut",
    ]
    assert list(events(lines)) == [Event("job_log", '{"a":\n1}', "7"), Event("message", "later", "7")]
    assert next(iter(events(lines))).document() == {"a": 1}
    assert Event("x", "[1]").document() == {}
    assert Event("x", "nonsense").document() == {}


NAMES = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=20)


@given(st.lists(st.tuples(NAMES, st.lists(st.text(st.characters(exclude_characters="\r\n")), min_size=1))))
def test_what_was_written_is_read(written: list[tuple[str, list[str]]]) -> None:
    lines: list[str] = []
    for number, (name, data) in enumerate(written, start=1):
        lines += [f"id: {number}", f"event: {name}", *(f"data: {line}" for line in data), "", ": comment"]
    read = list(events(lines))
    assert [(event.name, event.data, event.id) for event in read] == [
        (name, "\n".join(data), str(number)) for number, (name, data) in enumerate(written, start=1)
    ]
