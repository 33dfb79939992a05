"""Tables of the versions room: what runs and what could, ignore rules, cached knowledge about registries (spec §4)."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlmodel import Field

from app.core.db.table import Table
from app.core.db.types import JsonText, UtcDateTime


class ServiceVersion(Table, table=True):
    """The evidence about one service.

    `image_ref` is the reference the row was made for: when the service has another one by now, the row counts as
    absent. `revision` grows with every new piece of evidence, so that a slow check cannot overwrite a newer finding.
    """

    __tablename__ = "service_versions"
    __table_args__ = (Index("ix_service_versions_image_repo", "image_repo"),)

    service_id: str = Field(
        sa_column=Column(Text, ForeignKey("services.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    image_ref: str = Field(sa_column=Column(Text, nullable=False))
    image_repo: str = Field(sa_column=Column(Text, nullable=False))
    image_tag: str = Field(sa_column=Column(Text, nullable=False))
    revision: int = Field(default=0, sa_column=Column(Integer, nullable=False))
    current_digest: str | None = Field(default=None, sa_column=Column(Text))
    current_resolved_tag: str | None = Field(default=None, sa_column=Column(Text))
    current_resolved_tags: list[str] | None = Field(
        default=None, sa_column=Column("current_resolved_tags_json", JsonText)
    )
    candidate_tag: str | None = Field(default=None, sa_column=Column(Text))
    candidate_resolved_tag: str | None = Field(default=None, sa_column=Column(Text))
    candidate_digest: str | None = Field(default=None, sa_column=Column(Text))
    candidate_arch_match: str | None = Field(default=None, sa_column=Column(Text))
    candidate_arch: list[str] | None = Field(default=None, sa_column=Column("candidate_arch_json", JsonText))
    ignore_rule_id: str | None = Field(default=None, sa_column=Column(Text))
    ignore_reason: str | None = Field(default=None, sa_column=Column(Text))
    checked_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    last_error: str | None = Field(default=None, sa_column=Column(Text))
    last_error_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class StackCheck(Table, table=True):
    """When a stack was checked last."""

    __tablename__ = "stack_checks"

    stack_id: str = Field(
        sa_column=Column(Text, ForeignKey("stacks.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    last_check_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class IgnoreRule(Table, table=True):
    """A candidate of a service that its owner does not want; rules of unknown services are accepted (spec §4)."""

    __tablename__ = "ignore_rules"
    __table_args__ = (Index("ix_ignore_rules_scope_service_id", "scope_service_id"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    enabled: bool = True
    scope_type: str = Field(default="service", sa_column=Column(Text, nullable=False))
    scope_service_id: str = Field(sa_column=Column(Text, nullable=False))
    match_kind: str = Field(sa_column=Column(Text, nullable=False))
    match_value: str = Field(sa_column=Column(Text, nullable=False))
    note: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    updated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class DigestTagsSnapshot(Table, table=True):
    """Which tags of a repository resolve to a digest, as of `checked_at`."""

    __tablename__ = "image_digest_tags_snapshots"
    __table_args__ = (Index("ix_image_digest_tags_snapshots_checked_at", "checked_at"),)

    image_repo: str = Field(sa_column=Column(Text, primary_key=True))
    digest: str = Field(sa_column=Column(Text, primary_key=True))
    host_platform: str = Field(sa_column=Column(Text, primary_key=True))
    snapshot: dict[str, Any] = Field(sa_column=Column("snapshot_json", JsonText, nullable=False))
    all_failed: bool = False
    checked_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    updated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class RegistryValidator(Table, table=True):
    """What a tag (or digest) pointed to when the registry was last asked."""

    __tablename__ = "registry_validators"

    repo: str = Field(sa_column=Column(Text, primary_key=True))
    reference: str = Field(sa_column=Column(Text, primary_key=True))
    etag: str | None = Field(default=None, sa_column=Column(Text))
    digest: str = Field(sa_column=Column(Text, nullable=False))
    media_type: str = Field(sa_column=Column(Text, nullable=False))
    checked_at: str = Field(sa_column=Column(Text, nullable=False))


class RegistryManifest(Table, table=True):
    """Facts of a manifest; content-addressed, so never wrong, only unused."""

    __tablename__ = "registry_manifests"

    digest: str = Field(sa_column=Column(Text, primary_key=True))
    facts: dict[str, Any] = Field(sa_column=Column("facts_json", JsonText, nullable=False))
    stored_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class RegistryHost(Table, table=True):
    """What a registry allows: until when it rests after a rate limit, and the quota as read at `quota_at`."""

    __tablename__ = "registry_hosts"

    host: str = Field(sa_column=Column(Text, primary_key=True))
    cooling_until: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    remaining: int | None = Field(default=None, sa_column=Column(Integer))
    limit: int | None = Field(default=None, sa_column=Column("quota_limit", Integer))
    window: int | None = Field(default=None, sa_column=Column("quota_window", Integer))
    quota_source: str | None = Field(default=None, sa_column=Column(Text))
    quota_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    updated_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class NewVersionDiscovery(Table, table=True):
    """One candidate digest seen for the first time: the history of what came out for a service."""

    __tablename__ = "new_version_discoveries"
    __table_args__ = (
        UniqueConstraint("service_id", "image_ref", "current_digest", "candidate_digest", name="uq_new_version"),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    service_id: str = Field(sa_column=Column(Text, ForeignKey("services.id", ondelete="CASCADE"), nullable=False))
    image_ref: str = Field(sa_column=Column(Text, nullable=False))
    current_digest: str = Field(sa_column=Column(Text, nullable=False))
    candidate_tag: str = Field(sa_column=Column(Text, nullable=False))
    candidate_digest: str = Field(sa_column=Column(Text, nullable=False))
    source_job_id: str | None = Field(default=None, sa_column=Column(Text))
    discovered_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class RepositoryTags(Table, table=True):
    """The tags of a repository as of `checked_at`; `error` is why the last try, at `tried_at`, brought none."""

    __tablename__ = "repository_tags"

    image_repo: str = Field(sa_column=Column(Text, primary_key=True))
    tags: list[str] = Field(default_factory=list, sa_column=Column("tags_json", JsonText, nullable=False))
    checked_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    error: str | None = Field(default=None, sa_column=Column(Text))
    tried_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class RepositoryVersion(Table, table=True):
    """What a tag (or a digest itself) of a repository is: shared by all services that use the repository.

    `platforms` is None until its manifest was read. `detailed` says that the time of publication was asked for;
    without one the image does not tell it.
    """

    __tablename__ = "repository_versions"

    image_repo: str = Field(sa_column=Column(Text, primary_key=True))
    reference: str = Field(sa_column=Column(Text, primary_key=True))
    digest: str = Field(sa_column=Column(Text, nullable=False))
    platforms: list[str] | None = Field(default=None, sa_column=Column("platforms_json", JsonText))
    published_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    detailed: bool = False
    checked_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class ServiceNewerVersions(Table, table=True):
    """The newer versions of one service under other tags, ready to be drawn.

    The row counts only for the `image_ref` and the running version (`current`) it was made for. `basis` names what
    else went into it, `summary` what it means for the state of the row, `skipped` how many versions the candidate
    leaps over. `checked_at` is the time of the tag list.
    """

    __tablename__ = "service_newer_versions"

    service_id: str = Field(
        sa_column=Column(Text, ForeignKey("services.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    image_ref: str = Field(sa_column=Column(Text, nullable=False))
    current: str = Field(sa_column=Column(Text, nullable=False))
    summary: str = Field(default="", sa_column=Column(Text, nullable=False))
    entries: str = Field(default="[]", sa_column=Column("entries_json", Text, nullable=False))
    basis: str = Field(default="", sa_column=Column(Text, nullable=False))
    skipped: int = 0
    checked_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    computed_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
