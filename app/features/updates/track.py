"""Tells how far an update is: each service's line of the timeline, and its share of the job's progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from app.adapters.engine import LayerProgress, PullProgress
from app.core.clock import Clock
from app.core.jobs import JobContext, Progress

BACKUP_PERCENT: Final = 8.0
APPLY_FROM: Final = 15.0
APPLY_TO: Final = 95.0
PULL_FROM: Final = 0.08
PULL_TO: Final = 0.50
LAYERS_SECONDS: Final = 0.5

_LAYER_STATES: Final = {
    "waiting": "waiting",
    "downloading": "downloading",
    "retrying": "downloading",
    "downloaded": "extracting",
    "extracting": "extracting",
    "complete": "done",
    "exists": "present",
}


class Track:
    """One service. `report(fraction, message, download)` moves the job's progress; fractions are those of spec §7.8."""

    def __init__(
        self,
        ctx: JobContext,
        clock: Clock,
        service_id: str,
        label: str,
        report: Callable[[float, str, dict[str, Any] | None], None],
    ) -> None:
        self._ctx = ctx
        self._clock = clock
        self._service_id = service_id
        self._label = label
        self._report = report
        self._layers_at = float("-inf")

    def step(self, step: str, status: str, note: str = "", **facts: Any) -> None:
        """Move the line of this service: `status` is done, run, bad, back, skip or todo."""
        self._ctx.step(self._service_id, step, status, label=self._label, note=note, **facts)

    def at(self, fraction: float, message: str, download: dict[str, Any] | None = None) -> None:
        """Move the job's progress within this service's share."""
        self._report(fraction, f"{self._label}: {message}", download)

    def pulling(self, progress: PullProgress) -> None:
        """Bytes and layers of a pull, at most twice a second."""
        now = self._clock.monotonic()
        if now - self._layers_at < LAYERS_SECONDS and not progress.done:
            return
        self._layers_at = now
        download, fraction = progress.download(), progress.fraction
        facts: dict[str, Any] = {"layers": [_layer(layer) for layer in progress.layers()], "download": download}
        if fraction is not None:
            facts["pullPercent"] = round(100 * fraction, 1)
        self._set(facts)
        self.at(PULL_FROM + (PULL_TO - PULL_FROM) * (fraction or 0.0), "pulling the image", download)

    def _set(self, facts: dict[str, Any]) -> None:
        """Facts of the line without an event of their own: the progress event beside them is enough."""
        timeline = [
            {**entry, **facts} if entry.get("key") == self._service_id else entry
            for entry in self._ctx.summary.get("timeline", [])
        ]
        self._ctx.merge({"timeline": timeline})


class Meter:
    """The progress of a job over `total` services: how far each is, how many are done, the highest percent told."""

    def __init__(self, ctx: JobContext, clock: Clock, total: int) -> None:
        self._ctx = ctx
        self._clock = clock
        self._total = total
        self._fractions: dict[str, float] = {}
        self._done: set[str] = set()
        self._percent = 0.0

    def track(self, service_id: str, label: str) -> Track:
        """The line of one service."""

        def report(fraction: float, message: str, download: dict[str, Any] | None) -> None:
            self._fractions[service_id] = fraction
            share = (APPLY_TO - APPLY_FROM) * sum(self._fractions.values()) / max(1, self._total)
            self.tell("apply", message, APPLY_FROM + share, label, download)

        return Track(self._ctx, self._clock, service_id, label, report)

    def ended(self, service_id: str) -> None:
        """Nothing more will happen to a service."""
        self._done.add(service_id)
        self._fractions[service_id] = 1.0

    def tell(
        self,
        phase: str,
        message: str,
        percent: float,
        target: str | None = None,
        download: dict[str, Any] | None = None,
    ) -> None:
        """Move the job's progress; the percent never goes back."""
        self._percent = max(self._percent, percent)
        begun, total = len(self._fractions), self._total
        progress = Progress(
            phase,
            message,
            current=len(self._done),
            total=total,
            percent=self._percent,
            planned_current=begun,
            planned_total=total,
            planned_percent=100 * begun / total if total else 100,
            current_target=target,
            download=download,
        )
        self._ctx.progress(progress, force=download is None)


def _layer(layer: LayerProgress) -> dict[str, Any]:
    found: dict[str, Any] = {"id": layer.layer, "state": _LAYER_STATES[layer.status]}
    if layer.current or layer.total:
        found["currentBytes"] = layer.current
    if layer.total is not None:
        found["totalBytes"] = layer.total
    return found
