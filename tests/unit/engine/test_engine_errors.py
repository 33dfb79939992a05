"""Which error, in which words, with which remedy."""

from __future__ import annotations

import errno
import socket

import pytest

from app.adapters.engine.errors import (
    EngineRefused,
    EngineUnreachable,
    NoSuchContainer,
    NoSuchImage,
    PullFailed,
    PullReason,
    classify_pull,
    clean_told,
    refused,
    translate,
)

ENDPOINT = "unix:///run/nowhere.sock"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("toomanyrequests: You have reached your pull rate limit", "rate_limited"),
        ("received unexpected HTTP status: 429 Too Many Requests", "rate_limited"),
        ("pull access denied for x, repository does not exist or may require 'docker login'", "auth"),
        ('Head "https://r/v2/x": no basic auth credentials', "auth"),
        ("unauthorized: authentication required", "auth"),
        ("manifest for x:9 not found: manifest unknown: manifest unknown", "not_found"),
        ("no matching manifest for linux/amd64 in the manifest list entries", "not_found"),
        ("write /var/lib/docker/tmp/x: no space left on device", "no_space"),
        ("net/http: TLS handshake timeout", "timeout"),
        ("context deadline exceeded", "timeout"),
        ("dial tcp 127.0.0.1:1: connect: connection refused", "other"),
        ("", "other"),
    ],
)
def test_pull_reasons(told: str, reason: str) -> None:
    assert classify_pull(told) == reason


def test_only_a_bad_moment_is_worth_another_pull() -> None:
    reasons: tuple[PullReason, ...] = ("rate_limited", "auth", "not_found", "no_space", "timeout", "other")
    transient = {reason for reason in reasons if not PullFailed("x:1", reason, "").permanent}
    assert transient == {"timeout", "other"}
    assert "registry rate limited" in PullFailed("x:1", "rate_limited", "toomanyrequests").message
    assert all(PullFailed("x:1", reason, "").hint for reason in reasons)


@pytest.mark.parametrize(
    ("cause", "reason", "hint"),
    [
        (PermissionError(errno.EACCES, "x"), "permission_denied", "--group-add"),
        (FileNotFoundError(errno.ENOENT, "x"), "no_such_file", "DOCKER_HOST"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "refused", "Start the engine"),
        (socket.gaierror(-2, "x"), "unknown_host", "DOCKER_HOST"),
        (TimeoutError(), "timeout", "by itself"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "lost", "by itself"),
    ],
)
def test_unreachable_names_endpoint_cause_and_remedy(cause: OSError, reason: str, hint: str) -> None:
    import requests.exceptions

    wrapped = requests.exceptions.ConnectionError(("Connection aborted.", cause), request=None)
    wrapped.__cause__ = cause
    error = translate(wrapped, endpoint=ENDPOINT)
    assert isinstance(error, EngineUnreachable)
    assert error.details == {"endpoint": ENDPOINT, "reason": reason}
    assert ENDPOINT in error.message
    assert hint in error.hint
    assert not error.permanent


def test_answers_that_make_no_sense_are_refusals() -> None:
    import requests.exceptions

    garbled = requests.exceptions.JSONDecodeError("Expecting value", "<html>", 0)
    assert isinstance(translate(garbled, endpoint=ENDPOINT), EngineRefused)
    assert isinstance(translate(KeyError("ApiVersion"), endpoint=ENDPOINT), EngineRefused)


def test_statuses() -> None:
    assert isinstance(refused(404, "No such container: x", "x"), NoSuchContainer)
    assert isinstance(refused(404, "No such image: x:1", "x:1"), NoSuchImage)
    missing_path = refused(404, "Could not find the file /x in container y", "y")
    assert isinstance(missing_path, EngineRefused)
    assert missing_path.http_status == 404
    assert refused(409, "conflict", "").permanent
    assert not refused(500, "oops", "").permanent
    assert "socket proxy" in refused(403, "Forbidden", "").hint


def test_what_the_other_side_said_is_made_harmless() -> None:
    page = "<html><body><h1>403 Forbidden</h1>\n<script>alert(1)</script>\x1b[31m</body></html>"
    assert clean_told(page) == "403 Forbidden alert(1) [31m"
    assert clean_told('Get "https://bob:hunter2@r.example/v2/": EOF') == 'Get "https://r.example/v2/": EOF'
    assert len(clean_told("x" * 1_000_000)) == 500
