"""`GET /api/services/{id}/versions` (ours; spec §5.2 has the routes beside it)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.core.web.schema import ApiModel, Maybe
from app.features.versions.newer.listing import Listed, NotYet, VersionList


class VersionOut(ApiModel):
    """One version.

    `state`: current, candidate (under the followed tag; what an update would take), other_series (under another tag),
    ignored (by `ruleId`), arch_mismatch (no image for this host), held (an update to it was rolled back). `distance`
    from what runs: now, patch, minor, major, unknown. `inReach`: the followed tag leads there, or could by itself.
    `reachedBy` are tags that lead there; `follow` is the one to write into the Compose file; `more` counts older
    versions of the same distance. Absent: not known yet.
    """

    state: Literal["current", "candidate", "other_series", "ignored", "arch_mismatch", "held"]
    distance: Literal["now", "patch", "minor", "major", "unknown"]
    version: Maybe[str] = None
    tag: Maybe[str] = None
    inferred: bool = False
    in_reach: bool = False
    digest: Maybe[str] = None
    platforms: Maybe[list[str]] = None
    published_at: Maybe[datetime] = None
    reached_by: list[str] = Field(default_factory=list)
    follow: Maybe[str] = None
    rule_id: Maybe[str] = None
    more: int = 0

    @classmethod
    def of(cls, one: Listed) -> VersionOut:
        """From the list."""
        return cls.model_validate(
            {
                "state": one.state,
                "distance": one.distance,
                "version": one.version,
                "tag": one.tag,
                "inferred": one.inferred,
                "inReach": one.in_reach,
                "digest": one.digest,
                "platforms": None if one.platforms is None else list(one.platforms),
                "publishedAt": one.published_at,
                "reachedBy": list(one.reached_by),
                "follow": one.follow,
                "ruleId": one.rule_id,
                "more": one.more,
            }
        )


class VersionsOut(ApiModel):
    """What runs first, then the candidate, then newer versions under other tags, the nearest first.

    `status`: ready, stale (an old list; a new one is being fetched) or failed (`error`; what was known stands).
    `refreshing`: more is being looked up. `reach`: how far the followed tag moves by itself (none, patch, minor, all).
    """

    service_id: str
    image_ref: str
    image_repo: str
    followed_tag: str
    reach: Literal["none", "patch", "minor", "all"]
    status: Literal["ready", "stale", "failed"]
    refreshing: bool
    checked_at: Maybe[datetime] = None
    error: Maybe[str] = None
    versions: list[VersionOut]

    @classmethod
    def of(cls, found: VersionList) -> VersionsOut:
        """From the list."""
        return cls(
            service_id=found.service.id,
            image_ref=found.service.image_ref,
            image_repo=found.image_repo,
            followed_tag=found.service.image_tag,
            reach=found.reach,
            status="failed" if found.error else "stale" if found.stale else "ready",
            refreshing=found.refreshing,
            checked_at=found.checked_at,
            error=found.error,
            versions=[VersionOut.of(one) for one in found.versions],
        )


class VersionsPending(ApiModel):
    """Nothing known yet; ask again after `retryAfterMs`. `not_checked`: what runs is not known, a check would tell."""

    status: Literal["pending"] = "pending"
    service_id: str
    reason: Literal["not_checked", "cache_miss"]
    retry_after_ms: int

    @classmethod
    def of(cls, found: NotYet) -> VersionsPending:
        """From the list that is not there."""
        return cls(service_id=found.service_id, reason=found.reason, retry_after_ms=found.retry_after_ms)
