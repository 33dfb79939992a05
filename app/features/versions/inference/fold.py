"""Found versions go into the evidence: what a snapshot says about the services that run or could run its digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from app.features.versions import rules
from app.features.versions.inference.queue import Key
from app.features.versions.models import ServiceVersion
from app.features.versions.records import ScanCounts, Snapshot, VersionRecord


def needs_inference(record: VersionRecord) -> bool:
    """Whether the tag says too little: everything but a full `x.y.z` (spec §7.6)."""
    return bool(record.current_digest) and rules.needs_inference(record.image_tag)


def keys_of(record: VersionRecord, host_platform: str) -> list[Key]:
    """The snapshots a service wants; none when its tag is a full version."""
    if not needs_inference(record):
        return []
    return [Key(record.image_repo, digest, host_platform) for digest in record.digests]


def merge_tags(tags: Iterable[str], before: Snapshot | None, scan: ScanCounts) -> tuple[str, ...]:
    """What is known after a scan, sorted: a scan that was not complete takes nothing away (spec §12, 12)."""
    found = set(tags)
    if before is not None and not scan.complete:
        found.update(before.tags)
    return tuple(rules.sort_tags(found))


def folded(record: VersionRecord, snapshots: Mapping[str, Snapshot]) -> VersionRecord:
    """The record with what the snapshots (by digest) say; a known version goes only by a complete scan."""
    if current := snapshots.get(record.current_digest or ""):
        best = rules.resolved_tag(current.tags, record.image_tag)
        if best is not None or rules.clear_allowed(current.scan):
            versions = tuple(rules.resolved_tags(current.tags))
            record = replace(record, current_resolved_tag=best, current_resolved_tags=versions)
    if candidate := snapshots.get(record.candidate_digest or ""):
        best = rules.resolved_tag(candidate.tags, record.image_tag)
        if best is not None or rules.clear_allowed(candidate.scan):
            record = replace(record, candidate_resolved_tag=best)
    return record


async def write_versions(session: AsyncSession, changed: Iterable[VersionRecord]) -> None:
    """Write the readable versions, each only where the digest is still the one that was looked up.

    The revision stays: this is no new evidence, and a check under way must not be refused because of it.
    """
    table: Any = ServiceVersion.__table__  # type: ignore[attr-defined]
    for record in changed:
        mine = table.c.service_id == record.service_id
        await session.exec(
            update(ServiceVersion)
            .where(mine, col(ServiceVersion.current_digest) == record.current_digest)
            .values(
                current_resolved_tag=record.current_resolved_tag,
                current_resolved_tags=list(record.current_resolved_tags) or None,
            )
        )
        await session.exec(
            update(ServiceVersion)
            .where(mine, col(ServiceVersion.candidate_digest) == record.candidate_digest)
            .values(candidate_resolved_tag=record.candidate_resolved_tag)
        )
