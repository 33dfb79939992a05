"""From evidence to a row with its rail. Pure: the row says only what the evidence carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.core.web.languages import _, told
from app.features.catalog.newer import all_points, hint_points, hinted, reason_without_candidate
from app.features.catalog.schemas import (
    FullRail,
    PointKind,
    Rail,
    RailPoint,
    Reach,
    ReachBracket,
    ServiceRow,
    ServiceState,
    Slot,
    StateCount,
)
from app.features.stacks import ServiceRecord
from app.features.versions import NewerVersions, VersionInference, VersionRecord, rules

OPEN_STATES = (
    ServiceState.UPDATABLE,
    ServiceState.HINT,
    ServiceState.CROSS_TAG,
    ServiceState.ARCH_MISMATCH,
    ServiceState.BLOCKED,
    ServiceState.UPDATING,
    ServiceState.UNKNOWN,
)
STATE_ORDER = (*OPEN_STATES, ServiceState.OK)
PLACE: Mapping[ServiceState, int] = {state: number for number, state in enumerate(STATE_ORDER)}
_SLOTS = (Slot.NOW, Slot.PATCH, Slot.MINOR, Slot.MAJOR)
_KINDS = {
    ServiceState.UPDATABLE: PointKind.NEXT,
    ServiceState.HINT: PointKind.HINT,
    ServiceState.CROSS_TAG: PointKind.HINT,
    ServiceState.ARCH_MISMATCH: PointKind.ARCH,
    ServiceState.BLOCKED: PointKind.IGNORED,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A service with its evidence and state: enough to count, filter and sort without drawing a row."""

    service: ServiceRecord
    record: VersionRecord | None
    state: ServiceState

    @property
    def version(self) -> str | None:
        """The readable version of what runs."""
        return known_version(self.record.current_display if self.record else self.service.image_tag)

    def matches(self, *, state: str, q: str) -> bool:
        """Whether it passes filter and search (service, image, stack; case does not matter)."""
        service = self.service
        return passes(self.state, (service.name, service.image_ref, service.stack_name), state=state, q=q)


@dataclass(frozen=True, slots=True)
class Busy:
    """The job that has a service now."""

    job_id: str
    phase: str = ""
    percent: float | None = None


def service_row(
    service: ServiceRecord,
    record: VersionRecord | None,
    inference: VersionInference | None = None,
    newer: NewerVersions | None = None,
    *,
    busy: Busy | None = None,
    is_dockrev: bool = False,
) -> ServiceRow:
    """One service. Without a record its state is unknown, which is never shown as fine."""
    newer = hinted(record, newer)
    state = service_state(service, record, newer)
    pending = inference is not None and inference.status == "pending"
    return ServiceRow(
        id=service.id,
        stack_id=service.stack_id,
        name=service.name,
        stack_name=service.stack_name,
        image_ref=service.image_ref,
        image_tag=service.image_tag,
        state=ServiceState.UPDATING if busy else state,
        reason=reason_of(service, record, state, newer, pending=pending),
        rail=rail_of(service, record, state, newer),
        current_digest=record.current_digest if record else None,
        current_version=known_version(record.current_display if record else service.image_tag),
        candidate_digest=record.candidate_digest if record and record.has_candidate else None,
        candidate_version=known_version(record.candidate_display) if record else None,
        checked_at=record.checked_at if record else None,
        inference_pending=pending,
        archived=service.archived,
        is_dockrev=is_dockrev,
        job_id=busy.job_id if busy else None,
        job_phase=busy.phase if busy else None,
        job_percent=busy.percent if busy else None,
    )


def service_state(
    service: ServiceRecord, record: VersionRecord | None, newer: NewerVersions | None = None
) -> ServiceState:
    """The row status of spec §11.2 from the evidence; where that is fine, what other tags have decides."""
    if record is None:
        return ServiceState.UNKNOWN
    status = rules.row_status(
        checked=record.checked_at is not None,
        has_candidate=record.has_candidate,
        tag=service.image_tag,
        current=record.current_display,
        candidate=record.candidate_display,
        arch_match=record.candidate_arch_match,
        ignored=record.has_candidate and record.ignore_rule_id is not None,
        runtime_known=record.current_digest is not None,
    )
    if status == "ok" and newer is not None and newer.summary:
        status = rules.with_newer(status, newer.summary)
    return ServiceState(status)


