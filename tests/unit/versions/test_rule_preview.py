"""What a rule would hold back, told before it is kept."""

from __future__ import annotations

import time

import pytest

from app.core.errors import NotFound
from app.features.versions.newer.book import TagBook
from app.features.versions.rule_preview import TAGS_TOLD, RulePreviews
from tests.unit.versions.room import Room

WEB = "ghcr.io/acme/web"


async def previews(room: Room, tags: list[str], followed: str = "1.4") -> tuple[RulePreviews, str]:
    """Previews over a repository with these tags, listed once; a service that follows one and has a candidate."""
    old = room.registry.push(WEB, [*tags, followed], "old")
    service = await room.service("shop", "web", f"{WEB}:{followed}", runs=old)
    await room.check()
    await room.work()
    room.registry.push(WEB, [followed], "new")
    await room.check()
    await room.work()
    room.registry.asked.clear()
    return RulePreviews(room.stacks, room.evidence, TagBook(room.db, room.time.clock(), room.registry)), service


async def test_it_tells_of_the_candidate_and_of_other_tags(room: Room) -> None:
    asked, service = await previews(room, ["1.4.0", "1.5.0", "2.0.0", "edge"])
    held = await asked.of(service, "semver", ">=1.4, <2")
    assert (held.problem, held.matches_tag, held.holds_now) == (None, True, True)
    assert (held.tags, held.matched, held.compared, held.complete) == (("1.5.0", "1.4.0", "1.4"), 3, 5, True)
    other = await asked.of(service, "prefix", "2.")
    assert (other.matches_tag, other.holds_now, other.tags) == (False, False, ("2.0.0",))
    assert room.registry.asked == [], "no registry is asked"
    assert not (await room.ignore.all(service)), "nothing is kept"


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [("regex", "(", "value"), ("semver", "soon", "value"), ("exact", " ", "value"), ("often", "1", "kind")],
)
async def test_a_rule_that_cannot_be_kept_says_why(room: Room, kind: str, value: str, field: str) -> None:
    asked, service = await previews(room, ["1.4.0"])
    told = await asked.of(service, kind, value)
    assert told.problem and told.field == field and not told.matched


async def test_a_pattern_without_end_is_stopped(room: Room) -> None:
    asked, service = await previews(room, [f"{'a' * 60}{number}" for number in range(400)])
    started = time.monotonic()
    told = await asked.of(service, "regex", "(a|aa)+$")
    assert time.monotonic() - started < 20  # it would take years
    assert told.compared < 400 and not told.complete


async def test_a_long_list_is_told_in_part(room: Room) -> None:
    asked, service = await previews(room, [f"1.{number}.0" for number in range(40)])
    told = await asked.of(service, "prefix", "1.")
    assert len(told.tags) == TAGS_TOLD and told.matched == 41 and told.tags[0] == "1.39.0"


async def test_an_unknown_service_is_not_found(room: Room) -> None:
    asked, _ = await previews(room, [])
    with pytest.raises(NotFound):
        await asked.of("svc_none", "exact", "1")
