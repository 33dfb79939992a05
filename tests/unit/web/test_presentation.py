"""How data becomes text: times, sizes, names of others."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.web import presentation as show
from app.core.web.assets import Assets

NOW = datetime(2026, 11, 22, 14, 39, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (58_400_000, "58.4 MB"),
        (104_857_600, "105 MB"),
        (1_040_000_000, "1.04 GB"),
        (999_600, "1 MB"),
        (None, "size unknown"),
        (-5, "0 B"),
    ],
)
def test_size(count: int | None, text: str) -> None:
    assert show.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.2, "under 1 s"),
        (41.2, "41 s"),
        (59.7, "1 min"),
        (229, "3 min 49 s"),
        (7500, "2 h 05 min"),
        (7200, "2 h"),
        (23 * 86400, "23 days"),
        (None, ""),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert show.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3, "just now"),
        (-3, "in a moment"),
        (42, "42 s ago"),
        (420, "7 min ago"),
        (-12060, "in 3 h"),
        (86400, "1 day ago"),
        (200000, "2 days ago"),
    ],
)
def test_relative(seconds: float, text: str) -> None:
    assert show.relative(NOW - timedelta(seconds=seconds), NOW) == text


def test_stamp_names_the_day_only_when_it_is_another() -> None:
    assert show.stamp(NOW - timedelta(hours=1), NOW) == "13:39:01"
    assert show.stamp(NOW - timedelta(days=3), NOW) == "19 Nov 14:39"
    assert show.absolute(NOW) == "22 Nov 2026, 14:39:01 UTC"


def test_digests() -> None:
    full = "sha256:" + "9b1f7c0de2a4" + "0" * 48 + "c31f"
    assert show.short_digest(full) == "9b1f7c0de2a4"
    assert show.mid_digest(full) == "sha256:9b1f7c0de2a4…c31f"
    assert show.short_digest(None) == "" and show.short_digest("<b>") == "<b>"


def test_an_image_reference_may_wrap_where_it_reads_well() -> None:
    assert show.breakable("ghcr.io/acme/web:2") == "ghcr.io/<wbr>acme/<wbr>web<wbr>:2"
    assert "<script>" not in show.breakable("a/<script>:b")


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://a.example/x", True),
        ("/services", True),
        ("javascript:alert(1)", False),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("https://user@evil.example", False),
        ("data:text/html,x", False),
        ("http://[", False),
        (None, False),
        (" JavaScript:x", False),
    ],
)
def test_only_plain_links_are_links(address: str | None, kept: bool) -> None:
    assert (show.web_link(address) is not None) is kept


@given(st.text(max_size=600))
def test_clean_leaves_nothing_that_moves_a_terminal_or_turns_text(text: str) -> None:
    cleaned = show.clean(text, 100)
    assert len(cleaned) <= 100
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", cleaned)
    assert show.clean(cleaned, 100) == cleaned


@pytest.mark.parametrize(
    "text", ["\x1b[31mred\x1b[0m", "\x1b]0;title\x07red", "\x1b]8;;http://x\x1b\\red\x1b]8;;\x1b\\", "\x1b[2K\rred"]
)
def test_clean_takes_whole_sequences(text: str) -> None:
    assert show.clean(text) == "red"


@given(st.text(min_size=1, max_size=40))
def test_exact_pattern_allows_only_the_text(text: str) -> None:
    pattern = re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: re.escape(chr(int(found[1], 16))), show.exact_pattern(text))
    assert re.fullmatch(pattern, text, re.S) and not re.fullmatch(pattern, text + "x", re.S)


def test_addresses_hold_any_segment() -> None:
    assert show.path("services", "a/b", "c d?") == "/services/a%2Fb/c%20d%3F"
    assert show.with_query("/x", state="", q="a b&c", archived=True, page=None) == "/x?q=a+b%26c&archived=1"


def test_assets_change_their_address_with_their_content(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a")
    first = Assets(tmp_path)("a.css")
    (tmp_path / "a.css").write_text("b")
    assert first.startswith("/static/a.css?v=") and Assets(tmp_path)("a.css") != first
    for name in ("none.css", "../a.css", "/etc/hostname"):
        with pytest.raises(FileNotFoundError):
            Assets(tmp_path)(name)
