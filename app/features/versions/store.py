"""The registry client's memory, kept in the database (spec §7.3: an unchanged image costs one conditional HEAD).

Validators of the tags that services follow are durable; those of other tags (seen while looking for versions) are kept
for this process only, as many as fit. Manifests are durable: they never change, and fetching one may count as a pull.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import delete
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import col, select

from app.adapters.registry import StoredHost, StoredManifest, Validator
from app.core.clock import Clock, rfc3339
from app.core.db import Database
from app.features.versions.models import RegistryHost, RegistryManifest, RegistryValidator, ServiceVersion

PASSING_VALIDATORS: Final = 1024
KEPT_MANIFESTS: Final = 1024
UNUSED_AFTER: Final = timedelta(days=30)
HOSTS_KEPT: Final = timedelta(days=7)  # no rest is longer
_HOST_COLUMNS: Final = tuple(StoredHost.__dataclass_fields__)
_CHUNK: Final = 500  # values of one IN list

K = TypeVar("K")
V = TypeVar("V")


class DatabaseStore:
    """A ManifestStore: reads answer from memory after `load`, writes wait for `flush` and then share a transaction."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._followed: set[tuple[str, str]] = set()
        self._loaded: set[str] = set()
        self._durable: dict[tuple[str, str], Validator] = {}
        self._passing: OrderedDict[tuple[str, str], Validator] = OrderedDict()
        self._manifests: OrderedDict[str, StoredManifest] = OrderedDict()
        self._dirty_validators: dict[tuple[str, str], Validator] = {}
        self._dirty_manifests: dict[str, StoredManifest] = {}
        self._dirty_hosts: dict[str, StoredHost] = {}

    def follow(self, tags: Collection[tuple[str, str]]) -> None:
        """Say which (repository, tag) pairs services follow: their validators outlive the process."""
        self._followed.update(tags)
        for key in tags:
            if (passing := self._passing.pop(key, None)) is not None:
                self._durable[key] = self._dirty_validators[key] = passing

    async def load(self, repos: Collection[str]) -> None:
        """Bring what is known of these repositories into memory: one query per 500 new ones, none for the others."""
        missing = [repo for repo in repos if repo not in self._loaded]
        for chunk in _chunks(missing):
            query = (
                select(RegistryValidator, RegistryManifest)
                .join(RegistryManifest, col(RegistryManifest.digest) == col(RegistryValidator.digest), isouter=True)
                .where(col(RegistryValidator.repo).in_(chunk))
            )
            async with self._db.session() as session:
                rows = (await session.exec(query)).all()
            for row, manifest in rows:
                key = (row.repo, row.reference)
                self._followed.add(key)
                self._durable.setdefault(key, Validator(row.etag, row.digest, row.media_type, row.checked_at))
                if manifest is not None and manifest.digest not in self._manifests:
                    self._keep(StoredManifest.from_json(manifest.digest, manifest.facts))
            self._loaded.update(chunk)

    def validator(self, repo: str, reference: str) -> Validator | None:
        """What the tag pointed to when last asked, as far as it is in memory."""
        key = (repo, reference)
        return self._durable.get(key) or self._passing.get(key)

    def remember(self, repo: str, reference: str, validator: Validator) -> None:
        """Keep an answer; durable after `flush` when a service follows the tag."""
        key = (repo, reference)
        if key in self._followed:
            self._durable[key] = self._dirty_validators[key] = validator
            return
        _put(self._passing, key, validator, PASSING_VALIDATORS)

    async def manifest(self, digest: str) -> StoredManifest | None:
        """A manifest from memory, else from the database."""
        known = self._manifests.get(digest) or self._dirty_manifests.get(digest)
        if known is not None:
            return known
        async with self._db.session() as session:
            row = await session.get(RegistryManifest, digest)
        if row is None:
            return None
        stored = StoredManifest.from_json(digest, row.facts)
        self._keep(stored)
        return stored

    def remember_manifest(self, manifest: StoredManifest) -> None:
        """Keep a manifest; durable after `flush`."""
        self._keep(manifest)
        self._dirty_manifests[manifest.digest] = manifest

    async def hosts(self) -> list[StoredHost]:
        """Every host with something to remember."""
        async with self._db.session() as session:
            rows = (await session.exec(select(RegistryHost))).all()
        return [StoredHost(**{name: getattr(row, name) for name in _HOST_COLUMNS}) for row in rows]

    def remember_host(self, host: StoredHost) -> None:
        """Keep a host's state; durable after `flush`."""
        self._dirty_hosts[host.host] = host

    async def flush(self) -> None:
        """Write what is new in one transaction; when that fails, it stays waiting for the next flush."""
        validators, self._dirty_validators = self._dirty_validators, {}
        manifests, self._dirty_manifests = self._dirty_manifests, {}
        hosts, self._dirty_hosts = self._dirty_hosts, {}
        if not validators and not manifests and not hosts:
            return
        try:
            async with self._db.transaction() as session:
                connection = await session.connection()
                if validators:
                    await connection.execute(_upsert_validators(), _validator_rows(validators))
                if manifests:
                    await connection.execute(_upsert_manifests(), self._manifest_rows(manifests))
                if hosts:
                    await connection.execute(_upsert_hosts(), self._host_rows(hosts.values()))
        except BaseException:
            self._dirty_validators = {**validators, **self._dirty_validators}
            self._dirty_manifests = {**manifests, **self._dirty_manifests}
            self._dirty_hosts = {**hosts, **self._dirty_hosts}
            raise

    async def purge(self) -> int:
        """Delete manifests no followed tag points to, 30 days after they were stored; returns how many.

        Hosts go a week after they were last heard of: by then every rest is over and every quota renewed. What tags
        pointed to that no service follows any more goes with the evidence about them.
        """
        followed = (
            select(ServiceVersion.service_id)
            .where(col(ServiceVersion.image_repo) == col(RegistryValidator.repo))
            .where(col(ServiceVersion.image_tag) == col(RegistryValidator.reference))
        )
        used = select(RegistryValidator.digest)
        before = self._clock.now() - UNUSED_AFTER
        async with self._db.transaction() as session:
            await session.exec(
                delete(RegistryValidator).where(
                    col(RegistryValidator.checked_at) < rfc3339(before), ~followed.correlate(RegistryValidator).exists()
                )
            )
            gone = await session.exec(
                delete(RegistryManifest).where(
                    col(RegistryManifest.stored_at) < before, col(RegistryManifest.digest).not_in(used)
                )
            )
            old = self._clock.now() - HOSTS_KEPT
            await session.exec(delete(RegistryHost).where(col(RegistryHost.updated_at) < old))
        return int(gone.rowcount)

    def _keep(self, manifest: StoredManifest) -> None:
        _put(self._manifests, manifest.digest, manifest, max(KEPT_MANIFESTS, 2 * len(self._followed)))

    def _manifest_rows(self, manifests: dict[str, StoredManifest]) -> list[dict[str, Any]]:
        now = self._clock.now()
        return [{"digest": key, "facts_json": item.to_json(), "stored_at": now} for key, item in manifests.items()]

    def _host_rows(self, hosts: Collection[StoredHost]) -> list[dict[str, Any]]:
        now = self._clock.now()
        return [
            {
                "host": host.host,
                "cooling_until": host.cooling_until,
                "remaining": host.remaining,
                "quota_limit": host.limit,
                "quota_window": host.window,
                "quota_source": host.quota_source,
                "quota_at": host.quota_at,
                "updated_at": now,
            }
            for host in hosts
        ]


