"""What a token looks like, and what of it is kept."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.ids import new_id
from app.features.access import secret
from app.features.access.models import Scope


def test_a_token_is_known_by_its_prefix_and_names_its_id() -> None:
    token_id = new_id("tok")
    text = secret.new_secret(token_id)
    assert re.fullmatch(r"dkr_[0-9A-Z]{26}_[0-9A-Za-z]{49}", text)
    assert secret.id_in(text) == token_id
    assert secret.new_secret(token_id) != text
    assert secret.same(text, secret.hash_of(text)) and not secret.same(text, "0" * 64)
    assert text[-49:] not in secret.hint(token_id) and token_id[-6:] in secret.hint(token_id)


@given(place=st.integers(min_value=0, max_value=79), letter=st.sampled_from("0aZ_-é \n"))
def test_one_wrong_letter_is_noticed(place: int, letter: str) -> None:
    text = secret.new_secret(new_id("tok"))
    wrong = text[:place] + letter + text[place + 1 :]
    assert wrong == text or secret.id_in(wrong) is None


@pytest.mark.parametrize("cut", [0, 1, 4, 30, 31, 79])
def test_one_that_was_cut_off_is_noticed(cut: int) -> None:
    text = secret.new_secret(new_id("tok"))
    assert secret.id_in(text[:cut]) is None and secret.id_in(text + "0") is None
    assert secret.id_in(text + "\n") is None


@given(st.text(max_size=200))
def test_any_text_is_answered(text: str) -> None:
    assert secret.id_in(text) is None
    secret.same(text.encode(errors="replace").decode(), "0" * 64)


def test_each_scope_includes_those_before_it() -> None:
    order = list(Scope)
    assert order == ["read", "check", "update", "admin"]
    for have in order:
        for needed in order:
            assert have.covers(needed) is (order.index(have) >= order.index(needed))
