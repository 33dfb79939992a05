"""What schedules do. A room adds what it does for its schedule; rooms above this one do so in their `setup`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.features.preferences import ScheduleName

Action = Callable[[], Awaitable[object]]


class ScheduledActions:
    """One action per schedule. It starts a job with createdBy and reason `schedule`, and raises Conflict while the one
    before is still under way: then this time is skipped."""

    def __init__(self) -> None:
        self._actions: dict[ScheduleName, Action] = {}

    def add(self, name: ScheduleName, action: Action) -> None:
        """What is done when `name` comes round; a second one for the same schedule is a mistake."""
        if name in self._actions:
            raise RuntimeError(f"{name} already has its action")
        self._actions[name] = action

    def get(self, name: ScheduleName) -> Action | None:
        """The action; None when no room does anything for this schedule."""
        return self._actions.get(name)
