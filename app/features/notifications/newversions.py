"""The versions a message about new ones shows, and whether it is still true (spec §8.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from app.adapters.registry import ImageRef, RegistryClient, RegistryError
from app.features.notifications.announcements import Announcement, is_current
from app.features.notifications.payload import ServiceFacts
from app.features.stacks import Stacks
from app.features.versions import Snapshot, VersionRecord, Versions, rules

WAIT_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.5
LABEL_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Ready:
    """An announcement that is still true, with what is shown of it."""

    announcement: Announcement
    facts: ServiceFacts


def shown(snapshot: Snapshot | None, resolved: str | None, frozen: str, label: str | None, tag: str) -> str:
    """Inferred from the snapshot, else the version known now or at the time of the check, else the image's own label,
    else the tag (spec §8.4.6). Pure."""
    inferred = rules.resolved_tags(snapshot.tags) if snapshot else ()
    if inferred:
        return next(iter(inferred))
    if resolved:
        return resolved
    if frozen and frozen != tag:
        return frozen
    return label or tag


class NewVersions:
    """Asks the rooms below."""

    def __init__(
        self,
        versions: Versions,
        stacks: Stacks,
        registry: RegistryClient,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._versions = versions
        self._stacks = stacks
        self._registry = registry
        self._sleep = sleep

    async def ready(self, reserved: Sequence[Announcement]) -> list[Ready]:
        """Those still true once their versions are known or ten seconds are over, by name of stack and service."""
        records = await self._when_known([each.service_id for each in reserved])
        services = {service.id: service for service in await self._stacks.services(list(records))}
        found = []
        for each in reserved:
            record, service = records.get(each.service_id), services.get(each.service_id)
            if record is None or service is None or service.hidden or record.ignore_rule_id is not None:
                continue
            if is_current(each, record):
                current, candidate = await self._display(each, record)
                facts = ServiceFacts(
                    stack_id=service.stack_id,
                    stack_name=service.stack_name,
                    service_id=service.id,
                    service_name=service.name,
                    current_tag=each.current_tag,
                    current_display_tag=current,
                    candidate_tag=each.candidate_tag,
                    candidate_display_tag=candidate,
                )
                found.append(Ready(each, facts))
        return sorted(found, key=lambda each: (each.facts.stack_name, each.facts.service_name))

    async def missed(self, service_ids: Collection[str]) -> list[dict[str, str]]:
        """Candidates that no check lists as new, because a scan of what runs saw them first; in the form in which a
        check tells what it found. Without them a stack that is behind when it is started would never be told of."""
        records = await self._versions.found_by_scans(service_ids)
        return [
            {
                "serviceId": record.service_id,
                "imageRef": record.image_ref,
                "currentTag": record.image_tag,
                "currentDisplayTag": record.current_display,
                "candidateTag": record.candidate_tag,
                "candidateDisplayTag": record.candidate_display or record.candidate_tag,
                "candidateDigest": record.candidate_digest,
            }
            for record in records
            if record.ignore_rule_id is None and record.candidate_tag and record.candidate_digest
        ]

    async def overtaken(self, announced: Sequence[Announcement]) -> set[int]:
        """Ids of those that are not true any more."""
        records = await self._versions.records({each.service_id for each in announced})
        return {each.id for each in announced if not is_current(each, records.get(each.service_id))}

    async def _when_known(self, service_ids: Sequence[str]) -> dict[str, VersionRecord]:
        """Evidence as of when no version is looked up any more, at the latest after ten seconds."""
        for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
            records = await self._versions.records(service_ids)
            states = await self._versions.inference_state(records.values())
            if all(state.status == "ready" or state.reason == "all_failed" for state in states.values()):
                return records
            await self._sleep(POLL_SECONDS)
        return await self._versions.records(service_ids)

    async def _display(self, each: Announcement, record: VersionRecord) -> tuple[str, str]:
        snapshots = await self._versions.snapshots(record)
        current, candidate = record.current_digest or "", record.candidate_digest or ""
        sides = (
            (current, record.current_resolved_tag, each.current_display_tag, each.current_tag),
            (candidate, record.candidate_resolved_tag, each.candidate_display_tag, each.candidate_tag),
        )
        told = [shown(snapshots.get(digest), resolved, frozen, None, tag) for digest, resolved, frozen, tag in sides]
        if told[0] == told[1]:  # nothing readable on either side: the images may say it themselves
            labels = [await self._label(record, digest) for digest, *_ in sides]
            told = [label or text for label, text in zip(labels, told, strict=True)]
        return told[0], told[1]

    async def _label(self, record: VersionRecord, digest: str) -> str | None:
        if not digest:
            return None
        try:
            async with asyncio.timeout(LABEL_SECONDS):
                ref = ImageRef.parse(record.image_ref)
                return (await self._registry.image_labels(ref, digest, background=True)).version or None
        except (RegistryError, TimeoutError):
            return None
