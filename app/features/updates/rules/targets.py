"""Steps 5 and 6: is this still what was shown, and is it exactly what the scope offers (spec §5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from app.core.errors import Conflict, InvalidArgument
from app.features.updates.rules.request import Target

WhyNot = Literal["archived", "no_candidate", "dockrev", "blocked", "arch_mismatch", "downgrade"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A service and what the last check found for it: all that the rules of targets need to know."""

    service_id: str
    service_name: str
    stack_id: str
    image_ref: str
    image_tag: str
    archived: bool = False
    current_digest: str | None = None
    current_version: str | None = None
    candidate_digest: str | None = None
    candidate_version: str | None = None
    arch_match: str | None = None
    arch: tuple[str, ...] = field(default=())
    ignored: bool = False
    is_dockrev: bool = False
    downgrade: bool = False


def why_not(offer: Offer, *, allow_arch_mismatch: bool, reason: str) -> WhyNot | None:
    """Why a service is no part of a stack or all update; None when it is (spec §5.3 step 6)."""
    if offer.archived:
        return "archived"
    if not offer.candidate_digest:
        return "no_candidate"
    if offer.is_dockrev:
        return "dockrev"
    if offer.ignored:
        return "blocked"
    if offer.arch_match == "mismatch" and not allow_arch_mismatch:
        return "arch_mismatch"
    if offer.downgrade and reason != "ui":
        return "downgrade"
    return None


def check_target(target: Target, offer: Offer, *, allow_arch_mismatch: bool) -> None:
    """Step 5: raises InvalidArgument or Conflict with the messages of the contract."""
    if target.target_tag != offer.image_tag:
        raise InvalidArgument(
            "cross-tag updates are not supported: targetTag must be the tag the service is configured with",
            hint="Change the tag in the Compose file; Dockrev follows it.",
            details={"serviceId": offer.service_id, "expectedTag": offer.image_tag, "gotTag": target.target_tag},
        )
    if target.target_digest != offer.candidate_digest:
        raise Conflict(
            "target digest no longer matches latest scan (rescan required)",
            hint="Check the service again and confirm what it finds.",
            details={
                "serviceId": offer.service_id,
                "expectedDigest": offer.candidate_digest,
                "gotDigest": target.target_digest,
            },
        )
    if offer.arch_match == "mismatch" and not allow_arch_mismatch:
        raise InvalidArgument(
            "the candidate has no image for this host's architecture",
            hint="Switch on “allow architecture mismatch” if this host can emulate it.",
            details={"serviceId": offer.service_id, "archMatch": "mismatch"},
        )


def check_cover(targets: Sequence[Target], offers: Iterable[Offer], *, allow_arch_mismatch: bool, reason: str) -> None:
    """Step 6: the targets of a stack or all update are exactly the actionable services of the scope."""
    wanted = {
        offer.service_id
        for offer in offers
        if why_not(offer, allow_arch_mismatch=allow_arch_mismatch, reason=reason) is None
    }
    got = {target.service_id for target in targets}
    if wanted != got:
        raise InvalidArgument(
            "targets must exactly cover the selected services for this scope",
            hint="Something changed since the page was loaded. Reload it and confirm again.",
            details={"missingServiceIds": sorted(wanted - got), "extraServiceIds": sorted(got - wanted)},
        )