def reason_of(
    service: ServiceRecord,
    record: VersionRecord | None,
    state: ServiceState,
    newer: NewerVersions | None = None,
    *,
    pending: bool = False,
) -> str:
    """A phrase that says why the row is in its state."""
    if record is None:
        return _("Not checked yet")
    if record.last_error:
        return _("Last check failed: %(error)s", error=told(record.last_error))
    if not record.has_candidate and state is not ServiceState.UNKNOWN:
        return reason_without_candidate(state, newer)
    if state is ServiceState.BLOCKED:
        return _("An ignore rule holds the tag %(tag)s", tag=service.image_tag)
    if state is ServiceState.ARCH_MISMATCH:
        if not record.candidate_arch:
            return _("Not for this host")
        return _("Built for %(hosts)s", hosts=_hosts(record.candidate_arch[:4]))
    if state is ServiceState.CROSS_TAG:
        return _("The tag %(tag)s moved to another series", tag=service.image_tag)
    if state is ServiceState.UNKNOWN:
        return _("What runs is not known") if record.checked_at else _("Not checked yet")
    if state is ServiceState.UPDATABLE and record.candidate_display == record.current_display:
        return _("Rebuilt under the same version")
    if state is ServiceState.HINT:
        return _hint_reason(record, pending)
    return ""


def _hint_reason(record: VersionRecord, pending: bool) -> str:
    if record.candidate_arch_match != "match":
        return _("The registry does not say for which hosts it is built")
    if rules.is_downgrade(record.current_display, record.candidate_display or ""):
        return _("Older than what runs")
    return _("Looking up its version") if pending else _("New digest, version unknown")


def _hosts(platforms: Iterable[str]) -> str:
    """Platforms as people name them: every host here runs Linux, so `linux/arm64` is `arm64`."""
    return ", ".join(platform.removeprefix("linux/") for platform in platforms)


def known_version(text: str | None) -> str | None:
    """A version a person can read, or None for a name such as `latest`."""
    return text if text is not None and rules.Version.parse(text) is not None else None


def rail_of(
    service: ServiceRecord, record: VersionRecord | None, state: ServiceState, newer: NewerVersions | None = None
) -> Rail:
    """What runs, the candidate where it lies, and in the places that are free what other tags have."""
    reach = Reach(rules.reach(service.image_tag, pinned="@" in service.image_ref))
    points = [_now_point(service, record, reach)]
    if record is not None and record.has_candidate:
        candidate = _candidate_point(service, record, state, newer)
        points.append(candidate)
        if reach is Reach.NONE and candidate.in_reach:
            reach = Reach.PATCH  # a tag that looked fixed was pushed again: it does move
            points[0] = points[0].model_copy(update={"note": service.image_tag})
    if state is not ServiceState.UNKNOWN and (hints := hint_points(newer, {point.slot for point in points[1:]})):
        points = [points[0], *sorted([*points[1:], *hints], key=_place)]
    return Rail(reach=reach, points=points)


def _place(point: RailPoint) -> int:
    return _SLOTS.index(point.slot)


def _now_point(service: ServiceRecord, record: VersionRecord | None, reach: Reach) -> RailPoint:
    version = known_version(record.current_display if record else service.image_tag)
    inferred = record is not None and record.current_resolved_tag is not None and version != service.image_tag
    note = _("pinned") if reach is Reach.NONE else service.image_tag
    return RailPoint(
        slot=Slot.NOW,
        kind=PointKind.NOW if version else PointKind.UNKNOWN,
        version=version,
        inferred=inferred,
        note=note,
        in_reach=True,
    )


