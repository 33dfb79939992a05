"""Schedules: what is one, when it comes round, what it is called; in local time, with its summer time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.clock import LOCAL_TIME
from app.features.preferences import cron

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("*/30 * * * *", "2026-05-01T10:00:00+00:00", "2026-05-01T10:30:00+00:00"),
        ("*/30 * * * *", "2026-05-01T10:29:59+00:00", "2026-05-01T10:30:00+00:00"),
        ("0 3 * * *", "2026-05-01T00:00:00+00:00", "2026-05-01T01:00:00+00:00"),  # 03:00 in summer is 01:00 UTC
        ("0 3 * * *", "2026-01-01T00:00:00+00:00", "2026-01-01T02:00:00+00:00"),
        ("30 2 * * *", "2026-03-29T00:00:00+00:00", "2026-03-29T01:00:00+00:00"),  # left out: right after the gap
        ("30 2 * * *", "2026-10-25T00:00:00+00:00", "2026-10-25T00:30:00+00:00"),  # twice: the first one
        ("30 2 * * *", "2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"),  # and only that
        ("30 * * * *", "2026-10-25T00:30:00+00:00", "2026-10-25T01:30:00+00:00"),  # an hourly one stays hourly
        ("0 0 29 2 *", "2026-05-01T00:00:00+00:00", "2028-02-28T23:00:00+00:00"),
        ("0 4 * * 1-5", "2026-05-01T03:00:00+00:00", "2026-05-04T02:00:00+00:00"),
        ("0 0 * * sun", "2026-05-01T00:00:00+00:00", "2026-05-02T22:00:00+00:00"),
        ("0 0 * * 7", "2026-05-01T00:00:00+00:00", "2026-05-02T22:00:00+00:00"),
    ],
)
def test_when_it_comes_round(in_berlin: None, text: str, after: str, expected: str) -> None:
    assert cron.next_run(text, at(after), BERLIN) == at(expected)
    assert cron.next_run(text, at(after), LOCAL_TIME) == at(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not a cron", "3 fields"),
        ("", "0 fields"),
        ("@daily", "1 field,"),
        ("0 0 3 * * *", "6 fields"),
        ("60 * * * *", "minute 60 is not possible, it goes from 0 to 59"),
        ("* 24 * * *", "hour 24"),
        ("* * 0 * *", "day of month 0"),
        ("* * * 13 *", "month 13"),
        ("* * * * 8", "day of week 8"),
        ("*/0 * * * *", "minute */0"),
        ("5-1 * * * *", "minute 5-1"),
        ("1,,2 * * * *", "minute 1,,2"),
        ("0 0 31 2 *", "day of month 31"),
        ("-1 * * * *", "minute -1"),
        ("* * * * " + "1," * 200, "longer"),
        ("٣ * * * *", "minute ٣"),
    ],
)
def test_what_is_no_schedule(text: str, said: str) -> None:
    with pytest.raises(cron.CronProblem, match=said.replace("*", r"\*")):
        cron.check(text)
    assert cron.explain(text) == ""


def test_explanations_are_words() -> None:
    assert cron.explain("0 3 * * *") == "At 03:00 every day"
    assert "30" in cron.explain("*/30 * * * *")


@given(
    st.text(max_size=250) | st.lists(st.text("0123456789*/,-#LWsun", max_size=12), min_size=5, max_size=5).map(" ".join)
)
@settings(max_examples=300, deadline=None)
def test_anything_is_a_schedule_or_a_problem(text: str) -> None:
    try:
        moment = cron.next_run(text, at("2026-10-24T22:00:00+00:00"), BERLIN)
    except cron.CronProblem as problem:
        assert str(problem)
        return
    assert moment > at("2026-10-24T22:00:00+00:00")
    assert cron.explain(text)
    assert cron.next_run(cron.canonical(text), at("2026-10-24T22:00:00+00:00"), BERLIN) == moment


@given(st.datetimes(at("2026-01-01T00:00:00"), at("2027-12-31T00:00:00")))
@settings(max_examples=200, deadline=None)
def test_local_time_is_the_systems(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    there = moment.astimezone(LOCAL_TIME)
    assert there.astimezone(UTC) == moment
    assert there.replace(tzinfo=None) == moment.astimezone().replace(tzinfo=None)


def test_local_time_knows_both_sides_of_a_change(in_berlin: None) -> None:
    for text in ("2026-10-25T00:30:00+00:00", "2026-10-25T01:30:00+00:00", "2026-03-29T01:00:00+00:00"):
        assert at(text).astimezone(LOCAL_TIME).isoformat() == at(text).astimezone(BERLIN).isoformat()
        assert at(text).astimezone(LOCAL_TIME).astimezone(UTC) == at(text)
