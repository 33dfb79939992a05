"""`GET /api/widget`: the house in one flat answer, for dashboards that map members of a JSON document."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from math import nan

from litestar import get
from litestar.di import NamedDependency

from app.core.clock import Clock
from app.core.jobs import JobFilter, JobStatus, JobStore
from app.core.metrics import Metrics
from app.core.web.schema import ApiModel
from app.features.catalog import Catalog, Known
from app.features.catalog.schemas import ServiceState
from app.features.stacks import Runtime


class WidgetOut(ApiModel):
    """Counts of services that are not archived. null is "not known", never 0 and never left out.

    `updates` is what an update of everything would cover, `held` what a rule holds back; both, `upToDate` and
    `lastCheckAt` are null before the first check. `unknown` counts services of which no state is known. All three
    stand as of `lastCheckAt`, whether the engine can be reached or not.
    """

    services: int | None
    stacks: int | None
    updates: int | None
    held: int | None
    up_to_date: int | None
    unknown: int | None
    failed_checks: int | None
    running_jobs: int
    last_check_at: datetime | None
    last_check_minutes: int | None
    engine_reachable: bool | None
    version: str
    as_of: datetime


class Widget:
    """Counts for dashboards, which ask every few seconds: at most three queries while nothing runs."""

    def __init__(self, catalog: Catalog, runtime: Runtime, jobs: JobStore, clock: Clock, version: str) -> None:
        self._catalog = catalog
        self._runtime = runtime
        self._jobs = jobs
        self._clock = clock
        self._version = version

    async def counts(self) -> WidgetOut:
        """As it is now."""
        known, now, engine = await self._catalog.counted(), self._clock.now(), self._runtime.engine
        found = await self._found(known)
        seen = self._catalog.seen(known).values()
        states = Counter(one.state for one in seen)
        times = [one.record.checked_at for one in seen if one.record and one.record.checked_at]
        last = max(times, default=None)
        judged = found and (not seen or last is not None)
        return WidgetOut(
            services=len(seen) if found else None,
            stacks=len(known.stacks) if found else None,
            updates=len(self._catalog.actionable(known)) if judged else None,
            held=states[ServiceState.BLOCKED] if judged else None,
            up_to_date=states[ServiceState.OK] if judged else None,
            unknown=states[ServiceState.UNKNOWN] if found else None,
            failed_checks=sum(bool(one.record and one.record.last_error) for one in seen) if judged else None,
            running_jobs=len(known.running),
            last_check_at=last,
            last_check_minutes=max(0, int((now - last).total_seconds() // 60)) if last else None,
            engine_reachable=engine.connected if engine.checked_at else None,
            version=self._version,
            as_of=now,
        )

    async def measure(self, metrics: Metrics) -> None:
        """The states of services for Prometheus; where nobody looked yet there are no series rather than zeros."""
        known = await self._catalog.counted()
        seen = self._catalog.seen(known).values()
        metrics.services.clear()
        if await self._found(known):
            states = Counter(one.state for one in seen)
            for state in ServiceState:
                metrics.services.labels(state.value).set(states[state])
        times = [one.record.checked_at.timestamp() for one in seen if one.record and one.record.checked_at]
        metrics.last_check.set(max(times, default=nan))

    async def _found(self, known: Known) -> bool:
        """Whether it is known what there is: nothing found counts only after somebody looked."""
        if known.stacks:
            return True
        looked = JobFilter(types=("discovery",), statuses=(JobStatus.SUCCESS,), limit=1)
        return bool(await self._jobs.search(looked))


@get("/api/widget", operation_id="widget", summary="Counts for dashboards", tags=["core"])
async def widget(widget: NamedDependency[Widget]) -> WidgetOut:
    """One flat document for Homepage, Homarr, Glance and the like; null where something is not known."""
    return await widget.counts()
