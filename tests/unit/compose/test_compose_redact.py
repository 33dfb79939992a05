"""Logs without credentials and without control sequences."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.compose import Redactor, plain, redact

SECRET = "hunter22xyz"


@pytest.mark.parametrize(
    "text",
    [
        f"https://bob:{SECRET}@r.example/v2/",
        f"https://{SECRET}@r.example/v2/",
        f"https://bob:p@{SECRET}@r.example/v2/",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}",
        f'"Authorization": "{SECRET}"',
        f"error: bearer {SECRET} was refused",
        f"password={SECRET}",
        f"DB_PASSWORD: {SECRET}",
        f"MYSQL_ROOT_PASSWORD='{SECRET} {SECRET}'",
        f'"password" : "a\\"b {SECRET}"',
        f"DB_PASS={SECRET}",
        f"api_key={SECRET}&x=1",
        f"github-token: {SECRET}",
        f"--password {SECRET}",
        f"--password={SECRET}",
        f'{{"auths":{{"r":{{"auth":"{SECRET}"}}}}}}',
        f"X-Registry-Auth: {SECRET}",
        f"identitytoken={SECRET}",
        f"pass\x1b[0mword={SECRET}",
    ],
)
def test_credentials_disappear(text: str) -> None:
    assert SECRET not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "unauthorized: authentication required",
        "Container news-web-1  Started",
        "$ docker compose --ansi never --project-name news --file /srv/news/compose.yaml up --detach web",
        "all tests passed: 12",
        "127.0.0.1:5000/homelab/paperboy@sha256:00ff Pulled",
        'Get "https://registry-1.docker.io/v2/": EOF',
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_known_secrets_disappear_wherever_they_are() -> None:
    redactor = Redactor()
    redactor.add("s3cr/et+")
    redactor.add("no")  # too short: would eat half of the text
    assert redactor.redact("before s3cr/et+ after s3cr%2Fet%2B no") == "before *** after *** no"


@given(st.text(max_size=200))
def test_what_is_plain_has_no_control_characters(text: str) -> None:
    assert all(c in "\n\t" or (ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0) for c in plain(text))


@pytest.mark.parametrize(
    "text",
    ["\x1b[31mred\x1b[0m", "\x1b]0;title\x07red", "\x1b]8;;http://x\x1b\\red", "\x9b1mred", "r\x00e\rd", "\u202ered"],
)
def test_escape_sequences_disappear(text: str) -> None:
    assert plain(text) == "red"


PIECES = ["a", "a.", "password", "://", "--", '"', "\x1b[", "token=", "bearer ", "pass-", " : "]


@pytest.mark.parametrize("piece", PIECES)
def test_megabytes_take_no_time(piece: str) -> None:
    began = time.perf_counter()
    redact(piece * (1_500_000 // len(piece)))
    assert time.perf_counter() - began < 3
