"""What an ignore rule would hold back, told before it is kept (spec §7.5). Asks no registry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.adapters.registry import ImageRef, InvalidReference
from app.features.stacks import Stacks
from app.features.versions import rules
from app.features.versions.evidence import Evidence
from app.features.versions.newer.book import TagBook

TAGS_COMPARED: Final = 2_000
SECONDS: Final = 0.2  # patterns that take long are held to it; the tags left then are not compared
TAGS_TOLD: Final = 12


@dataclass(frozen=True, slots=True)
class RulePreview:
    """`problem` is why the rule cannot be kept; then nothing else is told. `holds_now`: the candidate that is there.

    `tags` are the newest of the repository's known tags that match, `matched` of `compared`; `complete` is False when
    there are more tags than were compared.
    """

    tag: str
    problem: str | None = None
    field: str | None = None
    matches_tag: bool = False
    holds_now: bool = False
    candidate: str | None = None
    tags: tuple[str, ...] = ()
    matched: int = 0
    compared: int = 0
    complete: bool = True


class RulePreviews:
    """Previews for one service at a time."""

    def __init__(self, stacks: Stacks, evidence: Evidence, book: TagBook) -> None:
        self._stacks = stacks
        self._evidence = evidence
        self._book = book

    async def of(self, service_id: str, kind: str, value: str) -> RulePreview:
        """What the rule would do to this service. Raises NotFound."""
        service = await self._stacks.service(service_id)
        if (problem := rules.validate(kind, value)) is not None:
            field = "value" if kind in rules.KINDS else "kind"
            return RulePreview(service.image_tag, problem=problem, field=field)
        record = (await self._evidence.records([service_id])).get(service_id)
        try:
            tags, _ = await self._book.cached(ImageRef.parse(service.image_ref).repo)
        except InvalidReference:
            tags = []
        matches_tag = rules.matches(kind, value, service.image_tag)
        found, compared = await asyncio.to_thread(_matching, kind, value, rules.sort_tags(tags)[:TAGS_COMPARED])
        return RulePreview(
            tag=service.image_tag,
            matches_tag=matches_tag,
            holds_now=matches_tag and record is not None and record.has_candidate,
            candidate=record.candidate_display if record and record.has_candidate else None,
            tags=tuple(found[:TAGS_TOLD]),
            matched=len(found),
            compared=compared,
            complete=compared == len(tags),
        )


def _matching(kind: str, value: str, tags: Iterable[str]) -> tuple[list[str], int]:
    """The tags that match, and how many were compared in the time there is."""
    found: list[str] = []
    compared, until = 0, time.monotonic() + SECONDS
    for tag in tags:
        if time.monotonic() > until:
            break
        compared += 1
        if rules.matches(kind, value, tag):
            found.append(tag)
    return found, compared
