"""What a room above says about its own configuration, for the deploy check (spec §5.7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Readiness:
    """`missing` names what is not there yet, in words; `evidence` tells what is, without any secret."""

    enabled: bool
    missing: tuple[str, ...] = ()
    evidence: str = ""


Ask = Callable[[], Awaitable[Readiness]]


class ReadinessBoard:
    """Who answers for a check, by its id (`feature.github_packages`)."""

    def __init__(self) -> None:
        self._askers: dict[str, Ask] = {}

    def add(self, check_id: str, ask: Ask) -> None:
        """Answer for this check. `ask` reads stored settings only: no network, no secrets in its answer."""
        self._askers[check_id] = ask

    async def ask(self, check_id: str) -> Readiness:
        """What its room says; a feature that no room answers for is off."""
        asker = self._askers.get(check_id)
        return await asker() if asker else Readiness(enabled=False)
