"""Which tags to look at to name a digest, and what to make of the result (spec §7.6). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from app.features.versions.rules.versions import Version, is_strict, sort_tags

CONSIDERED = 40
OTHERS = 20


class Scan(Protocol):
    """How far a scan came."""

    @property
    def complete(self) -> bool:
        """Whether every tag was looked at."""


def needs_inference(tag: str) -> bool:
    """Whether the tag alone does not say which version it is: `latest`, `16`, `1.22-alpine`."""
    return not is_strict(tag)


def consider_tags(
    tags: Collection[str], anchors: Sequence[str], *, limit: int = CONSIDERED, others: int = OTHERS
) -> list[str]:
    """The tags worth a request, at most `limit`, most promising first.

    First the anchors (tags that services follow), as far as they exist; then versions, newest first, those in an
    anchor's own series before all others, because what `16-alpine` points to is a 16.x-alpine; then up to `others`
    tags that are not versions.
    """
    known = set(tags)
    ordered = sort_tags(known)
    versions = [version for tag in ordered if (version := Version.parse(tag))]
    chosen = dict.fromkeys(anchor for anchor in anchors if anchor in known)
    chosen.update(dict.fromkeys(_turn_by_turn(versions, anchors)))
    chosen.update(dict.fromkeys(version.text for version in versions))
    picked = list(chosen)
    picked += [tag for tag in ordered[len(versions) :] if tag not in chosen][:others]
    return picked[:limit]


def budget_seconds(considered: int) -> float:
    """Time for a whole scan: half a second a tag, between 20 and 90 seconds."""
    return min(max(2.0 * considered / 4, 20.0), 90.0)


def display_tag(tag: str, resolved: str | None) -> str:
    """What people read: the inferred version, else the tag."""
    return resolved or tag


def resolved_tag(tags: Collection[str], raw_tag: str) -> str | None:
    """The highest version among a digest's tags that says more than the raw tag does; None when there is none."""
    raw = Version.parse(raw_tag)
    for tag in resolved_tags(tags):
        version = Version.parse(tag)
        if tag != raw_tag and version and not (raw and _says_less(version, raw)):
            return tag
    return None


def resolved_tags(tags: Collection[str]) -> list[str]:
    """All versions among a digest's tags, highest first."""
    return [tag for tag in sort_tags(tags) if Version.parse(tag)]


def clear_allowed(scan: Scan) -> bool:
    """Whether a scan that found nothing may take back a known version: only if it saw every tag without a failure."""
    return scan.complete


def in_series(version: Version, anchor: Version) -> bool:
    """Whether a version lies in the series an anchor names: `16.6-alpine3.20` in `16-alpine`."""
    own = anchor.numbers
    return (
        version.numbers[: len(own)] == own
        and version.word == anchor.word
        and version.variant_words == anchor.variant_words
    )


def _says_less(version: Version, raw: Version) -> bool:
    """`1` for an image followed as `1.22` is true and no help."""
    return len(version.numbers) < len(raw.numbers) and raw.numbers[: len(version.numbers)] == version.numbers


def _turn_by_turn(versions: Sequence[Version], anchors: Sequence[str]) -> Iterator[str]:
    """Versions of each anchor's series, newest first, the anchors taking turns."""
    named = [anchor for tag in dict.fromkeys(anchors) if (anchor := Version.parse(tag)) and not anchor.is_stamp]
    queues = [iter([version.text for version in versions if in_series(version, anchor)]) for anchor in named]
    while queues:
        for queue in list(queues):
            tag = next(queue, None)
            if tag is None:
                queues.remove(queue)
            else:
                yield tag
