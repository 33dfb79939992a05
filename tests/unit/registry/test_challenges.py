from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.adapters.registry.challenges import parse_challenges


def test_reads_bearer_and_basic_in_one_header_and_in_two() -> None:
    bearer = 'Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push"'
    for headers in ([f'{bearer}, Basic realm="x"'], [bearer, 'Basic realm="x"']):
        first, second = parse_challenges(headers)
        assert first.scheme == "bearer"
        assert first.params == {
            "realm": "https://auth.example/token", "service": "reg", "scope": "repository:a/b:pull,push",
        }  # fmt: skip
        assert (second.scheme, second.params) == ("basic", {"realm": "x"})


def test_unquoted_escaped_and_odd_case() -> None:
    (found,) = parse_challenges([r'BEARER Realm="a\"b" , SERVICE=reg'])
    assert (found.scheme, found.params) == ("bearer", {"realm": 'a"b', "service": "reg"})


@given(st.lists(st.text(max_size=200), max_size=4))
def test_nonsense_never_crashes(headers: list[str]) -> None:
    for challenge in parse_challenges(headers):
        assert challenge.scheme and challenge.scheme == challenge.scheme.lower()


def test_of_a_megabyte_only_the_beginning_is_read() -> None:
    found = parse_challenges(["a" * 1_000_000, '"' * 1_000_000, 'Bearer x="' + "\\" * 1_000_000])
    assert [(len(one.scheme), one.params) for one in found] == [(8192, {}), (6, {"x": ""})]
