"""What the deploy check says of what it found; what the supervisor's path is; what the cards of settings send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidArgument
from app.features.administration import deploy_rules as rules
from app.features.administration.deploy_rules import CHECKS, Outcome
from app.features.administration.misroute import base_path, misroute_handlers
from app.features.administration.settings_forms import CARDS, MIB, limit_of, mebibytes
from app.features.preferences import HouseSettings, Readiness, Schedule


def test_core_is_required_and_features_while_they_are_on() -> None:
    assert rules.told("core.docker_engine", Outcome("fail", "x")).required
    assert rules.told("feature.github_packages", Outcome("fail", "x")).required
    assert rules.told("feature.github_packages", Outcome("pass", "x")).required
    assert not rules.told("feature.github_packages", Outcome("na", "x", na_reason="disabled_by_switch")).required
    assert rules.told("core.docker_engine", Outcome("pass", "x", recommendation="do")).recommendation == ""


@given(st.lists(st.sampled_from(["pass", "fail", "na"]), min_size=12, max_size=12))
def test_the_result_follows_from_the_blocking_ones(statuses: list[str]) -> None:
    checks = []
    for check_id, status in zip(CHECKS, statuses, strict=True):
        found = Outcome("fail" if status == "fail" else "na" if status == "na" else "pass", "x")
        checks.append(rules.told(check_id, found))
    overall = rules.overall(checks)
    assert overall.blocking_check_ids == [c.id for c in checks if c.status == "fail"]
    assert (overall.result == "fail") == ("fail" in statuses)
    assert overall.summary == (rules.BAD if overall.result == "fail" else rules.GOOD)


def test_nothing_to_look_at_is_a_failure() -> None:
    assert rules.compose_files([], []).status == "fail"
    assert rules.compose_files(["/a"], []).status == "pass"
    many = [f"/stacks/{number}/compose.yaml" for number in range(9)]
    found = rules.compose_files(many, many[:6])
    assert found.status == "fail" and "(+2 more)" in found.evidence and many[3] in found.evidence
    assert many[4] not in found.evidence and found.recommendation


def test_image_references() -> None:
    assert rules.image_references([]).status == "pass"
    found = rules.image_references([("a/web", "nginx:1"), ("a/db", "Not A Ref")])
    assert found.status == "fail" and "a/db" in found.evidence and "a/web" not in found.evidence


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (Readiness(False), "na"),
        (Readiness(False, ("smtpUrl",)), "na"),
        (Readiness(True, ("smtpUrl",)), "fail"),
        (Readiness(True), "pass"),
    ],
)
def test_features(said: Readiness, status: str) -> None:
    found = rules.feature(said, "/settings/notifications")
    assert found.status == status and (status != "na" or found.na_reason == "disabled_by_switch")
    assert status != "fail" or ("smtpUrl" in found.summary and "/settings/notifications" in found.recommendation)


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("/supervisor/", "/supervisor"),
        ("/supervisor", "/supervisor"),
        ("/a//b/", "/a/b"),
        ("https://upgrade.example/supervisor/", None),
        ("//upgrade.example/", None),
        ("/", None),
        ("/api/supervisor", None),
        ("/settings", None),
        ("/../etc", None),
        ("/{x:path}", None),
        ("", None),
    ],
)
def test_only_a_path_of_its_own_is_the_supervisors(address: str, base: str | None) -> None:
    assert base_path(address) == base
    assert bool(misroute_handlers(address)) is (base is not None)


@pytest.mark.parametrize(("typed", "count"), [("100", 100 * MIB), ("0", 0), ("0.5", MIB // 2), (" 1,5 ", MIB * 3 // 2)])
def test_the_limit_is_typed_in_mebibytes(typed: str, count: int) -> None:
    assert limit_of(typed, 7) == count


@given(st.integers(0, 2**62))
def test_a_limit_that_nobody_touched_stays_exact(stored: int) -> None:
    assert limit_of(mebibytes(stored), stored) == stored


@pytest.mark.parametrize("typed", ["", "a", "-1", "nan", "inf", "1e300", "1 000"])
def test_what_is_no_limit(typed: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        limit_of(typed, 7)
    assert caught.value.details == {"field": "backup.skipTargetsOverBytes"}


def test_a_card_changes_its_section_only() -> None:
    now = HouseSettings()
    change = CARDS["schedules"](
        {"schedules.updateCheck.enabled": "true", "schedules.updateCheck.cron": "1 2 * * *"}, now
    )
    assert change.update_check == Schedule(True, "1 2 * * *")
    assert change.backup is None and change.monitor is None
    assert CARDS["instance"]({}, now).public_base_url == ""
    for text in ("", "ten", "-5", "9" * 50, "²"):
        wrong = CARDS["monitoring"]({"resourceMonitor.sampleIntervalSeconds": text}, now).monitor
        assert wrong is not None and wrong.sample_interval_seconds == -1
