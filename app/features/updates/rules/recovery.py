"""What to do about an update that a dead process left behind, from what is really there (spec §7.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Step(StrEnum):
    """How far an update of a service had come when it was written down; each is committed before it is begun."""

    PREPARE = "prepare"
    RECREATE = "recreate"
    HEALTH = "health"
    TAG = "tag"
    ROLLBACK = "rollback"
    RESTARTS = "restarts"
    """It is settled; only restarts put off to the end of the stack are open, those of the row's dependents."""


Action = Literal["keep_old", "judge_new", "bring_back"]


@dataclass(frozen=True, slots=True)
class Found:
    """A container of the service as it is now."""

    image_id: str
    running: bool


def recovery_action(step: Step, found: Sequence[Found], old_image_id: str, new_image_id: str | None) -> Action:
    """`keep_old`: the old image runs and nothing else is there; `judge_new`: the new one runs, give it its chance;
    `bring_back`: anything in between, and everything that had already been judged bad."""
    running = {container.image_id for container in found if container.running}
    leftovers = any(not container.running for container in found)
    if running == {old_image_id}:
        # What is left of a recreation half done (a created container) is cleared by bringing the old one up again.
        return "bring_back" if leftovers and step is not Step.PREPARE else "keep_old"
    if step is Step.PREPARE:
        return "keep_old"  # nothing had been touched: whatever is there now is somebody else's decision
    if step is Step.ROLLBACK:
        return "bring_back"
    if new_image_id is not None and running == {new_image_id} and not leftovers:
        return "judge_new"
    return "bring_back"
