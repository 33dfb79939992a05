"""Gives memory back to the system after work: a check needs for a second what nobody needs for the next hour."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

_MADV_DONTNEED: Final = 4


@cache
def _libc() -> Any:
    return ctypes.CDLL(None)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = _libc().malloc_trim
    except (AttributeError, OSError):
        return None  # not glibc
    return trim


def give_back() -> None:
    """Return what is free to the system; some milliseconds."""
    gc.collect()
    if (trim := _trim()) is not None:
        trim(0)
    _let_go_of_files()


def _let_go_of_files() -> None:
    """Half of what the start and a check read of the libraries' files is not looked at again: 9 MB. Linux only.

    They were never this process's alone: the kernel has them in its cache, for everybody, for as long as there is room,
    and what is looked at again is back within microseconds.
    """
    try:
        madvise = _libc().madvise
    except (AttributeError, OSError):
        return
    for begin, end in _unchanged():
        madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_DONTNEED)


def _unchanged() -> Iterator[tuple[int, int]]:
    """What lies in memory as it is in the files of libraries, by `/proc/self/smaps` (proc_pid_smaps(5)).

    What the loader wrote into before it protected it is anonymous and would be lost; gconv alone unloads what it has.
    """
    try:
        with open("/proc/self/smaps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123  pathlib would be loaded for it
            lines = maps.readlines()
    except OSError:
        return
    place = ""
    for line in lines:
        if line[0] in "0123456789abcdef":  # a field begins with a capital letter
            library = ".so" in line and "gconv" not in line
            place, rights, _ = line.split(maxsplit=2)
            if not library or "w" in rights:
                place = ""
        elif place and line.startswith("Anonymous:") and line.split()[1] == "0":
            begin, end = (int(each, 16) for each in place.split("-"))
            yield begin, end
