"""The decisions of the versions room, free of I/O: versions, platforms, candidates, rules, inference, states, newer."""

from __future__ import annotations

from app.features.versions.rules.candidates import Candidate, Outcome, RegistrySeen, decide
from app.features.versions.rules.ignores import KINDS, PROBLEMS, first_match, matches, validate
from app.features.versions.rules.inference import (
    budget_seconds,
    clear_allowed,
    consider_tags,
    display_tag,
    needs_inference,
    resolved_tag,
    resolved_tags,
)
from app.features.versions.rules.newer import Ladder, Step, ladder, running_version, skipped
from app.features.versions.rules.outlook import Entry, EntryState, Known, Outlook, drawn, outlook, with_newer
from app.features.versions.rules.platforms import ArchMatch, arch_match, host_platform
from app.features.versions.rules.status import Distance, Reach, RowStatus, distance, is_cross_tag, reach, row_status
from app.features.versions.rules.versions import Version, family, is_downgrade, is_strict, lenient_semver, sort_tags

__all__ = [
    "KINDS",
    "PROBLEMS",
    "ArchMatch",
    "Candidate",
    "Distance",
    "Entry",
    "EntryState",
    "Known",
    "Ladder",
    "Outcome",
    "Outlook",
    "Reach",
    "RegistrySeen",
    "RowStatus",
    "Step",
    "Version",
    "arch_match",
    "budget_seconds",
    "clear_allowed",
    "consider_tags",
    "decide",
    "display_tag",
    "distance",
    "drawn",
    "family",
    "first_match",
    "host_platform",
    "is_cross_tag",
    "is_downgrade",
    "is_strict",
    "ladder",
    "lenient_semver",
    "matches",
    "needs_inference",
    "outlook",
    "reach",
    "resolved_tag",
    "resolved_tags",
    "row_status",
    "running_version",
    "skipped",
    "sort_tags",
    "validate",
    "with_newer",
]
