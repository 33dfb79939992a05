"""What may be updated, and when the request is out of date (spec §5.3 steps 5 and 6)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Conflict, DockrevError, InvalidArgument
from app.features.updates.rules.request import Target
from app.features.updates.rules.targets import Offer, check_cover, check_target, why_not

OFFER = Offer("svc_a", "web", "stk_a", "nginx:1", "1", candidate_digest="sha256:new", arch_match="match")
TARGET = Target("svc_a", "1", "sha256:new")


@pytest.mark.parametrize(
    ("target", "offer", "kind", "details"),
    [
        (replace(TARGET, target_tag="2"), OFFER, InvalidArgument,
         {"serviceId": "svc_a", "expectedTag": "1", "gotTag": "2"}),
        (replace(TARGET, target_digest="sha256:old"), OFFER, Conflict,
         {"serviceId": "svc_a", "expectedDigest": "sha256:new", "gotDigest": "sha256:old"}),
        (TARGET, replace(OFFER, candidate_digest=None), Conflict,
         {"serviceId": "svc_a", "expectedDigest": None, "gotDigest": "sha256:new"}),
        (TARGET, replace(OFFER, arch_match="mismatch"), InvalidArgument,
         {"serviceId": "svc_a", "archMatch": "mismatch"}),
    ],
)  # fmt: skip
def test_a_target_that_does_not_fit_is_refused(
    target: Target, offer: Offer, kind: type[DockrevError], details: dict[str, str | None]
) -> None:
    with pytest.raises(kind) as caught:
        check_target(target, offer, allow_arch_mismatch=False)
    assert caught.value.details == details


def test_what_fits_is_let_through() -> None:
    """`check_target` answers by raising alone: to come through these three lines is the whole test."""
    check_target(TARGET, OFFER, allow_arch_mismatch=False)
    check_target(TARGET, replace(OFFER, arch_match="unknown"), allow_arch_mismatch=False)
    check_target(TARGET, replace(OFFER, arch_match="mismatch"), allow_arch_mismatch=True)


@pytest.mark.parametrize(
    ("changes", "allow", "reason", "why"),
    [
        ({}, False, "ui", None),
        ({"candidate_digest": None}, False, "ui", "no_candidate"),
        ({"archived": True}, False, "ui", "archived"),
        ({"ignored": True}, True, "ui", "blocked"),
        ({"is_dockrev": True}, False, "ui", "dockrev"),
        ({"arch_match": "mismatch"}, False, "ui", "arch_mismatch"),
        ({"arch_match": "mismatch"}, True, "ui", None),
        ({"downgrade": True}, False, "ui", None),
        ({"downgrade": True}, False, "schedule", "downgrade"),
        ({"downgrade": True}, False, "webhook", "downgrade"),
    ],
)
def test_why_a_service_is_no_part_of_a_batch(
    changes: dict[str, bool], allow: bool, reason: str, why: str | None
) -> None:
    assert why_not(replace(OFFER, **changes), allow_arch_mismatch=allow, reason=reason) == why  # type: ignore[arg-type]


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_a_batch_covers_exactly_what_is_offered(offered: set[str], wanted: set[str]) -> None:
    offers = [replace(OFFER, service_id=name) for name in offered]
    targets = [Target(name, "1", "sha256:new") for name in wanted]
    if offered == wanted:
        check_cover(targets, offers, allow_arch_mismatch=False, reason="ui")
        return
    with pytest.raises(InvalidArgument) as caught:
        check_cover(targets, offers, allow_arch_mismatch=False, reason="ui")
    assert caught.value.details == {
        "missingServiceIds": sorted(offered - wanted),
        "extraServiceIds": sorted(wanted - offered),
    }
