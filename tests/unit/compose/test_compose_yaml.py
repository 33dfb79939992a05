"""YAML of strangers: what it means, where it ends."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.compose import ComposeFileInvalid, ComposeFileUnreadable, is_image_only
from app.adapters.compose.yaml_reader import MAX_FILE_BYTES, RESET, Replace, parse_documents, read_documents

HERE = Path("/srv/news/compose.yaml")


def parsed(text: str) -> Any:
    (document,) = parse_documents(text, HERE)
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb: '1'\nc: yes\nd: true\ne: ~\nf:\ng: 3.10\nh: !!str 5",
         {"a": 1, "b": "1", "c": "yes", "d": True, "e": None, "f": None, "g": "3.10", "h": "5"}),
        ("[x, [y], {z: 1}]", ["x", ["y"], {"z": 1}]),
        ("1: a\ntrue: b", {"1": "a", "true": "b"}),
        ("a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3}", {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}),
        ("a: &x {k: 1}\nb: &y {k: 2, m: 3}\nc: {<<: [*x, *y]}",
         {"a": {"k": 1}, "b": {"k": 2, "m": 3}, "c": {"k": 1, "m": 3}}),
        ("k: &n name\n*n : v", {"k": "name", "name": "v"}),
        ("a: >\n  one\n  two\n", {"a": "one two\n"}),
        ("n: 2026-01-02", {"n": "2026-01-02"}),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    assert parsed(text) == value


def test_composes_own_tags() -> None:
    value = parsed("a: !reset null\nb: !reset []\nc: !override [1]\nd: !override x")
    assert value["a"] is RESET
    assert value["b"] is RESET
    assert value["c"] == Replace([1])
    assert value["d"] == Replace("x")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, ""),
        ("a: 1\nb: 2\na: 3\n", 3, "twice"),
        ("a: 1\nb: *nothing\n", 2, "alias"),
        ("a: &a [*a]\n", 1, "alias"),
        ("a: 1\n? [x]\n: 2\n", 2, "key"),
        ("a:\n  <<: text\n", 2, "merge"),
        ("a: 1\n\tb: 2\n", 2, ""),
        ("a: \x01\n", 0, "characters"),
    ],
)
def test_mistakes_name_the_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ComposeFileInvalid) as caught:
        parse_documents(text, HERE)
    assert (caught.value.line, caught.value.path) == (line, HERE)
    assert words in caught.value.reason
    assert str(HERE) in caught.value.message


def test_no_text_of_the_file_gets_into_an_error() -> None:
    for text in (
        "hunter22: [",
        "a: 'hunter22",
        "a: @hunter22",
        "%YAML hunter22\n---\na",
        "a: *hunter22",
        "a: !hunter22! x",
    ):
        with pytest.raises(ComposeFileInvalid) as caught:
            parse_documents(text, HERE)
        assert "hunter22" not in caught.value.message


def bomb(levels: int, width: int) -> str:
    rows = ["a0: &a0 [x]"]
    rows += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(rows)


@pytest.mark.parametrize(
    "text",
    [
        bomb(9, 9),
        bomb(30, 2),
        "a: &a {x: 1}\n" + "\n".join(f"b{i}: &b{i} {{<<: [{','.join(['*a'] * 2_000)}]}}" for i in range(20)),
        "[" * 100_000,
        "{a: " * 5_000,
        "- " * 5_000 + "x",
        "\n".join(" " * i + f"k{i}:" for i in range(500)),
        "a: [" + "x," * 600_000 + "]",
        "k: 1\n" * 10,
    ],
    ids=["laughs", "doubling", "merges", "brackets", "braces", "dashes", "indents", "many", "repeated"],
)
def test_bombs_are_refused_soon(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ComposeFileInvalid):
        parse_documents(text, HERE)
    assert time.perf_counter() - began < 20


def test_a_megabyte_in_one_value_is_no_harm() -> None:
    assert len(parsed("a: '" + "x" * 1_000_000 + "'")["a"]) == 1_000_000


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet=st.sampled_from("ab:&*!<-?[]{},'\"|>#%@`~ \n\t0é\x00"), max_size=40))
def test_any_text_is_a_value_or_an_invalid_file(text: str) -> None:
    try:
        parse_documents(text, HERE)
    except ComposeFileInvalid as error:
        assert error.line >= 0


def test_only_regular_readable_files_of_a_size(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe, Path("/dev/zero"), tmp_path / "none", tmp_path / ("x" * 300)):
        with pytest.raises(ComposeFileUnreadable) as caught:
            read_documents(path)
        assert caught.value.path == path
        assert "same absolute path" in caught.value.hint
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(ComposeFileInvalid):
        read_documents(big)


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("services: {web: {image: a}}", True),
        ("services: {web: {image: a}, db: {image: b}}", True),
        ("services: {}", True),
        ("services: {web: {image: a, ports: []}}", False),
        ("services: {web: {image: [a]}}", False),
        ("services: {web: a}", False),
        ("services: {web: {image: a}}\nvolumes: {}", False),
        ("services: {web: {image: a}}\n---\nservices: {}", False),
        ("", False),
    ],
)
def test_image_only(tmp_path: Path, text: str, only: bool) -> None:
    file = tmp_path / "o.yml"
    file.write_text(text)
    assert is_image_only(file) is only
