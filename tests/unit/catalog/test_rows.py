"""Rows and rails: they say what the evidence carries, and state and rail never disagree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.catalog.rows import Busy, Seen, full_rail, passes, service_row, service_state, state_counts
from app.features.catalog.schemas import PointKind, Reach, ServiceState, Slot
from app.features.stacks import ServiceRecord
from app.features.versions import VersionInference, VersionRecord

AT = datetime(2026, 5, 1, tzinfo=UTC)
RUNS, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def service(tag: str = "latest", **more: object) -> ServiceRecord:
    return replace(
        ServiceRecord(
            id="svc_1", stack_id="stk_1", stack_name="demo", project="demo", name="web",
            image_ref=f"ghcr.io/acme/web:{tag}", image_tag=tag, created_at=AT,
        ),
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def evidence(tag: str = "latest", **more: object) -> VersionRecord:
    base = VersionRecord(
        service_id="svc_1", image_ref=f"ghcr.io/acme/web:{tag}", image_repo="ghcr.io/acme/web", image_tag=tag,
        current_digest=RUNS, checked_at=AT,
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


def newer(tag: str, now: str | None, then: str | None, **more: object) -> VersionRecord:
    found = {
        "candidate_tag": tag, "candidate_digest": NEW, "candidate_arch_match": "match",
        "current_resolved_tag": now, "candidate_resolved_tag": then, **more,
    }  # fmt: skip
    return evidence(tag, **found)


def test_what_was_never_checked_is_unknown_never_fine() -> None:
    row = service_row(service(), None)
    assert row.state is ServiceState.UNKNOWN
    assert row.reason == "Not checked yet"
    assert row.current_version is None
    assert row.rail.points[0].kind is PointKind.UNKNOWN
    no_runtime = service_row(service(), evidence(current_digest=None))
    assert no_runtime.state is ServiceState.UNKNOWN


@pytest.mark.parametrize(
    ("tag", "record", "state", "slot", "kind", "reach"),
    [
        ("latest", newer("latest", "1.4.2", "1.5.0"), ServiceState.UPDATABLE, Slot.MINOR, PointKind.NEXT, Reach.ALL),
        ("1.4", newer("1.4", "1.4.2", "1.4.3"), ServiceState.UPDATABLE, Slot.PATCH, PointKind.NEXT, Reach.PATCH),
        ("1", newer("1", "1.4.2", "1.5.0"), ServiceState.UPDATABLE, Slot.MINOR, PointKind.NEXT, Reach.MINOR),
        ("1.4.2", newer("1.4.2", None, None), ServiceState.UPDATABLE, Slot.PATCH, PointKind.NEXT, Reach.PATCH),
        ("latest", newer("latest", None, None), ServiceState.HINT, Slot.PATCH, PointKind.HINT, Reach.ALL),
        ("latest", newer("latest", "1.4.2", "1.5.0", candidate_arch_match="mismatch", candidate_arch=("linux/arm64",)),
         ServiceState.ARCH_MISMATCH, Slot.MINOR, PointKind.ARCH, Reach.ALL),
        ("latest", newer("latest", "1.4.2", "1.5.0", ignore_rule_id="ign_1", ignore_reason="no"),
         ServiceState.BLOCKED, Slot.MINOR, PointKind.IGNORED, Reach.ALL),
        ("1.4", newer("1.4", "1.4.2", "2.0.0"), ServiceState.CROSS_TAG, Slot.MAJOR, PointKind.HINT, Reach.PATCH),
    ],
)  # fmt: skip
def test_state_and_rail_agree(
    tag: str, record: VersionRecord, state: ServiceState, slot: Slot, kind: PointKind, reach: Reach
) -> None:
    row = service_row(service(tag), record)
    point = row.rail.points[-1]
    assert (row.state, point.slot, point.kind, row.rail.reach) == (state, slot, kind, reach)
    assert point.in_reach == (state is not ServiceState.CROSS_TAG)
    assert full_rail(row).points == row.rail.points


def test_hosts_are_named_as_people_name_them() -> None:
    record = newer("latest", "1.4.2", "1.5.0", candidate_arch_match="mismatch", candidate_arch=("linux/arm64",))
    row = service_row(service(), record)
    assert (row.reason, row.rail.points[-1].note) == ("Built for arm64", "arm64 only")


def test_a_failed_check_is_told_and_keeps_what_was_known() -> None:
    row = service_row(service(), newer("latest", "1.4.2", "1.5.0", last_error="the registry timed out"))
    assert row.state is ServiceState.UPDATABLE
    assert "timed out" in row.reason
    assert row.candidate_version == "1.5.0"


def test_a_job_that_has_the_service_comes_first() -> None:
    row = service_row(service(), newer("latest", "1.4.2", "1.5.0"), busy=Busy("job_1", "Pull", 40.0))
    assert (row.state, row.job_id, row.job_percent) == (ServiceState.UPDATING, "job_1", 40.0)
    assert row.rail.points[-1].kind is PointKind.NEXT


def test_pending_inference_is_no_version() -> None:
    row = service_row(service(), newer("latest", None, None), VersionInference("pending", "cache_miss"))
    assert row.inference_pending
    assert row.current_version is None
    assert "Looking up" in row.reason


def test_counts_and_filters() -> None:
    states = [ServiceState.OK, ServiceState.OK, ServiceState.UPDATABLE, ServiceState.UNKNOWN]
    counts = {count.key: count.count for count in state_counts(states, first="open")}
    assert counts["open"] == 2
    assert counts[ServiceState.OK] == 2
    assert counts[ServiceState.BLOCKED] == 0
    assert ServiceState.HINT not in counts
    one = Seen(service(), None, ServiceState.UNKNOWN)
    assert one.matches(state="open", q="ACME")
    assert not one.matches(state="updatable", q="")
    assert not one.matches(state="all", q="nothing like it")
    assert not passes(ServiceState.OK, ("web",), state="open", q="")


@given(tag=st.text(min_size=1, max_size=40), now=st.text(max_size=40), then=st.text(max_size=40))
def test_no_tag_breaks_a_row(tag: str, now: str, then: str) -> None:
    record = newer(tag, now or None, then or None)
    row = service_row(service(tag), record)
    assert row.state is service_state(service(tag), record)
    assert row.state is not ServiceState.OK
    assert len(row.rail.points) == 2
