"""When a new container counts as working (spec §7.8 step 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

MIN_SECONDS: Final = 20.0
MAX_SECONDS: Final = 900.0
MARGIN_SECONDS: Final = 5.0
CRASHES_TOLERATED: Final = 3
"""A container with a health check may end a few times while it waits for its database; no more often than this."""


@dataclass(frozen=True, slots=True)
class Gate:
    """How a container is judged: by its health check, or by running undisturbed for `settle` seconds."""

    checked: bool
    deadline: float
    settle: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """One look at one container."""

    running: bool
    restarting: bool
    restart_count: int
    exit_code: int
    started_at: datetime | None
    health: str | None
    oom_killed: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wait` looks again; `why` says in words what is wrong, or what was seen."""

    state: Literal["ok", "wait", "bad"]
    why: str = ""


def gate_for(
    *, interval: float, timeout: float, start_period: float, retries: int, settle: float, has_check: bool = True
) -> Gate:
    """The gate of a container's own policy; all in seconds."""
    if not has_check:
        return Gate(False, max(MIN_SECONDS, settle + MARGIN_SECONDS), settle)
    needed = start_period + (interval + timeout) * (retries + 1) + MARGIN_SECONDS
    return Gate(True, min(max(needed, MIN_SECONDS), MAX_SECONDS), settle)


def judge(gate: Gate, first: Sighting, now: Sighting, waited: float, steady: float) -> Verdict:
    """What one more look says.

    `first` is the first sight of this container, `waited` the seconds since then, `steady` the seconds it has been
    running undisturbed.
    """
    if now.oom_killed and not now.running:
        return Verdict("bad", "the container was killed because it ran out of memory")
    if not now.running and not now.restarting:
        return Verdict("bad", f"the container ended with exit code {now.exit_code}")
    crashes = now.restart_count - first.restart_count
    if gate.checked:
        return _judge_checked(gate, now, waited, crashes)
    if crashes > 0 or now.restarting:
        return Verdict("bad", f"the container keeps restarting (exit code {now.exit_code})")
    if first.started_at != now.started_at:
        return Verdict("bad", "the container was restarted while it was watched")
    if steady >= gate.settle:
        return Verdict("ok", f"running undisturbed for {gate.settle:g} s")
    return Verdict("wait", "running")


def _judge_checked(gate: Gate, now: Sighting, waited: float, crashes: int) -> Verdict:
    if now.health == "healthy" and now.running:
        return Verdict("ok", "healthy")
    if now.health == "unhealthy":
        return Verdict("bad", "the health check failed")
    if crashes >= CRASHES_TOLERATED:
        return Verdict("bad", f"the container keeps restarting (exit code {now.exit_code})")
    if waited >= gate.deadline:
        return Verdict("bad", f"not healthy after {gate.deadline:g} s")
    return Verdict("wait", now.health or "starting")


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a scaled service: one bad container is bad, one that is waited for is waited for."""
    for state in ("bad", "wait"):
        found = next((verdict for verdict in verdicts if verdict.state == state), None)
        if found:
            return found
    return verdicts[0] if verdicts else Verdict("bad", "the container is gone")
