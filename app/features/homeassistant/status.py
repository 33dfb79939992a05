"""How the connection to the broker is. Nothing here is secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Former:
    """What earlier settings left at a broker. `why` it is still there: `elsewhere`, at another broker; `in_use`, a
    Dockrev is at work there; `denied`, the broker does not let it go."""

    broker: str
    prefix: str
    discovery: str
    why: str


@dataclass(slots=True)
class BridgeStatus:
    """`since` is when it became what it is; `error` and `remedy` are of the last failure, also while connected again.

    `denied` are topics that the broker does not let Dockrev listen to.
    """

    broker: str
    connected: bool = False
    since: datetime | None = None
    error: str = ""
    remedy: str = ""
    failed_at: datetime | None = None
    entities: int = 0
    published: int = 0
    told_at: datetime | None = None
    denied: tuple[str, ...] = ()
    former: tuple[Former, ...] = ()

    def came(self, at: datetime) -> None:
        """The broker let Dockrev in."""
        self.connected, self.since = True, at

    def went(self, at: datetime) -> None:
        """The connection is gone, wanted or not."""
        if self.connected:
            self.connected, self.since = False, at

    def failed(self, at: datetime, error: str, remedy: str) -> None:
        """Connecting failed, or the connection broke."""
        self.error, self.remedy, self.failed_at = error, remedy, at
        self.since = self.since or at
