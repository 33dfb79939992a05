"""Facts become messages that Home Assistant takes, whatever the names from outside are."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.homeassistant.facts import House, Told, versions_of
from app.features.homeassistant.layout import Layout, object_id
from app.features.homeassistant.payloads import entity_names, messages
from app.features.versions import VersionRecord
from tests.unit.homeassistant.contract import broken

LAYOUT = Layout("dockrev", "homeassistant")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def told(**changes: Any) -> Told:
    return Told(**({"id": "svc_1", "stack_id": "stk_1", "stack": "news", "name": "web", "tag": "1"} | changes))


def house(*services: Told, **changes: Any) -> House:
    known: dict[str, Any] = {
        "version": "1.2.3", "base": None, "updates": 0, "last_check": NOW, "engine": True, "failed_checks": 0,
    }  # fmt: skip
    return House(**(known | changes), services=services)


def record(**changes: Any) -> VersionRecord:
    known: dict[str, Any] = {
        "service_id": "svc_1", "image_ref": "a:1", "image_repo": "a", "image_tag": "1", "current_digest": OLD,
        "current_resolved_tag": "1.0.0", "checked_at": NOW,
    }  # fmt: skip
    if "candidate_digest" in changes:
        known["candidate_tag"] = "1"
    return VersionRecord(**(known | changes))


def documents(found: dict[str, str]) -> dict[str, Any]:
    return {topic: json.loads(text) if text.startswith("{") else text for topic, text in found.items()}


def test_an_update_that_waits() -> None:
    one = told(installed="1.0.0", latest="1.1.0", install=NEW, url="https://example.org/web")
    found = documents(messages(house(one, base="https://dockrev.home.lan"), LAYOUT, install=True))
    config = found["homeassistant/update/dockrev/svc_1/config"]
    assert config["unique_id"] == "dockrev_svc_1"
    assert (config["command_topic"], config["payload_install"]) == ("dockrev/svc_1/install", NEW)
    assert config["availability"] == [{"topic": "dockrev/status"}, {"topic": "dockrev/svc_1/known"}]
    assert config["device"]["configuration_url"] == "https://dockrev.home.lan/stacks/stk_1"
    assert found[config["state_topic"]] == {
        "title": "news/web",
        "in_progress": False,
        "update_percentage": None,
        "installed_version": "1.0.0",
        "latest_version": "1.1.0",
        "release_url": "https://example.org/web",
    }
    assert found["dockrev/svc_1/known"] == "online"
    assert list(found)[-1] != "homeassistant/update/dockrev/svc_1/config", "announcements go before states"


def test_without_leave_there_is_no_command() -> None:
    one = told(installed="1.0.0", latest="1.1.0", install=NEW)
    assert (
        "command_topic" not in messages(house(one), LAYOUT, install=False)["homeassistant/update/dockrev/svc_1/config"]
    )
    none = told(installed="1.0.0", latest="1.1.0")
    assert "install" not in messages(house(none), LAYOUT, install=True)["homeassistant/update/dockrev/svc_1/config"]


def test_unknown_has_no_version_and_is_not_available() -> None:
    found = documents(messages(house(told(installed="1.0.0")), LAYOUT, install=True))
    assert "latest_version" not in found["dockrev/svc_1/state"]
    assert found["dockrev/svc_1/known"] == "offline"


def test_a_house_that_nobody_looked_at_says_so() -> None:
    found = documents(
        messages(house(updates=None, last_check=None, engine=None, failed_checks=None), LAYOUT, install=False)
    )
    state = found["dockrev/state"]
    assert (state["updates"], state["last_check"], state["problem"]) == ("None", "None", "None")
    assert [house(**x).problem for x in ({"engine": False}, {"failed_checks": 1}, {})] == [True, True, False]


def test_progress() -> None:
    state = documents(messages(house(told(installed="1", latest="2", busy=True, percent=40)), LAYOUT, install=True))
    assert state["dockrev/svc_1/state"]["in_progress"] is True
    assert state["dockrev/svc_1/state"]["update_percentage"] == 40


@pytest.mark.parametrize(
    ("changes", "offered", "expected"),
    [
        ({}, False, ("1.0.0", "1.0.0")),
        ({"checked_at": None}, False, (None, None)),
        ({"current_digest": None}, True, (None, None)),
        ({"last_error": "timeout"}, False, ("1.0.0", None)),
        ({"candidate_resolved_tag": "1.1.0", "candidate_digest": NEW}, True, ("1.0.0", "1.1.0")),
        ({"candidate_resolved_tag": "1.1.0", "candidate_digest": NEW, "last_error": "x"}, True, ("1.0.0", "1.1.0")),
        (
            {"candidate_resolved_tag": "1.0.0", "candidate_digest": NEW},  # rebuilt
            True,
            ("1.0.0 (aaaaaaaaaaaa)", "1.0.0 (bbbbbbbbbbbb)"),
        ),
        (
            {"current_resolved_tag": None, "image_tag": "latest", "candidate_tag": "latest", "candidate_digest": NEW},
            True,
            ("latest (aaaaaaaaaaaa)", "latest (bbbbbbbbbbbb)"),
        ),
        (
            {"current_resolved_tag": "1.0", "candidate_resolved_tag": "1.0.0", "candidate_digest": NEW},
            True,
            ("1.0 (aaaaaaaaaaaa)", "1.0.0 (bbbbbbbbbbbb)"),
        ),
    ],
)
def test_versions_as_home_assistant_compares_them(
    changes: dict[str, Any], offered: bool, expected: tuple[str | None, str | None]
) -> None:
    assert versions_of(record(**changes), offered=offered) == expected


def test_nothing_known_at_all() -> None:
    assert versions_of(None, offered=False) == (None, None)


NAMES = st.one_of(
    st.text(max_size=200),
    st.sampled_from(["", "#", "+/#", "../..", "a/b", "web\x00", "\x1b[31m", "𝔴𝔢𝔟", "‮bew", '{"x":1}', "{{ 7*7 }}"]),
)


@given(st.lists(st.tuples(NAMES, NAMES), max_size=6), NAMES)
def test_hostile_names_stay_in_payloads(pairs: list[tuple[str, str]], reason: str) -> None:
    services = [
        told(
            id=f"svc_{n}",
            stack_id=f"stk_{n}",
            stack=stack,
            name=name,
            attributes={"reason": reason},
            installed="1",
            latest="1",
        )
        for n, (stack, name) in enumerate(pairs)
    ]
    found = messages(house(*services), LAYOUT, install=True)
    assert len({topic for topic in found if "/update/" in topic}) == len(services)
    assert max(map(len, found)) < 200
    assert broken(found) == []
    assert found == messages(house(*reversed(services)), LAYOUT, install=True), "the same after a restart"


VERSIONS = st.one_of(st.none(), st.sampled_from(["1.0.0", "1.0.0 (aaaaaaaaaaaa)", "latest", "x" * 100]))


@given(
    st.lists(
        st.builds(
            told,
            id=st.uuids().map(str),
            name=NAMES,
            installed=VERSIONS,
            latest=VERSIONS,
            busy=st.booleans(),
            percent=st.one_of(st.none(), st.integers(0, 100)),
            install=st.sampled_from([None, NEW]),
            url=st.sampled_from([None, "https://example.org/a", "http://10.0.0.1:8080/x?y=z"]),
        ),
        max_size=5,
        unique_by=lambda one: one.id,
    ),
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, 0, 3]),
    st.sampled_from(["dockrev", "home/dockrev", "A-b_c/D"]),
    st.sampled_from([None, "https://dockrev.home.lan", "http://10.0.0.1:50883"]),
)
def test_home_assistant_takes_whatever_there_is_to_tell(
    services: list[Told], install: bool, engine: bool | None, failed: int | None, prefix: str, base: str | None
) -> None:
    there = house(*services, engine=engine, failed_checks=failed, base=base, updates=failed)
    found = messages(there, Layout(prefix, "ha/discovery"), install=install, notes={"x": {"last_command": "started"}})
    assert broken(found, "ha/discovery") == []


def test_the_rules_see_what_home_assistant_would_not_take() -> None:
    one = told(installed="1.0.0", latest="1.1.0", install=NEW, attributes={"reason": "x"})
    good = messages(house(one), LAYOUT, install=True)
    config, state = "homeassistant/update/dockrev/svc_1/config", "dockrev/svc_1/state"

    def with_(topic: str, **changes: Any) -> list[str]:
        return broken(good | {topic: json.dumps(json.loads(good[topic]) | changes)})

    assert broken(good) == []
    assert "attributes that it drops" in with_("dockrev/svc_1/attributes", state="updatable")[0]
    assert "it drops a state with" in with_(state, release_notes="x")[0]
    assert "anything else than text" in with_(state, latest_version=None)[0]
    assert "255" in with_(state, release_summary="x" * 256)[0]
    assert "in progress" in with_(state, update_percentage=3)[0]
    assert "payload_install" in with_(config, payload_install="")[0]
    assert "not known" in with_(config, object_id="web")[0]
    assert "identifier" in with_(config, device={"identifiers": [], "name": "x"})[0]
    assert "unique_id" in with_("homeassistant/sensor/dockrev/updates/config", unique_id="dockrev_last_check")[0]
    assert "nothing is kept" in broken({topic: text for topic, text in good.items() if topic != state})[0]


def test_two_of_the_same_name_are_told_apart_for_ever() -> None:
    first, second = (
        told(id="svc_AAAAAAAA1", name="web"),
        told(id="svc_BBBBBBBB2", name="we-b", stack="news_we", tag="1"),
    )
    third = told(id="svc_CCCCCCCC3", name="b", stack="news.we")
    names = entity_names(house(third, second, first), LAYOUT)
    assert names["svc_AAAAAAAA1"] == "update.dockrev_news_web"
    assert len(set(names.values())) == 3
    assert entity_names(house(first), LAYOUT)["svc_AAAAAAAA1"] == names["svc_AAAAAAAA1"]


def test_names_that_say_nothing_in_letters_end_in_the_id() -> None:
    assert entity_names(house(told(id="svc_12345678", name="网页", stack="新闻")), LAYOUT) == {
        "svc_12345678": "update.dockrev_12345678"
    }


def test_ids_that_are_not_ours_are_hashed() -> None:
    assert object_id("svc_01J") == "svc_01J"
    assert re.fullmatch(r"x[0-9a-f]{24}", object_id("a/b+#"))
    assert object_id("a/b") != object_id("a/c")


def test_topics_that_come_in() -> None:
    layout = Layout("home/dockrev", "ha")
    assert layout.node == "home_dockrev"
    assert layout.installed_object("home/dockrev/svc_1/install") == "svc_1"
    for topic in (
        "home/dockrev/a/b/install",
        "dockrev/svc_1/install",
        "home/dockrev//install",
        "home/dockrev/ü/install",
    ):
        assert layout.installed_object(topic) is None
    assert layout.leftovers("ha/update/home_dockrev/svc_1/config") == [
        "ha/update/home_dockrev/svc_1/config",
        *(f"home/dockrev/svc_1/{kind}" for kind in ("state", "attributes", "known")),
    ]
    assert layout.leftovers("ha/sensor/home_dockrev/old/config") == ["ha/sensor/home_dockrev/old/config"]
    assert layout.leftovers("ha/update/other/svc_1/config") == []
    assert layout.births == ("homeassistant/status", "ha/status")
    assert Layout("a", "homeassistant").births == ("homeassistant/status",)
