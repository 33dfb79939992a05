"""How many updates wait: the number on the app's icon, sent with each push."""

from __future__ import annotations

from app.features.stacks import Stacks
from app.features.versions import Versions


class Waiting:
    """Counts what an update of everything would cover, as the widget and the overview do."""

    def __init__(self, versions: Versions, stacks: Stacks) -> None:
        self._versions = versions
        self._stacks = stacks

    async def count(self) -> int | None:
        """As it is now, in three queries; None before the first check, since that is not none."""
        records = await self._versions.records()
        if not any(record.checked_at for record in records.values()):
            return None
        services = [service for stack in await self._stacks.stacks() for service in stack.services]
        return len(self._versions.actionable(services, records))
