"""How far a pull is, from the engine's stream of JSON messages (spec §7.8, pull progress)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["waiting", "downloading", "retrying", "downloaded", "extracting", "complete", "exists"]

MAX_LAYERS_TRACKED = 1_000
MAX_LAYERS_LISTED = 100
FRACTION_CAP = 0.99

# What each text of the engine (and of the CLI, which prints the same ones) says about a layer.
_PHASES: dict[str, Phase] = {
    "pulling fs layer": "waiting",
    "waiting": "waiting",
    "downloading": "downloading",
    "verifying checksum": "downloaded",
    "download complete": "downloaded",
    "extracting": "extracting",
    "pull complete": "complete",
    "already exists": "exists",
}
_ARRIVED: frozenset[Phase] = frozenset({"downloaded", "extracting", "complete", "exists"})


@dataclass(frozen=True, slots=True)
class LayerProgress:
    """One layer. `current`/`total` are downloaded bytes; `total` is None while unknown."""

    layer: str
    status: Phase
    current: int
    total: int | None


@dataclass(slots=True)
class _Layer:
    phase: Phase = "waiting"
    current: int = 0
    total: int | None = None


@dataclass(slots=True)
class PullProgress:
    """Feed it every message in order; read `fraction`, `download()` and `layers()` at any time.

    Not thread-safe: feed and read it in one thread.
    """

    digest: str | None = None
    downloaded: bool = True
    done: bool = False
    _layers: dict[str, _Layer] = field(default_factory=dict)
    _peak: float | None = None

    def feed(self, message: Mapping[str, Any]) -> None:
        """Take one message `{id?, status, progressDetail?: {current, total}}`; unknown ones change nothing."""
        status = str(message.get("status") or "")
        if status.startswith("Digest: "):
            self.digest = status.removeprefix("Digest: ").strip()[:200]
        elif status.startswith("Status: Image is up to date"):
            self.downloaded = False
        layer = message.get("id")
        phase = _phase(status)
        if not isinstance(layer, str) or phase is None:
            return
        layer = layer[:64]
        if layer not in self._layers and len(self._layers) >= MAX_LAYERS_TRACKED:
            return
        known = self._layers.setdefault(layer, _Layer())
        _advance(known, phase, message.get("progressDetail"))
        self._raise_peak()

    def finish(self) -> None:
        """The pull has succeeded: the fraction is 1."""
        self.done = True

    @property
    def fraction(self) -> float | None:
        """0 to 0.99 until `finish`, never falling; None while nothing can be said."""
        return 1.0 if self.done else self._peak

    def download(self) -> dict[str, Any]:
        """The `download` object of a job's progress (spec §5.4); what is not known is left out."""
        fetched = [x for x in self._layers.values() if x.phase != "exists"]
        told: dict[str, Any] = {
            "completedLayers": sum(x.phase in _ARRIVED for x in self._layers.values()),
            "totalLayers": len(self._layers),
            "activeLayers": sum(x.phase in ("downloading", "extracting") for x in fetched),
            "status": self._status(),
        }
        if any(x.current for x in fetched):
            told["currentBytes"] = sum(x.current for x in fetched)
        totals = [x.total for x in fetched if x.total is not None]
        if totals and len(totals) == len(fetched):
            told["totalBytes"] = sum(totals)
        return told

    def layers(self) -> tuple[LayerProgress, ...]:
        """The layers in the order they appeared, at most 100."""
        listed = list(self._layers.items())[:MAX_LAYERS_LISTED]
        return tuple(LayerProgress(name, x.phase, x.current, x.total) for name, x in listed)

    def _status(self) -> str:
        phases = {x.phase for x in self._layers.values()}
        if self.done:
            return "complete"
        order: tuple[Phase, ...] = ("retrying", "downloading", "extracting", "waiting", "downloaded")
        return next((p for p in order if p in phases), "complete" if phases else "waiting")

    def _raise_peak(self) -> None:
        measured = self._measure()
        if measured is not None:
            self._peak = max(self._peak or 0.0, min(measured, FRACTION_CAP))

    def _measure(self) -> float | None:
        # Layers that are here already say nothing about the work ahead.
        fetched = [x for x in self._layers.values() if x.phase != "exists"]
        totals = [x.total for x in fetched if x.total is not None]
        if not fetched:
            return None
        if len(totals) == len(fetched) and sum(totals) > 0:
            return sum(x.current for x in fetched) / sum(totals)
        if any(x.phase == "downloading" and x.total is None for x in fetched):
            return None  # bytes are coming and nobody says of how many
        return sum(x.phase in _ARRIVED for x in fetched) / len(fetched)


def _phase(status: str) -> Phase | None:
    lowered = status.strip().lower()
    return "retrying" if lowered.startswith("retrying in") else _PHASES.get(lowered)


def _advance(layer: _Layer, phase: Phase, detail: object) -> None:
    if phase == "downloading" and isinstance(detail, Mapping):
        # A retried layer starts again at zero; what is shown does not go back.
        layer.current = max(layer.current, _bytes(detail.get("current")))
        total = _bytes(detail.get("total"))
        if total > 0:
            layer.total = max(total, layer.total or 0)
            layer.current = min(layer.current, layer.total)
    elif phase in _ARRIVED and layer.total is not None:
        layer.current = layer.total
    elif phase in ("downloaded", "extracting", "complete") and layer.current:
        layer.total = layer.current
    layer.phase = phase


def _bytes(value: object) -> int:
    return max(0, int(value)) if isinstance(value, int | float) and value == value and abs(value) < 2**63 else 0
