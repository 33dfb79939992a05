"""From what runs and what the registry says to the new evidence of one service (spec §7.5). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from app.adapters.registry import ImageRef, TagState
from app.features.stacks import RuntimeDigest, ServiceRecord
from app.features.versions import rules
from app.features.versions.records import IgnoreRuleRecord, VersionRecord

_NOT_KNOWN: Final = "what runs is not known"
_UNKNOWN: Final = {
    "no_container": "what runs is not known: the service has no container",
    "image_missing": "what runs is not known: the image of the container is gone from the engine",
    "no_repo_digest": "what runs is not known: the image was built here, or pulled from another repository",
    "several_digests": "what runs is not known: its containers run different images, or one known by several digests",
    "engine_unreachable": "what runs is not known: the engine does not answer",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known at the moment about one service.

    `state` is None when the registry gave no answer (`error`), or was not asked because a pinned digest never moves.
    """

    service: ServiceRecord
    ref: ImageRef
    before: VersionRecord | None
    runtime: RuntimeDigest
    state: TagState | None
    error: str = ""


def assess(
    found: Finding, ignore: Sequence[IgnoreRuleRecord], *, host_platform: str, at: datetime, forget: bool = False
) -> VersionRecord:
    """The evidence after a check.

    A failed request or an unknown running digest keeps the previous candidate and `checked_at`. With `forget` (drift
    was found, §7.7) a failed request instead drops what was known about the image that no longer runs.
    """
    before = found.before or _nothing(found)
    running, pinned = running_digest(found.runtime, found.state, found.before), found.ref.is_pinned
    outcome = rules.decide(
        found.service.image_tag,
        runtime=running,
        registry=_seen(found.state),
        host_platform=host_platform,
        previous_digest=before.current_digest or (found.ref.digest if pinned else None),
        previous=None if forget and found.state is None else _candidate(before),
        pinned=pinned,
    )
    record = replace(before, current_digest=outcome.current_digest)
    if outcome.current_digest != before.current_digest:
        record = replace(record, current_resolved_tag=None, current_resolved_tags=())
    record = _with_candidate(record, outcome.candidate, ignore if outcome.fresh else None)
    if outcome.fresh:
        return replace(record, checked_at=at, last_error=None, last_error_at=None)
    problem = found.error or _UNKNOWN.get(found.runtime.reason or "", _NOT_KNOWN)
    return replace(record, last_error=problem[:500], last_error_at=at)


def running_digest(runtime: RuntimeDigest, state: TagState | None, before: VersionRecord | None) -> str | None:
    """The digest that runs, None when unknown (spec §7.4).

    One image known under several digests (the same content pushed again under a new index) counts as the one the tag
    points to, else as the one known so far: it would otherwise be offered for ever after its update.
    """
    if runtime.digest is not None:
        return runtime.digest.lower()
    if len(runtime.image_ids) != 1:
        return None
    several = [digest.lower() for digest in runtime.digests]
    if state is not None and (same := next((digest for digest in several if state.matches(digest)), None)):
        return same
    return before.current_digest if before is not None and before.current_digest in several else None


def _with_candidate(
    record: VersionRecord, candidate: rules.Candidate | None, ignore: Sequence[IgnoreRuleRecord] | None
) -> VersionRecord:
    """`ignore` is None when the candidate is only remembered: it is not judged again then."""
    if candidate is None:
        return replace(
            record,
            candidate_tag=None,
            candidate_resolved_tag=None,
            candidate_digest=None,
            candidate_arch_match=None,
            candidate_arch=(),
            ignore_rule_id=None,
            ignore_reason=None,
        )
    if candidate.digest != record.candidate_digest:
        record = replace(record, candidate_resolved_tag=None)
    if ignore is not None:
        rule = rules.first_match(ignore, candidate.tag)
        reason = f"matched ignore rule for tag {candidate.tag}" if rule else None
        record = replace(record, ignore_rule_id=rule.id if rule else None, ignore_reason=reason)
    return replace(
        record,
        candidate_tag=candidate.tag,
        candidate_digest=candidate.digest,
        candidate_arch=tuple(sorted(candidate.arch)),
        candidate_arch_match=candidate.arch_match,
    )


def _candidate(record: VersionRecord) -> rules.Candidate | None:
    if record.candidate_tag is None or record.candidate_digest is None:
        return None
    known = record.candidate_arch_match or "unknown"
    return rules.Candidate(record.candidate_tag, record.candidate_digest, record.candidate_arch, known)


def _seen(state: TagState | None) -> rules.RegistrySeen | None:
    if state is None:
        return None
    return rules.RegistrySeen(state.digest, state.index_digest, state.platform_digest, state.arch)


def _nothing(found: Finding) -> VersionRecord:
    service = found.service
    return VersionRecord(
        service_id=service.id, image_ref=service.image_ref, image_repo=found.ref.repo, image_tag=service.image_tag
    )


def only_time_passed(before: VersionRecord | None, after: VersionRecord) -> bool:
    """Whether nothing changed but the time of the check (and an error that is over)."""
    return before is not None and replace(after, checked_at=None, last_error=None, last_error_at=None) == replace(
        before, checked_at=None, last_error=None, last_error_at=None
    )
