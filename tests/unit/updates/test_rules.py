"""Conflicts, order, health, retries, recovery: the decisions of an update."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.stacks import dependencies_first
from app.features.updates.evidence import LOG_CHARS, LOG_LINES, last_lines
from app.features.updates.retries import delay_before
from app.features.updates.rules.conflicts import Operation, blocked_by
from app.features.updates.rules.health import MAX_SECONDS, MIN_SECONDS, Gate, Sighting, Verdict, all_of, gate_for, judge
from app.features.updates.rules.order import lives_in, started_anew
from app.features.updates.rules.recovery import Found, Step, recovery_action

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)
ALL = Operation("all", job_id="job_1")
STACK = Operation("stack", "stk_a", job_id="job_1")
SERVICE = Operation("service", "stk_a", "svc_a", frozenset({("stk_a", "svc_a")}), job_id="job_1")
OTHER = Operation("service", "stk_a", "svc_b", frozenset({("stk_a", "svc_b")}), job_id="job_1")
FAR = Operation("service", "stk_b", "svc_c", frozenset({("stk_b", "svc_c")}), job_id="job_1")
OTHER_STACK = Operation("stack", "stk_b", job_id="job_1")


@pytest.mark.parametrize(
    ("wanted", "running", "reason"),
    [
        (ALL, FAR, "service_update_in_progress"),
        (ALL, ALL, "global_update_in_progress"),
        (SERVICE, ALL, "global_update_in_progress"),
        (STACK, ALL, "global_update_in_progress"),
        (STACK, STACK, "stack_update_in_progress"),
        (STACK, SERVICE, "service_update_in_progress"),
        (STACK, OTHER_STACK, None),
        (STACK, FAR, None),
        (SERVICE, STACK, "stack_update_in_progress"),
        (SERVICE, SERVICE, "service_update_in_progress"),
        (SERVICE, OTHER, None),
        (SERVICE, OTHER_STACK, None),
        (SERVICE, replace(SERVICE, type="rollback"), "rollback_in_progress"),
        (SERVICE, replace(SERVICE, type="service_lifecycle"), "service_lifecycle_in_progress"),
        (SERVICE, replace(STACK, type="restore"), "service_operation_in_progress"),
    ],
)
def test_who_may_run_beside_whom(wanted: Operation, running: Operation, reason: str | None) -> None:
    assert blocked_by(wanted, [running]) == (None if reason is None else (reason, "job_1"))


@given(st.sampled_from([ALL, STACK, SERVICE, OTHER, FAR, OTHER_STACK]), st.sampled_from([ALL, STACK, SERVICE, FAR]))
def test_conflicts_go_both_ways(one: Operation, other: Operation) -> None:
    assert (blocked_by(one, [other]) is None) == (blocked_by(other, [one]) is None)


# ---- order

graphs = st.integers(1, 8).flatmap(
    lambda size: st.fixed_dictionaries(
        {str(n): st.lists(st.sampled_from([str(m) for m in range(n)] or ["x"]), max_size=3) for n in range(size)}
    )
)


@given(graphs, st.data())
def test_a_service_comes_after_everything_it_depends_on(graph: dict[str, list[str]], data: st.DataObject) -> None:
    names = data.draw(st.permutations(sorted(graph)))
    chosen = data.draw(st.lists(st.sampled_from(names), unique=True))
    ordered = dependencies_first(chosen, graph)
    assert sorted(ordered) == sorted(chosen)
    for name in ordered:
        below, seen = list(graph[name]), set[str]()
        while below:
            needed = below.pop()
            if needed not in seen:
                seen.add(needed)
                below += graph.get(needed, [])
        assert all(ordered.index(needed) < ordered.index(name) for needed in seen if needed in ordered)


def test_a_cycle_does_not_hang_and_the_given_order_is_kept() -> None:
    assert sorted(dependencies_first(["a", "b"], {"a": ["b"], "b": ["a"]})) == ["a", "b"]
    assert dependencies_first(["z", "a", "m"], {}) == ["z", "a", "m"]


EDGES = {"app": ("db",), "far": ("app",), "odd": ("far", "else"), "calm": (), "a": ("b",), "b": ("a",)}


@pytest.mark.parametrize(
    ("replaced", "ahead", "found"),
    [
        ({"db"}, (), ["app", "far", "odd"]),
        ({"db", "app"}, (), ["far", "odd"]),
        ({"db"}, {"app"}, []),
        ({"db"}, {"far"}, ["app"]),
        ({"db", "else"}, {"app"}, ["odd"]),
        ({"calm"}, (), []),
        ({"a"}, (), ["b"]),
    ],
)
def test_who_is_restarted_after_it(replaced: set[str], ahead: set[str], found: list[str]) -> None:
    assert started_anew(replaced, EDGES, ahead=ahead) == found


@pytest.mark.parametrize(
    ("mode", "inside"),
    [
        ("container:" + "a" * 64, True),
        ("container:aaaaaaaaaaaa", True),
        ("container:aaaa", False),
        ("container:news-web-1", True),
        ("container:news-web-12", False),
        ("container:", False),
        ("news_default", False),
        ("host", False),
    ],
)
def test_who_lives_in_a_network(mode: str, inside: bool) -> None:
    assert lives_in(mode, "a" * 64, "/news-web-1") is inside


# ---- health


def sight(
    health: str | None = None, *, running: bool = True, restarts: int = 0, started: int = 0, oom: bool = False
) -> Sighting:
    restarting = restarts > 0 and not running
    return Sighting(running, restarting, restarts, 0 if running else 3, NOW + timedelta(seconds=started), health, oom)


def test_the_deadline_follows_the_containers_own_policy() -> None:
    gate = gate_for(interval=30, timeout=10, start_period=60, retries=3, settle=3)
    assert gate == Gate(True, 60 + 40 * 4 + 5, 3)
    assert gate_for(interval=1, timeout=1, start_period=0, retries=1, settle=3).deadline == MIN_SECONDS
    assert gate_for(interval=600, timeout=10, start_period=3600, retries=9, settle=3).deadline == MAX_SECONDS


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 1000))
def test_no_policy_waits_for_ever_or_not_at_all(interval: float, timeout: float, start: float, retries: int) -> None:
    gate = gate_for(interval=interval, timeout=timeout, start_period=start, retries=retries, settle=1)
    assert MIN_SECONDS <= gate.deadline <= MAX_SECONDS
    assert judge(gate, sight("starting"), sight("starting"), gate.deadline, 0).state == "bad"


CHECKED, PLAIN = Gate(True, 60, 3), Gate(False, 20, 3)


@pytest.mark.parametrize(
    ("gate", "now", "waited", "steady", "state"),
    [
        (CHECKED, sight("healthy"), 1, 1, "ok"),
        (CHECKED, sight("starting"), 59, 59, "wait"),
        (CHECKED, sight("starting"), 60, 60, "bad"),
        (CHECKED, sight("unhealthy"), 1, 1, "bad"),
        (CHECKED, sight("starting", running=False), 1, 0, "bad"),
        (CHECKED, sight("starting", running=False, restarts=1), 1, 0, "wait"),
        (CHECKED, sight("starting", running=False, restarts=3), 1, 0, "bad"),
        (CHECKED, sight("healthy", restarts=2), 5, 1, "ok"),
        (PLAIN, sight(), 2, 2, "wait"),
        (PLAIN, sight(), 3, 3, "ok"),
        (PLAIN, sight(running=False), 1, 0, "bad"),
        (PLAIN, sight(restarts=1), 4, 4, "bad"),
        (PLAIN, sight(running=False, restarts=1), 1, 0, "bad"),
        (PLAIN, sight(started=2), 4, 4, "bad"),
        (PLAIN, sight(running=False, oom=True), 1, 0, "bad"),
    ],
)
def test_what_a_look_says(gate: Gate, now: Sighting, waited: float, steady: float, state: str) -> None:
    assert judge(gate, sight(), now, waited, steady).state == state


def test_one_bad_container_makes_a_scaled_service_bad() -> None:
    ok, wait, bad = Verdict("ok"), Verdict("wait"), Verdict("bad", "x")
    assert all_of([ok, wait, bad]) == bad
    assert all_of([ok, wait]) == wait
    assert all_of([ok, ok]) == ok
    assert all_of([]).state == "bad"


# ---- retries and evidence


@given(st.integers(1, 50), st.floats(0.001, 5), st.floats(0.001, 60), st.floats(0, 1))
def test_pauses_double_up_to_the_cap(attempt: int, base: float, most: float, chance: float) -> None:
    pause = delay_before(attempt, base, most, chance)
    assert 0 < pause <= most
    if base * 2 ** (attempt - 1) + base / 3 <= most:
        assert base * 2 ** (attempt - 1) <= pause <= base * 2 ** (attempt - 1) + base / 3 + 1e-9


@given(st.text(max_size=3000), st.integers(1, 300))
def test_the_last_words_are_clean_and_bounded(text: str, times: int) -> None:
    lines = last_lines("\n".join([text] * times))
    assert len(lines) <= LOG_LINES
    assert sum(len(line) for line in lines) <= LOG_CHARS
    assert "\x1b" not in "".join(lines)


def test_the_newest_lines_are_kept_in_their_order() -> None:
    assert last_lines("\n".join(f"line {n}" for n in range(500)))[-2:] == ["line 498", "line 499"]


# ---- recovery

OLD, NEW = "sha256:old", "sha256:new"


@pytest.mark.parametrize(
    ("step", "found", "action"),
    [
        (Step.PREPARE, [Found(OLD, True)], "keep_old"),
        (Step.PREPARE, [], "keep_old"),
        (Step.PREPARE, [Found("sha256:other", True)], "keep_old"),
        (Step.PREPARE, [Found(OLD, True), Found(OLD, False)], "keep_old"),
        (Step.RECREATE, [Found(OLD, True)], "keep_old"),
        (Step.RECREATE, [Found(OLD, True), Found(NEW, False)], "bring_back"),
        (Step.RECREATE, [Found(OLD, False), Found(NEW, False)], "bring_back"),
        (Step.RECREATE, [Found(NEW, False)], "bring_back"),
        (Step.RECREATE, [], "bring_back"),
        (Step.RECREATE, [Found(NEW, True)], "judge_new"),
        (Step.HEALTH, [Found(NEW, True)], "judge_new"),
        (Step.HEALTH, [Found(NEW, True), Found(OLD, True)], "bring_back"),
        (Step.TAG, [Found(NEW, True)], "judge_new"),
        (Step.ROLLBACK, [Found(NEW, True)], "bring_back"),
        (Step.ROLLBACK, [Found(OLD, True)], "keep_old"),
        (Step.ROLLBACK, [Found("sha256:other", True)], "bring_back"),
    ],
)
def test_recovery_looks_at_what_is_there(step: Step, found: list[Found], action: str) -> None:
    assert recovery_action(step, found, OLD, NEW) == action


def test_an_unknown_new_image_is_never_trusted() -> None:
    assert recovery_action(Step.HEALTH, [Found(NEW, True)], OLD, None) == "bring_back"
