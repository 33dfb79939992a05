"""What the summary of an update job tells (spec §7.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.adapters.registry import ImageRef
from app.core.clock import rfc3339
from app.core.jobs import JobOutcome, JobStatus
from app.features.backups import BackupResult
from app.features.stacks import ServiceRecord, StackRecord
from app.features.updates.records import Failure, Result
from app.features.updates.rules.request import Target
from app.features.versions import VersionRecord


@dataclass(slots=True)
class StackSummary:
    """The `update` of one stack's summary; image ids are local ones, as the contract has it."""

    changed: int = 0
    old: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)
    target_tags: list[str] = field(default_factory=list)
    pull_tags: list[str] = field(default_factory=list)
    tag_warnings: list[Mapping[str, Any]] = field(default_factory=list)
    skipped: list[Mapping[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    evidence: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failure: Failure | None = None

    def add(self, service: ServiceRecord, result: Result) -> None:
        """Take in how one service ended."""
        if result.old_image:
            self.old[service.id] = result.old_image
        if result.new_image:
            self.new[service.id] = result.new_image
        if result.ending == "settled":
            self.changed += 1
            self.target_tags.append(f"{ImageRef.parse(service.image_ref).familiar_repo}:{service.image_tag}")
        if result.ending == "skipped":
            self.skipped.append({"serviceId": service.id, "serviceName": service.name, "reason": result.why_skipped})
        if result.evidence:
            self.evidence[service.id] = result.evidence
        self.pull_tags += result.tags_pulled
        self.tag_warnings += result.tag_warnings
        self.warnings += result.warnings
        self.failure = result.failure

    def document(self, anomalies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The JSON of spec §7.8."""
        found: dict[str, Any] = {
            "changedServices": self.changed,
            "oldDigests": self.old,
            "newDigests": self.new,
            "targetTagsPulled": self.target_tags,
            "pullTagsPulled": self.pull_tags,
            "pullTagWarnings": self.tag_warnings,
            "skippedVersionAnomaly": list(anomalies),
        }
        if self.skipped:
            found["skippedServices"] = self.skipped
        if self.warnings:
            found["warnings"] = self.warnings
        if self.evidence:
            found["rollbackEvidence"] = self.evidence
        return found | failure_members(self.failure)


def failure_members(failure: Failure | None) -> dict[str, Any]:
    """How a failure stands in a summary."""
    if failure is None:
        return {}
    found: dict[str, Any] = {"failureStep": failure.step, "lastError": failure.error}
    return found | ({"retry": dict(failure.retry)} if failure.retry else {})


def line_facts(
    stack: StackRecord, service: ServiceRecord, target: Target, record: VersionRecord | None
) -> dict[str, Any]:
    """What the timeline tells of a service besides its steps."""
    return {
        "stackId": stack.id,
        "fromVersion": record.current_display if record else service.image_tag,
        "toVersion": (record.candidate_display if record else None) or target.target_tag,
        "fromDigest": record.current_digest if record else None,
        "toDigest": target.target_digest,
    }


def backup_facts(backup: BackupResult | None) -> dict[str, Any]:
    """The backup as evidence of a roll back."""
    if backup is None or backup.artifact_path is None:
        return {}
    return {
        "backupId": backup.backup_id,
        "backupAt": rfc3339(backup.created_at) if backup.created_at else None,
        "backupPath": backup.artifact_path,
    }


def failed_outcome(result: Result, name: str = "") -> JobOutcome:
    """How a job ends with the failure of one service; `name` says which where there are several."""
    assert result.failure is not None
    status = JobStatus.ROLLED_BACK if result.ending == "rolled_back" else JobStatus.FAILED
    error = f"{name}: {result.failure.error}" if name else result.failure.error
    told = {"error": error, "hint": result.failure.hint}
    return JobOutcome(status, {**told, **failure_members(result.failure)})
