"""How long a service was away in its earlier updates: measured, or not known. Never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

NEWEST: Final = 5


@dataclass(frozen=True, slots=True)
class Away:
    """Seconds from the begin of the recreation until the service was seen to work: the median of `updates` updates."""

    seconds: float
    updates: int


def away(summaries: Iterable[Mapping[str, Any]], service_id: str) -> Away | None:
    """From summaries of update jobs, newest first; None when this service was not updated in any of them.

    Only updates that settled count: how long a roll back takes says nothing about one that works.
    """
    found: list[float] = []
    for seconds in _measured(summaries, service_id):
        found.append(seconds)
        if len(found) == NEWEST:
            break
    from statistics import median  # heavy and rare

    return Away(round(median(found), 1), len(found)) if found else None


def _measured(summaries: Iterable[Mapping[str, Any]], service_id: str) -> Iterator[float]:
    for summary in summaries:
        for line in summary.get("timeline", []):
            if line.get("key") != service_id:
                continue
            steps = {step.get("step"): step for step in line.get("steps", []) if step.get("status") == "done"}
            if not {"recreate", "health", "settled"} <= steps.keys():
                continue
            began, ended = _moment(steps["recreate"].get("startedAt")), _moment(steps["health"].get("finishedAt"))
            if began is not None and ended is not None and ended >= began:
                yield (ended - began).total_seconds()


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
