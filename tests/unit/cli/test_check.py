"""`dockrev check` against a running Dockrev."""

from __future__ import annotations

import socket

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_dockrev import STACK, WEB, FakeDockrev, candidate, service


def test_everything_is_checked_and_news_are_listed(run: Run, dockrev: FakeDockrev) -> None:
    ran = run("check")
    assert ran.code == 0
    assert dockrev.posts("/api/checks") == [{"scope": "all", "reason": "ui"}]
    assert "news/web" in ran.out
    assert "1.5.0" in ran.out
    assert "news/cache" not in ran.out
    assert "2 services, 1 with an update" in ran.out


def test_all_lists_what_is_up_to_date_too(run: Run, dockrev: FakeDockrev) -> None:
    assert "up to date" in run("check", "--all").out


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (("--stack", "news"), {"scope": "stack", "stackId": STACK}),
        (("--stack", STACK), {"scope": "stack", "stackId": STACK}),
        (("--service", "web"), {"scope": "service", "serviceId": WEB}),
        (("--service", "news/web"), {"scope": "service", "serviceId": WEB}),
        (("--service", WEB, "--scope", "service"), {"scope": "service", "serviceId": WEB}),
        (("--stack", "news", "--service", "web"), {"scope": "service", "serviceId": WEB}),
    ],
)
def test_names_and_ids_are_found(
    run: Run, dockrev: FakeDockrev, options: tuple[str, ...], body: dict[str, str]
) -> None:
    assert run("check", *options).code == 0
    assert dockrev.posts("/api/checks") == [{**body, "reason": "ui"}]


@pytest.mark.parametrize(
    "options",
    [("--service", "nobody"), ("--stack", "nobody"), ("--scope", "stack"), ("--scope", "all", "--stack", "news")],
)
def test_wrong_targets_are_usage_errors_and_ask_for_nothing(
    run: Run, dockrev: FakeDockrev, options: tuple[str, ...]
) -> None:
    assert run("check", *options).code == 2
    assert dockrev.posts("/api/checks") == []


def test_a_name_that_two_services_have_is_not_guessed(run: Run, dockrev: FakeDockrev) -> None:
    dockrev.services.append(service("svc_other", "web", "2"))
    ran = run("check", "--service", "web")
    assert ran.code == 2
    assert "not one but 2" in ran.err


def test_exit_code_tells_that_there_are_updates(run: Run, dockrev: FakeDockrev) -> None:
    assert run("check", "--exit-code").code == 5
    dockrev.services[0]["ignore"] = {"matched": True, "ruleId": "ign_1", "reason": "x"}
    assert run("check", "--exit-code").code == 0


def test_json_is_one_document(run: Run, dockrev: FakeDockrev) -> None:
    ran = run("check", "--json")
    assert ran.document["updates"] == 1
    assert [row["state"] for row in ran.document["services"]] == ["update", "up_to_date"]
    assert ran.document["job"]["status"] == "success"


def test_a_failed_check_says_why(run: Run, dockrev: FakeDockrev) -> None:
    dockrev.status, dockrev.result_reason = "failed", {"summary": "No network", "detail": "Try later."}
    ran = run("check", "--exit-code")
    assert ran.code == 1
    assert "No network" in ran.err


def test_conflict_has_its_own_code_and_names_the_job(run: Run, dockrev: FakeDockrev) -> None:
    details = {"existingJobId": "chk_9"}
    dockrev.refuse["/api/checks"] = [
        (409, {"code": "conflict", "message": "check already running", "details": details})
    ]
    ran = run("check", "--json")
    assert ran.code == 4
    assert ran.document["error"]["code"] == "conflict"
    assert "dockrev jobs follow chk_9" in ran.err


def test_a_named_dockrev_that_does_not_answer_is_unreachable(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    ran = run("check", "--url", url)
    assert ran.code == 3
    assert url in ran.err


@pytest.mark.parametrize("url", ["ftp://example", "nonsense", "http://"])
def test_a_bad_address_is_a_usage_error(run: Run, url: str) -> None:
    assert run("check", "--url", url).code == 2


def test_hostile_names_reach_no_terminal(run: Run, dockrev: FakeDockrev) -> None:
    dockrev.services = [service(WEB, "we\x1b]0;owned\x07b\x1b[2J", "1\u202e", candidate=candidate("1.5\x9b31m\x00"))]
    ran = run("check", "--all")
    assert "web" in ran.out
    assert not [character for character in ran.out if ord(character) < 32 and character != "\n"]
    assert "\u202e" not in ran.out
    assert "\x9b" not in ran.out


def test_the_identity_is_sent(run: Run, dockrev: FakeDockrev) -> None:
    run("check", "--user", "alice")
    assert {headers.get("X-Forwarded-User") for headers in dockrev.headers} == {"alice"}
    dockrev.headers.clear()
    run("check", env={"DOCKREV_AUTH_ALLOWED_USER": "bob", "DOCKREV_AUTH_FORWARD_HEADER_NAME": "Remote-User"})
    assert {headers.get("Remote-User") for headers in dockrev.headers} == {"bob"}


def test_a_name_cannot_smuggle_headers(run: Run, dockrev: FakeDockrev) -> None:
    assert run("check", "--user", "alice\r\nX-Evil: 1").code == 2
