"""Watches a service until it works or is seen not to (spec §7.8 step 6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from app.adapters.engine import ContainerDetail, Engine, EngineUnreachable
from app.core.clock import Clock
from app.features.updates.containers import containers_of
from app.features.updates.rules.health import MAX_SECONDS, Gate, Sighting, Verdict, all_of, gate_for, judge

LOOK_SECONDS: Final = 0.25
LOOK_LATER_SECONDS: Final = 0.5
UNHURRIED_AFTER_SECONDS: Final = 15.0
GONE: Final = "the container is gone"
OTHER_IMAGE: Final = "a container runs another image than the one that was asked for"
REPLACED: Final = "the container was replaced by somebody else while it was watched"


@dataclass(slots=True)
class _Watched:
    gate: Gate
    first: Sighting
    began: float
    steady_since: float


def gate_of(container: ContainerDetail, settle: float) -> Gate:
    """The gate that a container's own health check asks for."""
    policy = container.health_policy
    if policy is None:
        return gate_for(interval=0, timeout=0, start_period=0, retries=0, settle=settle, has_check=False)
    return gate_for(
        interval=policy.interval,
        timeout=policy.timeout,
        start_period=policy.start_period,
        retries=policy.retries,
        settle=settle,
    )


class Watch:
    """Judges the containers of one service after another."""

    def __init__(self, engine: Engine, clock: Clock, settle: float) -> None:
        self._engine = engine
        self._clock = clock
        self._settle = settle

    async def until_working(
        self,
        project: str,
        service: str,
        *,
        image_id: str | None = None,
        only: Collection[str] | None = None,
        ignore_health: bool = False,
        on_wait: Callable[[Verdict], None] | None = None,
    ) -> Verdict:
        """The final verdict on all containers of a service, or on those with the ids in `only`; `image_id` is what
        they must run.

        An engine that goes away while it watches is waited for. `ignore_health` judges a container with a health check
        like one without: for an old version that was unhealthy before it was touched.
        """
        watched: dict[str, _Watched] = {}
        began = self._clock.monotonic()
        while True:
            try:
                found = await containers_of(self._engine, project, service)
                found = [one for one in found if only is None or one.id in only]
            except EngineUnreachable:
                if self._clock.monotonic() - began > MAX_SECONDS:
                    raise
                watched.clear()
                await asyncio.sleep(LOOK_LATER_SECONDS)
                continue
            verdict = self._judge(found, watched, image_id, ignore_health)
            if verdict.state != "wait":
                return verdict
            if on_wait is not None:
                on_wait(verdict)
            unhurried = self._clock.monotonic() - began > UNHURRIED_AFTER_SECONDS
            await asyncio.sleep(LOOK_LATER_SECONDS if unhurried else LOOK_SECONDS)

    def _judge(
        self, found: list[ContainerDetail], watched: dict[str, _Watched], image_id: str | None, ignore_health: bool
    ) -> Verdict:
        if not found:
            return Verdict("bad", GONE)
        if image_id is not None and any(container.image_id != image_id for container in found):
            return Verdict("bad", OTHER_IMAGE)
        if any(container_id not in {one.id for one in found} for container_id in watched):
            return Verdict("bad", REPLACED)
        now = self._clock.monotonic()
        return all_of([self._look(container, watched, now, ignore_health) for container in found])

    def _look(self, container: ContainerDetail, watched: dict[str, _Watched], now: float, ignore: bool) -> Verdict:
        sighting = sighting_of(container)
        one = watched.get(container.id)
        if one is None:
            policy = gate_of(container, self._settle)
            gate = Gate(False, policy.deadline, policy.settle) if ignore else policy
            one = watched[container.id] = _Watched(gate, sighting, now, now)
        if not sighting.running:
            one.steady_since = now
        return judge(one.gate, one.first, sighting, now - one.began, now - one.steady_since)


def sighting_of(container: ContainerDetail) -> Sighting:
    """What the rules need of an inspection."""
    return Sighting(
        running=container.running,
        restarting=container.restarting,
        restart_count=container.restart_count,
        exit_code=container.exit_code,
        started_at=container.started_at,
        health=container.health.status if container.health else None,
        oom_killed=container.oom_killed,
    )
