"""Newer versions under other tags, as rows and rails show them. Pure.

What the followed tag reaches by itself is never drawn here: on the solid line only a candidate stands, an update.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from app.core.web.languages import _, ngettext
from app.features.catalog.schemas import PointKind, RailPoint, ServiceState, Slot, VersionRow
from app.features.versions import Listed, NewerVersions, VersionRecord, rules

KINDS: Mapping[rules.EntryState, PointKind] = {
    "other_series": PointKind.HINT,
    "arch_mismatch": PointKind.ARCH,
    "held": PointKind.BLOCKED,
    "ignored": PointKind.IGNORED,
}
IN_A_ZONE = 3


def hinted(record: VersionRecord | None, newer: NewerVersions | None) -> NewerVersions | None:
    """What is newer, if it was found out for what runs now."""
    return newer if newer is not None and record is not None and newer.about(record) else None


def hint_points(newer: NewerVersions | None, taken: Collection[Slot]) -> list[RailPoint]:
    """One point for each place on the rail that is still free."""
    if newer is None or newer.packed == "[]":
        return []
    return [_point(entry) for entry in rules.drawn(newer.entries) if Slot(entry.step) not in taken]


def all_points(newer: NewerVersions | None) -> list[RailPoint]:
    """Everything outside the tag's reach, each distance from old to new, at most three of one."""
    if newer is None:
        return []
    outside = [entry for entry in newer.entries if not entry.in_reach]
    points: list[RailPoint] = []
    for step in (Slot.PATCH, Slot.MINOR, Slot.MAJOR):
        newest_first = [entry for entry in outside if entry.step == step.value]
        points += [_point(entry) for entry in reversed(newest_first[:IN_A_ZONE])]
    return points


def reason_without_candidate(state: ServiceState, newer: NewerVersions | None) -> str:
    """Why a row whose own tag has nothing new is not simply fine."""
    drawn = rules.drawn(newer.entries) if newer is not None else []
    wanted = {
        ServiceState.CROSS_TAG: "other_series",
        ServiceState.ARCH_MISMATCH: "arch_mismatch",
        ServiceState.BLOCKED: "held",
    }.get(state)
    tags = [entry.tag for entry in drawn if entry.state == wanted]
    if not tags:
        return ""
    if state is ServiceState.CROSS_TAG:
        return ngettext("%(tags)s under another tag", "%(tags)s under other tags", len(tags), tags=_listed(tags))
    if state is ServiceState.ARCH_MISMATCH:
        return ngettext(
            "%(tags)s is not built for this host",
            "%(tags)s are not built for this host",
            len(tags),
            tags=_listed(tags),
        )
    return _("The update to %(tags)s was rolled back", tags=_listed(tags))


def version_rows(found: Iterable[Listed]) -> list[VersionRow]:
    """The table of the service page: every version with the way to it."""
    return [
        VersionRow(
            version=one.version,
            inferred=one.inferred,
            state=one.state,
            distance=one.distance,
            digest=one.digest,
            platforms=list(one.platforms or ()),
            published_at=one.published_at,
            tags=list(dict.fromkeys(tag for tag in (one.tag, *one.reached_by) if tag)),
            follow=one.follow,
            in_reach=one.in_reach,
            more=one.more,
        )
        for one in found
    ]


def _listed(tags: Sequence[str]) -> str:
    return tags[0] if len(tags) == 1 else _("%(tags)s and %(last)s", tags=", ".join(tags[:-1]), last=tags[-1])


def _point(entry: rules.Entry) -> RailPoint:
    return RailPoint(
        slot=Slot(entry.step),
        kind=KINDS[entry.state],
        version=entry.tag,
        note=_note(entry),
        at=entry.published_at,
        in_reach=False,
        tags=list(dict.fromkeys((entry.follow or entry.tag, *entry.reached_by)))[:4],
    )


def _note(entry: rules.Entry) -> str:
    if entry.state == "other_series":
        return _("tag %(tag)s", tag=entry.follow or entry.tag)
    if entry.state == "arch_mismatch":
        return _("%(hosts)s only", hosts=_hosts(entry.platforms))
    return _("ignored") if entry.state == "ignored" else _("rolled back")


def _hosts(platforms: Sequence[str] | None) -> str:
    return ", ".join(platform.removeprefix("linux/") for platform in (platforms or ())[:2])
