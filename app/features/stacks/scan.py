"""What a discovery scan saw and did, and how it is told (spec §5.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.core.clock import rfc3339


class Action(StrEnum):
    """What became of one project."""

    CREATED = "created"
    UPDATED = "updated"
    SKIPPED = "skipped"
    FAILED = "failed"
    MARKED_MISSING = "marked_missing"


@dataclass(frozen=True, slots=True)
class ScanAction:
    """One project of a scan. `news` is false for a failure that was known before."""

    project: str
    action: Action
    stack_id: str | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    news: bool = True

    def document(self) -> dict[str, Any]:
        """The JSON of spec §5.3; what is not known is left out."""
        members: dict[str, Any] = {"project": self.project, "action": self.action.value}
        if self.stack_id:
            members["stackId"] = self.stack_id
        if self.reason:
            members["reason"] = self.reason
        if self.details:
            members["details"] = dict(self.details)
        return members

    @property
    def line(self) -> tuple[str, str]:
        """Words and level for the job's log."""
        told = f"{self.project}: {self.action.value.replace('_', ' ')}"
        if self.reason:
            told += f" ({self.reason})"
        if hint := self.details.get("hint") or self.details.get("warning"):
            told += f". {hint}"
        return told, "warn" if self.action in (Action.FAILED, Action.MARKED_MISSING) else "info"


@dataclass(frozen=True, slots=True)
class ScanResult:
    """A finished scan, actions by project."""

    started_at: datetime
    duration_ms: int
    actions: tuple[ScanAction, ...]
    projects_seen: int

    @property
    def newsworthy(self) -> bool:
        """Whether anything happened that was not so before."""
        return any(action.news and action.action is not Action.SKIPPED for action in self.actions)

    def document(self, max_actions: int) -> dict[str, Any]:
        """`summary.scan` of a discovery job; of too many actions the uneventful ones go first."""
        counts = Counter(action.action for action in self.actions)
        told = self.actions
        if len(told) > max_actions:
            eventful = sorted(told, key=lambda a: (a.action is Action.SKIPPED, not a.news))
            told = tuple(sorted(eventful[:max_actions], key=lambda a: a.project))
        return {
            "startedAt": rfc3339(self.started_at),
            "durationMs": self.duration_ms,
            "summary": {
                "projectsSeen": self.projects_seen,
                "stacksCreated": counts[Action.CREATED],
                "stacksUpdated": counts[Action.UPDATED],
                "stacksSkipped": counts[Action.SKIPPED],
                "stacksFailed": counts[Action.FAILED],
                "stacksMarkedMissing": counts[Action.MARKED_MISSING],
            },
            "actions": [action.document() for action in told],
        }
