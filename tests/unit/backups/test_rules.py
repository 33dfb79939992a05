"""What is backed up, what is left out, what may be deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.backups.rules import (
    Choice,
    Kept,
    Kind,
    MountSeen,
    Target,
    choice_for,
    decide,
    members,
    targets_of,
    to_delete,
    worth_keeping,
)

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)


def mount(
    name: str = "news_data",
    *,
    kind: Kind = "docker-volume",
    service: str = "web",
    choice: Choice | None = None,
    rw: bool = True,
) -> MountSeen:
    return MountSeen(kind, name, service, f"c-{service}", "/data", rw, choice)


def target(effective: Choice = "inherit", name: str = "data", kind: Kind = "docker-volume") -> Target:
    return Target(kind, name, effective, "web", "c1", "/data")


@pytest.mark.parametrize(
    ("kind", "name", "kept"),
    [
        ("docker-volume", "news_data", True),
        ("docker-volume", "a" * 64, False),
        ("docker-volume", "", False),
        ("bind-mount", "/srv/app/config", True),
        ("bind-mount", "/var/run/docker.sock", False),
        ("bind-mount", "/srv/proxy/docker.sock", False),
        ("bind-mount", "/etc/localtime", False),
        ("bind-mount", "/proc", False),
        ("bind-mount", "/processed", True),
        ("bind-mount", "/", False),
    ],
)
def test_what_counts_as_data(kind: Kind, name: str, kept: bool) -> None:
    assert worth_keeping(kind, name) is kept


def test_a_socket_that_was_chosen_on_purpose_is_a_target() -> None:
    assert targets_of([mount("/run/x", kind="bind-mount", choice="force")])[0].effective == "force"
    assert targets_of([mount("/run/x", kind="bind-mount")]) == []


@pytest.mark.parametrize(
    ("chosen", "found"),
    [({}, None), ({"data": "skip"}, "skip"), ({"news_data": "force", "data": "skip"}, "force"), ({"data": "x"}, None)],
)
def test_a_volume_may_be_named_as_the_engine_or_as_compose_does(chosen: dict[str, str], found: str | None) -> None:
    assert choice_for("docker-volume", "news_data", "news", chosen) == found


@pytest.mark.parametrize(
    ("choices", "effective"),
    [
        (["skip", None], "inherit"),
        (["skip", "skip"], "skip"),
        (["inherit", "force", "skip"], "force"),
        ([None], "inherit"),
    ],
)
def test_the_strongest_choice_of_the_services_counts(choices: list[Choice | None], effective: str) -> None:
    found = targets_of(mount(service=f"s{n}", choice=choice) for n, choice in enumerate(choices))
    assert [one.effective for one in found] == [effective]


def test_a_shared_target_is_reached_through_a_container_that_may_write() -> None:
    found = targets_of([mount(service="reader", rw=False), mount(service="writer")])
    assert (found[0].container_id, found[0].services) == ("c-writer", ("reader", "writer"))


@pytest.mark.parametrize(
    ("effective", "size", "reason"),
    [
        ("inherit", 100, None),
        ("inherit", 101, "skipped_by_size"),
        ("force", 10_000, None),
        ("skip", None, "skipped_by_user"),
        ("inherit", None, "skipped_by_probe_error"),
        ("force", None, "skipped_by_probe_error"),
    ],
)
def test_a_target_is_included_or_says_why_not(effective: Choice, size: int | None, reason: str | None) -> None:
    finding = decide(target(effective), size, "boom" if size is None else "", 100)
    assert finding.skipped == reason
    assert finding.document()["status"] == ("skipped" if reason else "included")


def test_the_archive_names_volumes_and_numbers_binds() -> None:
    wanted: list[tuple[Kind, str]] = [("docker-volume", "a"), ("bind-mount", "/b"), ("bind-mount", "/c")]
    chosen = [decide(target(name=name, kind=kind), 1, "", 9) for kind, name in wanted]
    assert members(chosen) == ["volumes/a", "binds/0", "binds/1"]


@given(st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=20), st.integers(0, 5))
def test_the_newest_backups_always_stay(ages: list[tuple[int, bool]], keep_last: int) -> None:
    kept = [
        Kept(str(n), NOW - timedelta(seconds=age), NOW - timedelta(seconds=1 if due else -60))
        for n, (age, due) in enumerate(ages)
    ]
    doomed = to_delete(kept, NOW, keep_last)
    newest = sorted(kept, key=lambda one: (one.created_at, one.id), reverse=True)[: max(1, keep_last)]
    assert not {one.id for one in newest} & set(doomed)
    assert set(doomed) == {one.id for one in kept if one.cleanup_after and one.cleanup_after <= NOW} - {
        one.id for one in newest
    }
