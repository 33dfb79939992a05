"""Gives memory back to the system after work: a check needs for a second what nobody needs for the next hour."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import cache


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None  # not glibc
    return trim


def give_back() -> None:
    """Return what is free to the system; some milliseconds."""
    gc.collect()
    if (trim := _trim()) is not None:
        trim(0)
