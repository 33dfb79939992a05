"""A delivery of GitHub: decided in the order of spec §5.7, turned into checks as in §9.5."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from app.core.errors import DockrevError, Internal, InvalidArgument
from app.core.events import EntitiesChanged, EventBus
from app.features.hooks.deliveries import Deliveries
from app.features.hooks.matching import users_of
from app.features.hooks.rules import delivery as rules
from app.features.hooks.rules.delivery import Decision, Payload, Signed
from app.features.hooks.schemas import DeliveryOut
from app.features.hooks.secrets import WebhookSecrets, Which
from app.features.hooks.settings import HookSettings
from app.features.hooks.tracked import TrackedRepos
from app.features.stacks import Discovery, ServiceRecord, Stacks
from app.features.versions import Checks, EventRing

log = structlog.get_logger(__name__)

CREATED_BY: Final = "github"
CHECK_REASON: Final = "webhook"
DISCOVERY_REASON: Final = "github_webhook"
EVENT_NAME: Final = "github_packages_delivery_event"
RING_SIZE: Final = 500


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer: ignored for a reason, or acted on with these jobs."""

    ignored: str | None = None
    attempt: int | None = None
    job_ids: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    fallback: str | None = None


@dataclass(slots=True)
class _Started:
    """Jobs started so far."""

    job_ids: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)


