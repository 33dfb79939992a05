"""What the rules of targets need to know of services, from the rooms below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.features.stacks import ServiceRecord
from app.features.updates.rules.targets import Offer
from app.features.versions import VersionRecord, Versions


def offer_of(service: ServiceRecord, record: VersionRecord | None, versions: Versions) -> Offer:
    """One service and what the last check found for it."""
    has_candidate = record is not None and record.has_candidate
    return Offer(
        service_id=service.id,
        service_name=service.name,
        stack_id=service.stack_id,
        image_ref=service.image_ref,
        image_tag=service.image_tag,
        archived=service.hidden,
        current_digest=record.current_digest if record else None,
        current_version=record.current_display if record else None,
        candidate_digest=record.candidate_digest if record and has_candidate else None,
        candidate_version=record.candidate_display if record else None,
        arch_match=record.candidate_arch_match if record else None,
        arch=record.candidate_arch if record else (),
        ignored=record is not None and record.ignore_rule_id is not None,
        is_dockrev=versions.is_dockrev(service.image_ref),
        downgrade=record is not None and versions.is_downgrade(record),
    )


def offers_of(
    services: Iterable[ServiceRecord], records: Mapping[str, VersionRecord], versions: Versions
) -> dict[str, Offer]:
    """The same for many, by service id."""
    return {service.id: offer_of(service, records.get(service.id), versions) for service in services}


def anomaly(offer: Offer) -> dict[str, str | None]:
    """A candidate that is older than what runs, as the summary tells it (spec §7.8)."""
    return {
        "serviceId": offer.service_id,
        "serviceName": offer.service_name,
        "current": offer.current_version,
        "candidate": offer.candidate_version,
        "reason": "semver_downgrade",
    }
