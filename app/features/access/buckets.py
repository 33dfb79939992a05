"""How often somebody may ask: one bucket per token or address, each kept as a single number.

The generic cell rate algorithm: stored is the moment at which the bucket would be full again. The framework's own
limiter keeps a list of times per client in a store that forgets nothing by size, knows addresses only, and limits
pages too; this one is bounded and asked where tokens are known.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

KEPT: Final = 2000


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left after a request. `reset` seconds until nothing counts any more, `wait` until the next is allowed."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    wait: int = 0


class Buckets:
    """`per_minute` requests at once, and then as many in each minute; the least recently seen keys are forgotten."""

    def __init__(self, per_minute: int, monotonic: Callable[[], float], kept: int = KEPT) -> None:
        self._limit = per_minute
        self._step = 60.0 / per_minute
        self._monotonic = monotonic
        self._kept = kept
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> Quota:
        """One request of `key`; what is refused does not count."""
        now = self._monotonic()
        before = max(self._full_at.get(key, now), now)
        after = before + self._step
        spare = now + 60.0 - after
        if spare < -1e-9:
            return Quota(False, self._limit, 0, math.ceil(before - now), max(1, math.ceil(-spare)))
        self._full_at[key] = after
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._kept:
            self._full_at.popitem(last=False)
        return Quota(True, self._limit, int(spare / self._step + 1e-6), math.ceil(after - now))

    def __len__(self) -> int:
        return len(self._full_at)
