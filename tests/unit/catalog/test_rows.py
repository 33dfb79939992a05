"""Rows and rails: they say what the evidence carries, and state and rail never disagree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.features.catalog.rows import Busy, Seen, full_rail, passes, service_row, service_state, state_counts
from app.features.catalog.schemas import PointKind, Reach, ServiceState, Slot
from app.features.stacks import ServiceRecord
from app.features.versions import NewerVersions, VersionInference, VersionRecord
from app.features.versions.newer.rows import packed
from app.features.versions.rules import Entry, EntryState, Outlook, Step

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


# ---- newer versions under other tags


def entry(tag: str, step: Step, state: EntryState = "other_series", **more: object) -> Entry:
    return replace(Entry(tag=tag, step=step, state=state, follow=tag), **more)  # type: ignore[arg-type]


def others(tag: str, *entries: Entry, current: str | None = None, skipped: int = 0) -> NewerVersions:
    return NewerVersions(
        image_ref=f"ghcr.io/acme/web:{tag}", current=current or tag, summary=Outlook(entries).summary,
        packed=packed(entries), basis="", checked_at=AT, skipped=skipped,
    )  # fmt: skip


def test_a_pinned_service_shows_what_other_tags_have() -> None:
    found = others(
        "1.2.3", entry("1.2.4", "patch", "ignored"), entry("1.3.0", "minor"), entry("2.0.0", "major", "held")
    )
    row = service_row(service("1.2.3"), evidence("1.2.3"), None, found)
    assert [(p.slot, p.kind, p.version, p.note) for p in row.rail.points[1:]] == [
        (Slot.PATCH, PointKind.IGNORED, "1.2.4", "ignored"),
        (Slot.MINOR, PointKind.HINT, "1.3.0", "tag 1.3.0"),
        (Slot.MAJOR, PointKind.BLOCKED, "2.0.0", "rolled back"),
    ]
    assert (row.rail.reach, row.state) == (Reach.NONE, ServiceState.CROSS_TAG)
    assert row.reason == "1.3.0 under another tag"
    assert not any(point.in_reach for point in row.rail.points[1:])


@pytest.mark.parametrize(
    ("state", "expected", "reason"),
    [
        ("other_series", ServiceState.CROSS_TAG, "1.3.0 under another tag"),
        ("arch_mismatch", ServiceState.ARCH_MISMATCH, "1.3.0 is not built for this host"),
        ("held", ServiceState.BLOCKED, "The update to 1.3.0 was rolled back"),
        ("ignored", ServiceState.OK, ""),
    ],
)
def test_the_state_is_what_the_rail_shows(state: EntryState, expected: ServiceState, reason: str) -> None:
    row = service_row(service("1.2.3"), evidence("1.2.3"), None, others("1.2.3", entry("1.3.0", "minor", state)))
    assert (row.state, row.reason) == (expected, reason)
    assert len(row.rail.points) == 2


def test_the_candidate_keeps_its_place_and_its_state() -> None:
    record = newer("1.4", "1.4.2", "1.4.9")
    found = others("1.4", entry("1.4.9", "patch", in_reach=True), entry("2.0.0", "major"), current="1.4.2", skipped=6)
    row = service_row(service("1.4"), record, None, found)
    assert [(p.slot, p.kind, p.note) for p in row.rail.points[1:]] == [
        (Slot.PATCH, PointKind.NEXT, "6 skipped"), (Slot.MAJOR, PointKind.HINT, "tag 2.0.0"),
    ]  # fmt: skip
    assert row.state is ServiceState.UPDATABLE
    full = full_rail(row, found)
    assert [point.version for point in full.points] == ["1.4.2", "1.4.9", "2.0.0"]
    assert [(reach.tag, reach.length) for reach in full.reaches] == [("1.4", 1)]
    tried = full_rail(row, found, held=True)
    assert [point.note for point in tried.points] == ["1.4", "rolled back", "tag 2.0.0"]
    assert tried.points[1].kind is PointKind.NEXT, "it may be tried again"


def test_what_was_found_for_something_else_is_not_shown() -> None:
    for found in (others("1.2.3", entry("1.3.0", "minor"), current="1.2.2"), others("1.2", entry("1.3.0", "minor"))):
        row = service_row(service("1.2.3"), evidence("1.2.3"), None, found)
        assert (len(row.rail.points), row.state) == (1, ServiceState.OK)


def test_without_knowing_what_runs_nothing_is_newer() -> None:
    found = others("1.2.3", entry("1.3.0", "minor"))
    row = service_row(service("1.2.3"), evidence("1.2.3", current_digest=None), None, found)
    assert (len(row.rail.points), row.state) == (1, ServiceState.UNKNOWN)


def test_the_full_rail_has_three_of_a_distance_from_old_to_new() -> None:
    found = others("1.2.3", *(entry(f"1.{minor}.0", "minor", "arch_mismatch") for minor in (9, 8, 7, 6)))
    row = service_row(service("1.2.3"), evidence("1.2.3"), None, found)
    assert [point.version for point in full_rail(row, found).points] == ["1.2.3", "1.7.0", "1.8.0", "1.9.0"]
    assert [point.version for point in row.rail.points] == ["1.2.3", "1.9.0"]


entries = st.builds(
    Entry,
    tag=st.sampled_from(["1.0.1", "1.1.0", "2.0.0"]),
    step=st.sampled_from(["patch", "minor", "major"]),
    state=st.sampled_from(["other_series", "ignored", "arch_mismatch", "held"]),
    in_reach=st.booleans(),
    follow=st.sampled_from(["", "1.1", "2"]),
)


@settings(deadline=None)
@given(
    st.lists(entries, max_size=6),
    st.sampled_from(["1.0.0", "1.0", "1", "latest"]),
    st.sampled_from([None, "1.0.1", "1.1.0", "2.0.0"]),
    st.sampled_from(["match", "mismatch", "unknown"]),
    st.booleans(),
)
def test_state_and_rail_never_disagree(
    found: list[Entry], tag: str, candidate: str | None, arch: str, ignored: bool
) -> None:
    more: dict[str, object] = {"current_resolved_tag": "1.0.0"}
    if candidate is not None:
        more |= {
            "candidate_tag": tag, "candidate_digest": NEW, "candidate_resolved_tag": candidate,
            "candidate_arch_match": arch, "ignore_rule_id": "ign_1" if ignored else None,
        }  # fmt: skip
    row = service_row(service(tag), evidence(tag, **more), None, others(tag, *found, current="1.0.0"))
    kinds = [point.kind for point in row.rail.points[1:]]
    assert len({point.slot for point in row.rail.points}) == len(row.rail.points), "one version for each place"
    assert (PointKind.NEXT in kinds) == (row.state is ServiceState.UPDATABLE)
    shown = {
        ServiceState.CROSS_TAG: PointKind.HINT, ServiceState.HINT: PointKind.HINT,
        ServiceState.ARCH_MISMATCH: PointKind.ARCH,
        ServiceState.BLOCKED: PointKind.IGNORED if candidate else PointKind.BLOCKED,
    }  # fmt: skip
    if row.state in shown:
        assert shown[row.state] in kinds
    if row.state is ServiceState.OK:
        assert set(kinds) <= {PointKind.IGNORED}
    solid = [point for point in row.rail.points[1:] if point.in_reach]
    assert all(point.tags == [tag] for point in solid), "only the followed tag's candidate is on the solid line"
