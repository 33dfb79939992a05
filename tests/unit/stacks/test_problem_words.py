"""Reasons of discovery in words: every code has some, and what is no code stays."""

from __future__ import annotations

import inspect
import re

import pytest

from app.features.stacks import effective, problem_text, reconcile, rules
from app.features.stacks.problem_words import WORDS


def test_every_code_has_words() -> None:
    problems = [value.reason for value in vars(rules).values() if isinstance(value, rules.Problem)]
    problems += [rules.unreadable("/a").reason, rules.invalid_file("/a", "x").reason, rules.unresolved("x").reason]
    assert {reason.partition(":")[0] for reason in problems} <= set(WORDS)
    written = re.findall(
        r'Problem\(\s*f?"([a-z_]+)[":]', "".join(map(inspect.getsource, (rules, effective, reconcile)))
    )
    assert set(written) <= set(WORDS)


@pytest.mark.parametrize(
    ("reason", "words", "brief"),
    [
        ("compose_file_invalid: /srv/a.yml", "A Compose file is not valid: /srv/a.yml", "A Compose file is not valid"),
        ("config_files_missing", "Its containers do not say which Compose files made them", None),
        ("web/1 is no name for a service", "web/1 is no name for a service", None),
        ("something: else", "something: else", None),
    ],
)
def test_codes_become_words(reason: str, words: str, brief: str | None) -> None:
    assert problem_text(reason) == words
    assert problem_text(reason, brief=True) == (brief or words)
