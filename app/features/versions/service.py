"""What other rooms ask about versions: evidence, its age, what an update must cover."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from app.features.stacks import ServiceRecord
from app.features.versions import rules
from app.features.versions.downloads import Downloads
from app.features.versions.evidence import Evidence
from app.features.versions.inference.fold import keys_of
from app.features.versions.inference.state import service_state
from app.features.versions.inference.worker import Inference
from app.features.versions.newer.rows import NewerRows, NewerVersions
from app.features.versions.records import Discovery, Snapshot, VersionInference, VersionRecord


class Versions:
    """Reads of the versions room; every method is one or two queries however many services."""

    def __init__(
        self, evidence: Evidence, inference: Inference, newer: NewerRows, downloads: Downloads, image_repo: str
    ) -> None:
        self._evidence = evidence
        self._downloads = downloads
        self._newer = newer
        self._inference = inference
        self._image_repo = image_repo

    @property
    def host_platform(self) -> str:
        """`os/arch[/variant]` that candidates are compared with."""
        return self._inference.host_platform

    async def records(self, service_ids: Collection[str] | None = None) -> dict[str, VersionRecord]:
        """Evidence by service id, in one query. Services never checked, or with another image since, are left out."""
        return await self._evidence.records(service_ids)

    async def records_and_newer(self) -> tuple[dict[str, VersionRecord], dict[str, NewerVersions]]:
        """The evidence of every service, and what is newer under other tags where that is known, in one query."""
        return await self._newer.with_records()

    async def last_checks(self, stack_ids: Collection[str] | None = None) -> dict[str, datetime]:
        """When each stack was checked last; never checked ones are left out."""
        return await self._evidence.last_checks(stack_ids)

    async def discoveries(self, service_id: str, limit: int = 20) -> list[Discovery]:
        """What came out for a service, newest first: each candidate digest once, kept for half a year."""
        return await self._evidence.discoveries(service_id, limit)

    async def found_by_scans(self, service_ids: Collection[str]) -> list[VersionRecord]:
        """Evidence with a candidate that no check lists as new, because a scan of what runs was the first to see it:
        after the start, or when a stack is new. What a roll back brought into sight again is not among them."""
        found = await self._evidence.found_by_scans(service_ids)
        records = await self._evidence.records(found) if found else {}
        return [record for record in records.values() if record.has_candidate]

    async def inference_state(self, records: Iterable[VersionRecord]) -> dict[str, VersionInference]:
        """Per service whether its versions are known, in one query (spec §5.2)."""
        keys = {record.service_id: keys_of(record, self.host_platform) for record in records}
        wanted = {key for group in keys.values() for key in group}
        ages = await self._inference.snapshots.ages(wanted) if wanted else {}
        now = self._inference.now()
        return {
            service_id: service_state(group, ages, self._inference.queue.get, now) for service_id, group in keys.items()
        }

    async def snapshot(self, image_repo: str, digest: str) -> Snapshot | None:
        """Which tags had this digest when last looked, or None."""
        return await self._inference.snapshots.get(self._inference.key(image_repo, digest))

    async def snapshots(self, record: VersionRecord) -> dict[str, Snapshot]:
        """The cached tags of a service's digests, by digest."""
        keys = [self._inference.key(record.image_repo, digest) for digest in record.digests]
        found = await self._inference.snapshots.many(keys)
        return {key.digest: snapshot for key, snapshot in found.items()}

    async def download_size(self, record: VersionRecord, *, ask: bool = False) -> int | None:
        """The most bytes that pulling the candidate needs; None while it is not known.

        With `ask` the registry is asked in the background when it is not known; pages hear of the answer.
        """
        if record.candidate_digest is None:
            return None
        size = await self._downloads.size(record.image_ref, record.candidate_digest, record.current_digest)
        if size is None and ask:
            self._downloads.look_up(record.service_id, record.image_ref, record.candidate_digest)
        return size

    def is_dockrev(self, image_ref: str) -> bool:
        """Whether this is Dockrev's own service, which only the supervisor replaces (spec §2.1)."""
        repo = self._image_repo
        return image_ref == repo or image_ref.startswith((f"{repo}:", f"{repo}@"))

    def actionable(
        self,
        services: Iterable[ServiceRecord],
        records: Mapping[str, VersionRecord],
        *,
        allow_arch_mismatch: bool = False,
        reason: str = "ui",
    ) -> set[str]:
        """Ids of the services an update of a stack or of everything must cover, no more and no less (spec §5.3, 6)."""
        return {
            service.id
            for service in services
            if not (service.archived or service.stack_archived)
            and (record := records.get(service.id)) is not None
            and record.has_candidate
            and record.ignore_rule_id is None
            and (allow_arch_mismatch or record.candidate_arch_match != "mismatch")
            and not self.is_dockrev(service.image_ref)
            and (reason == "ui" or not self.is_downgrade(record))
        }

    def is_downgrade(self, record: VersionRecord) -> bool:
        """Whether both readable versions are versions and the candidate's is the lower one (spec §7.5)."""
        candidate = record.candidate_display
        return candidate is not None and rules.is_downgrade(record.current_display, candidate)
