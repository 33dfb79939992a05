"""How often somebody may ask, by a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.features.access.buckets import Buckets


class Watch:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_worth_at_once_and_then_by_and_by() -> None:
    watch = Watch()
    buckets = Buckets(60, watch)
    taken = [buckets.take("a") for _ in range(61)]
    assert [quota.remaining for quota in taken[:3]] == [59, 58, 57] and taken[0].limit == 60
    assert [quota.allowed for quota in taken[58:]] == [True, True, False]
    assert taken[59].remaining == 0 and taken[59].reset == 60
    assert taken[60].wait == 1 and taken[60].remaining == 0
    assert buckets.take("b").allowed, "others are not concerned"
    watch.now += 1.0
    assert buckets.take("a").allowed and not buckets.take("a").allowed
    watch.now += 61
    assert buckets.take("a").remaining == 59


def test_what_is_refused_does_not_count() -> None:
    watch = Watch()
    buckets = Buckets(20, watch)
    for _ in range(500):
        last = buckets.take("a")
    assert not last.allowed and last.wait == 3
    watch.now += 3
    assert buckets.take("a").allowed


def test_memory_is_bounded_and_the_quiet_ones_are_forgotten() -> None:
    buckets = Buckets(10, Watch(), kept=50)
    for number in range(5000):
        buckets.take("busy")
        buckets.take(f"address:{number}")
    assert len(buckets) == 50
    assert not buckets.take("busy").allowed, "who asks all the time stays known"


@given(st.lists(st.floats(min_value=0, max_value=5), min_size=1, max_size=200), st.integers(min_value=1, max_value=30))
def test_never_more_than_twice_the_limit_in_any_minute(pauses: list[float], limit: int) -> None:
    watch = Watch()
    buckets = Buckets(limit, watch)
    allowed = []
    for pause in pauses:
        watch.now += pause
        quota = buckets.take("a")
        assert 0 <= quota.remaining < limit and quota.reset >= 0
        if quota.allowed:
            allowed.append(watch.now)
    for start in allowed:
        assert sum(start <= moment < start + 60 for moment in allowed) <= 2 * limit
