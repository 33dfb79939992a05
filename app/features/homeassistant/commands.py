"""What may come from a broker, and the one thing that it may start: an update of one service to what was shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import structlog

from app.core.clock import Clock
from app.core.errors import Conflict, DockrevError, InvalidArgument, NotFound
from app.features.access import AuditEvent, Ledger, Outcome
from app.features.homeassistant.facts import House, Told
from app.features.homeassistant.layout import object_id
from app.features.updates import Mode, Reason, Scope, UpdateInput, Updates

log = structlog.get_logger(__name__)

MQTT: Final = "mqtt"
LONGEST: Final = 128
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Command:
    """An install that came in: for which service, and what was sent."""

    key: str
    payload: bytes
    retained: bool


def digest_of(command: Command) -> str:
    """The digest it asks for. Raises InvalidArgument for anything else than a fresh message with a digest."""
    if command.retained:
        raise InvalidArgument("a kept command is old: send it without the retain flag", details={"reason": "retained"})
    text = command.payload.decode("ascii", "replace") if len(command.payload) <= LONGEST else ""
    if not _DIGEST.fullmatch(text):
        raise InvalidArgument("a command is the digest to install", details={"reason": "no_digest"})
    return text


def service_of(command: Command, house: House | None) -> Told:
    """The service as it was shown last. Raises NotFound."""
    for told in house.services if house else ():
        if object_id(told.id) == command.key:
            return told
    raise NotFound("service not found")


def require_shown(told: Told, digest: str) -> None:
    """Raise Conflict unless exactly this digest was offered for installing."""
    if told.busy:
        raise Conflict("service operation in progress", details={"reason": "busy"})
    if told.install is None:
        raise Conflict("this service has no update that may be installed from here", details={"reason": "not_offered"})
    if told.install != digest:
        raise Conflict("another version was found since", details={"reason": "changed"})


class Installer:
    """Starts updates for commands, and keeps what became of the last one of each service."""

    def __init__(self, updates: Updates, ledger: Ledger, clock: Clock) -> None:
        self._updates = updates
        self._ledger = ledger
        self._clock = clock
        self.notes: dict[str, dict[str, Any]] = {}

    async def take(self, command: Command, house: House | None) -> None:
        """Start what it asks for, or note why not. Never raises what Dockrev raises on purpose."""
        told: Told | None = None
        try:
            told = service_of(command, house)
            digest = digest_of(command)
            require_shown(told, digest)
            job_id = await self._start(told, digest)
        except DockrevError as error:
            self._refuse(told, error)
        else:
            log.info("update started from MQTT", service=told.id, job=job_id)
            self._note(told.id, f"started {job_id}")

    async def _start(self, told: Told, digest: str) -> str:
        """As a person would: with the plan that the dialog shows, and the guard of the page."""
        plan = await self._updates.plan("service", service_id=told.id)
        planned = next((one for one in plan.targets if one.service_id == told.id), None)
        if planned is None or planned.target_digest != digest:
            raise Conflict("another version was found since", details={"reason": "changed"})
        wanted = UpdateInput(
            scope=Scope.SERVICE,
            stack_id=told.stack_id,
            service_id=told.id,
            target_tag=planned.target_tag,
            target_digest=digest,
            pull_tags=list(planned.pull_tags),
            mode=Mode.APPLY,
        )
        return await self._updates.start(wanted, MQTT, Reason.WEBHOOK.value)

    def _refuse(self, told: Told | None, error: DockrevError) -> None:
        reason = str(error.details.get("reason", error.code))
        log.warning("command from MQTT refused", service=told.id if told else None, cause=error.message)
        self._ledger.note(
            AuditEvent(
                at=self._clock.now(),
                action="update.start",
                outcome=Outcome.REFUSED,
                means=MQTT,
                object_kind="service" if told else None,
                object_id=told.id if told else None,
                code=error.code,
                details={"reason": reason},
            )
        )
        if told is not None:
            self._note(told.id, f"refused: {error.message}"[:200])

    def _note(self, service_id: str, text: str) -> None:
        self.notes[service_id] = {"last_command": text, "last_command_at": self._clock.now().isoformat()}

    def forget_others(self, house: House) -> None:
        """Drop what was noted of services that are gone."""
        there = {told.id for told in house.services}
        self.notes = {key: note for key, note in self.notes.items() if key in there}
