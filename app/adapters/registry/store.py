"""What the registry client remembers between requests and, with a store in the database, between starts.

Validators say what a tag pointed to when last asked, so that the next question is one conditional HEAD. Manifests
are content-addressed and therefore true for ever. Both are plain dataclasses whose fields are JSON as they stand. Of
hosts it is kept what would hurt when forgotten: how long one rests after a rate limit, and what is left of its quota.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Validator:
    """The last answer about `<repo>:<reference>`. `checked_at` is RFC 3339 in UTC."""

    etag: str | None
    digest: str
    media_type: str
    checked_at: str


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest's facts, the same for every host.

    `children` maps `os/arch[/variant]` to the digest of the child (an index); attestations are not in it.
    `platform`, `labels` and `created` come from the config blob of a single manifest and are only true facts when
    `config_known`: some registries refuse the blob, and then the next caller tries again. `layers` maps the beginning
    of a compressed layer's digest to its bytes; None for an index, and where they were not noted yet.
    """

    digest: str
    media_type: str
    is_index: bool
    children: dict[str, str] = field(default_factory=dict)
    config_digest: str | None = None
    config_known: bool = False
    platform: str | None = None
    created: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    layers: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything but the digest, which is the key it is stored under."""
        return {key: value for key, value in asdict(self).items() if key != "digest"}

    @classmethod
    def from_json(cls, digest: str, data: dict[str, Any]) -> StoredManifest:
        """The inverse of `to_json`."""
        return cls(digest=digest, **data)


@dataclass(frozen=True, slots=True)
class StoredHost:
    """What must outlive the process about a registry (or token server): its rest, and the quota as read at a time.

    `window` is in seconds.
    """

    host: str
    cooling_until: datetime | None = None
    remaining: int | None = None
    limit: int | None = None
    window: int | None = None
    quota_source: str | None = None
    quota_at: datetime | None = None


class ManifestStore(Protocol):
    """Where validators, manifests and hosts are kept. Reads answer from memory after `load`; writes are buffered."""

    async def load(self, repos: Collection[str]) -> None:
        """Bring the validators of these repositories, and the manifests they point to, into memory.

        At most a few queries however many repositories; repositories already loaded cost nothing.
        """

    def validator(self, repo: str, reference: str) -> Validator | None:
        """The remembered answer, if the repository is loaded and there is one."""

    def remember(self, repo: str, reference: str, validator: Validator) -> None:
        """Keep an answer; visible to `validator` at once, durable after `flush`."""

    async def manifest(self, digest: str) -> StoredManifest | None:
        """A manifest by digest: from memory, else (rarely) from where it is kept."""

    def remember_manifest(self, manifest: StoredManifest) -> None:
        """Keep a manifest; visible to `manifest` at once, durable after `flush`."""

    async def hosts(self) -> Collection[StoredHost]:
        """Every host that was remembered; asked once, before the first request."""

    def remember_host(self, host: StoredHost) -> None:
        """Keep a host's state; durable after `flush`."""

    async def flush(self) -> None:
        """Write what was remembered since the last flush; called at the end of a job, not per request."""


class MemoryStore:
    """A store for one process's life: tests, one-off commands."""

    def __init__(self) -> None:
        self._validators: dict[tuple[str, str], Validator] = {}
        self._manifests: dict[str, StoredManifest] = {}
        self._hosts: dict[str, StoredHost] = {}

    async def load(self, repos: Collection[str]) -> None:
        """Nothing to bring: memory is all there is."""

    def validator(self, repo: str, reference: str) -> Validator | None:
        """See ManifestStore."""
        return self._validators.get((repo, reference))

    def remember(self, repo: str, reference: str, validator: Validator) -> None:
        """See ManifestStore."""
        self._validators[repo, reference] = validator

    async def manifest(self, digest: str) -> StoredManifest | None:
        """See ManifestStore."""
        return self._manifests.get(digest)

    def remember_manifest(self, manifest: StoredManifest) -> None:
        """See ManifestStore."""
        self._manifests[manifest.digest] = manifest

    async def hosts(self) -> Collection[StoredHost]:
        """See ManifestStore."""
        return list(self._hosts.values())

    def remember_host(self, host: StoredHost) -> None:
        """See ManifestStore."""
        self._hosts[host.host] = host

    async def flush(self) -> None:
        """Nothing to write."""
