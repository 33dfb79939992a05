"""From the engine's JSON to records."""

from __future__ import annotations

from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.engine import parse
from app.adapters.engine.records import HealthPolicy, RegistryAuth

SECOND = 1_000_000_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = (
    "Id", "Names", "Name", "Image", "ImageID", "Labels", "State", "Status", "Created", "HostConfig", "Config", "Mounts",
    "NetworkSettings", "RepoTags", "RepoDigests", "Size", "Actor", "Action", "timeNano", "time", "Health", "Type",
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_no_answer_of_an_engine_breaks_the_parser(raw: dict[str, Any]) -> None:
    read = (
        parse.container_summary(raw),
        parse.container_detail(raw),
        parse.image_summary(raw),
        parse.image_detail(raw),
        parse.engine_event(raw),
    )
    assert all(is_dataclass(one) for one in read)
    assert all(isinstance(one.id, str) for one in read[:4]), "whatever came, an id is a text"


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("Up 3 minutes (healthy)", "healthy"),
        ("Up 3 minutes (unhealthy)", "unhealthy"),
        ("Up 2 seconds (health: starting)", "starting"),
        ("Up 3 minutes", None),
        ("Exited (137) 2 hours ago", None),
        ("Up 3 minutes (Paused)", None),
    ],
)
def test_health_is_read_from_the_status_text(status: str, health: str | None) -> None:
    assert parse.container_summary({"Status": status}).health == health


def test_newer_engines_say_health_in_a_field() -> None:
    assert parse.container_summary({"Status": "Up", "Health": {"Status": "unhealthy"}}).health == "unhealthy"
    assert parse.container_summary({"Status": "Up", "Health": {"Status": "none"}}).health is None


def test_a_container_keeps_its_own_name_among_links() -> None:
    assert parse.container_summary({"Names": ["/other/alias", "/web-1"]}).name == "web-1"


@pytest.mark.parametrize("spelling", ["IPAddress", "IpAddress"])
def test_addresses_in_both_spellings_prefer_the_projects_network(spelling: str) -> None:
    raw: dict[str, Any] = {
        "Config": {"Labels": {"com.docker.compose.project": "news", "com.docker.compose.service": "web"}},
        "NetworkSettings": {"Networks": {"a": {spelling: "10.0.0.1"}, "news_default": {spelling: "10.0.0.2"}}},
    }
    detail = parse.container_detail(raw)
    assert (detail.ip, detail.project, detail.service) == ("10.0.0.2", "news", "web")
    del raw["NetworkSettings"]["Networks"]["news_default"]
    assert parse.container_detail(raw).ip == "10.0.0.1"


@pytest.mark.parametrize(
    ("raw", "policy"),
    [
        (None, None),
        ({"Test": ["NONE"]}, None),
        ({"Test": []}, None),
        ({"Test": [""]}, None),
        ({"Test": ["CMD", "true"]}, HealthPolicy(("CMD", "true"), 30.0, 30.0, 0.0, 3)),
        (
            {"Test": ["CMD"], "Interval": SECOND // 2, "Timeout": 2 * SECOND, "StartPeriod": 9 * SECOND, "Retries": 1},
            HealthPolicy(("CMD",), 0.5, 2.0, 9.0, 1),
        ),
    ],
)
def test_health_policy_fills_in_the_engines_defaults(raw: object, policy: HealthPolicy | None) -> None:
    assert parse.health_policy(raw) == policy


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        ("not a time", None),
        ("2026-13-01T00:00:00Z", None),
        (0, None),
        (10**30, None),
        (1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("2023-11-14T22:13:20.123456789Z", datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)),
        ("2023-11-15T00:13:20+02:00", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        ("2023-11-14 22:13:20", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    ],
)
def test_times(told: object, moment: datetime | None) -> None:
    assert parse.time_of(told) == moment


@given(st.integers(1, 7_000_000_000_000_000))
def test_written_times_come_back(microseconds: int) -> None:
    aware = datetime(1970, 1, 2, tzinfo=UTC) + timedelta(microseconds=microseconds)
    read = parse.time_of(aware.isoformat().replace("+00:00", "Z"))
    assert read is not None
    assert abs(read - aware) < timedelta(microseconds=1)


def test_health_log_and_state_of_a_container() -> None:
    probe = {"Start": "2026-01-01T00:00:00Z", "End": "2026-01-01T00:00:01Z", "ExitCode": 7, "Output": "x" * 20_000}
    health = {"Status": "unhealthy", "FailingStreak": 4, "Log": [probe]}
    raw = {
        "State": {"Status": "running", "Running": True, "Health": health},
        "RestartCount": 2,
        "Config": {"StopTimeout": 90, "Tty": True},
    }  # fmt: skip
    detail = parse.container_detail(raw)
    assert detail.health is not None
    assert (detail.health.status, detail.health.failing_streak) == ("unhealthy", 4)
    assert detail.health.log[0].exit_code == 7
    assert len(detail.health.log[0].output) == parse.MAX_PROBE_OUTPUT_CHARS
    assert (detail.running, detail.restart_count, detail.stop_timeout, detail.tty) == (True, 2, 90, True)
    assert parse.container_detail({"State": {"Health": {"Status": "none"}}}).health is None


def test_hostile_labels_are_bounded() -> None:
    labels = parse.labels_of({"k" * 99_999: "v" * 5_000_000, **{str(i): "" for i in range(9_999)}, "n": 3})
    assert len(labels) == parse.MAX_LABELS
    assert max(map(len, [*labels, *labels.values()])) == parse.MAX_LABEL_CHARS


def test_images_without_names() -> None:
    image = parse.image_summary({"RepoTags": ["<none>:<none>"], "RepoDigests": None, "Labels": None})
    assert (image.repo_tags, image.repo_digests, image.labels) == ((), (), {})


def test_events_split_the_action_from_its_detail() -> None:
    raw = {"Type": "container", "Action": "health_status: healthy", "Actor": {"ID": "a"}, "timeNano": 5}
    event = parse.engine_event(raw)
    assert (event.action, event.detail, event.health, event.id, event.time_ns) == (
        "health_status", "healthy", "healthy", "a", 5,
    )  # fmt: skip
    plain = parse.engine_event({"status": "start", "id": "b", "time": 2})
    assert (plain.action, plain.health, plain.id, plain.time_ns) == ("start", None, "b", 2 * SECOND)


def test_credentials_are_not_in_the_repr() -> None:
    shown = repr(RegistryAuth("alice", "hunter22", "tok-en", "r.example"))
    assert "hunter22" not in shown
    assert "tok-en" not in shown


def test_only_the_variables_asked_for_leave_the_adapter() -> None:
    raw = {"Config": {"Env": ["DOCKREV_DB_PATH=/data/a=b.sqlite3", "TOKEN=hush", "EMPTY", 7], "WorkingDir": "/srv"}}
    told = parse.environment(raw, frozenset({"DOCKREV_DB_PATH", "DOCKREV_HTTP_ADDR"}))
    assert told.variables == {"DOCKREV_DB_PATH": "/data/a=b.sqlite3"}
    assert told.working_dir == "/srv"
    assert parse.environment({"Config": None}, frozenset({"X"})).working_dir == "/"
