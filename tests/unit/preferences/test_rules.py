"""What an address and a change of settings may be."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidArgument
from app.features.preferences.rules import (
    SAMPLE_INTERVALS,
    BackupDefaults,
    ResourceMonitor,
    Schedule,
    check_backup,
    check_monitor,
    check_schedule,
    nearest_interval,
    public_address,
)
from app.features.preferences.sections import ORDER, Sections


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://x.example/base", "https://x.example/base/"),
        ("https://x.example", "https://x.example/"),
        ("  HTTP://X.example:8080/  ", "http://X.example:8080/"),
        ("http://[fd00::1]:50883/a/b/", "http://[fd00::1]:50883/a/b/"),
        ("https://x.example///", "https://x.example/"),
        (None, None),
        ("", None),
        ("   ", None),
    ],
)
def test_addresses(given: str | None, stored: str | None) -> None:
    assert public_address(given) == stored


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("x.example", "absolute"),
        ("/dockrev", "absolute"),
        ("//x.example/", "absolute"),
        ("ftp://x.example/", "must be http or https"),
        ("javascript://x.example/%0aalert(1)", "must be http or https"),
        ("https:///path", "host"),
        ("https://:443/", "host"),
        ("https://x.example/?a=b", "query or fragment"),
        ("https://x.example/#top", "query or fragment"),
        ("https://x.example/?", "query or fragment"),
        ("https://u:p@x.example/", "user or password"),
        ("https://x.example:70000/", "port"),
        ("https://x.example:0/", "host"),
        ("https://[::1/", "port"),
        ("https://x.example/a b", "plain address"),
        ("https://x.example/\n", None),
        ("https://x.exa\tmple/", "plain address"),
        ("https://x.example/<script>", "plain address"),
        ("https://x.example/" + "a" * 3000, "2048"),
    ],
)
def test_addresses_that_are_refused(given: str, said: str | None) -> None:
    if said is None:  # only around it
        assert public_address(given) == "https://x.example/"
        return
    with pytest.raises(InvalidArgument, match=said) as caught:
        public_address(given)
    assert caught.value.details == {"reason": "instance_public_base_url_invalid", "field": "instance.publicBaseUrl"}


@given(st.text(max_size=60) | st.text("htps:/.x?#@[]1 ", max_size=30).map("http://".__add__))
def test_an_address_is_refused_or_ends_with_a_slash(text: str) -> None:
    try:
        stored = public_address(text)
    except InvalidArgument:
        return
    if stored is not None:
        parts = urlsplit(stored)
        assert parts.scheme in ("http", "https") and parts.hostname and stored.endswith("/")
        assert not parts.query and not parts.fragment
        assert public_address(stored) == stored


@pytest.mark.parametrize(("stored", "today"), [(10, 10), (5, 10), (30, 30), (0, 10), (-7, 10), (100, 60), (9999, 300)])
def test_intervals_of_older_versions(stored: int, today: int) -> None:
    assert nearest_interval(stored) == today


def test_intervals() -> None:
    for seconds in SAMPLE_INTERVALS:
        check_monitor(ResourceMonitor(True, seconds))
    with pytest.raises(InvalidArgument, match="must be one of 10/30/60/300"):
        check_monitor(ResourceMonitor(False, 15))


def test_a_schedule_is_checked_only_while_it_is_on() -> None:
    assert check_schedule("updateCheck", Schedule(False, " not  a cron ")) == Schedule(False, "not a cron")
    assert check_schedule("updateCheck", Schedule(True, " 0   3 * * *\n")) == Schedule(True, "0 3 * * *")
    with pytest.raises(InvalidArgument, match="cron expression is invalid") as caught:
        check_schedule("ghcrWebhookAudit", Schedule(True, "not a cron"))
    assert caught.value.details["reason"] == "cron_invalid"
    assert caught.value.details["field"] == "schedules.ghcrWebhookAudit.cron"
    assert "3 fields" in caught.value.details["error"]
    for text in ("a" * 201, "a\x00b", "a\u202eb"):
        with pytest.raises(InvalidArgument):
            check_schedule("updateCheck", Schedule(False, text))


def test_a_threshold_must_fit() -> None:
    with pytest.raises(InvalidArgument, match="too large"):
        check_backup(BackupDefaults(skip_targets_over_bytes=2**63))


def test_sections_keep_their_order_whoever_comes_first() -> None:
    sections = Sections()
    sections.add("deploy-check")
    sections.add("notifications", "access")
    sections.add("access")
    assert [link.key for link in sections.links()] == ["access", "notifications", "deploy-check"]
    assert set(ORDER) >= {link.key for link in sections.links()}
    with pytest.raises(ValueError, match="no place"):
        sections.add("elsewhere")
