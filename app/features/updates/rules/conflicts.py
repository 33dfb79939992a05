"""Step 7: which operations may not run side by side (spec §5.3, §7.9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

BlockedBy = Literal[
    "global_update_in_progress",
    "stack_update_in_progress",
    "service_update_in_progress",
    "rollback_in_progress",
    "service_lifecycle_in_progress",
    "service_operation_in_progress",
]
#: Job types that own services while they run; the names are those of spec §4.
OWNING_TYPES = ("update", "rollback", "service_lifecycle", "restore")


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that runs, or wants to, and the (stack id, service id) pairs it touches."""

    scope: str
    stack_id: str | None = None
    service_id: str | None = None
    targets: frozenset[tuple[str, str]] = field(default=frozenset())
    type: str = "update"
    job_id: str = ""

    @property
    def stacks(self) -> frozenset[str]:
        """Stacks it may touch, by its scope or its targets."""
        own = {self.stack_id} if self.stack_id else set()
        return frozenset(own | {stack for stack, _ in self.targets})

    @property
    def services(self) -> frozenset[str]:
        """Services it names."""
        own = {self.service_id} if self.service_id else set()
        return frozenset(own | {service for _, service in self.targets})


def blocked_by(wanted: Operation, running: Iterable[Operation]) -> tuple[BlockedBy, str] | None:
    """The reason and the job that forbid `wanted`; None when it may start.

    Scope all conflicts with everything; stack with all, the same stack and a service in it; service with all, its
    stack and itself. Different services of one stack may run side by side.
    """
    for other in running:
        if _touch(wanted, other):
            return _reason(other), other.job_id
    return None


def _touch(wanted: Operation, other: Operation) -> bool:
    if wanted.scope == "all" or other.scope == "all":
        return True
    if wanted.scope == "stack" or other.scope == "stack":
        return bool(wanted.stacks & other.stacks)
    return bool(wanted.services & other.services)


def _reason(other: Operation) -> BlockedBy:
    match other.type, other.scope:
        case "rollback", _:
            return "rollback_in_progress"
        case "service_lifecycle", _:
            return "service_lifecycle_in_progress"
        case "update", "all":
            return "global_update_in_progress"
        case "update", "stack":
            return "stack_update_in_progress"
        case "update", _:
            return "service_update_in_progress"
        case _:
            return "service_operation_in_progress"
