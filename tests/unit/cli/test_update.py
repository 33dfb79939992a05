"""`dockrev update` against a running Dockrev."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_dockrev import STACK, WEB, FakeDockrev, candidate, service

DIGEST = "sha256:" + "b" * 64


def test_one_service_is_asked_for_by_tag_and_digest(run: Run, dockrev: FakeDockrev) -> None:
    ran = run("update", "--service", "web", "--yes", "--backup", "force")
    assert ran.code == 0, ran.err
    assert dockrev.posts("/api/updates") == [
        {
            "scope": "service",
            "serviceId": WEB,
            "targetTag": "1",
            "targetDigest": DIGEST,
            "pullTags": ["1.5.0"],
            "mode": "apply",
            "allowArchMismatch": False,
            "backupMode": "force",
            "reason": "ui",
        }
    ]


def test_a_stack_is_asked_for_with_all_that_can_be_updated(run: Run, dockrev: FakeDockrev) -> None:
    wrong = candidate("3", archMatch="mismatch")
    ignored = {"matched": True}
    dockrev.services += [
        service("svc_arch", "arch", "1", candidate=wrong),
        service("svc_ign", "ign", "1", candidate=candidate("2"), ignore=ignored),
        service("svc_gone", "gone", "1", candidate=candidate("2"), archived=True),
    ]
    assert run("update", "--stack", "news", "--dry-run").code == 0
    assert run("update", "--yes", "--allow-arch-mismatch").code == 0
    stack, everything = dockrev.posts("/api/updates")
    assert (stack["scope"], stack["stackId"], stack["mode"]) == ("stack", STACK, "dry-run")
    assert [target["serviceId"] for target in stack["targets"]] == [WEB]
    assert [target["serviceId"] for target in everything["targets"]] == [WEB, "svc_arch"]


def test_what_only_the_server_leaves_out_is_left_out(run: Run, dockrev: FakeDockrev) -> None:
    dockrev.services.append(service("svc_self", "dockrev", "1", candidate=candidate("9")))
    details = {"missingServiceIds": [], "extraServiceIds": ["svc_self"]}
    dockrev.refuse["/api/updates"] = [(400, {"code": "invalid_argument", "message": "targets", "details": details})]
    ran = run("update", "--yes")
    assert ran.code == 0
    assert "news/dockrev" in ran.out
    assert [target["serviceId"] for target in dockrev.posts("/api/updates")[-1]["targets"]] == [WEB]


def test_a_plan_that_misses_services_is_not_shrunk_further(run: Run, dockrev: FakeDockrev) -> None:
    details = {"missingServiceIds": ["svc_new"], "extraServiceIds": []}
    dockrev.refuse["/api/updates"] = [(400, {"code": "invalid_argument", "message": "targets", "details": details})]
    assert run("update", "--yes").code == 2
    assert len(dockrev.posts("/api/updates")) == 1


def test_without_a_terminal_nobody_is_asked_and_nothing_done(run: Run, dockrev: FakeDockrev) -> None:
    ran = run("update", "--service", "web")
    assert ran.code == 2
    assert "--yes" in ran.err
    assert dockrev.posts("/api/updates") == []


def test_nothing_to_update_is_no_error(run: Run, dockrev: FakeDockrev) -> None:
    del dockrev.services[0]["candidate"]
    assert run("update", "--yes").code == 0
    assert run("update", "--yes", "--json").document["job"] is None
    assert dockrev.posts("/api/updates") == []


@pytest.mark.parametrize("status", ["failed", "rolled_back", "cancelled"])
def test_what_did_not_succeed_ends_with_1_and_says_why(run: Run, dockrev: FakeDockrev, status: str) -> None:
    dockrev.status = status
    dockrev.result_reason = {"summary": "It did not get healthy", "detail": "The old one is back.", "raw": "unhealthy"}
    ran = run("update", "--service", "web", "--yes")
    assert ran.code == 1
    assert "It did not get healthy" in ran.err
    assert "dockrev jobs logs job_1" in ran.err


def test_a_stale_target_is_a_conflict(run: Run, dockrev: FakeDockrev) -> None:
    message = "target digest no longer matches latest scan (rescan required)"
    dockrev.refuse["/api/updates"] = [(409, {"code": "conflict", "message": message, "details": {"serviceId": WEB}})]
    ran = run("update", "--service", "web", "--yes")
    assert ran.code == 4
    assert message in ran.err
