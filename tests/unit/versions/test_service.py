"""What other rooms ask: what an update must cover, Dockrev itself, downgrades (spec §5.3 step 6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.features.stacks import RuntimeDigest, ServiceRecord
from app.features.versions.checking.assess import running_digest
from app.features.versions.checking.runtime_scan import drifted
from app.features.versions.records import VersionRecord
from tests.fakes.registry import digest_of
from tests.unit.versions.room import Room

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SERVICE = ServiceRecord("svc_1", "stk_1", "shop", "shop", "web", "ghcr.io/acme/web:latest", "latest", NOW)
RECORD = VersionRecord(
    service_id="svc_1",
    image_ref="ghcr.io/acme/web:latest",
    image_repo="ghcr.io/acme/web",
    image_tag="latest",
    current_digest=digest_of("old"),
    candidate_tag="latest",
    candidate_digest=digest_of("new"),
    candidate_arch_match="match",
)


async def test_a_candidate_is_actionable(room: Room) -> None:
    assert room.versions.actionable([SERVICE], {"svc_1": RECORD}) == {"svc_1"}


@pytest.mark.parametrize(
    ("service", "record"),
    [
        (replace(SERVICE, archived=True), RECORD),
        (replace(SERVICE, stack_archived=True), RECORD),
        (SERVICE, replace(RECORD, candidate_tag=None, candidate_digest=None)),
        (SERVICE, replace(RECORD, ignore_rule_id="ign_1")),
        (SERVICE, replace(RECORD, candidate_arch_match="mismatch")),
        (replace(SERVICE, image_ref="ghcr.io/ivanli-cn/dockrev"), RECORD),
        (replace(SERVICE, image_ref="ghcr.io/ivanli-cn/dockrev:latest"), RECORD),
        (replace(SERVICE, image_ref="ghcr.io/ivanli-cn/dockrev@sha256:aa"), RECORD),
    ],
)
async def test_everything_else_is_not(room: Room, service: ServiceRecord, record: VersionRecord) -> None:
    assert room.versions.actionable([service], {"svc_1": record}) == set()


async def test_a_service_without_evidence_is_not(room: Room) -> None:
    assert room.versions.actionable([SERVICE], {}) == set()


async def test_another_architecture_only_when_allowed(room: Room) -> None:
    records = {"svc_1": replace(RECORD, candidate_arch_match="mismatch")}
    assert room.versions.actionable([SERVICE], records, allow_arch_mismatch=True) == {"svc_1"}
    unknown = {"svc_1": replace(RECORD, candidate_arch_match="unknown")}
    assert room.versions.actionable([SERVICE], unknown) == {"svc_1"}


async def test_a_downgrade_is_left_to_people(room: Room) -> None:
    down = {"svc_1": replace(RECORD, current_resolved_tag="2.0.0", candidate_resolved_tag="1.9.0")}
    assert room.versions.actionable([SERVICE], down, reason="schedule") == set()
    assert room.versions.actionable([SERVICE], down, reason="ui") == {"svc_1"}
    up = {"svc_1": replace(RECORD, current_resolved_tag="1.9.0", candidate_resolved_tag="2.0.0")}
    assert room.versions.actionable([SERVICE], up, reason="schedule") == {"svc_1"}


async def test_a_repository_that_only_begins_alike_is_not_dockrev(room: Room) -> None:
    assert not room.versions.is_dockrev("ghcr.io/ivanli-cn/dockrev-tools:latest")


def test_drift_needs_a_known_digest() -> None:
    digest = digest_of("old")
    assert not drifted(RECORD, RuntimeDigest(None, reason="no_container"))
    assert not drifted(RECORD, RuntimeDigest(digest.upper().replace("SHA256", "sha256")))
    assert drifted(RECORD, RuntimeDigest(digest_of("x")))
    assert drifted(None, RuntimeDigest(digest))


def test_two_different_images_are_not_one() -> None:
    """A scaled service in the middle of an update runs neither the old nor the new alone."""
    several = (digest_of("old"), digest_of("new"))
    runtime = RuntimeDigest(None, ("sha256:1", "sha256:2"), "several_digests", several)
    assert running_digest(runtime, None, RECORD) is None
    assert running_digest(replace(runtime, image_ids=("sha256:1",)), None, RECORD) == digest_of("old")
