"""State, health and running digest from the engine's lists (spec §7.4)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.engine import ContainerSummary
from app.features.stacks import runtime_rules as rules
from app.features.stacks.records import ServiceRecord
from tests.fakes.engine import compose_container, fake_id, image

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def containers(*states: str, health: Sequence[str | None] = ()) -> list[ContainerSummary]:
    healths = [*health, *[None] * len(states)]
    return [
        compose_container("shop", "web", state=state, status=f"{state} thing", health=healths[n], number=n)
        for n, state in enumerate(states)
    ]


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        ((), "missing"),
        (("running",), "running"),
        (("paused",), "running"),
        (("running", "running"), "running"),
        (("running", "exited"), "partial"),
        (("exited", "created"), "stopped"),
        (("dead",), "stopped"),
        (("running", "restarting"), "restarting"),
        (("restarting",), "restarting"),
    ],
)
def test_the_state_comes_from_all_containers(states: tuple[str, ...], wanted: str) -> None:
    assert rules.describe(containers(*states), {}, NOW).state == wanted


@pytest.mark.parametrize(
    ("states", "health", "wanted"),
    [
        (("running",), (None,), "none"),
        (("running",), ("healthy",), "healthy"),
        (("running", "running"), ("healthy", "starting"), "starting"),
        (("running", "running"), ("unhealthy", "starting"), "unhealthy"),
        (("running", "running"), ("healthy", None), "healthy"),
        (("exited",), ("unhealthy",), None),
        (("running", "exited"), ("healthy", "unhealthy"), "healthy"),
    ],
)
def test_the_worst_health_of_what_runs_counts(
    states: tuple[str, ...], health: tuple[str | None, ...], wanted: str | None
) -> None:
    assert rules.describe(containers(*states, health=health), {}, NOW).health == wanted


def test_since_is_the_start_told_by_an_event_else_the_creation() -> None:
    (container,) = containers("running")
    assert rules.describe([container], {}, NOW).since == container.created
    assert rules.describe([container], {container.id: NOW}, NOW).since == NOW


def test_the_status_is_the_engines_without_the_health() -> None:
    one = compose_container("shop", "web", status="Up 3 minutes (health: starting)")
    assert rules.describe([one], {}, NOW).status == "Up 3 minutes"
    assert rules.describe(containers("running", "exited"), {}, NOW).status == "1 of 2 running"


def test_one_off_containers_and_those_of_no_service_do_not_count() -> None:
    run = compose_container("shop", "web", labels={"com.docker.compose.oneoff": "True"})
    assert rules.by_service([run, compose_container("shop", "")]) == {}


def test_changes_are_found_by_container_image_state_and_health() -> None:
    before = containers("running")
    for after in (
        containers("running"),
        [],
        [compose_container("shop", "web", state="exited")],
    ):
        assert rules.changed_services({("shop", "web"): before}, {("shop", "web"): after}) == {
            "shop": frozenset({"web"})
        }
    assert rules.changed_services({("shop", "web"): before}, {("shop", "web"): before}) == {}


def service(ref: str) -> ServiceRecord:
    return ServiceRecord("svc_1", "stk_1", "shop", "shop", "web", ref, "1", NOW)


@pytest.mark.parametrize(
    ("ref", "repo"),
    [
        ("nginx:1", "nginx"),
        ("nginx:1", "docker.io/library/nginx"),
        ("docker.io/library/nginx:1", "nginx"),
        ("index.docker.io/grafana/loki", "grafana/loki"),
        ("ghcr.io/acme/web:1", "ghcr.io/acme/web"),
        ("127.0.0.1:5000/web:1", "127.0.0.1:5000/web"),
    ],
)
def test_the_digest_of_the_own_repository_in_any_spelling(ref: str, repo: str) -> None:
    stored = image(repo, digests=[A])
    running = [compose_container("shop", "web", image_id=stored.id)]
    found = rules.running_digest(service(ref), running, {stored.id: stored})
    assert (found.digest, found.image_ids, found.reason) == (A, (stored.id,), None)


def test_why_there_is_no_digest_is_told() -> None:
    other, local = image("ghcr.io/other/web", digests=[A]), image("nginx", tags=["1"])
    images = {other.id: other, local.id: local}

    def reason(image_id: str | None, ref: str = "nginx:1") -> str | None:
        running = [compose_container("shop", "web", image_id=image_id)] if image_id else []
        found = rules.running_digest(service(ref), running, images)
        assert found.digest is None
        return found.reason

    assert reason(None) == "no_container"
    assert reason(fake_id("sha256:")) == "image_missing"
    assert reason(other.id) == "no_repo_digest"
    assert reason(local.id) == "no_repo_digest"
    assert reason(other.id, "Not An Image") == "invalid_image_ref"


def test_several_distinct_digests_are_unknown_but_told() -> None:
    pushed_twice = image("nginx", digests=[B, A])
    one, two = image("nginx", digests=[A]), image("nginx", digests=[B])
    images = {each.id: each for each in (pushed_twice, one, two)}
    found = rules.running_digest(service("nginx"), [compose_container("s", "w", image_id=pushed_twice.id)], images)
    assert (found.digest, found.reason, found.digests) == (None, "several_digests", (A, B))
    replicas = [compose_container("s", "w", image_id=one.id), compose_container("s", "w", image_id=two.id)]
    assert rules.running_digest(service("nginx"), replicas, images).reason == "several_digests"
    assert rules.running_digest(service("nginx"), replicas[:1] * 2, images).digest == A


def test_a_stopped_container_counts_only_where_none_runs() -> None:
    old, new = image("nginx", digests=[A]), image("nginx", digests=[B])
    images = {old.id: old, new.id: new}
    stopped = compose_container("shop", "web", image_id=old.id, state="exited")
    running = compose_container("shop", "web", image_id=new.id)
    assert rules.running_digest(service("nginx"), [stopped, running], images).digest == B
    assert rules.running_digest(service("nginx"), [stopped], images).digest == A


STATES = st.lists(st.sampled_from(["running", "exited", "restarting", "paused", "created", "dead"]), max_size=5)


@given(STATES)
def test_health_is_told_exactly_when_something_runs(states: list[str]) -> None:
    found = rules.describe(containers(*states), {}, NOW)
    assert (found.health is not None) == (found.state in ("running", "partial", "restarting"))
