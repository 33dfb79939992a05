"""Identity headers that came from somebody who may not speak for others: ignored, and told about."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from app.core.web.languages import N_

log = structlog.get_logger(__name__)

LOG_EVERY_SECONDS: Final = 60.0
REMEDY: Final = N_(
    "If that is your proxy, add its address to DOCKREV_TRUSTED_PROXIES and start Dockrev again. If not, somebody tries "
    "to come in past the proxy: see that only the proxy reaches this port."
).message


@dataclass(frozen=True, slots=True)
class IgnoredPeer:
    """Who sent identity headers in vain, which (names only, never what was in them), and when last."""

    address: str
    headers: tuple[str, ...]
    at: datetime

    @property
    def told(self) -> str:
        """In words."""
        return f"identity headers came from {self.address}, which is not in DOCKREV_TRUSTED_PROXIES: ignored"


class IgnoredHeaders:
    """Counts, keeps the last one and logs at most once a minute, so that nobody can fill the log."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.total = 0
        self.last: IgnoredPeer | None = None
        self.counted: Callable[[], None] = lambda: None
        self._now = now
        self._quiet_until = float("-inf")
        self._unsaid = 0

    def note(self, address: str, headers: Sequence[str]) -> None:
        """One request whose identity headers did not count."""
        self.total += 1
        self.last = IgnoredPeer(address, tuple(headers), datetime.now(UTC))
        self.counted()
        if self._now() < self._quiet_until:
            self._unsaid += 1
            return
        log.warning(
            "identity headers ignored: the sender is not in DOCKREV_TRUSTED_PROXIES",
            sender=address,
            headers=list(headers),
            since_last_line=self._unsaid,
            remedy=REMEDY,
        )
        self._quiet_until, self._unsaid = self._now() + LOG_EVERY_SECONDS, 0