def _validator_rows(validators: dict[tuple[str, str], Validator]) -> list[dict[str, Any]]:
    return [
        {
            "repo": repo,
            "reference": reference,
            "etag": item.etag,
            "digest": item.digest,
            "media_type": item.media_type,
            "checked_at": item.checked_at,
        }
        for (repo, reference), item in validators.items()
    ]


def _upsert_validators() -> Any:
    statement = insert(RegistryValidator)
    names = ("etag", "digest", "media_type", "checked_at")
    return statement.on_conflict_do_update(
        index_elements=["repo", "reference"], set_={name: statement.excluded[name] for name in names}
    )


def _upsert_manifests() -> Any:
    statement = insert(RegistryManifest)
    names = ("facts_json", "stored_at")
    return statement.on_conflict_do_update(
        index_elements=["digest"], set_={name: statement.excluded[name] for name in names}
    )


def _upsert_hosts() -> Any:
    statement = insert(RegistryHost)
    names = ("cooling_until", "remaining", "quota_limit", "quota_window", "quota_source", "quota_at", "updated_at")
    return statement.on_conflict_do_update(
        index_elements=["host"], set_={name: statement.excluded[name] for name in names}
    )


def _put(kept: OrderedDict[K, V], key: K, value: V, limit: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > limit:
        kept.popitem(last=False)


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