def _candidate_point(
    service: ServiceRecord, record: VersionRecord, state: ServiceState, newer: NewerVersions | None
) -> RailPoint:
    version = known_version(record.candidate_display)
    away = rules.distance(record.current_display, record.candidate_display or "")
    rebuilt = version is not None and version == known_version(record.current_display)
    skipped = newer.skipped if newer is not None else 0
    note = _candidate_note(service, record, state)
    if not note and (rebuilt or not version):
        note = _("rebuilt") if rebuilt else _("version unknown")
    elif not note and skipped:
        note = _("%(count)s skipped", count=skipped)
    return RailPoint(
        slot=Slot.PATCH if away == "unknown" else Slot(away),
        kind=_KINDS.get(state, PointKind.HINT),
        version=version,
        inferred=record.candidate_resolved_tag is not None and record.candidate_resolved_tag != service.image_tag,
        note=note,
        in_reach=state is not ServiceState.CROSS_TAG,
        tags=[service.image_tag],
    )


def _candidate_note(service: ServiceRecord, record: VersionRecord, state: ServiceState) -> str:
    """Why the candidate is no plain update."""
    if state is ServiceState.BLOCKED:
        return _("ignored")
    if state is ServiceState.ARCH_MISMATCH and record.candidate_arch:
        return _("%(hosts)s only", hosts=_hosts(record.candidate_arch[:2]))
    return _("tag %(tag)s", tag=service.image_tag) if state is ServiceState.CROSS_TAG else ""


def full_rail(row: ServiceRow, newer: NewerVersions | None = None, *, held: bool = False) -> FullRail:
    """The service page's rail: all that is outside the tag's reach, not one of each distance.

    The followed tag's bracket ends at the candidate; of one that is `held` it is said that it was taken back before.
    """
    now, *others = row.rail.points
    candidate = next((point for point in others if _is_candidate(row, point)), None)
    if candidate is not None and held:
        candidate = candidate.model_copy(update={"note": _("rolled back")})
    hints = [] if row.state is ServiceState.UNKNOWN else all_points(newer)
    hints = [point for point in hints if candidate is None or point.version != candidate.version]
    points = [now, *sorted([*hints, *([candidate] if candidate else [])], key=_place)]
    reaches: list[ReachBracket] = []
    if candidate and candidate.in_reach and row.rail.reach is not Reach.NONE:
        reaches.append(ReachBracket(tag=row.image_tag, length=min(points.index(candidate), 6), followed=True))
    return FullRail(points=points, reaches=reaches)


def _is_candidate(row: ServiceRow, point: RailPoint) -> bool:
    return row.candidate_digest is not None and point.tags == [row.image_tag]


def state_counts(states: Iterable[ServiceState], *, first: str) -> list[StateCount]:
    """Counts for the filters: `open` or `all` first, then the states in their fixed order."""
    counted: dict[ServiceState, int] = dict.fromkeys(STATE_ORDER, 0)
    for state in states:
        counted[state] += 1
    total = sum(counted[state] for state in (OPEN_STATES if first == "open" else STATE_ORDER))
    counts = [StateCount(key=first, count=total)]
    always = {ServiceState.UPDATABLE, ServiceState.BLOCKED, ServiceState.OK}
    counts += [StateCount(key=state, count=n) for state, n in counted.items() if n or state in always]
    return counts


def matches(row: ServiceRow, *, state: str, q: str) -> bool:
    """Whether a row passes filter and search."""
    return passes(row.state, (row.name, row.image_ref, row.stack_name), state=state, q=q)


def passes(own: ServiceState, texts: Iterable[str], *, state: str, q: str) -> bool:
    """Whether a service in this state with these texts passes filter and search; case does not matter."""
    if state == "open" and own is ServiceState.OK:
        return False
    if state not in ("open", "all") and own != state:
        return False
    wanted = q.strip().lower()
    return not wanted or any(wanted in text.lower() for text in texts)


def by_state(rows: Sequence[ServiceRow]) -> list[ServiceRow]:
    """Decisions first, then by name."""
    return sorted(rows, key=lambda row: (PLACE[row.state], row.name))
