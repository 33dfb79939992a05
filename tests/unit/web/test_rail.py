"""The version rail as markup: places, lines and brackets."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jinja2 import Environment

from app.features.catalog import schemas as c
from tests.unit.web.pages.cases import environment


@pytest.fixture(scope="module")
def made() -> Environment:
    return environment()


def point(slot: str, kind: str, version: str | None, **more: Any) -> c.RailPoint:
    return c.RailPoint(slot=c.Slot(slot), kind=c.PointKind(kind), version=version, **more)


def full(made: Environment, reach: str, *points: c.RailPoint, tag: str = "1.4", length: int = 0) -> list[str]:
    reaches = [c.ReachBracket(tag=tag, length=length, followed=True)] if length else []
    source = "{% from 'ui/rail.html' import rail_full %}{{ rail_full(data, reach) }}"
    html = made.from_string(source).render(data=c.FullRail(points=list(points), reaches=reaches), reach=reach)
    return re.findall(r"<li.*?</li>", html)


def css(item: str) -> set[str]:
    found = re.search(r'class="([^"]*)"', item)
    assert found is not None
    return set(found.group(1).split())


def test_zones_without_a_version_keep_their_place(made: Environment) -> None:
    now, patch, minor, major, reach = full(
        made, "patch", point("now", "now", "1.4.0"), point("major", "hint", "2.0.0"), length=1
    )
    assert "none" in css(patch) & css(minor) and 'aria-hidden="true"' in patch
    assert ">major<" in major and "2.0.0" in major
    assert "in" in css(now) & css(patch) and not {"in"} & (css(minor) | css(major))
    assert 'data-len="3"' in reach and "first" in css(reach), "the bracket ends where the version stands"


@pytest.mark.parametrize(("reach", "solid"), [("none", 0), ("patch", 2), ("minor", 3), ("all", 4)])
def test_the_line_is_solid_as_far_as_the_tag_moves_by_itself(made: Environment, reach: str, solid: int) -> None:
    items = full(made, reach, point("now", "now", "1.4.0"))
    assert len(items) == 4
    assert ["in" in css(item) for item in items] == [True] * solid + [False] * (4 - solid)


def test_a_bracket_counts_versions_not_zones(made: Environment) -> None:
    items = full(
        made, "minor", point("now", "was", "1.3.9"), point("now", "now", "1.4.0"), point("patch", "ignored", "1.4.1"),
        point("patch", "next", "1.4.2"), length=2,
    )  # fmt: skip
    assert [">before<" in items[0], ">now<" in items[1], ">patch<" in items[2], ">minor<" in items[4]] == [True] * 4
    assert 'data-len="2"' in items[-1] and "first" not in css(items[-1])


def test_what_is_not_known_is_said_not_guessed(made: Environment) -> None:
    source = "{% from 'ui/rail.html' import rail %}{{ rail(data) }}"
    data = c.Rail(reach=c.Reach.ALL, points=[point("now", "unknown", None), point("patch", "hint", None)])
    html = made.from_string(source).render(data=data)
    assert "<b>unknown</b>" in html and "<b>new digest</b>" in html and "≈" not in html
    long = c.Rail(points=[point("now", "now", "2026.11.3-alpine3.22")])
    assert 'title="2026.11.3-alpine3.22"' in made.from_string(source).render(data=long), "what is cut off is told"
