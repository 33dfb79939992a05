"""What runs: a view in memory, kept fresh by the engine's events, with polling only as the net below.

One call lists the containers of all projects; everything else is computed from it. The engine may be away at any time:
the view then says so, keeps its last reading, and recovers by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import structlog

from app.adapters.engine import (
    PROJECT_LABEL,
    ContainerSummary,
    Engine,
    EngineError,
    EngineEvent,
    EngineInfo,
    EngineRefused,
)
from app.core.clock import Clock
from app.core.errors import DockrevError
from app.core.events import EntitiesChanged, EventBus
from app.features.stacks.events import EngineConnected, EngineLost, ProjectsRelabelled, RuntimeChanged
from app.features.stacks.records import ServiceRecord
from app.features.stacks.runtime_rules import (
    Key,
    ProjectLabels,
    RuntimeDigest,
    ServiceRuntime,
    by_service,
    changed_services,
    describe,
    project_labels,
    running_digest,
)
from app.features.stacks.service import Stacks

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 30.0
LOST_POLL_SECONDS: Final = 15.0
DEBOUNCE_SECONDS: Final = 0.2
RETRY_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
STREAM_SETTLED_SECONDS: Final = 0.5
STEADY_SECONDS: Final = 30.0
IDS_TOLD: Final = 200

_ACTIONS: Final = {
    "container": frozenset(
        {"create", "start", "restart", "die", "stop", "kill", "oom", "pause", "unpause", "destroy", "rename"}
        | {"health_status"}
    ),
    "image": frozenset({"tag", "untag", "pull", "delete"}),
}
_STARTS: Final = frozenset({"start", "restart"})


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Whether the engine answers. `checked_at` is None before the first attempt; `since` is when this began."""

    connected: bool
    endpoint: str
    version: str | None = None
    api_version: str | None = None
    platform: str | None = None
    latency_ms: float | None = None
    error: str | None = None
    hint: str | None = None
    checked_at: datetime | None = None
    since: datetime | None = None


