"""Schedules in words: in English those of the cron library, in other languages our own of the usual forms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.core.web.languages import speak
from app.features.preferences import cron
from app.features.preferences.cron_words import explained


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    speak("en")


@pytest.mark.parametrize(
    ("text", "german", "chinese"),
    [
        ("0 3 * * *", "Täglich um 03:00", "每天 03:00"),
        ("30 23 * * 0", "Jeden Sonntag um 23:30", "每周日 23:30"),
        ("30 23 * * 7", "Jeden Sonntag um 23:30", "每周日 23:30"),
        ("5 0 * * sat", "Jeden Samstag um 00:05", "每周六 00:05"),
        ("0 4 1 * *", "Am 1. jedes Monats um 04:00", "每月 1 日 04:00"),
        ("* * * * *", "Jede Minute", "每分钟"),
        ("*/1 * * * *", "Jede Minute", "每分钟"),
        ("*/15 * * * *", "Alle 15 Minuten", "每 15 分钟"),
        ("7 * * * *", None, None),
        ("0 */6 * * *", None, None),
    ],
)
def test_the_usual_forms_have_words_of_their_own(text: str, german: str | None, chinese: str | None) -> None:
    english = explained(text)
    assert english == cron.explain(text) != ""
    for language, words in (("de", german), ("zh", chinese)):
        speak(language)
        told = explained(text)
        assert told != english and "%(" not in told
        assert words is None or told == words
        assert told != explained("1 2 3 4 5"), "a usual form is not told as one of several times"


@pytest.mark.parametrize("text", ["0 3 1 1 *", "0 3,15 * * *", "0 3 * * 1-5", "0 3 1 * 1", "1-5 * * * *", "0 3 * 2 *"])
def test_what_has_no_words_of_its_own_is_still_a_schedule(text: str) -> None:
    for language, words in (("de", "Ein Zeitplan mit mehreren Zeiten"), ("zh", None)):
        speak(language)
        told = explained(text)
        assert told == (words or told) and told != cron.explain(text) and told


@pytest.mark.parametrize("text", ["", "never", "61 * * * *", "0 3 * *", "0 3 * * * *", "0 3 31 2 *"])
def test_what_is_no_schedule_has_no_words(text: str) -> None:
    for language in ("en", "de", "zh"):
        speak(language)
        assert explained(text) == ""


def test_names_of_days_are_those_of_the_week() -> None:
    speak("de")
    days = [explained(f"0 3 * * {number}") for number in range(7)]
    assert [day.split()[1] for day in days] == [
        "Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"
    ]  # fmt: skip
    assert [explained(f"0 3 * * {name}") for name in ("SUN", "mon", "Tue", "WED", "thu", "FRI", "sat")] == days
