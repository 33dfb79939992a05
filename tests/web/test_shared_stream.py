"""The stream that all tabs of a browser share: every topic, whom a change is about, and what a comer-back missed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from app.core.events import EntitiesChanged
from app.features.overview.stream import NAMED, TOPICS, Topics, _ids
from tests.web.test_server import Server, server

__all__ = ["server"]


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, line.removeprefix("data: ")


def test_a_change_says_whom_it_is_about(server: Server) -> None:
    with httpx.stream("GET", server.url + "/events?topics=all", timeout=20) as page:
        events = _events(page.iter_lines())
        job = httpx.post(server.url + "/api/discovery/scan").json()["jobId"]
        told = next(json.loads(data) for name, data in events if name == "jobs-changed")
        assert told == {"type": "jobs-changed", "ids": [job]}


def test_who_comes_back_is_told_what_the_frame_shows(server: Server) -> None:
    with httpx.stream("GET", server.url + "/events?topics=all&again=1", timeout=20) as page:
        names = (line.removeprefix("event: ") for line in page.iter_lines() if line.startswith("event: "))
        assert next(names) == "banner"
        assert "pill" in (next(names) for _ in range(6)), "also where no job runs any more"


def test_all_is_every_domain() -> None:
    assert Topics.parse("all").domains == TOPICS
    assert Topics.parse("all").names(EntitiesChanged("hooks")) == {"hooks-changed"}


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ([{"a"}, {"b"}], ["a", "b"]),
        ([{"a"}, set()], None),  # one that may be about all
        ([], None),  # rows of a job, of which nothing else is known
        ([{str(number) for number in range(NAMED + 1)}], None),
    ],
)
def test_ids_are_left_out_where_it_may_be_all(changes: list[set[str]], ids: list[str] | None) -> None:
    about = [EntitiesChanged("services", frozenset(each)) for each in changes]
    assert _ids("services-changed", [*about, EntitiesChanged("stacks")]).get("ids") == ids
