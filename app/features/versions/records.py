"""What the versions room tells the rooms above it; no table model leaves the room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.features.versions.rules import ArchMatch


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """The evidence about one service's image as of `checked_at` (spec §4, §5.2).

    `candidate_tag` is None when there is no candidate. `candidate_arch_match` is match, mismatch or unknown.
    `last_error` is the last failed registry request since `checked_at`; older evidence stands in spite of it.
    """

    service_id: str
    image_ref: str
    image_repo: str
    image_tag: str
    revision: int = 0
    current_digest: str | None = None
    current_resolved_tag: str | None = None
    current_resolved_tags: tuple[str, ...] = ()
    candidate_tag: str | None = None
    candidate_resolved_tag: str | None = None
    candidate_digest: str | None = None
    candidate_arch_match: ArchMatch | None = None
    candidate_arch: tuple[str, ...] = ()
    ignore_rule_id: str | None = None
    ignore_reason: str | None = None
    checked_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None

    @property
    def has_candidate(self) -> bool:
        """Whether the registry has something else under the same tag."""
        return self.candidate_tag is not None and self.candidate_digest is not None

    @property
    def current_display(self) -> str:
        """The readable version of what runs: inferred, else the tag."""
        return self.current_resolved_tag or self.image_tag

    @property
    def candidate_display(self) -> str | None:
        """The readable version of the candidate: inferred, else its tag; None without a candidate."""
        return (self.candidate_resolved_tag or self.candidate_tag) if self.has_candidate else None

    @property
    def digests(self) -> tuple[str, ...]:
        """The current and the candidate digest, those that are known."""
        found = (self.current_digest, self.candidate_digest if self.has_candidate else None)
        return tuple(dict.fromkeys(digest for digest in found if digest))


@dataclass(frozen=True, slots=True)
class VersionInference:
    """Whether versions are known or being found out (spec §5.2); `checked_at` is the cached snapshot's time."""

    status: Literal["ready", "pending"]
    reason: str | None = None
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScanCounts:
    """How far a look through a repository's tags came; timeouts include tags the time budget did not reach."""

    repo_tags_total: int = 0
    repo_tags_considered: int = 0
    manifests_ok: int = 0
    manifests_timeout: int = 0
    manifests_error: int = 0

    @property
    def failures(self) -> int:
        """Tags whose digest is not known."""
        return self.manifests_timeout + self.manifests_error

    @property
    def complete(self) -> bool:
        """Whether every tag of the repository was looked at and answered."""
        return self.failures == 0 and self.repo_tags_considered >= self.repo_tags_total

    def document(self) -> dict[str, int]:
        """The JSON of spec §5.2."""
        return {
            "repoTagsTotal": self.repo_tags_total,
            "repoTagsConsidered": self.repo_tags_considered,
            "manifestsOk": self.manifests_ok,
            "manifestsTimeout": self.manifests_timeout,
            "manifestsError": self.manifests_error,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ScanCounts:
        """The inverse of `document`; missing members are 0."""
        return cls(
            repo_tags_total=int(document.get("repoTagsTotal", 0)),
            repo_tags_considered=int(document.get("repoTagsConsidered", 0)),
            manifests_ok=int(document.get("manifestsOk", 0)),
            manifests_timeout=int(document.get("manifestsTimeout", 0)),
            manifests_error=int(document.get("manifestsError", 0)),
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cached answer to "which tags have this digest": tags sorted, versions first and descending."""

    image_repo: str
    digest: str
    host_platform: str
    tags: tuple[str, ...]
    scan: ScanCounts
    checked_at: datetime
    all_failed: bool = False


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A candidate digest that appeared or changed in a check (spec §5.3 `newVersions`)."""

    stack_id: str
    service_id: str
    service_name: str
    image_ref: str
    current_tag: str
    current_digest: str | None
    current_display_tag: str
    candidate_tag: str
    candidate_display_tag: str
    candidate_digest: str

    def document(self) -> dict[str, Any]:
        """The JSON of spec §14.1."""
        return {
            "stackId": self.stack_id,
            "serviceId": self.service_id,
            "serviceName": self.service_name,
            "imageRef": self.image_ref,
            "currentTag": self.current_tag,
            "currentDigest": self.current_digest,
            "currentDisplayTag": self.current_display_tag,
            "candidateTag": self.candidate_tag,
            "candidateDisplayTag": self.candidate_display_tag,
            "candidateDigest": self.candidate_digest,
        }


@dataclass(frozen=True, slots=True)
class Discovery:
    """A line of a service's history: this digest was first seen under the tag at `discovered_at`."""

    service_id: str
    image_ref: str
    current_digest: str
    candidate_tag: str
    candidate_digest: str
    source_job_id: str | None
    discovered_at: datetime


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What a re-check of one service found (after an update, or on drift)."""

    service_id: str
    stack_id: str
    runtime_digest: str | None
    record: VersionRecord | None
    registry_ok: bool
    error: str = ""

    @property
    def candidate_present(self) -> bool:
        """Whether the registry has something else."""
        return self.record is not None and self.record.has_candidate


@dataclass(frozen=True, slots=True)
class IgnoreRuleRecord:
    """One ignore rule (spec §5.5); `kind` is exact, prefix, regex or semver."""

    id: str
    service_id: str
    kind: str
    value: str
    created_at: datetime
    enabled: bool = True
    note: str | None = None