class Intake:
    """Takes deliveries. `ring` is what their stream tells: the latest, numbered from 1 in each process."""

    def __init__(
        self,
        *,
        settings: HookSettings,
        secrets: WebhookSecrets,
        repos: TrackedRepos,
        deliveries: Deliveries,
        stacks: Stacks,
        checks: Checks,
        discovery: Discovery,
        bus: EventBus,
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._repos = repos
        self._deliveries = deliveries
        self._stacks = stacks
        self._checks = checks
        self._discovery = discovery
        self._bus = bus
        self.ring = EventRing(RING_SIZE)

    async def take(self, headers: Mapping[str, str], body: Callable[[], Awaitable[bytes]]) -> Accepted:
        """Decide and act. The body is read only when it matters.

        Raises InvalidArgument (no id, no JSON), Unauthorized (signature), Internal when nothing came of it.
        """
        delivery_id = rules.delivery_id(headers.get("x-github-delivery"))
        settings = await self._settings.read()
        reason = rules.ignored_unread(headers.get("x-github-event"), enabled=settings.enabled)
        if reason is not None:
            return Accepted(ignored=reason)
        raw = await body()
        previous = await self._secrets.previous_of_github()
        signed = rules.require_signature(settings.secret, headers.get("x-hub-signature-256"), raw, previous)
        await self._secrets.used(Which.GITHUB, signed)
        payload = rules.read_payload(raw)
        if payload is None:
            await self._record(delivery_id, Payload(), Decision.REJECTED, rules.INVALID_JSON, 400, signed)
            raise InvalidArgument(
                "the body is not JSON",
                hint="Set the content type of the webhook on GitHub to application/json.",
                details={"field": "body", "reason": rules.INVALID_JSON},
            )
        selected = payload.action == rules.PUBLISHED and await self._repos.covers(payload.owner, payload.repo)
        reason = rules.ignored_read(payload, selected=selected)
        if reason is not None:
            attempt = await self._record(delivery_id, payload, Decision.IGNORED, reason, 200, signed)
            return Accepted(ignored=reason, attempt=attempt)
        claimed = await self._deliveries.claim(delivery_id, payload, signed)
        if claimed.repeated:
            await self._tell(delivery_id)
            return Accepted(ignored=rules.DUPLICATE, attempt=claimed.count)
        return await self._act(delivery_id, payload, claimed.count)

    async def _act(self, delivery_id: str, payload: Payload, attempt: int) -> Accepted:
        started = _Started()
        matched: list[ServiceRecord] = []
        fallback: str | None = None
        try:
            full_name = payload.full_name
            if full_name is not None:
                matched = users_of(full_name, await self._stacks.select("all"))
            if matched:
                await self._check(delivery_id, full_name, matched, started)
            else:
                fallback = rules.NO_MATCH if full_name else rules.OWNER_ONLY
                await self._discover(delivery_id, full_name, fallback, started)
            await self._deliveries.settle(delivery_id, started.job_ids, fallback, 200)
        except Exception as error:
            await self._failed(delivery_id, started, error)
        await self._tell(delivery_id)
        return Accepted(
            attempt=attempt,
            job_ids=tuple(started.job_ids),
            reused=tuple(started.reused),
            services=tuple(service.id for service in matched),
            fallback=fallback,
        )

    async def _failed(self, delivery_id: str, started: _Started, error: Exception) -> None:
        """Without any job the delivery never was: GitHub's next attempt is a first one. Else what was done counts."""
        log.error("delivery failed", delivery_id=delivery_id, jobs=started.job_ids, exc_info=error)
        if not started.job_ids:
            await self._deliveries.release(delivery_id)
            cause = error.message if isinstance(error, DockrevError) else type(error).__name__
            raise Internal("internal error", hint="Let GitHub deliver it again.", details={"cause": cause}) from error
        await self._deliveries.settle(delivery_id, started.job_ids, "not every service could be checked", 200)

    async def _check(
        self, delivery_id: str, full_name: str | None, services: list[ServiceRecord], started: _Started
    ) -> None:
        ids = [service.id for service in services]
        block = rules.audit_block(delivery_id, full_name, ids, None)
        for service_id in ids:
            job_id, reused = await self._checks.start_or_join(
                service_id,
                created_by=CREATED_BY,
                reason=CHECK_REASON,
                summary={"audit": block | {"reusedJobIds": list(started.reused)}},
                join=lambda summary: rules.joined(summary, block),
            )
            _note(started, job_id, reused)

    async def _discover(self, delivery_id: str, full_name: str | None, fallback: str, started: _Started) -> None:
        block = rules.audit_block(delivery_id, full_name, [], fallback)
        job_id, reused = await self._discovery.request_or_join(
            created_by=CREATED_BY,
            reason=DISCOVERY_REASON,
            summary={"audit": block},
            join=lambda summary: rules.joined(summary, block),
        )
        _note(started, job_id, reused)

    async def _record(
        self, delivery_id: str, payload: Payload, decision: Decision, reason: str, status: int, signed: Signed
    ) -> int:
        attempt = await self._deliveries.record(delivery_id, payload, decision, reason, status, signed)
        await self._tell(delivery_id)
        return attempt

    async def _tell(self, delivery_id: str) -> None:
        """Pages read themselves again; streams get the delivery as it stands."""
        self._bus.publish(EntitiesChanged("hooks"))
        record = await self._deliveries.get(delivery_id)
        if record is not None:
            delivery = DeliveryOut.of(record).model_dump(mode="json", by_alias=True)
            self.ring.append({"type": EVENT_NAME, "delivery": delivery})


def _note(started: _Started, job_id: str, reused: bool) -> None:
    started.job_ids.append(job_id)
    if reused:
        started.reused.append(job_id)


def answer(accepted: Accepted) -> dict[str, Any]:
    """The JSON of spec §14.6."""
    if accepted.ignored is not None:
        told: dict[str, Any] = {"ok": True, "ignored": True, "reason": accepted.ignored}
        return told if accepted.attempt is None else told | {"attemptCount": accepted.attempt}
    told = {
        "ok": True,
        "attemptCount": accepted.attempt,
        "jobIds": list(accepted.job_ids),
        "matchedServiceIds": list(accepted.services),
        "reusedJobIds": list(accepted.reused),
        "fallbackUsed": accepted.fallback is not None,
    }
    if accepted.job_ids:
        told["jobId"] = accepted.job_ids[0]
    return told if accepted.fallback is None else told | {"fallbackReason": accepted.fallback}