class Runtime:
    """See the module. `watch` and `follow` are the two loops that keep it alive."""

    def __init__(self, engine: Engine, stacks: Stacks, bus: EventBus, clock: Clock) -> None:
        self._engine = engine
        self._stacks = stacks
        self._bus = bus
        self._clock = clock
        self._status = EngineStatus(connected=False, endpoint=engine.endpoint)
        self._lock = asyncio.Lock()
        self._dirty = asyncio.Event()
        self._started: dict[str, datetime] = {}
        self._containers: tuple[ContainerSummary, ...] = ()
        self._services: dict[Key, tuple[ContainerSummary, ...]] = {}
        self._labels: dict[str, ProjectLabels] = {}
        self._as_of: datetime | None = None

    # ---- reading: no I/O

    @property
    def engine(self) -> EngineStatus:
        """How the connection to the engine stands."""
        return self._status

    def service(self, project: str, name: str) -> ServiceRuntime:
        """What a service is doing; state `unknown` before the first reading and while the engine is away."""
        containers = self._services.get((project, name), ())
        if self._as_of is None:
            return ServiceRuntime("unknown", None, "Not read yet", None, (), None)
        if not self._status.connected:
            return ServiceRuntime("unknown", None, "The engine does not answer", None, containers, self._as_of)
        return describe(containers, self._started, self._as_of)

    def containers(self, project: str | None = None) -> tuple[ContainerSummary, ...]:
        """All containers of the last reading, or those of one project; one-off containers included."""
        return tuple(c for c in self._containers if project is None or c.project == project)

    # ---- asking the engine

    async def refresh(self) -> tuple[ContainerSummary, ...]:
        """Read the containers of all projects now and tell what changed. Raises EngineError."""
        async with self._lock:
            try:
                info = None if self._status.connected else await self._info()
                asked = self._clock.monotonic()
                containers = tuple(await self._engine.containers([PROJECT_LABEL], all=True))
            except EngineError as error:
                self._went(error)
                raise
            self._came(info, (self._clock.monotonic() - asked) * 1000)
            await self._take(containers)
            return containers

    async def running_digests(self, services: Sequence[ServiceRecord]) -> dict[str, RuntimeDigest]:
        """The digest each service really runs, by service id (spec §7.4): one call for containers and one for
        images, whatever their number. With the engine away every answer says `engine_unreachable`."""
        try:
            found = by_service(await self.refresh())
            images = {image.id: image for image in await self._engine.images()}
        except EngineError:
            return {service.id: RuntimeDigest(None, reason="engine_unreachable") for service in services}
        return {
            service.id: running_digest(service, found.get((service.project, service.name), ()), images)
            for service in services
        }

    # ---- the loops

    async def watch(self) -> None:
        """Follow the engine's events for ever; connect again after 1, 2, 4, 8, 15, 15 … seconds."""
        failures = 0
        while True:
            began = self._clock.monotonic()
            try:
                await self.refresh()
                await self._listen()
            except EngineError as error:
                log.debug("engine events ended", cause=error.message)
            # A proxy may end an idle stream, or forbid it: the engine counts as lost only when a call fails too.
            if self._clock.monotonic() - began > STEADY_SECONDS:
                failures = 0
            await asyncio.sleep(RETRY_SECONDS[failures])
            failures = min(failures + 1, len(RETRY_SECONDS) - 1)

    async def _listen(self) -> None:
        # What happened between the last reading and the opening of the stream is caught up on.
        caught_up = asyncio.get_running_loop().call_later(STREAM_SETTLED_SECONDS, self._dirty.set)
        try:
            async with aclosing(self._engine.events()) as events:
                async for event in events:
                    self.note(event)
        finally:
            caught_up.cancel()

    def note(self, event: EngineEvent) -> None:
        """Take one event of the engine into account."""
        if event.action not in _ACTIONS.get(event.type, ()):
            return
        if event.type == "container" and event.action in _STARTS and event.time_ns:
            self._started[event.id] = datetime.fromtimestamp(event.time_ns / 1e9, UTC)
        self._dirty.set()

    async def follow(self) -> None:
        """Read again soon after events, and every half minute anyway."""
        while True:
            poll = POLL_SECONDS if self._status.connected else LOST_POLL_SECONDS
            with suppress(TimeoutError):  # nothing happened: time for the look that comes anyway
                async with asyncio.timeout(poll):
                    await self._dirty.wait()
                await asyncio.sleep(DEBOUNCE_SECONDS)
            self._dirty.clear()
            try:
                await self.refresh()
            except EngineError as error:
                log.debug("containers could not be read", cause=error.message)

    # ---- keeping the view

    async def _info(self) -> EngineInfo | None:
        try:
            return await self._engine.info()
        except EngineRefused as error:  # a socket proxy may forbid this and allow the rest
            log.info("the engine does not tell its version", cause=error.message)
            return None

    def _came(self, info: EngineInfo | None, latency_ms: float) -> None:
        now = self._clock.now()
        if self._status.connected:
            self._status = replace(self._status, checked_at=now, latency_ms=latency_ms)
            return
        self._status = EngineStatus(
            connected=True,
            endpoint=self._engine.endpoint,
            version=info.version if info else None,
            api_version=info.api_version if info else None,
            platform=info.platform if info else None,
            latency_ms=latency_ms,
            checked_at=now,
            since=now,
        )
        log.info("engine connected", endpoint=self._status.endpoint, version=self._status.version)
        self._bus.publish(EngineConnected(self._status.version or ""))
        self._bus.publish(EntitiesChanged("engine"))

    def _went(self, error: EngineError) -> None:
        before, now = self._status, self._clock.now()
        lost = before.connected or before.checked_at is None
        self._status = replace(
            before,
            connected=False,
            latency_ms=None,
            error=error.message,
            hint=error.hint or None,
            checked_at=now,
            since=now if lost else before.since,
        )
        if lost:
            log.warning("engine lost", endpoint=before.endpoint, cause=error.message)
            self._bus.publish(EngineLost(error.message))
        if lost or before.error != error.message:
            self._bus.publish(EntitiesChanged("engine"))

    async def _take(self, containers: tuple[ContainerSummary, ...]) -> None:
        first, services, labels = self._as_of is None, by_service(containers), project_labels(containers)
        changed = changed_services(self._services, services)
        before = self._labels
        relabelled = frozenset(p for p in labels.keys() | before.keys() if labels.get(p) != before.get(p))
        self._containers, self._services, self._labels = containers, services, labels
        self._as_of = self._clock.now()
        present = {container.id for container in containers}
        self._started = {key: moment for key, moment in self._started.items() if key in present}
        if first:
            self._bus.publish(EntitiesChanged("services"))
            return
        for project, names in changed.items():
            self._bus.publish(RuntimeChanged(project, names))
        if relabelled:
            self._bus.publish(ProjectsRelabelled(relabelled))
        if changed:
            self._bus.publish(EntitiesChanged("services", await self._ids(changed)))

    async def _ids(self, changed: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """Ids of these services; none ("all of them") when they are many or cannot be read."""
        if sum(len(names) for names in changed.values()) > IDS_TOLD:
            return frozenset()
        try:
            known = await self._stacks.service_ids(changed.keys())
        except DockrevError as error:
            log.warning("ids of changed services could not be read", cause=error.message)
            return frozenset()
        return frozenset(known[p, name] for p, names in changed.items() for name in names if (p, name) in known)
