"""Digests that were tried and taken back: an update to them ended in a roll-back (spec §7.8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from app.core.jobs import JobFilter, JobStatus, JobStore

UPDATES: Final = ("update",)
_ENDED_BADLY: Final = (JobStatus.ROLLED_BACK, JobStatus.FAILED)
_LOOKED_AT: Final = 200


async def held_digests(store: JobStore) -> dict[str, set[str]]:
    """By service: the digests whose update was rolled back, as far back as jobs are kept."""
    found: dict[str, set[str]] = defaultdict(set)
    for job in await store.search(JobFilter(types=UPDATES, statuses=_ENDED_BADLY, limit=_LOOKED_AT)):
        for entry in job.summary.get("timeline", ()):
            if isinstance(entry, Mapping) and (digest := entry.get("toDigest")) and _went_back(entry):
                found[str(entry.get("key"))].add(str(digest))
    return dict(found)


def _went_back(entry: Mapping[str, Any]) -> bool:
    return any(step.get("step") == "rolled_back" for step in entry.get("steps", ()))
