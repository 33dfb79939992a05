"""Keeps a server's memory low: it runs for months on machines with little of it."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_M_ARENA_MAX: Final = -8
_M_TRIM_THRESHOLD: Final = -1


def keep_small() -> None:
    """Few malloc arenas (each thread would get one of its own); must come before threads start. glibc only."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_ARENA_MAX, 2)
    mallopt(_M_TRIM_THRESHOLD, 256 * 1024)


def settle() -> None:
    """After the imports: what is loaded stays, so the collector need not walk it again and again."""
    gc.collect()
    gc.freeze()
